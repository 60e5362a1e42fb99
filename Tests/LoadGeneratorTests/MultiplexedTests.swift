import Foundation
import NIOHPACK
import Synchronization
import Testing
import Workload

@testable import LoadGenerator

/// Runs `workload` (over lengths of 8 prompt and `output` output tokens) over HTTP/2, and returns what was measured.
func runMultiplexed(
    _ options: String, output: Int = 4, prompt: Int = 8, at url: String,
    _ change: (inout LoadConfiguration) -> Void = { _ in }
) async throws -> LoadResult {
    let text = "prompt_tokens,output_tokens\n\(prompt),\(output)\n"
    let workload = try Workload(WorkloadDescription(parsing: "lengths:t?\(options)"), bytes: Array(text.utf8))
    var target = try LoadTarget(parsing: url)
    target.usesHTTP2 = true
    var configuration = LoadConfiguration(target: target, model: "mock")
    configuration.requestTimeoutNanoseconds = 5_000_000_000
    change(&configuration)
    return try await LoadRun(LoadSchedule(workload), configuration).run()
}

/// HTTP/2 against a server that keeps to it: what is measured, and how connections are shared.
@Suite(.serialized) struct MultiplexedTests {
    /// Held to what the mock says that it did; one of a few tries has to succeed, as a wrong figure fails them all.
    @Test func recoversKnownDelays() async throws {
        var off: [String] = []
        for _ in 0..<5 {
            off = try await faultsWithKnownDelays()
            if off.isEmpty { break }
        }
        #expect(off.isEmpty, "\(off)")
    }

