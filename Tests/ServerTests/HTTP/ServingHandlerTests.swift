//===----------------------------------------------------------------------===//
// The serving listener over real loopback sockets, with a fleet that the test plays.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import NIOCore
import Synchronization
import Testing
import Workload

@testable import Server

@Suite(.serialized) struct ServingHandlerTests {
    static func chat(_ more: String = "") -> String {
        #"{"model":"m","messages":[{"role":"user","content":"hello there"}]\#(more.isEmpty ? "" : ",")\#(more)}"#
    }

    @Test func wholeReply() async throws {
        try await withServer { server in
            let response = try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request(
                    "POST", "/v1/chat/completions", body: Self.chat(#""max_tokens":12"#),
                    headers: ["X-Request-Id": "abc-1"])
                return try client.response()
            }
            #expect(response.status == 200)
            #expect(response.headers["x-trainyard-modelled"] == "true")
            #expect(response.headers["x-request-id"] == "abc-1")
            #expect(response.headers["date"] == "Sun, 06 Nov 1994 08:49:37 GMT")
            #expect(response.json?["object"] as? String == "chat.completion")
            #expect(response.usage?["completion_tokens"] as? Int == 12)
            #expect(response.usage?["prompt_tokens"] as? Int == 9)
            #expect((response.usage?["prompt_tokens_details"] as? [String: Any])?["cached_tokens"] as? Int == 3)
            let content =
                ((response.json?["choices"] as? [[String: Any]])?.first?["message"] as? [String: Any])?["content"]
                as? String
            #expect(content?.split(separator: " ").count == 12)
        }
    }

