//===----------------------------------------------------------------------===//
// What all replicas of a pool have in common.
//===----------------------------------------------------------------------===//

public import StepModel

/// A configuration and a step table that any number of replicas share: kept once, at an address that does not change,
/// so that a replica of its own is only what it does.
public final class ReplicaProgram: @unchecked Sendable {
    public let table: StepTable
    let address: UnsafeMutablePointer<ReplicaConfiguration>
    /// The phased stack's rules with its bucket lists as plain memory; nil for the other stacks.
    let phased: PhasedProgram?

    public var configuration: ReplicaConfiguration { address.pointee }

    /// - Precondition: `configuration.problem` is nil.
    public init(configuration: ReplicaConfiguration, table: StepTable) {
        if let problem = configuration.problem { preconditionFailure(problem) }
        self.table = table
        address = .allocate(capacity: 1)
        address.initialize(to: configuration)
        if case .phased(let rules) = configuration.stack {
            phased = PhasedProgram(rules)
        } else {
            phased = nil
        }
    }

    deinit {
        phased?.deallocate()
        address.deinitialize(count: 1)
        address.deallocate()
    }
}

/// `PhasedRules` without references to count: a step boundary reads them, and copies them about.
struct PhasedProgram: BitwiseCopyable {
    let prefillBuckets: BucketList
    let batchBuckets: BucketList
    let contextBuckets: BucketList
    let admission: PhasedRules.Admission
    let dataParallelRanks: Int32

    init(_ rules: PhasedRules) {
        prefillBuckets = BucketList(rules.prefillBuckets)
        batchBuckets = BucketList(rules.batchBuckets)
        contextBuckets = BucketList(rules.contextBuckets)
        admission = rules.admission
        dataParallelRanks = rules.dataParallelRanks
    }

    func deallocate() {
        prefillBuckets.deallocate()
        batchBuckets.deallocate()
        contextBuckets.deallocate()
    }
}

/// Sizes for which a step was compiled, rising. A handle: its owner frees the memory.
struct BucketList: BitwiseCopyable {
    private let base: UnsafeMutablePointer<Int32>
    private let count: Int32

    init(_ buckets: [Int32]) {
        base = .allocate(capacity: max(1, buckets.count))
        base.initialize(from: buckets, count: buckets.count)
        count = Int32(buckets.count)
    }

    func deallocate() { base.deallocate() }

    var isEmpty: Bool { count == 0 }

    /// The smallest bucket that holds `tokens`, or `tokens` when there are no buckets.
    @inline(__always) func bucket(holding tokens: Int32) -> Int32 {
        if isEmpty { return tokens }
        var index = 0
        while index < Int(count) {
            if base[index] >= tokens { return base[index] }
            index &+= 1
        }
        preconditionFailure("no compiled bucket holds \(tokens) tokens: \((0..<Int(count)).map { base[$0] })")
    }
}
