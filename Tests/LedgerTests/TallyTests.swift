//===----------------------------------------------------------------------===//
// Tallies: counts, promises, merging, digests.
//===----------------------------------------------------------------------===//

import Engine
import Testing

@testable import Ledger

/// A finished request whose times are given in milliseconds after its arrival.
func completion(
    _ id: UInt64, arrival: Int64 = 0, scheduled: Int64 = 1, first: Int64 = 100, last: Int64 = 1100, output: Int32 = 101,
    status: Completion.Status = .finished
) -> Completion {
    let millisecond: Int64 = 1_000_000
    return Completion(
        requestID: id, arrivalNanoseconds: arrival, scheduledNanoseconds: arrival + scheduled * millisecond,
        firstTokenNanoseconds: arrival + first * millisecond, lastTokenNanoseconds: arrival + last * millisecond,
        promptTokens: 500, cachedPromptTokens: 16, outputTokens: output, preemptions: 1, replica: 3, session: id / 2,
        tenant: 1,
        frontEnd: 0, priorityClass: 0, status: status)
}

@Suite struct TallyTests {
    @Test func latenciesAreThoseOfTheDefinitions() {
        var tally = Tally()
        tally.completed(completion(1, arrival: 5_000_000_000))
        #expect(tally.ttft.percentilesSeconds([0.5]) == [0.1])
        #expect(tally.tpot.percentilesSeconds([0.5]) == [0.01])
        #expect(tally.e2e.percentilesSeconds([0.5]) == [1.1])
        #expect(tally.queue.percentilesSeconds([0.5]) == [0.001])
        #expect(tally.lastNanoseconds == 6_100_000_000)
        #expect(tally.promptTokens == 500 && tally.cachedPromptTokens == 16 && tally.outputTokens == 101)
    }

    @Test func oneTokenHasNoTimePerFurtherToken() {
        var tally = Tally(promise: LatencyPromise(ttftSeconds: 1, tpotSeconds: 0.001))
        tally.completed(completion(1, last: 100, output: 1))
        #expect(tally.tpot.count == 0)
        #expect(tally.metBoth == 1)
    }

    /// 99 of 100 in time keep a promise, 98 do not, and refusing the slow ones does not help.
    @Test func promiseCountsRefusedRequests() {
        func tally(slow: Int, status: Completion.Status) -> Tally {
            var tally = Tally(promise: LatencyPromise(ttftSeconds: 0.2, tpotSeconds: 0.02))
            for id in 0..<100 {
                tally.completed(
                    id < slow ? completion(UInt64(id), first: 300, last: 1300, status: status) : completion(UInt64(id)))
            }
            return tally
        }
        #expect(tally(slow: 1, status: .finished).keepsPromise)
        #expect(!tally(slow: 2, status: .finished).keepsPromise)
        #expect(!tally(slow: 2, status: .rejected).keepsPromise)
        #expect(tally(slow: 2, status: .rejected).metBoth == 98)
        #expect(tally(slow: 2, status: .failed).offered == 100)
    }

    @Test func digestIgnoresOrderAndSeesEveryField() {
        let rows = (0..<50).map { completion(UInt64($0), arrival: Int64($0) * 7) }
        func digest(_ rows: some Sequence<Completion>) -> String {
            var digest = OutcomeDigest()
            for row in rows { digest.add(row) }
            return digest.description
        }
        let whole = digest(rows)
        #expect(whole.count == 32)
        #expect(digest(rows.reversed()) == whole)
        var halves = OutcomeDigest()
        for part in [rows[25...], rows[..<25]] {
            var half = OutcomeDigest()
            for row in part { half.add(row) }
            halves.merge(half)
        }
        #expect(halves.description == whole)
        let changes: [(inout Completion) -> Void] = [
            { $0.requestID += 1000 }, { $0.arrivalNanoseconds += 1 }, { $0.scheduledNanoseconds += 1 },
            { $0.firstTokenNanoseconds += 1 }, { $0.lastTokenNanoseconds += 1 }, { $0.promptTokens += 1 },
            { $0.cachedPromptTokens += 1 }, { $0.outputTokens += 1 }, { $0.preemptions += 1 }, { $0.replica += 1 },
            { $0.session += 1 }, { $0.tenant += 1 }, { $0.priorityClass += 1 }, { $0.status = .failed },
        ]
        for (number, change) in changes.enumerated() {
            var changed = rows
            change(&changed[17])
            #expect(digest(changed) != whole, "change \(number) does not show")
        }
    }

    @Test func mergedTalliesEqualTheWhole() {
        var random = SplitMix(state: 5)
        let promise = LatencyPromise(ttftSeconds: 0.3, tpotSeconds: 0.02)
        var whole = Tally(promise: promise, keepsCompletions: true)
        var parts = (0..<3).map { _ in Tally(promise: promise, keepsCompletions: true) }
        for id in 0..<900 {
            let first = Int64.random(in: 1...600, using: &random)
            let row = completion(
                UInt64(id), arrival: Int64(id) * 1_000_000, scheduled: first, first: first,
                last: first + Int64.random(in: 1...4000, using: &random),
                output: Int32.random(in: 1...300, using: &random),
                status: id % 50 == 0 ? .rejected : id % 77 == 0 ? .failed : id % 99 == 0 ? .cancelled : .finished)
            whole.completed(row)
            parts[id % 3].completed(row)
            whole.gaps(firstPicoseconds: 20_000_000_000, incrementPicoseconds: Int64(id), steps: 10, count: 4)
            parts[id % 3].gaps(firstPicoseconds: 20_000_000_000, incrementPicoseconds: Int64(id), steps: 10, count: 4)
        }
        var merged = parts[2]
        merged.merge(parts[0])
        merged.merge(parts[1])
        #expect(merged.offered == 900 && merged.offered == whole.offered)
        #expect(merged.finished == whole.finished && merged.rejected == whole.rejected)
        #expect(merged.failed == whole.failed && merged.cancelled == whole.cancelled)
        #expect(merged.metTTFT == whole.metTTFT && merged.metTPOT == whole.metTPOT && merged.metBoth == whole.metBoth)
        #expect(merged.metBoth < merged.metTTFT && merged.metBoth < merged.metTPOT)
        #expect(merged.ttft == whole.ttft && merged.tpot == whole.tpot && merged.itl == whole.itl)
        #expect(merged.e2e == whole.e2e && merged.queue == whole.queue && merged.digest == whole.digest)
        #expect(merged.outputTokens == whole.outputTokens && merged.lastNanoseconds == whole.lastNanoseconds)
        #expect(merged.completions.count == 900)
        #expect(whole.itl.count == 900 * 40)
    }
}
