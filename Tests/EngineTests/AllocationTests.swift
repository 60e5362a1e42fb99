//===----------------------------------------------------------------------===//
// No allocation per step in steady state (invariant 7): counted.
//===----------------------------------------------------------------------===//

import CAllocationCount
import Engine
import StepModel
import Testing
import Workload

@Suite struct AllocationTests {
    private struct CountingSink: OutcomeSink {
        var ended = 0
        var tokens = 0
        mutating func completed(_ completion: Completion) { ended += 1 }
        mutating func produced(_ token: TokenEvent) { tokens += 1 }
        mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
    }

    @Test(
        .enabled(if: allocation_count_works() == 1, "allocations cannot be counted under this sanitizer"),
        arguments: [false, true])
    func aWarmReplicaAllocatesNothing(phased: Bool) {
        var configuration = ReplicaConfiguration(
            maxSequences: 16, maxModelTokens: 512, maxBatchedTokens: 256, kvBlocks: 300, prefixCaching: .sessions)
        if phased {
            configuration.stack = .phased(
                PhasedRules(
                    prefillBuckets: PhasedRules.powersOfTwo(from: 128, to: 256), batchBuckets: [16],
                    contextBuckets: PhasedRules.powersOfTwo(from: 128, to: 512)))
        }
        let replica = Replica(number: 0, configuration: configuration, table: simpleTable(perContextToken: 1000))
        var sink = CountingSink()
        var random = SplitMix64(seed: 1)
        var now: Int64 = 0
        func drive(_ count: Int, from first: Int) {
            for id in first..<first + count {
                now += Int64(random.next() % 20_000_000)
                var request = Request(
                    id: UInt64(id), arrivalNanoseconds: now, promptTokens: random.int32(1...300),
                    outputTokens: random.int32(1...200))
                // A bounded number of conversations, so that a warm cache knows them all.
                request.prefix.session = random.next() % 50 + 1
                request.prefix.sessionTokens = min(request.promptTokens, 64)
                if id % 7 == 0 { request.flags = .streams }
                if replica.nextEventNanoseconds < now { replica.advance(until: now - 1, into: &sink) }
                replica.submit(request, at: now)
            }
        }
        drive(4000, from: 0)
        let stepsBefore = replica.usage.steps
        let before = allocation_count()
        drive(2000, from: 4000)
        let made = allocation_count() - before
        #expect(replica.usage.steps - stepsBefore > 5000)
        #expect(replica.usage.prefixHitTokens > 0)
        // Lists and heaps grow to their largest use; a few doublings may still come, a step must not cost one.
        #expect(made <= 8, "\(made) allocations")
        #expect(sink.ended > 3000 && sink.tokens > 0)
    }
}
