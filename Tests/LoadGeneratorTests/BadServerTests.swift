import Testing
import Workload

@testable import LoadGenerator

/// Servers that misbehave: each is counted as what it is, and none as a success.
@Suite(.serialized) struct BadServerTests {
    private static let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    private static let event = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"

    /// Name, what the server does, and what that is counted as.
    private static let servers: [(String, MockBehaviour, RequestStatus)] = [
        ("drips the status line", .drip("HTT", then: ""), .timedOut),
        ("drips a header", .drip("HTTP/1.1 200 OK\r\nX: ", then: "x"), .timedOut),
        ("keeps a stream alive for ever", .drip(stream, then: ": keep-alive\n\n"), .timedOut),
        ("begins a stream and stops", .drip(stream + event, then: ""), .timedOut),
        ("sends an endless header", .raw("HTTP/1.1 200 OK\r\nX: \(String(repeating: "x", count: 20_000))"), .garbage),
        ("sends 300 headers", .raw("HTTP/1.1 200 OK\r\n\(String(repeating: "X: y\r\n", count: 300))\r\n"), .garbage),
        ("redirects", .status(302, headers: "Location: http://elsewhere/\r\n"), .httpError),
        ("is too busy", .status(429, headers: "Retry-After: 3\r\n"), .httpError),
        (
            "answers a page",
            .raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>hi</html>"), .garbage
        ),
        (
            "calls its stream plain text",
            .raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n\(event)data: [DONE]\n\n"), .garbage
        ),
        ("does not stream", .whole(delay: 0, tokens: 4), .notStreamed),
        ("speaks HTTP/2", .raw("\u{0}\u{0}\u{12}\u{4}\u{0}\u{0}\u{0}\u{0}\u{0}\r\n"), .garbage),
        ("says 200 and an error", .raw("HTTP/1.1 200 OK\r\n\r\n{\"error\":{\"message\":\"no\"}}"), .streamError),
        ("ends without [DONE]", .raw(stream + event), .truncated),
        (
            "announces a chunk of 8 GiB",
            .raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000000\r\n"), .garbage
        ),
        ("compresses", .raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), .garbage),
    ]

    @Test(arguments: servers.indices)
    func isCountedByKind(index: Int) async throws {
        let (name, behaviour, status) = BadServerTests.servers[index]
        let server = try await MockServer { _ in behaviour }
        let table = Array("prompt_tokens,output_tokens\n8,4\n".utf8)
        let workload = try Workload(
            WorkloadDescription(parsing: "lengths:t?arrivals=at-once&limit=4"), bytes: table)
        var configuration = LoadConfiguration(target: try LoadTarget(parsing: server.url), model: "mock")
        configuration.requestTimeoutNanoseconds = 300_000_000
        let measured = try await LoadRun(LoadSchedule(workload), configuration).run().measurements
        #expect(measured.statuses[Int(status.rawValue)] == 4, "a server that \(name): \(measured.statuses)")
        #expect(measured.completed == 0 && measured.failed == 4 && measured.good == 0)
        #expect(measured.e2e.count == 0 && measured.ttft.count == 0, "a failure has no latency")
        #expect(measured.firstFailures[status.rawValue]?.isEmpty == false)
        try await server.stop()
    }

    /// What follows an answer belongs to no request: the answer counts, the connection is not used again.
    @Test func bytesAfterTheAnswerEndTheConnection() async throws {
        let body =
            "{\"choices\":[{\"text\":\"a\",\"finish_reason\":\"stop\"}],"
            + "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}"
        let server = try await MockServer { _ in
            .raw("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)HTTP/1.1 200 OK\r\n")
        }
        let table = Array("prompt_tokens,output_tokens\n8,4\n".utf8)
        let workload = try Workload(WorkloadDescription(parsing: "lengths:t?concurrency=1&limit=6"), bytes: table)
        var configuration = LoadConfiguration(target: try LoadTarget(parsing: server.url), model: "mock")
        configuration.streams = false
        let measured = try await LoadRun(LoadSchedule(workload), configuration).run().measurements
        #expect(measured.completed == 6 && measured.connections == 6, "\(measured.statuses)")
        try await server.stop()
    }

    @Test func aMissingUnixSocketIsARefusal() async throws {
        let table = Array("prompt_tokens,output_tokens\n8,4\n".utf8)
        // A closed loop asks again at once: 20,000 refusals must not nest.
        let workload = try Workload(WorkloadDescription(parsing: "lengths:t?concurrency=2&limit=20000"), bytes: table)
        var target = try LoadTarget(parsing: "http://localhost")
        target.socketPath = "/nowhere/at/all.sock"
        let configuration = LoadConfiguration(target: target, model: "mock")
        let measured = try await LoadRun(LoadSchedule(workload), configuration).run().measurements
        #expect(measured.statuses[Int(RequestStatus.refused.rawValue)] == 20_000)
        #expect(measured.firstFailures[RequestStatus.refused.rawValue]?.contains("/nowhere/at/all.sock") == true)
        target.socketPath = "/" + String(repeating: "x", count: 200)
        #expect(throws: LoadError.self) {
            try LoadRun(LoadSchedule(workload), LoadConfiguration(target: target, model: "mock"))
        }
    }
}
