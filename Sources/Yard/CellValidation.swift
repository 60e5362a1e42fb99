//===----------------------------------------------------------------------===//
// Which cells are possible.
//===----------------------------------------------------------------------===//

import Engine

/// A cell configuration that cannot be.
public struct CellConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
}

extension CellConfiguration {
    /// Most replicas in one cell: the width of the fields that number them.
    public static let maxReplicas = 1 << 20

    public func validate() throws(CellConfigurationError) {
        let replicas = pools.reduce(0) { $0 + max(0, $1.replicas) }
        if replicas == 0 { throw CellConfigurationError(description: "cell \(number) has no replicas") }
        if replicas > Self.maxReplicas {
            throw CellConfigurationError(
                description: "cell \(number) has \(replicas) replicas; at most \(Self.maxReplicas) fit in one cell")
        }
        if number < 0 || number > Int(UInt16.max) {
            throw CellConfigurationError(description: "cell number \(number) is outside 0...\(UInt16.max)")
        }
        if pools.count > Int(UInt16.max) {
            throw CellConfigurationError(
                description: "cell \(number) has \(pools.count) pools; at most \(UInt16.max) fit")
        }
        for pool in pools {
            if pool.replicas < 1 {
                throw CellConfigurationError(
                    description: "pool '\(pool.name)' has \(pool.replicas) replicas in cell \(number)")
            }
            if let problem = pool.replica.problem {
                throw CellConfigurationError(description: "pool '\(pool.name)': \(problem)")
            }
        }
        try validateRoles()
        if replicaQueueLimit < 0 {
            throw CellConfigurationError(
                description: "replicaQueueLimit is \(replicaQueueLimit); 0 is one central queue")
        }
        if waitingRoom.classes.isEmpty {
            throw CellConfigurationError(description: "the waiting room needs at least one class")
        }
        if waitingRoom.quantumTokens < 1 || waitingRoom.tenantWeights.contains(where: { $0 < 1 }) {
            throw CellConfigurationError(description: "quantumTokens and every tenant's weight must be at least 1")
        }
        if PlacementTable.policy(named: placement.policy) == nil {
            throw CellConfigurationError(
                description:
                    "placement '\(placement.policy)' is unknown; known are "
                    + PlacementTable.names.joined(separator: ", ")
            )
        }
    }
}

extension CellConfiguration {
    /// Either every replica does everything, or prefill and decode are apart and something joins them.
    private func validateRoles() throws(CellConfigurationError) {
        func count(_ role: ReplicaRole) -> Int { pools.reduce(0) { $0 + ($1.replica.role == role ? 1 : 0) } }
        guard let transfer else {
            if let pool = pools.first(where: { $0.replica.role != .whole }) {
                throw CellConfigurationError(
                    description:
                        "pool '\(pool.name)' is \(pool.replica.role), and the cell has no transfer to join it to another"
                )
            }
            return
        }
        if count(.whole) > 0 || count(.prefillOnly) == 0 || count(.decodeOnly) == 0 {
            throw CellConfigurationError(
                description: "a cell with a transfer needs pools that prefill, pools that decode, and no others")
        }
        for pool in pools {
            switch pool.replica.stack {
            case .mixed, .phased: break
            case .sarathi, .vllmV0:
                throw CellConfigurationError(
                    description:
                        "pool '\(pool.name)' schedules as \(pool.replica.stack), which cannot hand prompts over")
            }
        }
        if transfer.bytesPerToken < 1 || transfer.latencyNanoseconds < 0 {
            throw CellConfigurationError(
                description:
                    "transfers of \(transfer.bytesPerToken) bytes a token in \(transfer.latencyNanoseconds) ns "
                    + "cannot be: at least 1 byte and 0 ns are needed")
        }
        if case .write(let layers) = transfer.mode, layers < 1 {
            throw CellConfigurationError(description: "a model that is written by layers has at least one")
        }
        if let pool = pools.first(where: { $0.transferBytesPerSecond < 1 }) {
            throw CellConfigurationError(
                description: "pool '\(pool.name)' has no bandwidth (transferBytesPerSecond) to move KV with")
        }
    }
}

extension ReplicaConfiguration {
    /// Sequences that run at once, over all data-parallel ranks.
    var slots: Int {
        switch stack {
        case .phased(let rules): Int(maxSequences) * Int(rules.dataParallelRanks)
        case .mixed, .sarathi, .vllmV0: Int(maxSequences)
        }
    }
}

extension Cell {
    /// Prompt plus allowed output that one replica of this configuration can ever hold.
    static func maxRequestTokens(of configuration: ReplicaConfiguration) -> Int64 {
        min(Int64(configuration.maxModelTokens), Int64(configuration.kvBlocks) * Int64(configuration.kvBlockTokens))
    }
}
