import NIOHTTP2
import Synchronization
import Testing
import Workload

@testable import LoadGenerator

/// Servers that misbehave over HTTP/2: each is counted as what it is, and none as a success.
@Suite(.serialized) struct BadMultiplexedServerTests {
    private static let event = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
    private static let ok = [(":status", "200"), ("content-type", "text/event-stream")]

    /// Name, what the server does, and what that is counted as.
    private static let servers: [(String, MultiplexedBehaviour, RequestStatus)] = [
        ("resets streams", .reset(.internalError), .closed),
        ("refuses streams", .reset(.refusedStream), .closed),
        ("resets a stream after its head", .begin(chunks: 0, then: .reset(.cancel)), .truncated),
        ("resets a stream after two tokens", .begin(chunks: 2, then: .reset(.noError)), .truncated),
        ("ends a stream without [DONE]", .begin(chunks: 2, then: .end), .truncated),
        ("goes silent", .silence, .timedOut),
        ("goes silent after two tokens", .begin(chunks: 2, then: .silence), .timedOut),
        ("never takes a request", .goAway(takesThis: false), .closed),
        ("is too busy", .answer([(":status", "429"), ("retry-after", "3")], body: "no"), .httpError),
        ("fails without a body", .answer([(":status", "500")], body: ""), .httpError),
        ("answers a page", .answer([(":status", "200"), ("content-type", "text/html")], body: "<html>"), .garbage),
        ("has events that are not JSON", .answer(ok, body: "data: {oops\n\n"), .garbage),
        ("has an error in its stream", .answer(ok, body: "\(event)data: {\"error\":{\"code\":1}}\n\n"), .streamError),
        ("has nothing to say", .answer(ok, body: "data: [DONE]\n\n"), .empty),
        (
            "announces more than it sends", .answer(ok + [("content-length", "900")], body: "\(event)data: [DONE]\n\n"),
            .truncated
        ),
        ("sends more than it announces", .answer(ok + [("content-length", "9")], body: event), .garbage),
        ("has a length that is none", .answer(ok + [("content-length", "-9")], body: event), .garbage),
        ("ends in trailers without [DONE]", .answer(ok, body: event, trailers: [("a", "b")]), .truncated),
    ]

