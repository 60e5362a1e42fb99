//===----------------------------------------------------------------------===//
// vLLM V1, rules 11 and 20 to 26: KV blocks and the prefix cache.
//===----------------------------------------------------------------------===//

import Engine
import Testing
import Workload

@Suite struct CacheRuleTests {
    private func configuration(
        blocks: Int32, caching: ReplicaConfiguration.PrefixCaching = .blocks
    ) -> ReplicaConfiguration {
        ReplicaConfiguration(
            maxSequences: 8, maxModelTokens: 1600, maxBatchedTokens: 1600, kvBlocks: blocks, prefixCaching: caching)
    }

    @Test func rule11_atLeastOneTokenIsComputedAndHitsAreWholeBlocks() {
        let hashes = Hashes()
        var yard = Yardstick(configuration(blocks: 100))
        yard.submit(prompt: 64, output: 1, prefix: hashes([1, 2, 3, 4]))
        yard.submit(at: 10, prompt: 64, output: 1, prefix: hashes([1, 2, 3, 4]))
        yard.submit(at: 20, prompt: 70, output: 1, prefix: hashes([1, 2, 3, 4, 5]))
        yard.finish()
        // A full hit computes its last block again.
        #expect((0...2).map { yard.cached($0) } == [0, 48, 64])
        #expect(yard.replica.usage.realTokens == 64 + 16 + 6)
    }

    @Test func rule20_cachedBlocksCountAsFree() {
        let hashes = Hashes()
        var yard = Yardstick(configuration(blocks: 100))
        yard.submit(prompt: 64, output: 20, prefix: hashes([1, 2, 3, 4]))
        yard.advance(to: 0.5)
        #expect(yard.replica.load.freeKVBlocks == 96)
        yard.finish()
        #expect(yard.replica.load.freeKVBlocks == 100)
        #expect(yard.replica.usage.peakKVBlocks == 6)
    }

    @Test func rule21_fullBlocksAreFoundFromTheirAllocationOn() {
        let hashes = Hashes()
        var yard = Yardstick(configuration(blocks: 100))
        // Both in the same step: the second finds what the first is about to compute.
        yard.submit(prompt: 40, output: 1, prefix: hashes([1, 2, 3]))
        yard.submit(prompt: 40, output: 1, prefix: hashes([1, 2, 3]))
        // The third block of 40 tokens is not full, and an adapter makes other blocks.
        yard.submit(at: 5, prompt: 60, output: 1, prefix: hashes([1, 2, 3, 4]))
        yard.submit(at: 9, prompt: 40, output: 1, adapter: 1, prefix: hashes([1, 2, 3]))
        yard.finish()
        #expect((0...3).map { yard.cached($0) } == [0, 32, 32, 0])
    }

    @Test func rule22_whatIsReferredToIsNotEvicted() {
        let hashes = Hashes()
        var yard = Yardstick(configuration(blocks: 10))
        yard.submit(prompt: 32, output: 30, prefix: hashes([1, 2]))
        yard.submit(at: 1.5, prompt: 33, output: 20, prefix: hashes([1, 2, 3]))
        // Takes all but the blocks in use.
        yard.submit(at: 2.5, prompt: 60, output: 1)
        yard.submit(at: 40, prompt: 33, output: 1, prefix: hashes([1, 2, 4]))
        yard.finish()
        #expect(yard.cached(1) == 32)
        #expect(yard.cached(3) == 32)
        // Two shared blocks, and one each: not two each.
        #expect(yard.replica.usage.preemptions == 0)
    }

    @Test func rule23_aHashGoesOnlyWhenItsBlockIsTaken() {
        let hashes = Hashes()
        var yard = Yardstick(configuration(blocks: 100))
        yard.submit(prompt: 320, output: 1, prefix: hashes(Array(1...20)))
        // 75 blocks: the 80 that hold nothing are taken first.
        yard.submit(at: 10, prompt: 1200, output: 1)
        yard.submit(at: 20, prompt: 321, output: 1, prefix: hashes(Array(1...20)))
        yard.finish()
        #expect(yard.cached(2) == 320)
    }

