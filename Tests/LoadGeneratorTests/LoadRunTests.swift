import Foundation
import Synchronization
import Testing
import Workload

@testable import LoadGenerator

/// Runs `workload` (over lengths of 8 prompt and `output` output tokens) against a mock, and returns what was measured.
private func run(
    _ options: String, output: Int = 4, against server: MockServer,
    _ change: (inout LoadConfiguration) -> Void = { _ in }
) async throws -> LoadResult {
    let text = "prompt_tokens,output_tokens\n8,\(output)\n"
    let workload = try Workload(WorkloadDescription(parsing: "lengths:t?\(options)"), bytes: Array(text.utf8))
    var configuration = LoadConfiguration(target: try LoadTarget(parsing: server.url), model: "mock")
    configuration.requestTimeoutNanoseconds = 5_000_000_000
    change(&configuration)
    return try await LoadRun(LoadSchedule(workload), configuration).run()
}

@Suite(.serialized) struct LoadRunTests {
    /// The mock's timers share the cores with other work, so the client is held to what the mock says that it did, and
    /// one of a few tries has to succeed: a wrong figure fails them all.
    @Test func recoversKnownDelays() async throws {
        var off: [String] = []
        for _ in 0..<5 {
            off = try await faultsWithKnownDelays()
            if off.isEmpty { break }
        }
        #expect(off.isEmpty, "\(off)")
    }

    private func faultsWithKnownDelays() async throws -> [String] {
        let server = try await MockServer { _ in .stream(ttft: 20_000_000, itl: 5_000_000, chunks: 10) }
        let result = try await run("rate=100&limit=200&arrivals=constant", output: 10, against: server)
        let measured = result.measurements
        #expect(measured.completed == 200 && measured.failed == 0)
        #expect(measured.itl.count == 200 * 9)
        #expect(measured.outputTokens == 2_000 && measured.promptTokens == 1_800 && measured.cachedTokens == 800)
        let served = server.counts.firstTokens.withLock { $0.sorted() }
        try await server.stop()
        let servedTTFT = Double(served[served.count / 2]) / 1e6
        func median(_ histogram: LatencyHistogram) -> Double { Double(histogram.percentile(50)) / 1e6 }
        // Milliseconds, and the range that each has to be in.
        let figures: [(String, Double, ClosedRange<Double>)] = [
            ("TTFT", median(measured.ttft), servedTTFT * 0.999...servedTTFT + 5),
            ("ITL", median(measured.itl), 4...6), ("TPOT", median(measured.tpot), 4...6),
            ("E2E", median(measured.e2e), 65...servedTTFT + 60),
        ]
        return figures.filter { !$0.2.contains($0.1) }.map { "\($0.0) \($0.1) ms, expected \($0.2)" }
    }

