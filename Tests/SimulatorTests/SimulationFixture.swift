//===----------------------------------------------------------------------===//
// Small fleets and seeded arrivals for the simulator's tests.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import StepModel
import Workload
import Yard

enum SimulationFixture {
    /// A table on which a step costs `perStep + tokens × perToken` picoseconds and one nanojoule a token.
    static func table(maxTokens: Int = 4096, maxSequences: Int = 64, perStep: Int64, perToken: Int64) -> StepTable {
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

    /// `replicas` equal replicas dealt to `cells` cells, 1 ms and 10 µs a token for each step.
    static func cells(
        _ cells: Int, replicas: Int, policy: String = "least-loaded", sequences: Int32 = 8, queueLimit: Int32 = 8,
        perStep: Int64 = 1_000_000_000, perToken: Int64 = 10_000_000,
        change: (inout CellConfiguration) -> Void = { _ in }
    ) -> [CellConfiguration] {
        let table = table(perStep: perStep, perToken: perToken)
        return (0..<cells).map { number in
            let from = replicas * number / cells
            let to = replicas * (number + 1) / cells
            var configuration = CellConfiguration(pools: [
                CellPool(
                    name: "pool", table: table,
                    replica: ReplicaConfiguration(
                        maxSequences: sequences, maxModelTokens: 2048, maxBatchedTokens: 4096, kvBlocks: 2048,
                        prefixCaching: .sessions),
                    replicas: to - from, firstReplicaNumber: Int32(from))
            ])
            configuration.number = number
            configuration.placement.policy = policy
            configuration.replicaQueueLimit = queueLimit
            change(&configuration)
            return configuration
        }
    }
}

/// Poisson arrivals with lengths drawn by a closure, all from one seed.
final class SeededSource: RequestSource {
    private var dice: SeededChoice
    private let meanGapNanoseconds: Double
    private let lengths: (inout SeededChoice) -> (prompt: Int32, output: Int32)
    private let shape: (inout Request, inout SeededChoice) -> Void
    private let firstID: UInt64
    private let stride: UInt64
    private let count: Int
    private var now = 0.0
    private var made = 0

    init(
        seed: UInt64, requestsPerSecond: Double, count: Int, firstID: UInt64 = 0, stride: UInt64 = 1,
        lengths: @escaping (inout SeededChoice) -> (prompt: Int32, output: Int32) = {
            (Int32(1 + $0.next(below: 400)), Int32(1 + $0.next(below: 60)))
        }, shape: @escaping (inout Request, inout SeededChoice) -> Void = { _, _ in }
    ) {
        dice = SeededChoice(seed: seed)
        meanGapNanoseconds = 1e9 / requestsPerSecond
        self.lengths = lengths
        self.shape = shape
        self.firstID = firstID
        self.stride = stride
        self.count = count
    }

    var reading: ReadingCounts {
        var counts = ReadingCounts()
        counts.accepted = made
        return counts
    }

    func next() throws(WorkloadError) -> Request? {
        guard made < count else { return nil }
        now += dice.exponential() * meanGapNanoseconds
        let (prompt, output) = lengths(&dice)
        var request = Request(
            id: firstID + UInt64(made) * stride, arrivalNanoseconds: Int64(now), promptTokens: prompt,
            outputTokens: output)
        shape(&request, &dice)
        made += 1
        return request
    }
}

extension SeededChoice {
    /// Exponential with mean 1.
    mutating func exponential() -> Double { -log(Double((next() >> 11) + 1) * 0x1p-53) }
}
