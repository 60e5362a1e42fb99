//===----------------------------------------------------------------------===//
// Small tables, pools and sinks that the yard's tests share.
//===----------------------------------------------------------------------===//

import Engine
import StepModel
import Workload

@testable import Yard

enum YardFixture {
    /// A table on which a step costs `perStep + tokens × perToken` picoseconds and one nanojoule a token.
    static func table(maxTokens: Int = 4096, maxSequences: Int = 64, perStep: Int64 = 0, perToken: Int64) -> StepTable {
        let none = StepCost(picoseconds: 0, nanojoules: 0)
        return StepTable(
            tokens: (0...maxTokens).map {
                StepCost(picoseconds: perStep + Int64($0) * perToken, nanojoules: Int64($0))
            },
            sequences: Array(repeating: none, count: maxSequences + 1),
            decodeAttention: .init(
                axis: .meanContext, pieces: Array(repeating: .init(base: none, slope: none), count: maxSequences + 1),
                piecesPerBatch: 1, shift: 20, roundUp: 0
            ),
            prefillAttention: .linear(base: none, perPairShifted20: none, perContextTokenShifted20: none)
        )
    }

    static func replica(
        sequences: Int32 = 4, kvBlocks: Int32 = 4096, caching: ReplicaConfiguration.PrefixCaching = .off
    )
        -> ReplicaConfiguration
    {
        ReplicaConfiguration(
            maxSequences: sequences, maxModelTokens: 2048, maxBatchedTokens: 4096, kvBlocks: kvBlocks,
            prefixCaching: caching
        )
    }

    static func cell(
        replicas: Int, policy: String = "least-loaded", sequences: Int32 = 4, queueLimit: Int32 = 4, seed: UInt64 = 1,
        caching: ReplicaConfiguration.PrefixCaching = .off, change: (inout CellConfiguration) -> Void = { _ in }
    ) throws -> Cell {
        var configuration = CellConfiguration(pools: [
            CellPool(
                name: "pool", table: table(perStep: 1_000_000, perToken: 10_000),
                replica: replica(sequences: sequences, caching: caching), replicas: replicas
            )
        ])
        configuration.placement.policy = policy
        configuration.replicaQueueLimit = queueLimit
        configuration.seed = seed
        change(&configuration)
        return try Cell(configuration: configuration)
    }
}

/// Keeps everything that came out.
struct CollectingSink: OutcomeSink {
    var completions: [Completion] = []
    var tokens: [TokenEvent] = []
    var gapCount = 0
    var gapPicoseconds: Int128 = 0

    mutating func completed(_ completion: Completion) { completions.append(completion) }
    mutating func produced(_ token: TokenEvent) { tokens.append(token) }
    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
        gapCount += Int(steps) * Int(count)
        let rising = Int128(steps) * (Int128(steps) - 1) / 2 * Int128(incrementPicoseconds)
        gapPicoseconds += (Int128(steps) * Int128(firstPicoseconds) + rising) * Int128(count)
    }
}

extension Cell {
    /// Advances to each event until none is left.
    func finish(into sink: inout CollectingSink) {
        var steps = 0
        while nextEventNanoseconds != .max {
            advance(until: nextEventNanoseconds, into: &sink)
            steps += 1
            precondition(steps < 10_000_000, "the cell does not come to rest")
        }
    }

    /// Gives a message the way the simulator does: everything before its time happens first.
    func submit(_ request: Request, into sink: inout CollectingSink) {
        advance(until: request.arrivalNanoseconds - 1, into: &sink)
        submit(request, at: request.arrivalNanoseconds)
    }
}