    @Test func brokenAnswersAreCountedByKind() async throws {
        let kinds: [(MockBehaviour, RequestStatus)] = [
            (.close, .closed), (.raw("hello\r\n"), .garbage),
            (.raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{"), .truncated),
            (.raw("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{"), .garbage),
            (.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), .garbage), (.status(400), .httpError),
            (.status(500), .httpError), (.halfChunk(chunks: 2), .truncated), (.halfChunk(chunks: 0), .truncated),
            (.noEnd(chunks: 2), .truncated), (.garbageEvent, .garbage), (.errorEvent, .streamError),
            (.silence, .timedOut),
            (.stream(ttft: 0, itl: 0, chunks: 4, usage: .tooFew), .wrongUsage),
            (.stream(ttft: 0, itl: 0, chunks: 4, usage: .tooMany), .wrongUsage),
            (.stream(ttft: 0, itl: 0, chunks: 4, usage: .negative), .wrongUsage),
            (.raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: [DONE]\n\n"), .empty),
            (.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n<html>"), .garbage),
        ]
        for (behaviour, status) in kinds {
            let server = try await MockServer { _ in behaviour }
            let result = try await run("arrivals=at-once&limit=5", against: server) {
                $0.requestTimeoutNanoseconds = 200_000_000
            }
            let measured = result.measurements
            #expect(measured.statuses[Int(status.rawValue)] == 5, "\(behaviour): \(measured.statuses)")
            #expect(measured.completed == 0 && measured.failed == 5)
            // A fiftieth of it is the time-out; a client that waited longer than it was told to would be far beyond.
            #expect(result.wallSeconds < 10, "\(behaviour)")
            #expect(measured.ttft.count == 0 && measured.e2e.count == 0, "a failure has no latency")
            #expect(measured.firstFailures[status.rawValue] != nil)
            try await server.stop()
        }
    }

    @Test func refusedConnectionsAreCounted() async throws {
        let server = try await MockServer { _ in .close }
        try await server.stop()
        let result = try await run("arrivals=at-once&limit=3", against: server)
        #expect(result.measurements.statuses[Int(RequestStatus.refused.rawValue)] == 3)
    }

    @Test func missingUsageIsCountedInChunks() async throws {
        for usage in [MockUsage.missing, .null] {
            let server = try await MockServer { _ in .stream(ttft: 0, itl: 0, chunks: 4, usage: usage) }
            let measured = try await run("arrivals=at-once&limit=5", against: server).measurements
            #expect(measured.completed == 5 && measured.withoutUsage == 5 && measured.outputTokens == 20)
            try await server.stop()
        }
    }

    @Test func wholeAnswersAreMeasured() async throws {
        let server = try await MockServer { _ in .whole(delay: 10_000_000, tokens: 4) }
        let measured = try await run("rate=200&limit=50", against: server) { $0.streams = false }.measurements
        #expect(measured.completed == 50 && measured.outputTokens == 200 && measured.ttft.count == 0)
        #expect(measured.e2e.percentile(50) >= 10_000_000)
        #expect(server.counts.bodies.withLock { $0.allSatisfy { !$0.contains("stream") } })
        try await server.stop()
    }

    @Test func retriesHonourRetryAfterAndAreCountedApart() async throws {
        let server = try await MockServer { _ in .busyFirst(retryAfter: 1) }
        let off = try await run("arrivals=at-once&limit=1", against: server).measurements
        #expect(off.httpErrors == [503: 1] && off.retries == 0)
        let second = try await MockServer { _ in .busyFirst(status: 429, retryAfter: 1) }
        let on = try await run("arrivals=at-once&limit=1", against: second) { $0.retry = RetryPolicy(retries: 2) }
            .measurements
        #expect(on.completed == 1 && on.failed == 0 && on.retries == 1)
        #expect(on.e2eFromIntended.percentile(50) >= 1_000_000_000, "the wait is part of the latency")
        try await server.stop()
        try await second.stop()
    }

    /// A server that says "come back tomorrow" does not hold the run up until then.
    @Test func aRetryThatWouldComeTooLateIsAFailureNow() async throws {
        let server = try await MockServer { _ in .status(429, headers: "Retry-After: 86400\r\n") }
        let result = try await run("arrivals=at-once&limit=3", against: server) { $0.retry = RetryPolicy(retries: 5) }
        #expect(result.measurements.httpErrors == [429: 3] && result.measurements.retries == 0)
        #expect(result.wallSeconds < 5)
        try await server.stop()
    }

    @Test func streamsAreCutOnRequest() async throws {
        let server = try await MockServer { _ in .stream(ttft: 0, itl: 2_000_000, chunks: 50) }
        let result = try await run("rate=200&limit=40", output: 50, against: server) {
            $0.cancelledShare = 1
            $0.cancelAfterChunks = 3
        }
        let measured = result.measurements
        #expect(measured.statuses[Int(RequestStatus.cancelled.rawValue)] == 40)
        #expect(measured.records.allSatisfy { $0.chunks == 3 })
        #expect(measured.completed == 0 && measured.failed == 0)
        for _ in 0..<200 where server.counts.aborted.load(ordering: .relaxed) < 40 {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(server.counts.aborted.load(ordering: .relaxed) == 40, "the server saw every stream end early")
        try await server.stop()
    }

    @Test func connectionsAreKept() async throws {
        let server = try await MockServer { _ in .stream(ttft: 0, itl: 0, chunks: 4) }
        let measured = try await run("concurrency=3&limit=300", against: server).measurements
        #expect(measured.completed == 300)
        #expect(measured.connections == 3 && server.counts.connections.load(ordering: .relaxed) == 3)
        try await server.stop()
    }

    @Test func keptConnectionsThatWereClosedAreTriedAnew() async throws {
        // Every second request of a connection finds it closed.
        let server = try await MockServer { number in number % 2 == 0 ? .stream(ttft: 0, itl: 0, chunks: 4) : .close }
        let measured = try await run("concurrency=1&limit=20", against: server).measurements
        #expect(measured.completed == 20, "\(measured.statuses) \(measured.firstFailures)")
        #expect(measured.staleConnections == 19)
        try await server.stop()
    }

    @Test func closedLoopHoldsItsConcurrencyAndThinks() async throws {
        let server = try await MockServer { _ in .stream(ttft: 10_000_000, itl: 0, chunks: 4) }
        let measured = try await run("concurrency=4&think=20ms&limit=40", against: server).measurements
        #expect(measured.completed == 40)
        // Ten rounds of at least 10 ms of service and nine of 20 ms of thought.
        #expect(measured.lastEnded >= 280_000_000)
        let records = measured.records
        for record in records {
            let together = records.count { $0.dispatched <= record.dispatched && $0.ended > record.dispatched }
            #expect(together <= 4)
        }
        try await server.stop()
    }

    @Test func clientIsBlamedWhenItIsTheLimit() async throws {
        let server = try await MockServer { _ in .stream(ttft: 20_000_000, itl: 0, chunks: 4) }
        let result = try await run("rate=200&limit=100&arrivals=constant", against: server) {
            $0.largestConnectionCount = 1
        }
        let report = LoadReport(result)
        #expect(report.clientWasTheLimit)
        #expect(report.warnings.first?.contains("THE CLIENT WAS THE LIMIT") == true)
        // One connection serves a request in 20 ms and the schedule sends one every 5 ms: the last of 100 is 1.5 s
        // late.
        #expect(report.latency.ttftFromIntendedSeconds.max > 1.2)
        #expect(report.latency.ttftSeconds.p50 < report.latency.ttftFromIntendedSeconds.max / 2)
        try await server.stop()
    }

    @Test func stoppingYieldsWhatWasMeasured() async throws {
        let server = try await MockServer { number in number < 20 ? .stream(ttft: 0, itl: 0, chunks: 4) : .silence }
        let text = "prompt_tokens,output_tokens\n8,4\n"
        let workload = try Workload(
            WorkloadDescription(parsing: "lengths:t?rate=100&limit=1000"), bytes: Array(text.utf8))
        let configuration = LoadConfiguration(target: try LoadTarget(parsing: server.url), model: "mock")
        let run = try LoadRun(LoadSchedule(workload), configuration)
        let stopper = Task {
            try await Task.sleep(for: .milliseconds(600))
            run.stop(abandons: true)
        }
        let measured = try await run.run().measurements
        try await stopper.value
        #expect(measured.completed == 20)
        let unfinished = measured.statuses[Int(RequestStatus.unfinished.rawValue)]
        #expect(unfinished > 10 && unfinished < 80, "\(measured.statuses)")
        try await server.stop()
    }

    @Test func stoppingDoesNotWaitForRetries() async throws {
        let server = try await MockServer { _ in .status(503, headers: "Retry-After: 60\r\n") }
        let text = "prompt_tokens,output_tokens\n8,4\n"
        let workload = try Workload(
            WorkloadDescription(parsing: "lengths:t?arrivals=at-once&limit=7"), bytes: Array(text.utf8))
        var configuration = LoadConfiguration(target: try LoadTarget(parsing: server.url), model: "mock")
        configuration.retry = RetryPolicy(retries: 3)
        let run = try LoadRun(LoadSchedule(workload), configuration)
        let stopper = Task {
            try await Task.sleep(for: .milliseconds(300))
            run.stop(abandons: true)
        }
        let measured = try await run.run().measurements
        try await stopper.value
        #expect(measured.statuses[Int(RequestStatus.unfinished.rawValue)] == 7, "\(measured.statuses)")
        #expect(measured.lag.count == 7)
        try await server.stop()
    }

    @Test func promptsComeFromAList() async throws {
        let server = try await MockServer { _ in .stream(ttft: 0, itl: 0, chunks: 4) }
        let measured = try await run("concurrency=1&limit=5", against: server) { $0.prompts = ["say \"one\"", "two"] }
            .measurements
        #expect(measured.completed == 5)
        let bodies = server.counts.bodies.withLock { $0 }
        #expect(bodies.count { $0.contains("\"content\":\"say \\\"one\\\"\"") } == 3)
        #expect(bodies.count { $0.contains("\"content\":\"two\"") } == 2)
        try await server.stop()
    }

    @Test func sentArrivalsAreThoseScheduled() async throws {
        let server = try await MockServer { _ in .stream(ttft: 0, itl: 0, chunks: 1) }
        let result = try await run("rate=500&limit=1000&seed=4", output: 1, against: server) { $0.threads = 2 }
        let report = LoadReport(result)
        let rate = report.rate
        // A busy machine may send the first ones late; the benchmark holds this to 1 %.
        #expect(abs(rate.sentPerSecond! / rate.askedPerSecond! - 1) < 0.1, "\(rate)")
        #expect(abs(rate.scheduledDispersion! - 1) < 2 * rate.poissonMargin!)
        #expect(result.measurements.records.allSatisfy { $0.lag >= 0 }, "nothing leaves early")
        try await server.stop()
    }

    @Test func turnsOfASessionWaitForEachOther() async throws {
        let server = try await MockServer { _ in .stream(ttft: 150_000_000, itl: 0, chunks: 2) }
        let trace = """
            session_id,input_tokens,output_tokens,arrival_time_us
            a,10,2,0
            a,20,2,1000
            a,30,2,2000
            b,10,2,0
            """
        let workload = try Workload(WorkloadDescription(parsing: "tracev2:t"), bytes: Array(trace.utf8))
        var configuration = LoadConfiguration(target: try LoadTarget(parsing: server.url), model: "mock")
        let waiting = try await LoadRun(LoadSchedule(workload), configuration).run().measurements.records
        let turns = waiting.filter { $0.session == 1 }.sorted { $0.id < $1.id }
        #expect(turns.count == 3)
        for (earlier, later) in zip(turns, turns.dropFirst()) { #expect(later.dispatched >= earlier.ended) }
        configuration.turnsWait = false
        let overlapping = try await LoadRun(LoadSchedule(workload), configuration).run().measurements.records
        #expect(overlapping.map(\.dispatched).max()! < overlapping.map(\.ended).min()!)
        try await server.stop()
    }

    @Test func warmupIsSentButNotMeasured() async throws {
        let server = try await MockServer { _ in .stream(ttft: 0, itl: 0, chunks: 4) }
        let result = try await run("rate=100&limit=60&arrivals=constant", against: server) {
            $0.warmupNanoseconds = 300_000_000
        }
        #expect(server.counts.requests.load(ordering: .relaxed) == 60)
        #expect(result.measurements.completed == 31)
        #expect(result.measurements.itl.count == 31 * 3)
        try await server.stop()
    }

    @Test func goodputCountsWhatKeptEveryPromise() async throws {
        let server = try await MockServer { number in
            .stream(ttft: number % 2 == 0 ? 1_000_000 : 1_500_000_000, itl: 0, chunks: 4)
        }
        let result = try await run("arrivals=at-once&limit=40", against: server) { $0.promise.ttft = 1_200_000_000 }
        let goodput = LoadReport(result).goodput!
        #expect(goodput.good == 20 && goodput.fraction == 0.5)
        #expect(goodput.fractionConfidence[0] < 0.5 && goodput.fractionConfidence[1] > 0.5)
        try await server.stop()
    }
}
