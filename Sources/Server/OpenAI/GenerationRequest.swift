//===----------------------------------------------------------------------===//
// A generation request as the body states it: parsed, validated, and measured.
//===----------------------------------------------------------------------===//

/// Which of the generation routes was called.
enum GenerationEndpoint: Sendable {
    case chat, completion, responses
    /// A prompt without a reply: what the fleet does for it is the prefill.
    case embeddings

    /// The route's endpoint, nil for a path that generates nothing.
    init?(path: Substring) {
        switch path {
        case "/v1/chat/completions": self = .chat
        case "/v1/completions": self = .completion
        case "/v1/responses": self = .responses
        case "/v1/embeddings": self = .embeddings
        default: return nil
        }
    }

    /// The member of the body that holds the prompt.
    var promptField: String {
        switch self {
        case .chat: "messages"
        case .completion: "prompt"
        case .responses, .embeddings: "input"
        }
    }
}

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
    static let dimensions = 8192
    /// Numbers of all embeddings of one body.
    static let embeddingNumbers = 1 << 22
    /// Tokens of a reply that is not streamed, over all its choices: it is written in one go.
    static let wholeReplyTokens = 1 << 22
    /// Tokens times stop strings that one body may have looked through when it is admitted: while its event loop looks,
    /// the loop's streams wait.
    static let stopSearches = 1 << 22
}

/// What the body of a generation route asks for.
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
    var embedding = EmbeddingForm()
}

/// What shape an embedding takes.
struct EmbeddingForm: Equatable, Sendable {
    /// Numbers of a vector; 1024 when the client names none.
    var dimensions = 1024
    /// Base64 of little-endian 32-bit floats instead of a list.
    var isBase64 = false
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
    /// - Parameter counting: how its prompts' tokens are counted, and for which KV blocks hashes are wanted.
    /// - Throws: `APIError` with status 400 that names the field.
    init(endpoint: GenerationEndpoint, body: UnsafeRawBufferPointer, counting: TokenCounting) throws(APIError) {
        var parser = GenerationRequestParser(endpoint: endpoint, reader: JSONReader(body))
        do {
            try parser.reader.validateUTF8()
        } catch {
            throw APIError.malformed(error)
        }
        self = try parser.parse(counting: counting)
    }
}