    @Test func rule24_theEndOfAChainGoesFirstAndTheOldestChainBeforeTheYounger() {
        let hashes = Hashes()
        var yard = Yardstick(configuration(blocks: 20))
        yard.submit(prompt: 160, output: 1, prefix: hashes(Array(1...10)))
        yard.submit(at: 5, prompt: 128, output: 1, prefix: hashes(Array(101...108)))
        // 20 blocks: 10 + 8 cached, 2 hold nothing. Taking 5 costs the older chain its last three.
        yard.submit(at: 10, prompt: 79, output: 1)
        yard.advance(to: 15)
        #expect(cached(&yard, hashes(Array(1...10)), prompt: 161) == 112)
        #expect(cached(&yard, hashes(Array(101...108)), prompt: 129) == 128)
        // Being used makes a chain young again.
        yard.submit(at: 20, prompt: 113, output: 1, prefix: hashes(Array(1...7)))
        yard.submit(at: 25, prompt: 111, output: 1)
        yard.advance(to: 30)
        #expect(cached(&yard, hashes(Array(1...10)), prompt: 161) == 112)
        #expect(cached(&yard, hashes(Array(101...108)), prompt: 129) < 128)
    }

    private func cached(_ yard: inout Yardstick, _ prefix: PrefixIdentity, prompt: Int32) -> Int32 {
        yard.replica.cachedPromptTokens(
            of: Request(id: 999, arrivalNanoseconds: 0, promptTokens: prompt, outputTokens: 1, prefix: prefix))
    }

    @Test func rule25_aDecodeTakesABlockEverySixteenTokens() {
        var yard = Yardstick(configuration(blocks: 100, caching: .off))
        yard.submit(prompt: 30, output: 40)
        var taken: [Int32] = []
        for step in 0..<40 {
            yard.advance(to: Double(step) + 0.5)
            taken.append(100 - yard.replica.load.freeKVBlocks)
        }
        // Step n has 30 + n tokens in the cache when it ends.
        let expected = (0..<40).map { (step: Int) -> Int32 in Int32((30 + step + 15) / 16) }
        #expect(taken == expected)
    }

    @Test func rule26_hitsAreCountedAtTheFirstAdmission() {
        let hashes = Hashes()
        var yard = Yardstick(configuration(blocks: 100))
        yard.submit(prompt: 64, output: 1, prefix: hashes([1, 2, 3, 4]))
        yard.submit(at: 10, prompt: 100, output: 1, prefix: hashes([1, 2, 3, 4, 5, 6]))
        yard.finish()
        #expect(yard.replica.usage.prefixQueryTokens == 164)
        #expect(yard.replica.usage.prefixHitTokens == 64)
        // One that is preempted is admitted twice.
        var twice = Yardstick(configuration(blocks: 12))
        for _ in 0..<3 { twice.submit(prompt: 60, output: 8) }
        twice.finish()
        #expect(twice.replica.usage.preemptions == 1 && twice.replica.usage.prefixQueryTokens == 180)
    }

    // MARK: Other forms and tiers