    @Test(arguments: servers.indices)
    func isCountedByKind(index: Int) async throws {
        let (name, behaviour, status) = Self.servers[index]
        let server = try await MultiplexedMock { _ in behaviour }
        let measured = try await runMultiplexed("arrivals=at-once&limit=4", at: server.url) {
            $0.requestTimeoutNanoseconds = 300_000_000
        }.measurements
        #expect(
            measured.statuses[Int(status.rawValue)] == 4,
            "a server that \(name): \(measured.statuses) \(measured.firstFailures)")
        #expect(measured.completed == 0 && measured.failed == 4 && measured.good == 0)
        #expect(measured.e2e.count == 0 && measured.ttft.count == 0, "a failure has no latency")
        #expect(measured.firstFailures[status.rawValue]?.isEmpty == false)
        try await server.stop()
    }

    /// Name, the first bytes, the answer to the first request, whether it hangs up, and what that is counted as.
    private static let wires: [(String, [UInt8], [UInt8], Bool, RequestStatus)] = {
        let settings = RawFrame.settings
        let noStreams = RawFrame.frame(type: 4, stream: 0, [0, 3, 0, 0, 0, 0])
        let goAway = RawFrame.frame(type: 7, stream: 0, [0, 0, 0, 0, 0, 0, 0, 2])
        let head = RawFrame.headers()
        let end = RawFrame.data("\(event)data: [DONE]\n\n", ends: true)
        return [
            ("hangs up", [], [], true, .closed),
            (
                "speaks HTTP/1.1", Array("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".utf8), [], true,
                .garbage
            ),
            ("says hello", Array("hello\r\n".utf8), [], true, .garbage),
            ("sends noise", (0..<400).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) }, [], false, .garbage),
            ("begins without settings", head, [], false, .garbage),
            ("never greets", [], [], false, .connectTimedOut),
            ("allows no streams", noStreams, [], false, .refused),
            ("greets and goes away", settings + goAway, [], true, .closed),
            ("goes away later", settings, goAway, true, .closed),
            ("hangs up on a request", settings, [0], true, .closed),
            ("hangs up after a head", settings, head, true, .truncated),
            ("cuts a frame", settings, head + RawFrame.data(event) + Array(end.prefix(20)), true, .truncated),
            ("sends data before a head", settings, RawFrame.data(event), false, .garbage),
            ("answers without a status", settings, RawFrame.headers(RawFrame.literal("a", "b")) + end, false, .garbage),
            (
                "has a status that is none", settings, RawFrame.headers([0x08, 3] + Array("2x0".utf8)) + end, false,
                .garbage
            ),
            (
                "has an upper-case field", settings, RawFrame.headers([0x88] + RawFrame.literal("A", "b")), false,
                .garbage
            ),
            (
                "ends at an interim head", settings, RawFrame.headers([0x08, 3] + Array("103".utf8), ends: true), false,
                .garbage
            ),
            ("breaks HPACK", settings, RawFrame.headers([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]), false, .garbage),
            ("answers an idle stream", settings, RawFrame.headers(stream: 99), false, .garbage),
            ("answers on stream 0", settings, RawFrame.headers(stream: 0), false, .garbage),
            ("opens a stream itself", settings, RawFrame.headers(stream: 2), false, .garbage),
            ("pushes", settings, RawFrame.frame(type: 5, flags: 4, stream: 1, [0, 0, 0, 2, 0x88]), false, .garbage),
            ("has an oversized frame", settings, [0xFF, 0, 0, 0, 0, 0, 0, 0, 1], false, .garbage),
            (
                "overflows the window", settings, RawFrame.frame(type: 8, stream: 0, [0x7F, 255, 255, 255]), false,
                .garbage
            ),
            (
                "gives a window of 0", settings, head + RawFrame.frame(type: 8, stream: 0, [0, 0, 0, 0]), false,
                .garbage
            ),
        ]
    }()

    @Test(arguments: wires.indices)
    func wrongBytesAreCountedByKind(index: Int) async throws {
        let (name, greeting, answer, closes, status) = Self.wires[index]
        let server = try await FrameServer(greeting: greeting, answer: answer, closes: closes)
        let result = try await runMultiplexed("arrivals=at-once&limit=1", at: server.url) {
            $0.connectTimeoutNanoseconds = 300_000_000
            $0.requestTimeoutNanoseconds = 2_000_000_000
        }
        let measured = result.measurements
        #expect(
            measured.statuses[Int(status.rawValue)] == 1,
            "a server that \(name): \(measured.statuses) \(measured.firstFailures)")
        #expect(measured.completed == 0 && measured.failed == 1)
        #expect(measured.firstFailures[status.rawValue]?.isEmpty == false)
        try await server.stop()
    }

    @Test func whatTheServerSpeaksInsteadIsSaid() async throws {
        let page = Array("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".utf8)
        let server = try await FrameServer(greeting: page, closes: true)
        let measured = try await runMultiplexed("arrivals=at-once&limit=3", at: server.url).measurements
        #expect(measured.firstFailures[RequestStatus.garbage.rawValue]?.contains("answers in HTTP/1.1") == true)
        try await server.stop()
        // This one waits for more of what it takes for a request.
        let patient = try await MockServer { _ in .silence }
        let waited = try await runMultiplexed("arrivals=at-once&limit=3", at: patient.url) {
            $0.requestTimeoutNanoseconds = 300_000_000
        }.measurements
        #expect(waited.statuses[Int(RequestStatus.timedOut.rawValue)] == 3, "\(waited.statuses)")
        try await patient.stop()
    }

    @Test func refusedConnectionsAreCounted() async throws {
        let server = try await MultiplexedMock { _ in .silence }
        try await server.stop()
        let measured = try await runMultiplexed("concurrency=2&limit=50", at: server.url).measurements
        #expect(measured.statuses[Int(RequestStatus.refused.rawValue)] == 50)
    }

    /// One stream's trouble is not another's.
    @Test func faultsOfAStreamLeaveTheOthersAlone() async throws {
        let server = try await MultiplexedMock { number in
            switch number % 5 {
            case 0: .begin(chunks: 1, then: .reset(.internalError))
            case 1: .silence
            case 2: .answer([(":status", "200"), ("content-length", "x")], body: "y")
            default: .stream(ttft: 50_000_000, itl: 1_000_000, chunks: 4)
            }
        }
        let measured = try await runMultiplexed("arrivals=at-once&limit=50", at: server.url) {
            $0.requestTimeoutNanoseconds = 1_500_000_000
        }.measurements
        #expect(measured.completed == 20 && measured.connections == 1, "\(measured.statuses) \(measured.firstFailures)")
        #expect(measured.statuses[Int(RequestStatus.truncated.rawValue)] == 10)
        #expect(measured.statuses[Int(RequestStatus.timedOut.rawValue)] == 10)
        #expect(measured.statuses[Int(RequestStatus.garbage.rawValue)] == 10)
        for _ in 0..<100 where server.counts.resets.load(ordering: .relaxed) < 10 {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(server.counts.resets.load(ordering: .relaxed) >= 10, "what timed out is given up")
        try await server.stop()
    }

    /// A server that goes away now and then finishes what it has taken; the rest goes out on other connections.
    @Test func goAwayLosesNothing() async throws {
        let server = try await MultiplexedMock { number in
            switch number % 10 {
            case 4: .goAway(takesThis: true)
            case 9: .goAway(takesThis: false)
            default: .stream(ttft: 3_000_000, itl: 0, chunks: 4)
            }
        }
        let measured = try await runMultiplexed("concurrency=6&limit=100", at: server.url).measurements
        #expect(measured.completed == 100, "\(measured.statuses) \(measured.firstFailures)")
        #expect(measured.connections > 5 && measured.staleConnections > 5 && measured.retries == 0)
        try await server.stop()
    }

    @Test func connectionsThatEndTakeTheirStreamsAlong() async throws {
        let server = try await MultiplexedMock { $0 == 3 ? .close : .begin(chunks: 1, then: .silence) }
        let measured = try await runMultiplexed("arrivals=at-once&limit=4", at: server.url).measurements
        #expect(measured.statuses[Int(RequestStatus.truncated.rawValue)] == 3, "\(measured.statuses)")
        #expect(measured.statuses[Int(RequestStatus.closed.rawValue)] == 1)
        try await server.stop()
    }

    @Test func refusedStreamsAreRetriedOnRequest() async throws {
        let server = try await MultiplexedMock { number in
            number < 3 ? .reset(.refusedStream) : .stream(ttft: 0, itl: 0, chunks: 4)
        }
        let measured = try await runMultiplexed("arrivals=at-once&limit=3", at: server.url) {
            $0.retry = RetryPolicy(retries: 2)
        }.measurements
        #expect(measured.completed == 3 && measured.retries == 3, "\(measured.statuses)")
        try await server.stop()
    }

    /// Whatever comes, every request ends and is counted once.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func everyRequestIsCountedWhateverComes(seed: UInt64) async throws {
        var random = RandomStream(seed: seed)
        var answer: [UInt8] = []
        for stream in [1, 3, 5] as [UInt32] {
            answer += RawFrame.headers(stream: stream) + RawFrame.data(Self.event, stream: stream)
            answer += RawFrame.data("data: [DONE]\n\n", stream: stream, ends: true)
        }
        for _ in 0..<random.below(5) {
            answer[Int(random.below(UInt64(answer.count)))] = UInt8(truncatingIfNeeded: random.next())
        }
        answer.removeLast(Int(random.below(UInt64(answer.count / 3))))
        let server = try await FrameServer(greeting: RawFrame.settings, answer: answer, closes: random.below(2) == 0)
        let measured = try await runMultiplexed("arrivals=at-once&limit=3", at: server.url) {
            $0.requestTimeoutNanoseconds = 200_000_000
        }.measurements
        #expect(measured.total == 3, "seed \(seed): \(measured.statuses)")
        try await server.stop()
    }

    /// A server may answer before it has seen the whole request; what is left of that is not sent.
    @Test func anAnswerBeforeTheEndOfTheRequestCounts() async throws {
        let noWindow = RawFrame.frame(type: 4, stream: 0, [0, 4, 0, 0, 0, 0])
        let server = try await FrameServer(
            greeting: noWindow,
            answer: RawFrame.headers() + RawFrame.data("\(Self.event)data: [DONE]\n\n", ends: true), waitsForBody: false
        )
        let measured = try await runMultiplexed("arrivals=at-once&limit=1", at: server.url).measurements
        #expect(measured.completed == 1, "\(measured.statuses) \(measured.firstFailures)")
        for _ in 0..<100 where !server.received.types.withLock({ $0.contains(3) }) {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(server.received.types.withLock { $0.contains(3) && !$0.contains(0) }, "the stream is given up")
        try await server.stop()
    }
}
