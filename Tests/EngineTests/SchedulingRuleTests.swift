//===----------------------------------------------------------------------===//
// vLLM V1, rules 1 to 15: budgets and the order inside a step.
//===----------------------------------------------------------------------===//

import Engine
import Testing

@Suite struct SchedulingRuleTests {
    private func configuration(
        _ rules: MixedRules = MixedRules(), sequences: Int32 = 8, budget: Int32 = 100, blocks: Int32 = 1000,
        maxModelTokens: Int32 = 2000
    ) -> ReplicaConfiguration {
        ReplicaConfiguration(
            stack: .mixed(rules), maxSequences: sequences, maxModelTokens: maxModelTokens, maxBatchedTokens: budget,
            kvBlocks: blocks)
    }

    @Test func rule1_prefillAndDecodeShareAStep() {
        var yard = Yardstick(configuration(), perTokenMicroseconds: 1)
        let first = yard.submit(prompt: 10, output: 3)
        let second = yard.submit(at: 0.5, prompt: 20, output: 1)
        yard.finish()
        // 1 ms + 10 µs, then one step with a decode and 20 prompt tokens.
        #expect(yard.first(first) == 1.01)
        #expect(yard.first(second) == 2.031)
        #expect(yard.last(first) == 3.032)
    }

    @Test func rule2_aStepHoldsItsTokenBudget() {
        var yard = Yardstick(configuration(budget: 100), perTokenMicroseconds: 1)
        let id = yard.submit(prompt: 250, output: 1)
        yard.finish()
        #expect(yard.first(id) == 3.25)
        #expect(yard.replica.usage.steps == 3)
        #expect(VLLMDefaults.batchedTokens(deviceGiB: 192, isA100: false) == 16384)
        #expect(VLLMDefaults.batchedTokens(deviceGiB: 80, isA100: false) == 8192)
        #expect(VLLMDefaults.batchedTokens(deviceGiB: 80, isA100: true) == 2048)
        #expect(VLLMDefaults.batchedTokens(deviceGiB: 24, isA100: false, throughputMode: true) == 4096)
        // Without chunks a step must hold a whole prompt.
        #expect(
            configuration(MixedRules(chunkedPrefill: false), budget: 100).problem?.contains("maxModelTokens 2000")
                == true)
    }

    @Test func rule3_theCapCountsAllRunning() {
        var yard = Yardstick(configuration(sequences: 2))
        for _ in 0..<3 { yard.submit(prompt: 10, output: 5) }
        yard.finish()
        #expect([yard.first(0), yard.first(1), yard.first(2)] == [1, 1, 6])
        var fewer = Yardstick(configuration(MixedRules(maxActiveSequences: 1), sequences: 2))
        for _ in 0..<2 { fewer.submit(prompt: 10, output: 5) }
        fewer.finish()
        #expect([fewer.first(0), fewer.first(1)] == [1, 6])
        #expect(VLLMDefaults.sequences(deviceGiB: 80) == 1024)
        #expect(VLLMDefaults.sequences(deviceGiB: 40) == 256)
    }

    @Test func rule3_anUnfinishedPromptCountsThoughItIsNotScheduled() {
        // The long prompt pauses between release steps, and keeps its place among the running.
        var yard = Yardstick(configuration(MixedRules(prefillScheduleInterval: 4), sequences: 2))
        yard.submit(prompt: 10, output: 20)
        yard.submit(at: 0.5, prompt: 150, output: 1)
        yard.submit(at: 0.6, prompt: 10, output: 1)
        yard.finish()
        #expect(yard.scheduled(2) >= yard.first(1))
    }

    @Test func rule4_defaults() {
        let rules = MixedRules()
        #expect(rules.chunkedPrefill && rules.reserveFullSequence)
        #expect(rules.longPrefillTokenThreshold == 0 && rules.prefillScheduleInterval == 1)
        let configuration = ReplicaConfiguration(kvBlocks: 10)
        #expect(configuration.kvBlockTokens == 16 && configuration.watermarkBlocks == 0)
        #expect(configuration.maxBatchedTokens == 2048 && configuration.maxSequences == 128)
        #expect(configuration.queueOrder == .firstComeFirstServed)
    }

    @Test func rule5_runningBeforeWaiting() {
        // The running prompt's rest takes the budget; the waiting one gets what is left, and its rest comes after.
        var yard = Yardstick(configuration(budget: 100))
        let long = yard.submit(prompt: 180, output: 1)
        let short = yard.submit(prompt: 30, output: 1)
        yard.finish()
        #expect(yard.first(long) == 2)
        #expect(yard.scheduled(short) == 1)
        #expect(yard.first(short) == 3)
    }

    @Test func rule6_aSequenceWithoutTokensIsSkippedNotBlockedBehind() {
        // Step 2 is no release step: the unfinished prompt gets nothing, the decode behind and before it goes on.
        var yard = Yardstick(configuration(MixedRules(prefillScheduleInterval: 3)))
        let decode = yard.submit(prompt: 10, output: 8)
        let long = yard.submit(at: 0.5, prompt: 250, output: 1)
        yard.finish()
        #expect(yard.last(decode) == 8)
        #expect(yard.sink.gapCounts == [1_000_000_000: 7])
        #expect(yard.first(long) > 4)
    }

    @Test func rule7_longPrefillThreshold() {
        let rules = MixedRules(longPrefillTokenThreshold: 40)
        var alone = Yardstick(configuration(rules, budget: 100))
        let id = alone.submit(prompt: 100, output: 1)
        alone.finish()
        #expect(alone.first(id) == 1)
        var two = Yardstick(configuration(rules, budget: 100))
        let long = two.submit(prompt: 100, output: 1)
        let short = two.submit(prompt: 30, output: 1)
        two.finish()
        // 40 and 30 tokens; then the long one is alone, and the threshold does not count.
        #expect(two.first(short) == 1)
        #expect(two.first(long) == 2)
        var adaptive = Yardstick(
            configuration(MixedRules(longPrefillTokenThreshold: 10, longPrefillAdaptive: true), budget: 100))
        let first = adaptive.submit(prompt: 50, output: 1)
        let second = adaptive.submit(prompt: 50, output: 1)
        adaptive.finish()
        // 100 tokens over 2 requests: 50 each, not 10.
        #expect(adaptive.first(first) == 1 && adaptive.first(second) == 1)
    }

    @Test func rule7_severalUnfinishedPromptsCanStarveADecodeBehindThem() {
        // Two prompts of 40 tokens a step fill a budget of 80; the decode admitted after them waits a step.
        var yard = Yardstick(configuration(MixedRules(longPrefillTokenThreshold: 40), sequences: 3, budget: 82))
        yard.submit(prompt: 400, output: 1)
        yard.submit(prompt: 400, output: 1)
        let short = yard.submit(prompt: 2, output: 3)
        yard.submit(prompt: 1, output: 1)
        yard.finish()
        #expect(yard.first(short) == 1)
        #expect(yard.last(short) == 3)
    }

    @Test func rule8_noAdmissionInAStepThatPreempted() {
        // 8 blocks: two sequences of 4 blocks each run, and the first needs a fifth at 1 ms. The second goes; three
        // blocks are free then, enough for the request that waits in front of it, which is admitted a step later all
        // the same.
        var configuration = configuration(budget: 200, blocks: 8, maxModelTokens: 128)
        configuration.queueOrder = .priority
        var yard = Yardstick(configuration)
        yard.submit(prompt: 64, output: 10)
        let second = yard.submit(prompt: 49, output: 17, priority: 5)
        let third = yard.submit(at: 0.5, prompt: 1, output: 1, priority: 1)
        yard.finish()
        #expect(yard.completion(second)?.preemptions == 1)
        #expect(yard.scheduled(third) == 2)
    }

    @Test func rule9_headOfLineBlocking() {
        var yard = Yardstick(configuration(blocks: 10, maxModelTokens: 160))
        let running = yard.submit(prompt: 100, output: 10)
        let large = yard.submit(at: 0.5, prompt: 80, output: 1)
        let small = yard.submit(at: 0.6, prompt: 1, output: 1)
        yard.finish()
        #expect(yard.scheduled(large) == yard.last(running))
        #expect(yard.scheduled(small) == yard.last(running))
        var whole = Yardstick(configuration(MixedRules(chunkedPrefill: false), budget: 160, maxModelTokens: 160))
        whole.submit(prompt: 100, output: 1)
        let tooLong = whole.submit(prompt: 100, output: 1)
        let behind = whole.submit(prompt: 10, output: 1)
        whole.finish()
        #expect(whole.scheduled(tooLong) == 1 && whole.scheduled(behind) == 1)
    }

    @Test func rule10_aRequestWhoseAdapterHasNoPlaceIsPassedOver() {
        var limited = configuration()
        limited.adapters = AdapterRules(maxResident: 1, loadPicoseconds: 5_000_000_000)
        var yard = Yardstick(limited)
        let first = yard.submit(prompt: 10, output: 5, adapter: 1)
        let blocked = yard.submit(prompt: 10, output: 1, adapter: 2)
        let plain = yard.submit(prompt: 10, output: 1)
        let same = yard.submit(prompt: 10, output: 1, adapter: 1)
        yard.finish()
        // Bringing the adapter in takes 5 ms of the first step.
        #expect(yard.first(first) == 6 && yard.first(plain) == 6 && yard.first(same) == 6)
        #expect(yard.scheduled(blocked) == yard.last(first))
        #expect(yard.first(blocked) == yard.last(first) + 6)
        #expect(yard.replica.usage.adapterLoads == 2)
    }

    @Test func rule12_aResumedRequestComputesItsOutputAgain() {
        var yard = Yardstick(configuration(blocks: 8, maxModelTokens: 128), perTokenMicroseconds: 1)
        yard.submit(prompt: 64, output: 60)
        let second = yard.submit(prompt: 30, output: 40)
        yard.finish()
        #expect(yard.completion(second)?.preemptions == 1)
        // 64 + 30 prompt tokens and every output token but each last once, and the second's known tokens once more.
        let again = yard.replica.usage.realTokens - (64 + 30 + 59 + 39)
        #expect(again > 30 && again < 70)
    }

    @Test func rule13_admissionNeedsTheWholeSequenceAndTheWatermark() {
        var yard = Yardstick(configuration(budget: 16, blocks: 10, maxModelTokens: 160))
        let first = yard.submit(prompt: 16, output: 30)
        let second = yard.submit(at: 0.5, prompt: 140, output: 1)
        yard.finish()
        // A first chunk would fit, the whole prompt does not.
        #expect(yard.scheduled(second) == yard.last(first))
        var lenient = Yardstick(
            configuration(MixedRules(reserveFullSequence: false), budget: 16, blocks: 10, maxModelTokens: 160))
        lenient.submit(prompt: 16, output: 30)
        let early = lenient.submit(at: 0.5, prompt: 140, output: 1)
        lenient.finish()
        #expect(lenient.scheduled(early) == 1)
        var guarded = configuration(blocks: 10, maxModelTokens: 160)
        guarded.watermarkBlocks = 3
        var marked = Yardstick(guarded)
        let alone = marked.submit(prompt: 150, output: 1)
        let small = marked.submit(at: 1.5, prompt: 100, output: 5)
        let other = marked.submit(at: 1.6, prompt: 16, output: 1)
        marked.finish()
        // Nothing ran: the watermark does not count. Then 7 of 10 blocks are taken, and 1 + 3 are more than 3.
        #expect(marked.scheduled(alone) == 0)
        #expect(marked.scheduled(other) == marked.last(small))
    }

    @Test func rule14_admissionsStandAtTheEnd() {
        var yard = Yardstick(configuration())
        for _ in 0..<3 { yard.submit(prompt: 10, output: 4) }
        yard.finish()
        #expect(yard.sink.completions.map(\.requestID) == [0, 1, 2])
    }

    @Test func rule15_prefillOnlyEveryNthStepWhileDecodesRun() {
        var yard = Yardstick(configuration(MixedRules(prefillScheduleInterval: 4)))
        yard.submit(prompt: 10, output: 20)
        let second = yard.submit(at: 0.5, prompt: 10, output: 1)
        yard.finish()
        // Steps 0, 4, 8 … release; step 0 was the first prompt's.
        #expect(yard.scheduled(second) == 4)
        // A release that could not drain the queue is followed by another.
        var narrow = Yardstick(configuration(MixedRules(prefillScheduleInterval: 4), budget: 11))
        narrow.submit(prompt: 10, output: 20)
        let long = narrow.submit(at: 0.5, prompt: 20, output: 1)
        narrow.finish()
        #expect(narrow.scheduled(long) == 4)
        #expect(narrow.first(long) == 6)
    }
}
