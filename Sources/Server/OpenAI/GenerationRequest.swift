//===----------------------------------------------------------------------===//
// A generation request as the body states it: parsed, validated, and measured.
//===----------------------------------------------------------------------===//

/// Which of the two generation routes was called.
enum GenerationEndpoint: Sendable { case chat, completion }

/// Limits that hold for one body, whatever the model.
enum RequestLimits {
    /// Choices asked for by `n`, as in vLLM.
    static let choices = 128
    /// Prompts of one body times `n`.
    static let sequences = 1024
    static let stopStrings = 16
    static let stopBytes = 1024
    static let messages = 16_384
    static let modelNameBytes = 512
}

/// What a body of `/v1/chat/completions` or `/v1/completions` asks for.
struct GenerationRequest: Equatable {
    var endpoint: GenerationEndpoint
    var model: String
    /// One for chat; for completions one for each prompt of the body.
    var prompts: [PromptMeasure]
    var stream = false
    var includesUsage = false
    /// vLLM's `continuous_usage_stats`: usage in every chunk.
    var includesContinuousUsage = false
    var choices = 1
    var stop: [String] = []
    var maxTokens: Int32?
    var minTokens: Int32 = 0
    var ignoresEndOfSequence = false
    var seed: Int64?
    /// Lower runs first, as in vLLM.
    var priority: Int32 = 0
    var user: String?
    var reply = ReplyForm.text
}

/// What shape the reply's text takes.
enum ReplyForm: Equatable, Sendable {
    case text
    /// A JSON object, asked for by `response_format`.
    case json
    /// A call of the named function, forced by `tool_choice`.
    case toolCall(name: String)
}

extension GenerationRequest {
    /// Parses a body.
    /// - Parameter tokensPerBlock: KV block size for which block hashes are wanted, 0 for none.
    /// - Throws: `APIError` with status 400 that names the field.
    init(endpoint: GenerationEndpoint, body: UnsafeRawBufferPointer, tokensPerBlock: Int32) throws(APIError) {
        var parser = GenerationRequestParser(endpoint: endpoint, reader: JSONReader(body))
        do {
            try parser.reader.validateUTF8()
        } catch {
            throw APIError.malformed(error)
        }
        self = try parser.parse(tokensPerBlock: tokensPerBlock)
    }
}