    private func faultsWithKnownDelays() async throws -> [String] {
        let server = try await MultiplexedMock { _ in .stream(ttft: 20_000_000, itl: 5_000_000, chunks: 10) }
        let result = try await runMultiplexed("rate=100&limit=200&arrivals=constant", output: 10, at: server.url)
        let measured = result.measurements
        #expect(measured.completed == 200 && measured.failed == 0, "\(measured.firstFailures)")
        #expect(measured.connections == 1 && server.counts.connections.load(ordering: .relaxed) == 1)
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

    @Test func manyStreamsShareAConnection() async throws {
        let server = try await MultiplexedMock { _ in .stream(ttft: 100_000_000, itl: 0, chunks: 4) }
        let measured = try await runMultiplexed("concurrency=64&limit=192", at: server.url).measurements
        #expect(measured.completed == 192, "\(measured.statuses) \(measured.firstFailures)")
        #expect(measured.connections == 1 && server.counts.connections.load(ordering: .relaxed) == 1)
        #expect(server.counts.mostStreams.load(ordering: .relaxed) == 64)
        try await server.stop()
    }

    @Test func theServersLimitOfStreamsIsKept() async throws {
        let server = try await MultiplexedMock(limit: 2) { _ in .stream(ttft: 50_000_000, itl: 0, chunks: 4) }
        let measured = try await runMultiplexed("concurrency=8&limit=40", at: server.url).measurements
        #expect(measured.completed == 40, "\(measured.statuses) \(measured.firstFailures)")
        #expect(server.counts.mostStreams.load(ordering: .relaxed) == 2)
        #expect(measured.connections == 4 && server.counts.connections.load(ordering: .relaxed) == 4)
        try await server.stop()
    }

    @Test func theClientsLimitsAreKept() async throws {
        let server = try await MultiplexedMock { _ in .stream(ttft: 20_000_000, itl: 0, chunks: 4) }
        let few = try await runMultiplexed("concurrency=9&limit=27", at: server.url) { $0.largestStreamCount = 3 }
        #expect(few.measurements.completed == 27 && few.measurements.connections == 3)
        #expect(server.counts.mostStreams.load(ordering: .relaxed) == 3)
        // What finds no room waits, and shows as lag of the client.
        let one = try await runMultiplexed("arrivals=at-once&limit=10", at: server.url) {
            $0.largestStreamCount = 2
            $0.largestConnectionCount = 1
        }
        #expect(one.measurements.completed == 10 && one.measurements.connections == 1)
        #expect(one.measurements.lag.percentile(99) >= 60_000_000, "five rounds of 20 ms, of which four are waited for")
        try await server.stop()
    }

    /// Without a word from the server a hundred streams at once are customary.
    @Test func aServerWithoutALimitIsSentAHundredStreams() async throws {
        let server = try await MultiplexedMock(limit: nil) { _ in .stream(ttft: 300_000_000, itl: 0, chunks: 4) }
        let measured = try await runMultiplexed("arrivals=at-once&limit=250", at: server.url).measurements
        #expect(measured.completed == 250 && measured.connections == 3, "\(measured.firstFailures)")
        #expect(server.counts.mostStreams.load(ordering: .relaxed) == 100)
        try await server.stop()
    }

    @Test func requestsAreThoseOfHTTP1() async throws {
        let server = try await MultiplexedMock { _ in .stream(ttft: 0, itl: 0, chunks: 4) }
        _ = try await runMultiplexed("concurrency=1&limit=3", at: server.url + "/prefix/v1") {
            $0.headers = [
                ("Authorization", "Bearer k"), ("X-Request-ID", "r 1 "), ("Host", "elsewhere:1"), ("TE", "trailers"),
            ]
        }
        let (fields, bodies) = (server.counts.fields.withLock { $0 }, server.counts.bodies.withLock { $0 })
        #expect(fields.count == 3 && bodies.count == 3)
        for (fields, body) in zip(fields, bodies) {
            #expect(fields[":method"] == ["POST"] && fields[":path"] == ["/prefix/v1/chat/completions"])
            #expect(fields[":scheme"] == ["http"] && fields[":authority"] == ["elsewhere:1"] && fields["host"] == [])
            #expect(fields["content-type"] == ["application/json"] && fields["accept"] == ["text/event-stream"])
            #expect(fields["user-agent"] == ["trainyard-load"] && fields["te"] == ["trailers"])
            #expect(fields["authorization"] == ["Bearer k"] && fields["x-request-id"] == ["r 1"])
            #expect(fields["content-length"] == ["\(body.utf8.count)"])
            #expect(body.hasPrefix("{\"model\":\"mock\",\"messages\":") && body.contains("\"max_tokens\":4"))
        }
        let target = try LoadTarget(parsing: server.url)
        for bad in [("Connection", "close"), ("TE", "gzip"), ("a b", "c"), ("Content-Length", "3"), ("x", "\u{1}")] {
            #expect(throws: LoadError.self, "\(bad)") { try RequestFields("GET", target, path: "/", [bad]) }
        }
        try await server.stop()
    }

    /// A body goes out as fast as the server's windows let it.
    @Test func largeBodiesKeepToTheServersWindow() async throws {
        let server = try await MultiplexedMock(window: 1_000) { _ in .stream(ttft: 0, itl: 0, chunks: 4) }
        let measured = try await runMultiplexed("concurrency=2&limit=4", prompt: 30_000, at: server.url).measurements
        #expect(measured.completed == 4, "\(measured.statuses) \(measured.firstFailures)")
        let bodies = server.counts.bodies.withLock { $0 }
        #expect(bodies.allSatisfy { $0.utf8.count > 90_000 && $0.hasSuffix("\"include_usage\":true}}") })
        #expect(server.counts.largestFrame.load(ordering: .relaxed) <= 1_000)
        try await server.stop()
    }

    /// More than a socket takes at once, in a window that would let all of it go.
    @Test func whatASocketDoesNotTakeIsSentLater() async throws {
        let server = try await MultiplexedMock(window: 64 << 20) { _ in .stream(ttft: 0, itl: 0, chunks: 4) }
        let measured = try await runMultiplexed("arrivals=at-once&limit=2", prompt: 1_500_000, at: server.url)
            .measurements
        #expect(measured.completed == 2, "\(measured.statuses) \(measured.firstFailures)")
        #expect(server.counts.bodies.withLock { $0.allSatisfy { $0.utf8.count > 5_000_000 } })
        try await server.stop()
    }

    /// More than the windows that a connection begins with: 64 kB for all of its streams together.
    @Test func longAnswersDoNotStall() async throws {
        let server = try await MultiplexedMock { _ in .stream(ttft: 0, itl: 0, chunks: 5_000) }
        let measured = try await runMultiplexed("concurrency=4&limit=8", output: 5_000, at: server.url).measurements
        #expect(measured.completed == 8 && measured.outputTokens == 40_000, "\(measured.firstFailures)")
        #expect(measured.connections == 1)
        try await server.stop()
    }

    @Test func wholeAnswersTrailersAndInterimHeadsAreRead() async throws {
        let json =
            "{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}],"
            + "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}"
        let head = [(":status", "200"), ("content-type", "application/json"), ("content-length", "\(json.utf8.count)")]
        let server = try await MultiplexedMock { number in
            .answer(head, body: json, trailers: number % 2 == 0 ? [] : [("x-checksum", "1")])
        }
        let measured = try await runMultiplexed("concurrency=2&limit=20", at: server.url) { $0.streams = false }
            .measurements
        #expect(measured.completed == 20 && measured.outputTokens == 80, "\(measured.firstFailures)")
        try await server.stop()
        let interim = RawFrame.headers([0x08, 3] + Array("103".utf8))
        let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n"
        let raw = try await FrameServer(
            greeting: RawFrame.settings, answer: interim + RawFrame.headers() + RawFrame.data(stream, ends: true))
        let hinted = try await runMultiplexed("concurrency=1&limit=1", at: raw.url).measurements
        #expect(hinted.completed == 1, "\(hinted.statuses) \(hinted.firstFailures)")
        try await raw.stop()
    }

    @Test func retriesHonourRetryAfter() async throws {
        let busy = [(":status", "429"), ("retry-after", "1")]
        let server = try await MultiplexedMock { number in
            number == 0 ? .answer(busy, body: "") : .stream(ttft: 0, itl: 0, chunks: 4)
        }
        let measured = try await runMultiplexed("arrivals=at-once&limit=1", at: server.url) {
            $0.retry = RetryPolicy(retries: 2)
        }.measurements
        #expect(measured.completed == 1 && measured.retries == 1 && measured.connections == 1)
        #expect(measured.e2eFromIntended.percentile(50) >= 1_000_000_000, "the wait is part of the latency")
        try await server.stop()
    }

    /// The stream is given up, the connection is not.
    @Test func streamsAreCutOnRequest() async throws {
        let server = try await MultiplexedMock { _ in .stream(ttft: 0, itl: 2_000_000, chunks: 50) }
        let measured = try await runMultiplexed("rate=200&limit=40", output: 50, at: server.url) {
            $0.cancelledShare = 1
            $0.cancelAfterChunks = 3
        }.measurements
        #expect(measured.statuses[Int(RequestStatus.cancelled.rawValue)] == 40)
        #expect(measured.records.allSatisfy { $0.chunks == 3 })
        #expect(measured.completed == 0 && measured.failed == 0 && measured.connections == 1)
        for _ in 0..<200 where server.counts.resets.load(ordering: .relaxed) < 40 {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(server.counts.resets.load(ordering: .relaxed) == 40, "the server saw every stream end early")
        try await server.stop()
    }

    @Test func stoppingYieldsWhatWasMeasured() async throws {
        let server = try await MultiplexedMock { $0 < 20 ? .stream(ttft: 0, itl: 0, chunks: 4) : .silence }
        let table = Array("prompt_tokens,output_tokens\n8,4\n".utf8)
        let workload = try Workload(WorkloadDescription(parsing: "lengths:t?rate=100&limit=1000"), bytes: table)
        var target = try LoadTarget(parsing: server.url)
        target.usesHTTP2 = true
        let run = try LoadRun(LoadSchedule(workload), LoadConfiguration(target: target, model: "mock"))
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

    @Test func theModelIsAskedForOverHTTP2Too() async throws {
        let list = "{\"data\":[{\"id\":\"the model\"}]}"
        let server = try await MultiplexedMock { _ in .answer([(":status", "200")], body: list) }
        var target = try LoadTarget(parsing: server.url)
        target.usesHTTP2 = true
        let name = try await ServerQuery.firstModel(target, headers: [("X-A", "b")], verifiesCertificates: true)
        #expect(name == "the model")
        let asked = server.counts.fields.withLock { $0 }
        #expect(asked.map { $0[":path"] } == [["/v1/models"]] && asked.first?["x-a"] == ["b"])
        try await server.stop()
        let other = try await FrameServer(greeting: Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), closes: true)
        target.port = other.port
        await #expect(throws: LoadError.self) { try await ServerQuery.get(target, path: "/") }
        try await other.stop()
    }

    @Test func unixSocketsWork() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("h2-\(UUID().uuidString.prefix(8))")
            .path
        let server = try await MultiplexedMock(path: path) { _ in .stream(ttft: 0, itl: 0, chunks: 4) }
        let measured = try await runMultiplexed("concurrency=4&limit=20", at: "http://localhost") {
            $0.target.socketPath = path
        }.measurements
        #expect(measured.completed == 20 && measured.connections == 1, "\(measured.firstFailures)")
        try await server.stop()
    }

    @Test func tlsAgreesOnHTTP2OrSaysThatItDoesNot() async throws {
        guard let files = try TestCertificate.make() else { return }
        /// What comes of ten requests to a server that offers `protocols`.
        func measure(_ protocols: [String]) async throws -> LoadMeasurements {
            let server = try await MultiplexedMock(tls: try files.serverContext(protocols: protocols)) { _ in
                .stream(ttft: 0, itl: 0, chunks: 4)
            }
            let measured = try await runMultiplexed("concurrency=2&limit=10", at: "https://localhost:\(server.port)") {
                $0.rootCertificatePath = files.certificate
            }.measurements
            try await server.stop()
            return measured
        }
        let agreed = try await measure(["http/1.1", "h2"])
        #expect(agreed.completed == 10 && agreed.connections == 1, "\(agreed.statuses) \(agreed.firstFailures)")
        for protocols in [[], ["http/1.1"]] {
            let measured = try await measure(protocols)
            #expect(measured.statuses[Int(RequestStatus.refused.rawValue)] == 10, "\(measured.statuses)")
            let reason = measured.firstFailures[RequestStatus.refused.rawValue] ?? ""
            #expect(reason.contains("does not agree to HTTP/2 (ALPN"), "\(reason)")
        }
    }
}
