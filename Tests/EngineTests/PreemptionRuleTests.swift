//===----------------------------------------------------------------------===//
// vLLM V1, rules 16 to 19 and 27 to 33: preemption, and what happens after the step.
//===----------------------------------------------------------------------===//

import Engine
import Testing

@Suite struct PreemptionRuleTests {
    private func configuration(
        _ rules: MixedRules = MixedRules(), blocks: Int32, budget: Int32 = 400,
        order: ReplicaConfiguration.QueueOrder = .firstComeFirstServed
    ) -> ReplicaConfiguration {
        ReplicaConfiguration(
            stack: .mixed(rules), maxSequences: 8, maxModelTokens: 128, maxBatchedTokens: budget, kvBlocks: blocks,
            queueOrder: order)
    }

    @Test func rule16_theVictimIsTheLastOfTheRunning() {
        var yard = Yardstick(configuration(blocks: 12))
        for _ in 0..<3 { yard.submit(prompt: 60, output: 30) }
        yard.finish()
        // 4 blocks each; at 64 tokens of context each needs a fifth, and only the last can give.
        #expect(yard.sink.completions.map(\.requestID) == [0, 1, 2])
        #expect((0...2).map { yard.completion($0)!.preemptions } == [0, 0, 1])
    }

    @Test func rule16_underPrioritiesTheVictimIsTheLeastUrgent() {
        var yard = Yardstick(configuration(blocks: 12, order: .priority))
        yard.submit(prompt: 60, output: 30, priority: 1)
        yard.submit(prompt: 60, output: 30, priority: 9)
        yard.submit(prompt: 60, output: 30, priority: 1)
        yard.finish()
        #expect((0...2).map { yard.completion($0)!.preemptions } == [0, 1, 0])
    }

    @Test func rule16_amongEqualsTheLatestArrivalGoes() {
        var yard = Yardstick(configuration(blocks: 12, order: .priority))
        yard.submit(prompt: 60, output: 30, priority: 1)
        yard.submit(prompt: 60, output: 30, priority: 1)
        yard.submit(prompt: 60, output: 30, priority: 1)
        yard.finish()
        #expect((0...2).map { yard.completion($0)!.preemptions } == [0, 0, 1])
    }

    @Test func rule17_theVictimStandsFirstInTheQueueAndStartsOver() {
        var yard = Yardstick(configuration(blocks: 12), perTokenMicroseconds: 1)
        for _ in 0..<3 { yard.submit(prompt: 60, output: 30) }
        yard.submit(at: 2, prompt: 60, output: 1)
        yard.finish()
        // The victim comes back before the one that waited all along.
        #expect(yard.scheduled(3) >= yard.last(0))
        #expect(yard.sink.completions.map(\.requestID).firstIndex(of: 3)! > 1)
        #expect(yard.replica.usage.preemptions == 1)
        // Every token is produced once, whatever was computed again.
        #expect(yard.sink.gapTotal == 3 * 29)
        // When the first one ends there is room for the victim or for the one that waited, not for both.
        var either = Yardstick(configuration(blocks: 12))
        for output in [30, 40, 12] as [Int32] { either.submit(prompt: 60, output: output) }
        either.submit(at: 2, prompt: 60, output: 1)
        either.finish()
        #expect(either.replica.usage.preemptions == 1)
        #expect(either.scheduled(3) > either.last(0))
    }

    @Test func rule17_aResumedSequenceFindsItsOwnBlocks() {
        var cached = configuration(blocks: 12)
        cached.prefixCaching = .blocks
        var plain = Yardstick(configuration(blocks: 12))
        var remembering = Yardstick(cached)
        for _ in 0..<3 {
            plain.submit(prompt: 60, output: 8)
            remembering.submit(prompt: 60, output: 8)
        }
        plain.finish()
        remembering.finish()
        #expect(remembering.replica.usage.preemptions == 1)
        // Of its four blocks the others took the last two.
        #expect(plain.replica.usage.realTokens - remembering.replica.usage.realTokens == 32)
        // Not a hit of the request's first admission.
        #expect(remembering.completion(2)?.cachedPromptTokens == 0)
    }

    @Test func rule18_aVictimAlreadyScheduledGivesItsTokensBack() {
        // The first is the least urgent: it has its token and block of the step when the second runs short.
        var yard = Yardstick(configuration(blocks: 8, order: .priority))
        yard.submit(prompt: 60, output: 30, priority: 9)
        yard.submit(prompt: 64, output: 30, priority: 1)
        yard.finish()
        #expect(yard.completion(0)?.preemptions == 1)
        #expect(yard.completion(1)?.preemptions == 0)
        #expect(yard.last(1) == 30)
        // The step in which it was preempted gave it no token.
        #expect(yard.sink.gapTotal == 58)
    }

    @Test func rule19_waitingOrderUnderPriorities() {
        var one = configuration(blocks: 100, order: .priority)
        one.maxSequences = 1
        var yard = Yardstick(one)
        yard.submit(prompt: 10, output: 5)
        yard.submit(at: 1.1, prompt: 10, output: 1, priority: 2)
        yard.submit(at: 1.2, prompt: 10, output: 1, priority: 1)
        yard.submit(at: 1.3, prompt: 10, output: 1, priority: 2)
        yard.submit(at: 1.4, prompt: 10, output: 1, priority: -1)
        yard.finish()
        #expect(yard.sink.completions.map(\.requestID) == [0, 4, 2, 1, 3])
    }

    // MARK: After the step

