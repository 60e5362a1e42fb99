import Engine
import Testing
import Workload

@testable import Yard

@Suite struct CellTests {
    @Test func oneRequestTakesItsSteps() throws {
        let cell = try YardFixture.cell(replicas: 1)
        var sink = CollectingSink()
        cell.submit(Request(id: 5, arrivalNanoseconds: 1000, promptTokens: 100, outputTokens: 3), into: &sink)
        #expect(cell.nextEventNanoseconds == 1000)
        cell.finish(into: &sink)
        let completion = try #require(sink.completions.first)
        #expect(sink.completions.count == 1 && completion.status == .finished && completion.outputTokens == 3)
        // Prefill of 100 tokens: 1 µs + 100 × 10 ns; two decodes: 1 µs + 10 ns each.
        #expect(completion.firstTokenNanoseconds == 1000 + 2000)
        #expect(completion.lastTokenNanoseconds == 1000 + 2000 + 2 * 1010)
        #expect(
            cell.load
                == {
                    var load = CellLoad(); load.acceptingReplicas = 1; load.freePlaces = 8; return load
                }())
    }

    @Test func aFullCellQueuesThenRefuses() throws {
        let cell = try YardFixture.cell(replicas: 2, sequences: 1, queueLimit: 1) {
            $0.waitingRoom.maxWaitingRequests = 3
        }
        var sink = CollectingSink()
        var refusals: [Refusal?] = []
        for id in 0..<10 {
            refusals.append(
                cell.submit(Request(id: UInt64(id), arrivalNanoseconds: 0, promptTokens: 9, outputTokens: 9), at: 0))
        }
        #expect(refusals == [nil, nil, nil, nil, nil, nil, nil, .roomFull, .roomFull, .roomFull])
        #expect(cell.load.waitingRequests == 3 && cell.load.placedRequests == 4 && cell.load.freePlaces == 0)
        cell.finish(into: &sink)
        #expect(sink.completions.filter { $0.status == .rejected }.map(\.requestID) == [7, 8, 9])
        #expect(sink.completions.filter { $0.status == .finished }.count == 7)
        #expect(cell.load.outstandingTokens == 0)
    }

    @Test func whatCanNeverFitIsRefused() throws {
        let cell = try YardFixture.cell(replicas: 1)
        var sink = CollectingSink()
        #expect(
            cell.submit(Request(id: 1, arrivalNanoseconds: 0, promptTokens: 2000, outputTokens: 49), at: 0) == .tooLong)
        #expect(cell.submit(Request(id: 2, arrivalNanoseconds: 0, promptTokens: 2000, outputTokens: 48), at: 0) == nil)
        cell.close(at: 0)
        #expect(cell.submit(Request(id: 3, arrivalNanoseconds: 0, promptTokens: 1, outputTokens: 1), at: 0) == .closed)
        cell.finish(into: &sink)
        #expect(sink.completions.map(\.status) == [.rejected, .rejected, .finished])
    }

    @Test func messagesAreNeverEarlierThanWhatHappened() throws {
        let cell = try YardFixture.cell(replicas: 1)
        var sink = CollectingSink()
        cell.advance(until: 500, into: &sink)
        cell.submit(Request(id: 1, arrivalNanoseconds: 20, promptTokens: 10, outputTokens: 1), at: 20)
        cell.finish(into: &sink)
        #expect(sink.completions.first?.scheduledNanoseconds == 501)
        #expect(sink.completions.first?.arrivalNanoseconds == 20)
    }

    @Test func aMessagePastAnEventIsAProgrammingError() async {
        await #expect(processExitsWith: .failure) {
            let cell = try YardFixture.cell(replicas: 1)
            cell.submit(Request(id: 1, arrivalNanoseconds: 0, promptTokens: 10, outputTokens: 1), at: 0)
            cell.submit(Request(id: 2, arrivalNanoseconds: 0, promptTokens: 10, outputTokens: 1), at: 1_000_000_000)
        }
    }

    @Test func impossibleConfigurationsSayWhy() {
        #expect(throws: CellConfigurationError.self) { try CellConfiguration(pools: []).validate() }
        #expect {
            _ = try YardFixture.cell(replicas: 1, policy: "least-loded")
        } throws: { error in
            "\(error)".contains("'least-loded'") && "\(error)".contains("least-loaded")
        }
    }

    @Test func drainedReplicasFinishAndTakeNothing() throws {
        let cell = try YardFixture.cell(replicas: 2)
        var sink = CollectingSink()
        for id in 0..<4 {
            cell.submit(Request(id: UInt64(id), arrivalNanoseconds: 0, promptTokens: 9, outputTokens: 50), at: 0)
        }
        cell.order(.drain, replica: 0, at: 0)
        #expect(cell.phase(ofReplica: 0) == .draining)
        for id in 4..<8 {
            cell.submit(Request(id: UInt64(id), arrivalNanoseconds: 0, promptTokens: 9, outputTokens: 50), at: 0)
        }
        cell.finish(into: &sink)
        #expect(cell.phase(ofReplica: 0) == .drained)
        #expect(sink.completions.filter { $0.replica == 0 }.count == 2)
        #expect(sink.completions.filter { $0.replica == 1 }.count == 6)
        cell.order(.restore, replica: 0, at: 1 << 40)
        #expect(cell.phase(ofReplica: 0) == .ready && cell.load.freePlaces == 16)
    }

    @Test func aFailureEndsOrRequeuesItsRequests() throws {
        for rule in [FailureRule.fail, .requeue] {
            let cell = try YardFixture.cell(replicas: 2)
            var sink = CollectingSink()
            for id in 0..<6 {
                cell.submit(Request(id: UInt64(id), arrivalNanoseconds: 0, promptTokens: 90, outputTokens: 50), at: 0)
            }
            cell.advance(until: 5000, into: &sink)
            let before = cell.usage(ofReplica: 0)
            #expect(before.busyPicoseconds > 0)
            cell.order(.fail(rule), replica: 0, at: 5001)
            #expect(cell.phase(ofReplica: 0) == .failed)
            cell.finish(into: &sink)
            #expect(sink.completions.count == 6)
            #expect(sink.completions.filter { $0.status == .failed }.count == (rule == .fail ? 3 : 0))
            #expect(sink.completions.filter { $0.status == .finished }.allSatisfy { $0.replica == 1 })
            #expect(cell.counters.requeued == (rule == .fail ? 0 : 3))
            #expect(cell.counters.cancelled == 0)
            #expect(cell.usage(ofReplica: 0).busyPicoseconds >= before.busyPicoseconds)
        }
    }

    /// What a place's replicas used, one after the other, is counted once each: time, steps and energy.
    @Test func failuresKeepWhatWasUsed() throws {
        let cell = try YardFixture.cell(replicas: 1)
        var sink = CollectingSink()
        var once = ReplicaUsage()
        for round in 1...3 as ClosedRange<Int64> {
            let now = round * 1_000_000_000
            var request = Request(id: UInt64(round), arrivalNanoseconds: now, promptTokens: 100, outputTokens: 7)
            request.prefix.session = 1
            cell.submit(request, into: &sink)
            cell.finish(into: &sink)
            let usage = cell.usage(ofReplica: 0)
            if round == 1 { once = usage }
            #expect(once.steps == 7 && once.activeNanojoules == 106)
            #expect(usage.steps == Int64(round) * once.steps)
            #expect(usage.busyPicoseconds == Int128(round) * once.busyPicoseconds)
            #expect(usage.activeNanojoules == Int128(round) * once.activeNanojoules)
            cell.order(.fail(.fail), replica: 0, at: now + 500_000_000)
            #expect(cell.usage(ofReplica: 0) == usage)
            cell.order(.restore, replica: 0, at: now + 600_000_000)
        }
        #expect(sink.completions.count == 3)
    }

    @Test func aCancelledRequestEndsOnce() throws {
        let cell = try YardFixture.cell(replicas: 1, sequences: 1, queueLimit: 1)
        var sink = CollectingSink()
        for id in 0..<4 {
            cell.submit(Request(id: UInt64(id), arrivalNanoseconds: 0, promptTokens: 9, outputTokens: 50), at: 0)
        }
        cell.advance(until: 7000, into: &sink)
        for id in [0, 1, 3] as [UInt64] { #expect(cell.cancel(requestID: id, at: 7001)) }
        #expect(!cell.cancel(requestID: 0, at: 7001))
        #expect(!cell.cancel(requestID: 99, at: 7001))
        cell.finish(into: &sink)
        #expect(sink.completions.filter { $0.status == .cancelled }.map(\.requestID).sorted() == [0, 1, 3])
        #expect(sink.completions.filter { $0.status == .finished }.map(\.requestID) == [2])
    }
}