    @Test func streamOnAKeptConnection() async throws {
        try await withServer { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                for tokens in [1, 5, 30] {
                    try client.request(
                        "POST", "/v1/chat/completions",
                        body: Self.chat(
                            #""max_tokens":\#(tokens),"stream":true,"stream_options":{"include_usage":true}"#))
                    let response = try client.response()
                    #expect(response.status == 200)
                    #expect(response.headers["content-type"] == "text/event-stream; charset=utf-8")
                    #expect(response.deltas.filter { !$0.isEmpty }.count == tokens)
                    #expect(response.usage?["completion_tokens"] as? Int == tokens)
                    #expect(response.events.last?.text == "[DONE]")
                }
            }
        }
    }

    @Test func streamsMatchWholeReplies() async throws {
        try await withServer { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("POST", "/v1/completions", body: #"{"model":"m","prompt":"x y","max_tokens":20}"#)
                let whole = try client.response()
                try client.request(
                    "POST", "/v1/completions", body: #"{"model":"m","prompt":"x y","max_tokens":20,"stream":true}"#)
                let streamed = try client.response()
                let text = (whole.json?["choices"] as? [[String: Any]])?.first?["text"] as? String
                #expect(streamed.deltas.joined() == text)
            }
        }
    }

    @Test func choicesAndPromptsAreSequences() async throws {
        try await withServer { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request(
                    "POST", "/v1/completions", body: #"{"model":"m","prompt":["a b","c"],"n":3,"max_tokens":4}"#)
                let response = try client.response()
                let choices = response.json?["choices"] as? [[String: Any]]
                #expect(choices?.count == 6)
                #expect(Set((choices ?? []).compactMap { $0["text"] as? String }).count == 6)
                // Prompt tokens count once for each prompt, whatever n is.
                #expect(response.usage?["prompt_tokens"] as? Int == 3)
                #expect(response.usage?["completion_tokens"] as? Int == 24)
            }
            #expect(server.log.state.withLock { $0.submitted.count } == 6)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await withServer { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                for tokens in 1...5 {
                    try client.request(
                        "POST", "/v1/chat/completions", body: Self.chat(#""max_tokens":\#(tokens),"stream":true"#))
                    try client.request("GET", "/health")
                }
                for tokens in 1...5 {
                    #expect(try client.response().deltas.filter { !$0.isEmpty }.count == tokens)
                    #expect(try client.response().status == 200)
                }
            }
        }
    }

    @Test func badRequestsGetOpenAIErrorsAndTheConnectionLivesOn() async throws {
        try await withServer(change: { $0.limits.bodyBytes = 10_000 }) { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                func answer(_ body: String, _ path: String = "/v1/chat/completions") throws -> RawResponse {
                    try client.request("POST", path, body: body)
                    return try client.response()
                }
                let cases: [(String, Int, String?)] = [
                    ("{", 400, "invalid_json"), ("", 400, nil),
                    (#"{"model":"nope","messages":[{"role":"user","content":"a"}]}"#, 404, "model_not_found"),
                    (Self.chat(#""max_tokens":-1"#), 400, nil),
                    (Self.chat(#""max_tokens":5000"#), 400, "context_length_exceeded"),
                    (Self.chat(#""max_tokens":1e30"#), 400, "invalid_type"),
                    (
                        #"{"model":"m","prompt":[\#(Array(repeating: "1", count: 4096).joined(separator: ","))]}"#, 400,
                        nil
                    ),
                ]
                for (body, status, code) in cases {
                    let response = try answer(body)
                    #expect(response.status == status, "\(body.prefix(80))")
                    #expect(response.json?["error"] != nil)
                    #expect(response.errorCode == code)
                }
                let long = try answer(
                    #"{"model":"m","prompt":[\#(Array(repeating: "1", count: 4096).joined(separator: ","))]}"#,
                    "/v1/completions")
                #expect(long.status == 400 && long.errorCode == "context_length_exceeded")
                try client.request("GET", "/v1/nothing")
                #expect(try client.response().status == 404)
                for (method, path, allowed) in [
                    ("GET", "/v1/chat/completions?x=1", "POST"), ("POST", "/health", "GET, HEAD"),
                    ("GET", "/tokenize", "POST"),
                ] {
                    try client.request(method, path)
                    let refused = try client.response()
                    #expect(refused.status == 405 && refused.headers["allow"] == allowed, "\(method) \(path)")
                }
                #expect(try answer(Self.chat(#""max_tokens":2"#)).status == 200)
                // A body over the limit is refused before it has arrived, and the connection closes.
                let large = try SocketClient(port: server.port)
                try large.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n{")
                #expect(try large.response().status == 413)
                let chunked = try SocketClient(port: server.port)
                try chunked.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in 0..<3 { try chunked.send("1000\r\n" + String(repeating: " ", count: 4096) + "\r\n") }
                #expect(try chunked.response().status == 413)
                let garbage = try SocketClient(port: server.port)
                try garbage.send("\u{16}\u{03}\u{01} not http\r\n\r\n")
                #expect(try garbage.waitForEnd())
            }
            let alive = try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("HEAD", "/health")
                return try client.response(isHead: true)
            }
            #expect(alive.status == 200)
        }
    }

    @Test func fuzzedBodiesNeverBreakTheServer() async throws {
        let seed: UInt64 = 0xF022
        try await withServer(behaviour: .init(isInstant: true)) { server in
            try await onThread {
                var random = TestRandom(seed: seed)
                let client = try SocketClient(port: server.port)
                for round in 0..<1500 {
                    let body = random.mutated(
                        Array(Self.chat(#""max_tokens":3,"stream":true,"n":2,"stop":["a"]"#).utf8))
                    try client.send(
                        Array(
                            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n"
                                .utf8) + body)
                    let response = try client.response()
                    #expect(
                        [200, 400, 404].contains(response.status), "seed \(seed) round \(round): \(response.status)")
                }
            }
            try await eventually("all slots free") { try await server.inFlight() == 0 }
        }
    }

    @Test func fullYardAnswers429() async throws {
        try await withServer(behaviour: .init(refuses: true)) { server in
            let response = try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("POST", "/v1/chat/completions", body: Self.chat(#""stream":true"#))
                return try client.response()
            }
            #expect(response.status == 429)
            #expect(response.headers["retry-after"] == "7")
            #expect(response.errorCode == "queue_full")
            #expect(try await server.inFlight() == 0)
        }
    }

    @Test func disconnectCancelsInTheFleet() async throws {
        try await withServer(behaviour: .init(holds: true, hasBaseline: true)) { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request(
                    "POST", "/v1/chat/completions", body: Self.chat(#""max_tokens":50,"stream":true,"n":2"#))
                while server.log.state.withLock({ $0.submitted.count }) < 2 { usleep(1000) }
            }
            try await eventually("both choices cancelled") { server.log.state.withLock { $0.cancelled.count } == 2 }
            try await eventually("slots free on both sides") { try await server.inFlight() == 0 }
            #expect(server.counters.read(.requestsDisconnected) == 1)
        }
    }

    @Test func failedReplicaEndsAStreamWithAnError() async throws {
        try await withServer(behaviour: .init(gap: .milliseconds(2))) { server in
            let streaming = Task {
                try await onThread {
                    let client = try SocketClient(port: server.port)
                    try client.request(
                        "POST", "/v1/chat/completions", body: Self.chat(#""max_tokens":2000,"stream":true"#))
                    return try client.response()
                }
            }
            try await eventually("the stream has begun") { server.counters.read(.writes) > 3 }
            let request = server.log.state.withLock { $0.submitted[0] }
            server.log.state.withLock { $0.cancelled.append(request.id) }
            _ = try await server.fronts.onEach { front in
                front.completed(FakeScheduler.completion(request, status: .failed), side: .fleet)
                front.endOfBatch()
            }
            let response = try await streaming.value
            #expect(response.status == 200)
            #expect(response.events.dropLast().last?.text.contains("replica_failed") == true)
            #expect(response.events.last?.text == "[DONE]")
        }
    }

    @Test func keysAreNeededWhenConfigured() async throws {
        try await withServer(change: { $0.keys.add(digest: KeyRing.digest(ofKey: "sesame"), tenant: 3, name: "k") }) {
            server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("POST", "/v1/chat/completions", body: Self.chat())
                let refused = try client.response()
                #expect(refused.status == 401 && refused.headers["www-authenticate"] == "Bearer")
                try client.request("GET", "/v1/models", headers: ["Authorization": "Bearer wrong"])
                #expect(try client.response().status == 401)
                try client.request("GET", "/health")
                #expect(try client.response().status == 200)
                try client.request(
                    "POST", "/v1/chat/completions", body: Self.chat(#""max_tokens":1"#),
                    headers: ["Authorization": "Bearer sesame"])
                #expect(try client.response().status == 200)
            }
            #expect(server.log.state.withLock { $0.submitted[0].tenant } == 3)
        }
    }

    @Test func httpVersion10StreamsUntilClose() async throws {
        try await withServer { server in
            let response = try await onThread {
                let client = try SocketClient(port: server.port)
                let body = Self.chat(#""max_tokens":5,"stream":true"#)
                try client.send(
                    "POST /v1/chat/completions HTTP/1.0\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                return try client.response()
            }
            #expect(response.headers["transfer-encoding"] == nil)
            #expect(response.text.hasSuffix("data: [DONE]\n\n"))
        }
    }

    @Test func modelsAndTokenize() async throws {
        try await withServer(change: { $0.models = [ServedModel(name: "org/model-1", maxModelTokens: 4096)] }) {
            server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("GET", "/v1/models")
                let list = try client.response().json?["data"] as? [[String: Any]]
                #expect(list?.first?["id"] as? String == "org/model-1")
                try client.request("GET", "/v1/models/org%2Fmodel-1")
                #expect(try client.response().json?["max_model_len"] as? Int == 4096)
                try client.request("GET", "/v1/models/other")
                #expect(try client.response().status == 404)
                try client.request("POST", "/tokenize", body: #"{"model":"org/model-1","prompt":"one two three"}"#)
                #expect(try client.response().json?["count"] as? Int == 3)
            }
        }
    }
}
