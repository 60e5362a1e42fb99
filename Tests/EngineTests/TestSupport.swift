//===----------------------------------------------------------------------===//
// What the engine's tests share: a seeded generator, a recording sink, small tables.
//===----------------------------------------------------------------------===//

import Engine
import StepModel
import Workload

struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
    mutating func int32(_ range: ClosedRange<Int32>) -> Int32 { Int32.random(in: range, using: &self) }
    mutating func chance(_ percent: Int32) -> Bool { int32(0...99) < percent }
    /// Exponentially distributed, with mean 1.
    mutating func exponential() -> Double {
        var value = 0.0
        repeat { value = Double(next() >> 11) * 0x1p-53 } while value == 0
        // -ln(value) by halving: the tests need no Foundation.
        return naturalLogarithm(1 / value)
    }
}

/// ln for arguments of at least 1, to double precision.
func naturalLogarithm(_ argument: Double) -> Double {
    let exponent = Double(argument.exponent)
    let z = (argument.significand - 1) / (argument.significand + 1)
    var term = z
    var sum = 0.0
    var k = 1.0
    while k < 60 {
        sum += term / k
        term *= z * z
        k += 2
    }
    return 2 * sum + exponent * 0.693147180559945309417
}

struct RecordingSink: OutcomeSink {
    var completions: [Completion] = []
    var tokens: [TokenEvent] = []
    /// How many gaps lasted how many picoseconds.
    var gapCounts: [Int64: Int] = [:]

    mutating func completed(_ completion: Completion) { completions.append(completion) }
    mutating func produced(_ token: TokenEvent) { tokens.append(token) }
    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
        for step in 0..<Int64(steps) {
            gapCounts[firstPicoseconds + step * incrementPicoseconds, default: 0] += Int(count)
        }
    }
    var gapTotal: Int { gapCounts.values.reduce(0, +) }
}

/// A table whose costs are easy to check by hand: `step` picoseconds and nanojoules, `perToken` more for each token,
/// `perContextToken` more for each token of decode context.
func simpleTable(
    step: Int64 = 1_000_000_000, perToken: Int64 = 0, perContextToken: Int64 = 0, maxTokens: Int = 4096,
    maxSequences: Int = 256
) -> StepTable {
    let piece = StepTable.DecodeAttention.Piece(
        base: StepCost(picoseconds: 0, nanojoules: 0),
        slope: StepCost(picoseconds: perContextToken, nanojoules: perContextToken))
    return StepTable(
        tokens: (0...maxTokens).map {
            StepCost(picoseconds: step + perToken * Int64($0), nanojoules: step + perToken * Int64($0))
        },
        sequences: [StepCost](repeating: StepCost(picoseconds: 0, nanojoules: 0), count: maxSequences + 1),
        decodeAttention: StepTable.DecodeAttention(
            axis: .meanContext, pieces: [StepTable.DecodeAttention.Piece](repeating: piece, count: maxSequences + 1),
            piecesPerBatch: 1, shift: 20, roundUp: 0),
        prefillAttention: .linear(
            base: StepCost(picoseconds: 0, nanojoules: 0), perPairShifted20: StepCost(picoseconds: 0, nanojoules: 0),
            perContextTokenShifted20: StepCost(picoseconds: 0, nanojoules: 0)))
}

/// A table with no structure at all: every entry drawn. A coarse one only has whole milliseconds, so that steps end in
/// the very nanosecond of an arrival.
func randomTable(_ random: inout SplitMix64, maxTokens: Int, maxSequences: Int, coarse: Bool) -> StepTable {
    let grain: Int64 = coarse ? 1_000_000_000 : 1
    func cost(_ range: ClosedRange<Int64>) -> StepCost {
        let picoseconds = Int64.random(in: range, using: &random)
        return StepCost(
            picoseconds: (picoseconds + (range.lowerBound > 0 ? grain - 1 : 0)) / grain * grain,
            nanojoules: Int64.random(in: range, using: &random))
    }
    let shift = Int.random(in: 3...8, using: &random)
    let piecesPerBatch = Int.random(in: 1...40, using: &random)
    let floored = random.chance(30)
    let tokens = (0...maxTokens).map { _ in cost(1_000_000...40_000_000_000) }
    let sequences = (0...maxSequences).map { _ in cost(0...3_000_000_000) }
    let pieces = (0..<(maxSequences + 1) * piecesPerBatch).map { _ in
        StepTable.DecodeAttention.Piece(base: cost(0...2_000_000_000), slope: cost(0...1_000_003))
    }
    let prefill = StepTable.PrefillAttention.linear(
        base: cost(0...1_000_000), perPairShifted20: cost(0...1 << 30), perContextTokenShifted20: cost(0...1 << 30))
    return StepTable(
        tokens: tokens, sequences: sequences,
        decodeAttention: StepTable.DecodeAttention(
            axis: random.chance(50) ? .meanContext : .longestContext, pieces: pieces, piecesPerBatch: piecesPerBatch,
            shift: shift, roundUp: random.chance(50) ? (1 << shift) - 1 : 0),
        prefillAttention: prefill,
        hostFloor: floored ? (0...maxSequences).map { _ in cost(0...30_000_000_000) } : [])
}
