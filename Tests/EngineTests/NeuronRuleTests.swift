//===----------------------------------------------------------------------===//
// The rules of the Neuron stacks.
//===----------------------------------------------------------------------===//

import Engine
import Testing
import Workload

@Suite struct NeuronRuleTests {
    private func configuration(
        _ rules: PhasedRules = PhasedRules(), sequences: Int32 = 4, blocks: Int32 = 100, budget: Int32 = 128
    ) -> ReplicaConfiguration {
        ReplicaConfiguration(
            stack: .phased(rules), maxSequences: sequences, maxModelTokens: 256, maxBatchedTokens: budget,
            kvBlocks: blocks,
            kvBlockTokens: 32)
    }

    @Test func onePrefillAStepAndDecodesPause() {
        var yard = Yardstick(configuration())
        yard.submit(prompt: 10, output: 4)
        yard.submit(at: 1.5, prompt: 10, output: 1)
        yard.submit(at: 1.6, prompt: 10, output: 1)
        yard.finish()
        // Prefill, decode, prefill, prefill, decode, decode: the first request waits two steps for its third token.
        #expect(yard.first(0) == 1)
        #expect(yard.first(1) == 3)
        #expect(yard.first(2) == 4)
        #expect(yard.last(0) == 6)
        #expect(yard.sink.gapCounts == [1_000_000_000: 2, 3_000_000_000: 1])
        #expect(yard.replica.usage.decodeSteps == 3)
    }

    @Test func gapsOfSequencesThatJoinedDuringThePause() {
        var yard = Yardstick(configuration())
        for _ in 0..<3 { yard.submit(prompt: 10, output: 2) }
        yard.finish()
        // First tokens at 1, 2 and 3 ms, second ones all at 4 ms.
        #expect(yard.sink.gapCounts == [3_000_000_000: 1, 2_000_000_000: 1, 1_000_000_000: 1])
    }

    @Test func theOthersAreHeldBackInOrder() {
        var yard = Yardstick(configuration(sequences: 2))
        for _ in 0..<4 { yard.submit(prompt: 10, output: 3) }
        yard.finish()
        // Two slots: the third starts when the first two have ended.
        #expect((0...3).map { yard.scheduled($0) } == [0, 1, 4, 5])
        #expect(yard.sink.completions.map(\.requestID) == [0, 1, 2, 3])
    }

    @Test func longPromptsAreComputedInChunksOneAfterTheOther() {
        var yard = Yardstick(configuration(budget: 64))
        yard.submit(prompt: 10, output: 3)
        yard.submit(at: 0.5, prompt: 200, output: 1)
        yard.finish()
        // Four chunks in a row, while the first request's decodes pause.
        #expect(yard.first(1) == 5)
        #expect(yard.last(0) == 7)
    }

    @Test func shapesArePaddedInTwoDimensions() {
        let rules = PhasedRules(prefillBuckets: [128], batchBuckets: [4], contextBuckets: [128, 256])
        var yard = Yardstick(configuration(rules), perTokenMicroseconds: 1)
        yard.submit(prompt: 20, output: 3)
        yard.finish()
        // 128 tokens of prefill, then 4 slots a step.
        #expect(yard.first(0) == 1.128)
        #expect(yard.last(0) == 3.136)
        #expect(yard.replica.usage.realTokens == 22)
        #expect(yard.replica.usage.paddedTokens == 108 + 2 * 3)
    }

    @Test func everySlotReadsTheWholeBucketOfContext() {
        let table = simpleTable(perContextToken: 1_000_000)
        let rules = PhasedRules(batchBuckets: [4], contextBuckets: [64, 256])
        let replica = Replica(number: 0, configuration: configuration(rules), table: table)
        var sink = RecordingSink()
        replica.submit(Request(id: 0, arrivalNanoseconds: 0, promptTokens: 62, outputTokens: 5), at: 0)
        replica.advance(until: .max - 1, into: &sink)
        // Contexts 62 and 63 leave room for the new token in 64; 64 and 65 need 256. Four slots each.
        #expect(sink.gapCounts == [1_000_000_000 + 4 * 64_000_000: 2, 1_000_000_000 + 4 * 256_000_000: 2])
    }

    @Test func admissionByTheWorstCase() {
        // 20 blocks of 32 tokens hold two sequences of 256 tokens, whatever they need.
        var yard = Yardstick(configuration(blocks: 20))
        for _ in 0..<3 { yard.submit(prompt: 10, output: 5) }
        yard.finish()
        #expect((0...2).map { yard.scheduled($0) } == [0, 1, 6])
        // By the request's own maximum three fit.
        var own = Yardstick(configuration(PhasedRules(admission: .requestMaximum), blocks: 20))
        for _ in 0..<3 { own.submit(prompt: 10, output: 5, maxOutput: 100) }
        own.advance(to: 2.5)
        #expect(own.replica.load.freeKVBlocks == 20 - 3 * 4)
        own.finish()
        #expect((0...2).map { own.scheduled($0) } == [0, 1, 2])
        #expect(yard.replica.usage.preemptions == 0 && own.replica.usage.preemptions == 0)
    }

    @Test func prefixesAreFoundOnBlocks() {
        let hashes = Hashes()
        var cached = configuration()
        cached.prefixCaching = .blocks
        var yard = Yardstick(cached, perTokenMicroseconds: 1)
        yard.submit(prompt: 100, output: 1, prefix: hashes([1, 2, 3, 4], tokensPerHash: 32))
        yard.submit(at: 10, prompt: 100, output: 1, prefix: hashes([1, 2, 3, 9], tokensPerHash: 32))
        yard.finish()
        #expect(yard.cached(1) == 96)
        #expect(yard.first(1) == 11.004)
    }

    @Test func ranksStepTogetherAtTheLargestBucket() {
        let rules = PhasedRules(
            prefillBuckets: [32, 128], batchBuckets: [1, 2, 4], contextBuckets: [128, 256], dataParallelRanks: 2)
        var yard = Yardstick(configuration(rules), perTokenMicroseconds: 1)
        for prompt in [20, 100, 10] as [Int32] { yard.submit(prompt: prompt, output: 3) }
        yard.finish()
        // One prompt a rank: 20 and 100 tokens share a step of 128, the third follows alone at 32.
        #expect(yard.first(0) == 1.128 && yard.first(1) == 1.128)
        #expect(yard.first(2) == 2.16)
        // Two sequences on one rank, one on the other: both step at bucket 2.
        #expect(yard.last(0) == 4.164)
        #expect(yard.replica.load.totalKVBlocks == 200)
    }
}
