import StepModel
import Testing

/// A small generator with a printed seed, so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

private func randomCost(_ most: Int64, _ generator: inout SeededGenerator) -> StepCost {
    StepCost(
        picoseconds: .random(in: 0...most, using: &generator), nanojoules: .random(in: 0...most, using: &generator))
}

private func randomTable(_ generator: inout SeededGenerator) -> StepTable {
    let sequences = Int.random(in: 1...9, using: &generator)
    let pieces = Int.random(in: 1...5, using: &generator)
    let shift = Int.random(in: 0...6, using: &generator)
    let hasFloor = Bool.random(using: &generator)
    return StepTable(
        tokens: (0...40).map { _ in randomCost(1_000_000, &generator) },
        sequences: (0...sequences).map { _ in randomCost(10_000, &generator) },
        decodeAttention: StepTable.DecodeAttention(
            axis: Bool.random(using: &generator) ? .meanContext : .longestContext,
            pieces: (0..<((sequences + 1) * pieces)).map { _ in
                .init(base: randomCost(100_000, &generator), slope: randomCost(500, &generator))
            },
            piecesPerBatch: pieces,
            shift: shift,
            roundUp: Bool.random(using: &generator) ? 0 : (1 << shift) - 1
        ),
        prefillAttention: .linear(
            base: randomCost(1000, &generator), perPairShifted20: randomCost(5_000_000, &generator),
            perContextTokenShifted20: randomCost(5_000_000, &generator)
        ),
        hostFloor: hasFloor ? (0...sequences).map { _ in randomCost(1_500_000, &generator) } : []
    )
}

/// A run must price each of its steps exactly as asking step by step does: that is what makes skipping ahead exact.
@Test(arguments: 0..<300 as Range<UInt64>)
func aRunIsTheStepsItStandsFor(seed: UInt64) {
    var generator = SeededGenerator(state: seed)
    let table = randomTable(&generator)
    var contexts = (0..<Int.random(in: 1...Int(table.maxSequences), using: &generator)).map { _ in
        Int32.random(in: 0...200, using: &generator)
    }
    func shape() -> StepShape {
        var shape = StepShape()
        for context in contexts { shape.addDecode(contextTokens: context) }
        return shape
    }
    var checked = 0
    while checked < 400 {
        let run = table.run(of: shape())
        #expect(run.steps >= 1, "seed \(seed)")
        for step in 0..<Int64(min(run.steps, 150)) {
            let expected = table.cost(of: shape())
            let priced = StepCost(
                picoseconds: run.first.picoseconds + step * run.increment.picoseconds,
                nanojoules: run.first.nanojoules + step * run.increment.nanojoules
            )
            #expect(priced == expected, "seed \(seed), step \(step) of \(run.steps)")
            if priced != expected { return }
            for index in contexts.indices { contexts[index] += 1 }
            checked += 1
        }
    }
}

@Test func aStepIsTheSumOfItsSurfaces() {
    let zero = StepCost(picoseconds: 0, nanojoules: 0)
    let table = StepTable(
        tokens: (0...100).map { StepCost(picoseconds: Int64($0) * 1000, nanojoules: Int64($0)) },
        sequences: (0...4).map { StepCost(picoseconds: Int64($0) * 7, nanojoules: 0) },
        decodeAttention: StepTable.DecodeAttention(
            axis: .meanContext,
            pieces: (0...4).map { _ in .init(base: zero, slope: StepCost(picoseconds: 3, nanojoules: 2)) },
            piecesPerBatch: 1, shift: 20, roundUp: 0
        ),
        prefillAttention: .linear(
            base: StepCost(picoseconds: 11, nanojoules: 5),
            perPairShifted20: StepCost(picoseconds: 1 << 20, nanojoules: 0),
            perContextTokenShifted20: StepCost(picoseconds: 2 << 20, nanojoules: 0)
        )
    )
    var shape = StepShape()
    shape.addDecode(contextTokens: 50)
    shape.addDecode(contextTokens: 10)
    shape.addPrefill(chunkTokens: 8, contextTokens: 4, completes: true)
    // 10 tokens; 3 rows of logits; 60 decode context tokens; pairs 8 × 4 + 36; 4 context tokens.
    #expect(table.cost(of: shape).picoseconds == 10_000 + 21 + 180 + 11 + 68 + 8)
    #expect(table.cost(of: shape).nanojoules == 10 + 120 + 5)
}

@Test func aPaddedPrefillCostsItsBucket() {
    let zero = StepCost(picoseconds: 0, nanojoules: 0)
    let chunks = (0...256).map { tokens in
        StepTable.PaddedPrefill.Chunk(
            base: StepCost(picoseconds: tokens <= 128 ? 500 : 900, nanojoules: 1),
            perContextTokenShifted20: StepCost(picoseconds: 1 << 19, nanojoules: 0)
        )
    }
    let table = StepTable(
        tokens: [zero, zero, zero],
        sequences: [zero, StepCost(picoseconds: 7, nanojoules: 0), zero],
        decodeAttention: StepTable.DecodeAttention(
            axis: .longestContext,
            pieces: [.init(base: zero, slope: zero), .init(base: zero, slope: zero), .init(base: zero, slope: zero)],
            piecesPerBatch: 1, shift: 20, roundUp: 0
        ),
        prefillAttention: .linear(base: zero, perPairShifted20: zero, perContextTokenShifted20: zero),
        paddedPrefill: StepTable.PaddedPrefill(chunks: chunks)
    )
    func cost(_ chunk: Int32, _ context: Int32, completes: Bool = false) -> Int64 {
        var shape = StepShape()
        shape.addPrefill(chunkTokens: chunk, contextTokens: context, completes: completes)
        return table.cost(of: shape).picoseconds
    }
    #expect(cost(1, 0) == cost(128, 0))
    #expect(cost(129, 0) == 900)
    #expect(cost(100, 200) == 600)
    #expect(cost(100, 0, completes: true) == 507)
    #expect(table.maxTokens == 256)
}
