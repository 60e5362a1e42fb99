//===----------------------------------------------------------------------===//
// Prefill and decode on separate replicas, with KV crossing a link.
//===----------------------------------------------------------------------===//

import Engine
import Testing
import Workload

@Suite struct DisaggregationTests {
    @Test func aReadStartsWhenThePromptIsDone() {
        // 1 GB/s, 1 kB a token: 1 µs a token.
        var link = KVTransferLink(
            mode: .read, bytesPerSecond: 1_000_000_000, latencyNanoseconds: 500, bytesPerToken: 1000)
        #expect(link.transfer(tokens: 100, startNanoseconds: 0, endNanoseconds: 1_000_000) == 1_100_500)
        // The next one finds the link busy for another 50 µs.
        #expect(link.transfer(tokens: 10, startNanoseconds: 0, endNanoseconds: 1_050_000) == 1_110_500)
        #expect(link.transfer(tokens: 10, startNanoseconds: 0, endNanoseconds: 2_000_000) == 2_010_500)
        #expect(link.busyNanoseconds == 120_000 && link.bytes == 120_000 && link.transfers == 3)
    }

    @Test func aWriteOverlapsThePrompt() {
        func link() -> KVTransferLink {
            KVTransferLink(
                mode: .write(layers: 10), bytesPerSecond: 1_000_000_000, latencyNanoseconds: 0, bytesPerToken: 1000)
        }
        // 100 µs of bytes behind 1 ms of prefill: only the last layer is left.
        var fast = link()
        #expect(fast.transfer(tokens: 100, startNanoseconds: 0, endNanoseconds: 1_000_000) == 1_010_000)
        // 1000 µs of bytes, the first layer done at 10 µs: the link is the bottleneck.
        var slow = link()
        #expect(slow.transfer(tokens: 1000, startNanoseconds: 0, endNanoseconds: 100_000) == 1_010_000)
    }

    private func group(
        prefills: Int, decodes: Int, stack: ReplicaConfiguration.Stack, mode: KVTransferLink.Mode
    ) -> DisaggregatedGroup {
        var prefill = ReplicaConfiguration(
            stack: stack, maxSequences: 8, maxModelTokens: 512, maxBatchedTokens: 512, kvBlocks: 200)
        prefill.role = .prefillOnly
        var decode = prefill
        decode.role = .decodeOnly
        let table = simpleTable()
        return DisaggregatedGroup(
            prefill: (prefills, prefill, table), decode: (decodes, decode, table),
            link: KVTransferLink(mode: mode, bytesPerSecond: 1_000_000_000, latencyNanoseconds: 0, bytesPerToken: 1000))
    }

    @Test func theFirstTokenIsTheDecodeSides() throws {
        for stack in [.mixed(MixedRules()), .phased(PhasedRules())] as [ReplicaConfiguration.Stack] {
            let group = group(prefills: 1, decodes: 1, stack: stack, mode: .read)
            var sink = RecordingSink()
            group.submit(Request(id: 5, arrivalNanoseconds: 0, promptTokens: 100, outputTokens: 4), at: 0)
            group.advance(until: .max - 1, into: &sink)
            let completion = try #require(sink.completions.first)
            #expect(sink.completions.count == 1)
            // 1 ms of prefill, 100 µs on the link, and a step for each token.
            #expect(completion.scheduledNanoseconds == 0)
            #expect(completion.firstTokenNanoseconds == 2_100_000)
            #expect(completion.lastTokenNanoseconds == 5_100_000)
            #expect(completion.outputTokens == 4 && completion.replica == 1)
            #expect(sink.gapTotal == 3)
        }
    }

    @Test func everyRequestEndsOnceAndDecodesNeverPause() {
        let group = group(prefills: 2, decodes: 3, stack: .phased(PhasedRules()), mode: .write(layers: 8))
        var sink = RecordingSink()
        var random = SplitMix64(seed: 4)
        var now: Int64 = 0
        var output = 0
        for id in 0..<300 as Range<UInt64> {
            now += Int64(random.int32(0...3_000_000))
            let request = Request(
                id: id, arrivalNanoseconds: now, promptTokens: random.int32(1...400), outputTokens: random.int32(1...60)
            )
            output += Int(request.outputTokens)
            group.advance(until: now - 1, into: &sink)
            group.submit(request, at: now)
        }
        group.advance(until: .max - 1, into: &sink)
        #expect(Set(sink.completions.map(\.requestID)).count == 300)
        #expect(sink.completions.count == 300)
        #expect(sink.completions.reduce(0) { $0 + Int($1.outputTokens) } == output)
        // No prefill on the decode side: every gap is one step.
        #expect(sink.gapCounts.keys.allSatisfy { $0 == 1_000_000_000 })
        #expect(group.nextEventNanoseconds == .max)
    }
}
