//===----------------------------------------------------------------------===//
// /v1/responses and /v1/embeddings: bodies, events, and what clients read out of them.
//===----------------------------------------------------------------------===//

import Foundation
import NIOCore
import Synchronization
import Testing
import Workload

@testable import Server

@Suite(.serialized) struct ResponsesTests {
    static func parse(_ body: String, _ endpoint: GenerationEndpoint = .responses) throws -> GenerationRequest {
        try Array(body.utf8).withUnsafeBytes { bytes in
            try GenerationRequest(endpoint: endpoint, body: bytes, counting: TokenCounting(tokensPerBlock: 16))
        }
    }

    // MARK: Requests

    @Test func inputIsTextOrItems() throws {
        let text = try Self.parse(#"{"model":"m","input":"one two three","max_output_tokens":7}"#)
        let items = try Self.parse(
            #"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"one two three"}]}]}"#)
        #expect(text.prompts[0].tokens == items.prompts[0].tokens)
        #expect(text.maxTokens == 7 && items.maxTokens == nil)
        let instructed = try Self.parse(#"{"model":"m","input":"one two three","instructions":"be brief"}"#)
        #expect(instructed.prompts[0].tokens == text.prompts[0].tokens + 4 + 2)
        // Instructions come first, wherever the body has them.
        let before = try Self.parse(#"{"instructions":"be brief","model":"m","input":"one two three"}"#)
        #expect(before.prompts == instructed.prompts)
    }

    @Test func toolsAndFormatsHaveTheirOwnShapes() throws {
        let call = try Self.parse(
            #"{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":{}}],"tool_choice":"required"}"#
        )
        #expect(call.reply == .toolCall(name: "f"))
        let named = try Self.parse(#"{"model":"m","input":"x","tool_choice":{"type":"function","name":"g"}}"#)
        #expect(named.reply == .toolCall(name: "g"))
        let json = try Self.parse(
            #"{"model":"m","input":"x","text":{"format":{"type":"json_schema","name":"s","schema":{}}}}"#)
        #expect(json.reply == .json)
    }

    @Test(arguments: [
        (#"{"model":"m"}"#, "input"), (#"{"model":"m","input":[]}"#, "input"), (#"{"model":"m","input":3}"#, "input"),
        (#"{"model":"m","input":"x","background":true}"#, "background"),
        (#"{"model":"m","input":"x","previous_response_id":"resp_1"}"#, "previous_response_id"),
        (#"{"model":"m","input":[{"type":"computer_call"}]}"#, "input[0].type"),
        (#"{"model":"m","input":"x","max_output_tokens":0}"#, "max_output_tokens"),
    ])
    func refusesByName(_ body: String, _ parameter: String) {
        let error = #expect(throws: APIError.self) { try Self.parse(body) }
        #expect(error?.status == 400 && error?.parameter == parameter)
    }

    @Test(arguments: [
        (#"{"model":"m","input":"x","dimensions":0}"#, "dimensions"),
        (#"{"model":"m","input":"x","encoding_format":"hex"}"#, "encoding_format"),
        (#"{"model":"m","input":{}}"#, "input"), (#"{"model":"m"}"#, "input"),
    ])
    func refusesEmbeddingsByName(_ body: String, _ parameter: String) {
        let error = #expect(throws: APIError.self) { try Self.parse(body, .embeddings) }
        #expect(error?.status == 400 && error?.parameter == parameter)
    }

    // MARK: Replies over a socket

    private func ask(_ server: FakeServer, _ path: String, _ body: String) async throws -> RawResponse {
        try await onThread {
            let client = try SocketClient(port: server.port)
            try client.request("POST", path, body: body)
            return try client.response()
        }
    }

    /// A response that is streamed ends in the very object that is answered at once otherwise.
    @Test(arguments: [
        #""max_output_tokens":12"#, #""max_output_tokens":9,"text":{"format":{"type":"json_object"}}"#,
        #""max_output_tokens":9,"tools":[{"type":"function","name":"f"}],"tool_choice":"required""#,
    ])
    func eventsBuildTheWholeResponse(_ more: String) async throws {
        try await withServer { server in
            let whole = try await ask(server, "/v1/responses", #"{"model":"m","input":"hello there",\#(more)}"#)
            #expect(whole.status == 200)
            let streamed = try await ask(
                server, "/v1/responses", #"{"model":"m","input":"hello there",\#(more),"stream":true}"#)
            let events = try streamed.events.map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.text.utf8)) as? [String: Any])
            }
            #expect(events.map { $0["sequence_number"] as? Int } == Array(0..<events.count))
            let types = events.compactMap { $0["type"] as? String }
            #expect(types.first == "response.created" && types[1] == "response.in_progress")
            let isCall = more.contains("tools")
            #expect(types.last == (isCall ? "response.completed" : "response.incomplete"))
            let final = try #require(events.last?["response"] as? [String: Any])
            let output = try #require((final["output"] as? [[String: Any]])?.first)
            let wholeOutput = try #require((whole.json?["output"] as? [[String: Any]])?.first)
            let deltas = events.filter { ($0["type"] as? String)?.hasSuffix(".delta") == true }
            let text = deltas.compactMap { $0["delta"] as? String }.joined()
            #expect(deltas.count == (isCall ? 9 : (more.contains("12") ? 12 : 9)))
            for item in [output, wholeOutput] {
                let content = (item["content"] as? [[String: Any]])?.first
                #expect(content?["text"] as? String ?? item["arguments"] as? String == text)
                #expect(item["type"] as? String == (isCall ? "function_call" : "message"))
            }
            let usage = try #require(final["usage"] as? [String: Any])
            #expect(usage["output_tokens"] as? Int == deltas.count)
            #expect((usage["input_tokens_details"] as? [String: Any])?["cached_tokens"] as? Int == 3)
            #expect(
                NSDictionary(dictionary: usage)
                    == NSDictionary(dictionary: whole.json?["usage"] as? [String: Any] ?? [:]))
            let item = events.first { $0["type"] as? String == "response.output_item.done" }?["item"] as? [String: Any]
            #expect(item.map { NSDictionary(dictionary: $0) } == NSDictionary(dictionary: output))
        }
    }

    @Test func embeddingsAreUnitVectorsOfTheirPrompt() async throws {
        try await withServer { server in
            let body = #"{"model":"m","input":["one two","three","one two"],"dimensions":64}"#
            let answer = try await ask(server, "/v1/embeddings", body)
            let data = try #require(answer.json?["data"] as? [[String: Any]])
            let vectors = data.compactMap { $0["embedding"] as? [Double] }
            #expect(vectors.count == 3 && vectors.allSatisfy { $0.count == 64 })
            for vector in vectors { #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5) }
            #expect(vectors[0] == vectors[2] && vectors[0] != vectors[1])
            #expect(answer.usage?["prompt_tokens"] as? Int == 5 && answer.usage?["total_tokens"] as? Int == 5)
            // The fleet ran one prefill for each, of which the first token tells the end.
            #expect(server.log.state.withLock { $0.submitted.map(\.outputTokens) } == [1, 1, 1])
            let packed = try await ask(
                server, "/v1/embeddings", body.dropLast() + #","encoding_format":"base64"}"#)
            let text = try #require((packed.json?["data"] as? [[String: Any]])?.first?["embedding"] as? String)
            let bytes = try #require(Data(base64Encoded: text))
            #expect(bytes.count == 256)
            let first = bytes.prefix(4).enumerated().reduce(UInt32(0)) {
                $0 | UInt32($1.element) << (8 * UInt32($1.offset))
            }
            #expect(abs(Double(Float(bitPattern: first)) - vectors[0][0]) < 1e-6)
        }
    }

    @Test func fuzzedBodiesGetAnAnswer() async throws {
        let seed: UInt64 = 0x5E5
        try await withServer(behaviour: .init(isInstant: true)) { server in
            try await onThread {
                var random = TestRandom(seed: seed)
                let client = try SocketClient(port: server.port)
                let bodies = [
                    ("/v1/responses", #"{"model":"m","input":[{"role":"user","content":"a"}],"max_output_tokens":3}"#),
                    ("/v1/embeddings", #"{"model":"m","input":[[1,2],[3]],"dimensions":8}"#),
                    ("/tokenize", #"{"model":"m","prompt":"a b","add_special_tokens":true}"#),
                    ("/detokenize", #"{"model":"m","tokens":[1,2]}"#),
                ]
                for round in 0..<800 {
                    let (path, text) = bodies[round % bodies.count]
                    let body = random.mutated(Array(text.utf8))
                    try client.send(
                        Array("POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
                    let response = try client.response()
                    #expect([200, 400, 404].contains(response.status), "seed \(seed) round \(round)")
                }
            }
            try await eventually("all slots free") { try await server.inFlight() == 0 }
        }
    }
}