    @Test func hashesOfAnyBlockSize() {
        let hashes = Hashes()
        for tokensPerHash in [4, 8, 16, 32, 64, 512] as [Int32] {
            var yard = Yardstick(configuration(blocks: 100))
            let count = UInt64(600 / tokensPerHash)
            let chain = hashes(Array(1...count), tokensPerHash: tokensPerHash)
            let branch = hashes((1...count).map { $0 <= count / 2 ? $0 : 1000 + $0 }, tokensPerHash: tokensPerHash)
            yard.submit(prompt: 600, output: 1, prefix: chain)
            yard.submit(at: 10, prompt: 600, output: 1, prefix: branch)
            yard.submit(at: 20, prompt: 1000, output: 1, prefix: chain)
            yard.finish()
            let shared = Int32(count / 2) * tokensPerHash
            #expect(yard.cached(1) == shared / 16 * 16, "\(tokensPerHash) tokens per hash")
            #expect(
                yard.cached(2) == min(600, Int32(count) * tokensPerHash) / 16 * 16, "\(tokensPerHash) tokens per hash")
        }
    }

    @Test func aConversationGrowsWithItsTurns() {
        for caching in [.blocks, .sessions] as [ReplicaConfiguration.PrefixCaching] {
            var yard = Yardstick(configuration(blocks: 100, caching: caching))
            yard.submit(prompt: 160, output: 33, prefix: session(7, tokens: 0))
            // The next turn repeats prompt and output: 192 tokens are in the cache.
            yard.submit(at: 50, prompt: 230, output: 17, prefix: session(7, tokens: 193))
            // One that dropped the middle goes on from its 100th token.
            yard.submit(at: 100, prompt: 200, output: 1, prefix: session(7, tokens: 100))
            yard.submit(at: 150, prompt: 201, output: 1, prefix: session(7, tokens: 200))
            yard.submit(at: 200, prompt: 201, output: 1, prefix: session(8, tokens: 0))
            yard.finish()
            #expect((0...4).map { yard.cached($0) } == [0, 192, 96, 192, 0])
            #expect(yard.replica.load.freeKVBlocks == 100)
        }
    }

    @Test func conversationsShareTheirHead() {
        var yard = Yardstick(configuration(blocks: 100, caching: .sessions))
        yard.submit(prompt: 160, output: 1, prefix: session(1, tokens: 0, head: 3, headTokens: 100))
        yard.submit(at: 10, prompt: 160, output: 1, prefix: session(2, tokens: 0, head: 3, headTokens: 100))
        yard.submit(at: 20, prompt: 200, output: 1, prefix: session(1, tokens: 160, head: 3, headTokens: 100))
        yard.submit(at: 30, prompt: 200, output: 1, prefix: session(3, tokens: 0, head: 4, headTokens: 100))
        yard.finish()
        #expect((0...3).map { yard.cached($0) } == [0, 96, 160, 0])
    }

    @Test func aPrefixLivesAsLongAsItIsUsed() {
        let hashes = Hashes()
        var limited = configuration(blocks: 100)
        limited.prefixLifetimeNanoseconds = 50_000_000
        var yard = Yardstick(limited)
        for time in [0, 40, 80, 140] as [Double] {
            yard.submit(at: time, prompt: 33, output: 1, prefix: hashes([1, 2, 3]))
        }
        yard.finish()
        #expect((0...3).map { yard.cached($0) } == [0, 32, 32, 0])
        #expect(yard.replica.load.freeKVBlocks == 100)
    }

    @Test func hostMemoryKeepsWhatTheDeviceGaveUpAtThePriceOfTheTransfer() {
        let hashes = Hashes()
        var tiered = configuration(blocks: 20)
        tiered.hostKVBlocks = 100
        tiered.hostTransferPicosecondsPerBlock = 100_000_000
        var yard = Yardstick(tiered)
        yard.submit(prompt: 160, output: 1, prefix: hashes(Array(1...10)))
        yard.submit(at: 10, prompt: 310, output: 1)
        yard.submit(at: 20, prompt: 161, output: 1, prefix: hashes(Array(1...10)))
        yard.finish()
        // Ten blocks come back: 1 ms for the step, and 10 × 0.1 ms.
        #expect(yard.cached(2) == 160)
        #expect(yard.first(2) == 22)
        #expect(yard.replica.usage.prefixHostHitTokens == 160)
        var single = Yardstick(configuration(blocks: 20))
        single.submit(prompt: 160, output: 1, prefix: hashes(Array(1...10)))
        single.submit(at: 10, prompt: 310, output: 1)
        single.submit(at: 20, prompt: 161, output: 1, prefix: hashes(Array(1...10)))
        single.finish()
        #expect(single.cached(2) == 0)
    }
}
