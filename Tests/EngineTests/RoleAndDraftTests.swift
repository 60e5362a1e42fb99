//===----------------------------------------------------------------------===//
// Speculative decoding, adapters' memory, and replicas that do half of the work.
//===----------------------------------------------------------------------===//

import Engine
import Testing
import Workload

@Suite struct RoleAndDraftTests {
    private func configuration(_ stack: ReplicaConfiguration.Stack = .mixed(MixedRules())) -> ReplicaConfiguration {
        ReplicaConfiguration(
            stack: stack, maxSequences: 8, maxModelTokens: 512, maxBatchedTokens: 512, kvBlocks: 200, kvBlockTokens: 16)
    }

    private func speculation(_ drafts: Int32, _ chance: UInt32) -> SpeculationRules {
        SpeculationRules(
            draftTokens: drafts, acceptanceShifted32: [UInt32](repeating: chance, count: Int(drafts)),
            draftPicoseconds: 0,
            draftNanojoules: 0, seed: 1)
    }

    @Test func acceptedDraftsComeOutTogether() {
        for stack in [.mixed(MixedRules()), .phased(PhasedRules())] as [ReplicaConfiguration.Stack] {
            var drafting = configuration(stack)
            drafting.speculation = speculation(3, .max)
            var yard = Yardstick(drafting)
            yard.submit(prompt: 10, output: 10, streams: true)
            yard.finish()
            // One token with the prompt, then four a step, and one is left.
            #expect(yard.sink.tokens.map(\.outputTokens) == [1, 5, 9, 10])
            #expect(yard.sink.tokens.map(\.newTokens) == [1, 4, 4, 1])
            #expect(yard.last(0) == 4)
            #expect(yard.sink.gapCounts == [1_000_000_000: 3, 0: 6])
            #expect(yard.replica.usage.draftTokens == 9 && yard.replica.usage.acceptedDraftTokens == 6)
            drafting.speculation = speculation(3, 0)
            var unlucky = Yardstick(drafting)
            unlucky.submit(prompt: 10, output: 10)
            unlucky.finish()
            #expect(unlucky.last(0) == 10)
        }
    }

    @Test func draftsAreAcceptedAsOftenAsTheProfileSays() {
        var drafting = configuration()
        // 0.8 for the first, 0.5 for the second: 1 + 0.8 + 0.4 tokens a step.
        drafting.speculation = SpeculationRules(
            draftTokens: 2, acceptanceShifted32: [3_435_973_837, 2_147_483_648], draftPicoseconds: 0,
            draftNanojoules: 0, seed: 9)
        var yard = Yardstick(drafting)
        for _ in 0..<200 { yard.submit(prompt: 10, output: 400) }
        yard.finish()
        let perVerification =
            2 * Double(yard.replica.usage.acceptedDraftTokens) / Double(yard.replica.usage.draftTokens)
        #expect(abs(perVerification - 1.2) < 0.02)
    }

    @Test func lookaheadTakesBlocksForDrafts() {
        var drafting = configuration()
        drafting.speculation = speculation(4, 0)
        var yard = Yardstick(drafting)
        yard.submit(prompt: 14, output: 5)
        yard.advance(to: 1.5)
        // 14 tokens of context and five to verify need a second block (rule 25).
        #expect(yard.replica.load.freeKVBlocks == 198)
    }

    @Test func prefillAndDecodeApart() throws {
        for stack in [.mixed(MixedRules()), .phased(PhasedRules())] as [ReplicaConfiguration.Stack] {
            var prefill = configuration(stack)
            prefill.role = .prefillOnly
            var first = Yardstick(prefill)
            first.submit(prompt: 100, output: 20)
            first.finish()
            #expect(first.completion(0)?.outputTokens == 1)
            #expect(first.last(0) == 1)
            var decode = configuration(stack)
            decode.role = .decodeOnly
            var second = Yardstick(decode, perTokenMicroseconds: 1)
            second.submit(prompt: 100, output: 20)
            second.submit(prompt: 50, output: 2)
            second.finish()
            // Both join at once, and a step costs two tokens, not a prompt.
            #expect(second.first(0) == 1.002 && second.first(1) == 1.002)
            #expect(second.completion(0)?.outputTokens == 20)
            #expect(second.replica.usage.realTokens == 22)
            #expect(second.sink.gapTotal == 20)
            #expect(second.replica.load.freeKVBlocks == 200)
        }
    }

    @Test func theLeastRecentlyUsedAdapterLeaves() {
        var shelf = configuration()
        shelf.adapters = AdapterRules(maxResident: 2, loadPicoseconds: 1_000_000_000)
        var yard = Yardstick(shelf)
        for (index, adapter) in ([1, 2, 1, 3, 1, 2] as [UInt16]).enumerated() {
            yard.submit(at: Double(index) * 10, prompt: 10, output: 1, adapter: adapter)
        }
        yard.finish()
        // 1 and 2 are brought in, 1 is there, 3 takes 2's place, 1 is there, 2 is brought in again.
        #expect((0..<6).map { yard.first($0) - Double($0) * 10 } == [2, 2, 1, 2, 1, 2])
        #expect(yard.replica.usage.adapterLoads == 4)
    }
}