    @Test func rule27_onlyTheLastChunkYieldsAToken() {
        var yard = Yardstick(configuration(blocks: 100, budget: 50))
        yard.submit(prompt: 120, output: 2, streams: true)
        yard.finish()
        #expect(yard.sink.tokens.map(\.atNanoseconds) == [3_000_000, 4_000_000])
        #expect(yard.sink.tokens.map(\.outputTokens) == [1, 2])
    }

    @Test func rule28_lengthStops() {
        var yard = Yardstick(configuration(blocks: 100))
        yard.submit(prompt: 100, output: 500)
        yard.submit(prompt: 10, output: 7)
        yard.submit(prompt: 128, output: 1)
        yard.finish()
        // max_model_len 128 leaves 28; a prompt that fills the model is turned away.
        #expect(yard.completion(0)?.outputTokens == 28)
        #expect(yard.completion(0)?.status == .finished)
        #expect(yard.completion(1)?.outputTokens == 7)
        #expect(yard.completion(2)?.status == .rejected)
    }

    @Test func rule29_aStopThatNobodyForesawTakesAPlaceInOneMoreStep() {
        var asynchronous = Yardstick(configuration(MixedRules(asyncScheduling: true), blocks: 100))
        asynchronous.submit(prompt: 10, output: 3, maxOutput: 50)
        asynchronous.finish()
        #expect(asynchronous.last(0) == 3)
        #expect(asynchronous.replica.usage.steps == 4)
        #expect(asynchronous.sink.gapTotal == 2)
        // A length that was known costs nothing.
        var known = Yardstick(configuration(MixedRules(asyncScheduling: true), blocks: 100))
        known.submit(prompt: 10, output: 3)
        known.finish()
        #expect(known.replica.usage.steps == 3)
        // Its place is taken meanwhile.
        var one = configuration(MixedRules(asyncScheduling: true), blocks: 100)
        one.maxSequences = 1
        var full = Yardstick(one)
        full.submit(prompt: 10, output: 3, maxOutput: 50)
        full.submit(prompt: 10, output: 1)
        full.finish()
        #expect(full.scheduled(1) == 4)
    }

    @Test func rule30_timesOfARequest() throws {
        var yard = Yardstick(configuration(blocks: 100))
        yard.submit(prompt: 10, output: 5)
        yard.submit(at: 0.25, prompt: 10, output: 3)
        yard.finish()
        let completion = try #require(yard.completion(1))
        #expect(completion.arrivalNanoseconds == 250_000)
        #expect(completion.scheduledNanoseconds == 1_000_000)
        #expect(completion.firstTokenNanoseconds == 2_000_000)
        #expect(completion.lastTokenNanoseconds == 4_000_000)
    }

    @Test func rule31_queueLimits() {
        var limited = configuration(blocks: 100)
        limited.maxSequences = 1
        limited.maxWaitingRequests = 2
        var yard = Yardstick(limited)
        for index in 0..<5 { yard.submit(at: Double(index) * 0.1, prompt: 10, output: 5) }
        yard.finish()
        #expect((0..<5).map { yard.completion($0)!.status } == [.finished, .finished, .finished, .rejected, .rejected])
        limited.maxWaitingRequests = .max
        limited.maxWaitingTokens = 25
        var byTokens = Yardstick(limited)
        for index in 0..<5 { byTokens.submit(at: Double(index) * 0.1, prompt: 13, output: 5) }
        byTokens.finish()
        #expect(
            (0..<5).map { byTokens.completion($0)!.status } == [.finished, .finished, .finished, .rejected, .rejected])
    }

    @Test func rule32_aCancelledRequestFreesItsBlocksAtOnce() {
        var yard = Yardstick(configuration(blocks: 8))
        yard.submit(prompt: 100, output: 20)
        let waiting = yard.submit(at: 0.5, prompt: 100, output: 1)
        yard.advance(to: 3.5)
        #expect(yard.replica.load.freeKVBlocks == 1)
        #expect(yard.replica.cancel(requestID: 0, at: 3_500_000))
        #expect(yard.replica.load.freeKVBlocks == 8)
        #expect(!yard.replica.cancel(requestID: 0, at: 3_500_000))
        yard.finish()
        #expect(yard.completion(0)?.status == .cancelled)
        #expect(yard.completion(0)?.outputTokens == 3)
        // The step in flight is not cut short.
        #expect(yard.scheduled(waiting) == 4)
    }

    @Test func rule33_oneEventForEachTokenAndTheEndAfterTheLast() {
        struct Order: OutcomeSink {
            var events: [String] = []
            mutating func completed(_ completion: Completion) { events.append("end \(completion.requestID)") }
            mutating func produced(_ token: TokenEvent) { events.append("\(token.requestID):\(token.outputTokens)") }
            mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
        }
        var yard = Yardstick(configuration(blocks: 100))
        yard.submit(prompt: 10, output: 3, streams: true)
        yard.submit(prompt: 10, output: 2, streams: true)
        var order = Order()
        // Streaming: the next event is the end of the coming step, not of the flight.
        var times: [Int64] = []
        while yard.replica.nextEventNanoseconds < .max {
            times.append(yard.replica.nextEventNanoseconds)
            yard.replica.advance(until: yard.replica.nextEventNanoseconds, into: &order)
        }
        #expect(times == [0, 1_000_000, 2_000_000, 3_000_000])
        #expect(order.events == ["0:1", "1:1", "0:2", "1:2", "end 1", "0:3", "end 0"])
    }
}
