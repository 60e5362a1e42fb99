import Testing

@testable import Server

@Suite struct GenerationRequestTests {
    static func parse(_ body: String, _ endpoint: GenerationEndpoint = .chat) throws -> GenerationRequest {
        var body = body
        return try body.withUTF8 {
            try GenerationRequest(
                endpoint: endpoint, body: UnsafeRawBufferPointer($0), counting: TokenCounting(tokensPerBlock: 16))
        }
    }

    static func failure(_ body: String, _ endpoint: GenerationEndpoint = .chat) -> APIError? {
        do {
            _ = try parse(body, endpoint)
            return nil
        } catch { return error as? APIError }
    }

    @Test func readsAChat() throws {
        let request = try Self.parse(
            #"""
            {"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"hello there"}]}],
             "stream":true,"stream_options":{"include_usage":true},"n":2,"max_completion_tokens":7,"seed":3,"stop":["x","yy"],
             "ignore_eos":true,"min_tokens":2,"priority":-4,"user":"u","temperature":0.5,"logit_bias":{"5":1},"metadata":null}
            """#)
        #expect(request.model == "m")
        #expect(request.stream && request.includesUsage && request.ignoresEndOfSequence)
        #expect(request.choices == 2 && request.maxTokens == 7 && request.minTokens == 2 && request.seed == 3)
        #expect(request.stop == ["x", "yy"] && request.priority == -4 && request.user == "u")
        // Two messages of two words, four template tokens each, three to open the reply.
        #expect(request.prompts.map(\.tokens) == [15])
    }

    @Test func memberOrderDoesNotMatter() throws {
        let first = try Self.parse(#"{"model":"m","messages":[{"role":"user","content":"a b c"}]}"#)
        let second = try Self.parse(#"{"messages":[{"content":"a b c","role":"user"}],"model":"m"}"#)
        #expect(first == second)
    }

    @Test func promptForms() throws {
        #expect(try Self.parse(#"{"model":"m","prompt":"one two"}"#, .completion).prompts.map(\.tokens) == [2])
        #expect(
            try Self.parse(#"{"model":"m","prompt":["one two","three"]}"#, .completion).prompts.map(\.tokens) == [2, 1])
        #expect(try Self.parse(#"{"model":"m","prompt":[5,6,7]}"#, .completion).prompts.map(\.tokens) == [3])
        #expect(try Self.parse(#"{"model":"m","prompt":[[5,6],[7]]}"#, .completion).prompts.map(\.tokens) == [2, 1])
    }

    @Test func systemPromptsShareBlocks() throws {
        let system = String(repeating: "word ", count: 64)
        func chat(_ question: String) throws -> PromptMeasure {
            try Self.parse(
                #"{"model":"m","messages":[{"role":"system","content":"\#(system)"},{"role":"user","content":"\#(question)"}]}"#
            ).prompts[0]
        }
        let (first, second) = (try chat("one question"), try chat("another question"))
        #expect(first.blockHashes.prefix(4) == second.blockHashes.prefix(4))
        #expect(first.digest != second.digest)
    }

    @Test(arguments: [
        (#"{"model":"m"}"#, "messages"), (#"{"messages":[{"role":"user","content":"a"}]}"#, "model"),
        (#"{"model":"m","messages":[]}"#, "messages"), (#"{"model":"m","messages":"x"}"#, "messages"),
        (#"{"model":"m","messages":[{"role":"king","content":"a"}]}"#, "messages[0].role"),
        (#"{"model":"m","messages":[{"content":"a"}]}"#, "messages[0].role"),
        (#"{"model":"m","messages":[{"role":"user","content":7}]}"#, "messages[0].content"),
        (
            #"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}"#,
            "messages[0].content"
        ),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":-1}"#, "max_tokens"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":0}"#, "max_tokens"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":99999999999}"#, "max_tokens"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":1.5}"#, "max_tokens"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":"7"}"#, "max_tokens"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":3,"min_tokens":4}"#, "min_tokens"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"n":0}"#, "n"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"n":1000}"#, "n"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"stream":"yes"}"#, "stream"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"temperature":5}"#, "temperature"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"logprobs":true}"#, "logprobs"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"stop":[1]}"#, "stop"),
        (#"{"model":"m","messages":[{"role":"user","content":"a"}],"tool_choice":"required"}"#, "tool_choice"),
    ])
    func namesTheFieldAtFault(_ body: String, _ field: String) {
        let error = Self.failure(body)
        #expect(error?.status == 400)
        #expect(error?.parameter == field)
    }

    @Test(arguments: [
        "", "nonsense", "{", "[]", #"{"model":"m","messages":[{"role":"user","content":"a"}]} trailing"#, "null",
        "\"m\"",
    ])
    func malformedBodies(_ body: String) {
        let error = Self.failure(body)
        #expect(error?.status == 400)
        #expect(error?.code == "invalid_json")
    }

    @Test func embeddingsAreBounded() throws {
        let inputs = Array(repeating: "\"a\"", count: 600).joined(separator: ",")
        func body(_ dimensions: Int) -> String {
            #"{"model":"m","input":[\#(inputs)],"dimensions":\#(dimensions)}"#
        }
        #expect(Self.failure(body(8192), .embeddings)?.parameter == "dimensions")
        #expect(try Self.parse(body(1024), .embeddings).prompts.count == 600)
    }

    @Test func mixedPromptArraysAreRefused() {
        #expect(Self.failure(#"{"model":"m","prompt":["a",5]}"#, .completion)?.parameter == "prompt")
        #expect(Self.failure(#"{"model":"m","prompt":[5,"a"]}"#, .completion)?.parameter == "prompt")
        #expect(Self.failure(#"{"model":"m","prompt":[]}"#, .completion)?.parameter == "prompt")
    }

    @Test func toolsAndFormats() throws {
        let tools = #""tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]"#
        func form(_ more: String) throws -> ReplyForm {
            try Self.parse(#"{"model":"m","messages":[{"role":"user","content":"a"}],\#(tools),\#(more)}"#).reply
        }
        #expect(try form(#""tool_choice":"auto""#) == .text)
        #expect(try form(#""tool_choice":"required""#) == .toolCall(name: "weather"))
        #expect(try form(#""tool_choice":{"type":"function","function":{"name":"other"}}"#) == .toolCall(name: "other"))
        #expect(try form(#""response_format":{"type":"json_object"}"#) == .json)
    }

    @Test func mutatedBodiesNeverTrap() {
        let seed: UInt64 = 0xB0D1
        var random = TestRandom(seed: seed)
        let corpus: [(String, GenerationEndpoint)] = [
            (
                #"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"}]}],"stream":true,"n":2,"stop":["a","b"],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required","stream_options":{"include_usage":true}}"#,
                .chat
            ),
            (#"{"model":"m","prompt":[[1,2,3],[4]],"max_tokens":5,"min_tokens":1,"seed":9,"priority":3}"#, .completion),
        ]
        var accepted = 0
        for _ in 0..<20_000 {
            let (text, endpoint) = corpus[random.below(corpus.count)]
            let bytes = random.mutated(Array(text.utf8))
            bytes.withUnsafeBytes { raw in
                do throws(APIError) {
                    let request = try GenerationRequest(
                        endpoint: endpoint, body: raw, counting: TokenCounting(tokensPerBlock: 16))
                    accepted += 1
                    #expect(!request.prompts.isEmpty && request.prompts.allSatisfy { $0.tokens > 0 })
                } catch {
                    #expect(error.status == 400, "seed \(seed)")
                }
            }
        }
        // Mutation leaves some bodies valid; were there none, the corpus itself would be broken.
        #expect(accepted > 100)
    }
}
