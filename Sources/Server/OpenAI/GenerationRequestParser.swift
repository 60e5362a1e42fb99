//===----------------------------------------------------------------------===//
// From the bytes of a body to a GenerationRequest, with an error for each thing that can be wrong.
//===----------------------------------------------------------------------===//

/// Walks the members of a generation request's body.
///
/// Members that do not change what is modelled (temperature, top_p, logit_bias, …) are checked for syntax and passed
/// over, as vLLM does with members it does not know. Members that would change the answer's shape in a way that is not
/// modelled are refused by name.
struct GenerationRequestParser {
    let endpoint: GenerationEndpoint
    var reader: JSONReader
    private var model: String?
    var prompt = PromptSource()
    var request: GenerationRequest
    private var toolChoice = ToolChoice.automatic
    private var firstTool: String?

    private enum ToolChoice: Equatable { case automatic, required, named(String) }

    init(endpoint: GenerationEndpoint, reader: JSONReader) {
        self.endpoint = endpoint
        self.reader = reader
        self.request = GenerationRequest(endpoint: endpoint, model: "", prompts: [])
    }

    mutating func parse(counting: TokenCounting) throws(APIError) -> GenerationRequest {
        do {
            try reader.enterObject()
            while let key = try reader.nextKey() { try member(reader.text(of: key)) }
            try reader.expectEnd()
        } catch let error as JSONError {
            throw APIError.malformed(error)
        } catch let error as APIError {
            throw error
        } catch {
            throw APIError.invalid("The body could not be read: \(error).")
        }
        return try finish(counting: counting)
    }

    private mutating func finish(counting: TokenCounting) throws(APIError) -> GenerationRequest {
        guard let model else { throw .invalid("You must name a model.", parameter: "model") }
        request.model = model
        let field = endpoint.promptField
        request.prompts = prompt.measure(reader: reader, counting: counting)
        guard !request.prompts.isEmpty else { throw .invalid("`\(field)` is missing or empty.", parameter: field) }
        guard request.prompts.count * request.choices <= RequestLimits.sequences else {
            throw .invalid("Prompts times `n` must not exceed \(RequestLimits.sequences).", parameter: "n")
        }
        if endpoint == .embeddings { try finishEmbedding() }
        if let maxTokens = request.maxTokens, request.minTokens > maxTokens {
            throw .invalid(
                "`min_tokens` (\(request.minTokens)) exceeds `max_tokens` (\(maxTokens)).", parameter: "min_tokens")
        }
        switch toolChoice {
        case .automatic: break
        case .named(let name): request.reply = .toolCall(name: name)
        case .required:
            guard let firstTool else { throw .invalid("`tool_choice` needs `tools`.", parameter: "tool_choice") }
            request.reply = .toolCall(name: firstTool)
        }
        return request
    }

    // MARK: Members

    private mutating func member(_ name: String) throws {
        if try reader.takeNull() { return }
        switch name {
        case "model": model = try shortString("model", limit: RequestLimits.modelNameBytes)
        case "messages" where endpoint == .chat: try messages()
        case "prompt" where endpoint == .completion: try prompts()
        case "input" where endpoint == .embeddings: try prompts()
        case _ where endpoint == .embeddings && name != "user" && name != "priority": try embeddingMember(name)
        case _ where endpoint == .responses && Self.responseMembers.contains(name): try responseMember(name)
        case "stream": request.stream = try boolean(name)
        case "stream_options": try streamOptions()
        case "n": request.choices = Int(try integer(name, in: 1...Int64(RequestLimits.choices)))
        case "best_of": _ = try integer(name, in: 1...Int64(RequestLimits.choices))
        case "stop": try stopStrings()
        case "max_tokens", "max_completion_tokens":
            request.maxTokens = Int32(try integer(name, in: 1...Int64(Int32.max)))
        case "min_tokens": request.minTokens = Int32(try integer(name, in: 0...Int64(Int32.max)))
        case "ignore_eos": request.ignoresEndOfSequence = try boolean(name)
        case "seed": request.seed = try integer(name, in: Int64.min...Int64.max)
        case "priority": request.priority = Int32(try integer(name, in: Int64(Int32.min)...Int64(Int32.max)))
        case "user": request.user = try shortString(name, limit: 1024)
        case "temperature": try number(name, in: 0...2)
        case "top_p": try number(name, in: 0...1)
        case "presence_penalty", "frequency_penalty": try number(name, in: -2...2)
        case "logprobs": try logProbabilities()
        case "echo", "use_beam_search":
            if try boolean(name) {
                throw APIError.invalid("`\(name)` is not modelled; leave it out or send false.", parameter: name)
            }
        case "tools": try tools()
        case "tool_choice": try chooseTool()
        case "response_format": try responseFormat()
        default: try reader.skipValue()
        }
    }

    private mutating func streamOptions() throws {
        guard try reader.peekKind() == .object else { throw wrongType("stream_options", "an object") }
        try reader.enterObject()
        while let key = try reader.nextKey() {
            if try reader.takeNull() { continue }
            switch reader.text(of: key) {
            case "include_usage": request.includesUsage = try boolean("stream_options.include_usage")
            case "continuous_usage_stats":
                request.includesContinuousUsage = try boolean("stream_options.continuous_usage_stats")
            default: try reader.skipValue()
            }
        }
    }

    private mutating func stopStrings() throws {
        switch try reader.peekKind() {
        case .string: request.stop = [try shortString("stop", limit: RequestLimits.stopBytes)]
        case .array:
            request.stop = []
            try reader.enterArray()
            while try reader.nextElement() {
                guard request.stop.count < RequestLimits.stopStrings else {
                    throw APIError.invalid(
                        "`stop` has more than \(RequestLimits.stopStrings) strings.", parameter: "stop")
                }
                request.stop.append(try shortString("stop", limit: RequestLimits.stopBytes))
            }
        default: throw wrongType("stop", "a string or an array of strings")
        }
        if request.stop.contains("") { throw APIError.invalid("`stop` contains an empty string.", parameter: "stop") }
    }

    /// Filler has no probabilities; inventing some would be worse than refusing.
    private mutating func logProbabilities() throws {
        let asked: Bool
        switch try reader.peekKind() {
        case .boolean: asked = try reader.readBoolean()
        case .number: asked = try reader.readNumber().double > 0
        default: throw wrongType("logprobs", "a boolean or a number")
        }
        if asked {
            throw APIError.invalid(
                "`logprobs` is not modelled: the reply is filler and has none.", parameter: "logprobs")
        }
    }

    mutating func responseFormat(_ field: String = "response_format") throws {
        guard try reader.peekKind() == .object else { throw wrongType(field, "an object") }
        try reader.enterObject()
        while let key = try reader.nextKey() {
            guard reader.text(of: key) == "type" else {
                try reader.skipValue()
                continue
            }
            switch try shortString("\(field).type", limit: 64) {
            case "text": break
            case "json_object", "json_schema": request.reply = .json
            case let other:
                throw APIError.invalid(
                    "`\(field).type` is `\(other)`; known are `text`, `json_object` and `json_schema`.",
                    parameter: "\(field).type"
                )
            }
        }
    }

    // MARK: Tools

    private mutating func tools() throws {
        guard try reader.peekKind() == .array else { throw wrongType("tools", "an array") }
        let start = reader.position
        try reader.enterArray()
        while try reader.nextElement() {
            guard let name = try functionName("tools") else {
                throw APIError.invalid("A member of `tools` has no `function.name`.", parameter: "tools")
            }
            if firstTool == nil { firstTool = name }
        }
        // Definitions of tools are part of the prompt that the model reads.
        if firstTool != nil { prompt.tools = start..<reader.position }
    }

    private mutating func chooseTool() throws {
        switch try reader.peekKind() {
        case .string:
            switch try shortString("tool_choice", limit: 64) {
            case "none", "auto": toolChoice = .automatic
            case "required": toolChoice = .required
            case let other:
                throw APIError.invalid(
                    "`tool_choice` is `\(other)`; known are `none`, `auto`, `required`.", parameter: "tool_choice")
            }
        case .object:
            guard let name = try functionName("tool_choice") else {
                throw APIError.invalid("`tool_choice` has no `function.name`.", parameter: "tool_choice")
            }
            toolChoice = .named(name)
        default: throw wrongType("tool_choice", "a string or an object")
        }
    }

    /// Reads an object and returns its `function.name`, if it has one; in `/v1/responses` the name stands in the object itself.
    private mutating func functionName(_ field: String) throws -> String? {
        guard try reader.peekKind() == .object else { throw wrongType(field, "an object") }
        var name: String?
        try reader.enterObject()
        while let key = try reader.nextKey() {
            if endpoint == .responses, reader.text(of: key) == "name", try reader.peekKind() == .string {
                name = try shortString("\(field).name", limit: 256)
                continue
            }
            guard reader.text(of: key) == "function", try reader.peekKind() == .object else {
                try reader.skipValue()
                continue
            }
            try reader.enterObject()
            while let key = try reader.nextKey() {
                if reader.text(of: key) == "name" {
                    name = try shortString("\(field).function.name", limit: 256)
                } else {
                    try reader.skipValue()
                }
            }
        }
        return name
    }

    // MARK: Prompts

    private mutating func messages() throws {
        guard try reader.peekKind() == .array else { throw wrongType("messages", "an array") }
        prompt.pieces = []
        var count = 0
        try reader.enterArray()
        while try reader.nextElement() {
            count += 1
            guard count <= RequestLimits.messages else {
                throw APIError.invalid(
                    "`messages` has more than \(RequestLimits.messages) members.", parameter: "messages")
            }
            try message(number: count - 1)
        }
        if count > 0 { prompt.pieces.append(.replyHeader) }
    }

    private mutating func message(number: Int) throws {
        guard try reader.peekKind() == .object else { throw wrongType("messages[\(number)]", "an object") }
        var hasRole = false
        let header = prompt.pieces.count
        prompt.pieces.append(.messageHeader(role: 0))
        try reader.enterObject()
        while let key = try reader.nextKey() {
            switch reader.text(of: key) {
            case "role":
                let role = try shortString("messages[\(number)].role", limit: 64)
                guard ["system", "developer", "user", "assistant", "tool", "function"].contains(role) else {
                    throw APIError.invalid(
                        "`messages[\(number)].role` is `\(role)`.", parameter: "messages[\(number)].role")
                }
                hasRole = true
                prompt.pieces[header] = .messageHeader(role: role.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) })
            case "content": try content(number: number)
            case "tool_calls":
                let start = reader.position
                try reader.skipValue()
                prompt.pieces.append(.raw(start..<reader.position))
            default: try reader.skipValue()
            }
        }
        if !hasRole {
            throw APIError.invalid("`messages[\(number)]` has no `role`.", parameter: "messages[\(number)].role")
        }
    }

    private mutating func content(number: Int) throws {
        if try reader.takeNull() { return }
        switch try reader.peekKind() {
        case .string: prompt.pieces.append(.text(try reader.readString()))
        case .array:
            try reader.enterArray()
            while try reader.nextElement() { try contentPart("messages[\(number)].content") }
        default: throw wrongType("messages[\(number)].content", "a string or an array of parts")
        }
    }

    mutating func contentPart(_ field: String) throws {
        guard try reader.peekKind() == .object else { throw wrongType(field, "an array of objects") }
        try reader.enterObject()
        while let key = try reader.nextKey() {
            switch reader.text(of: key) {
            case "type":
                let type = try shortString("\(field).type", limit: 64)
                guard ["text", "refusal", "input_text", "output_text"].contains(type) else {
                    throw APIError.invalid("Content of type `\(type)` is not modelled; only text is.", parameter: field)
                }
            case "text":
                guard try reader.peekKind() == .string else { throw wrongType("\(field).text", "a string") }
                prompt.pieces.append(.text(try reader.readString()))
            default: try reader.skipValue()
            }
        }
    }

    /// A string, strings, token ids, or arrays of token ids.
    private mutating func prompts() throws {
        prompt.pieces = []
        switch try reader.peekKind() {
        case .string:
            prompt.pieces = [.promptStart, .text(try reader.readString())]
        case .array:
            try reader.enterArray()
            var isOneOfTokens = false
            while try reader.nextElement() {
                switch try reader.peekKind() {
                case .number:
                    if !isOneOfTokens {
                        guard prompt.pieces.isEmpty else {
                            throw wrongType(endpoint.promptField, "all strings, all token ids or all arrays")
                        }
                        isOneOfTokens = true
                        prompt.pieces.append(.promptStart)
                    }
                    prompt.pieces.append(.token(try integer(endpoint.promptField, in: 0...Int64(UInt32.max))))
                case let kind:
                    guard !isOneOfTokens else {
                        throw wrongType(endpoint.promptField, "all strings, all token ids or all arrays")
                    }
                    try promptElement(kind)
                }
            }
        default: throw wrongType(endpoint.promptField, "a string, an array of strings or an array of token ids")
        }
    }

    private mutating func promptElement(_ kind: JSONKind) throws {
        prompt.promptCount += 1
        guard prompt.promptCount <= RequestLimits.sequences else {
            throw APIError.invalid(
                "`\(endpoint.promptField)` has more than \(RequestLimits.sequences) members.",
                parameter: endpoint.promptField)
        }
        prompt.pieces.append(.promptStart)
        switch kind {
        case .string: prompt.pieces.append(.text(try reader.readString()))
        case .array:
            try reader.enterArray()
            while try reader.nextElement() {
                prompt.pieces.append(.token(try integer(endpoint.promptField, in: 0...Int64(UInt32.max))))
            }
        default: throw wrongType(endpoint.promptField, "a string, an array of strings or an array of token ids")
        }
    }

    // MARK: Scalars

    func wrongType(_ field: String, _ expected: String) -> APIError {
        APIError.invalid("`\(field)` must be \(expected).", parameter: field, code: "invalid_type")
    }

    mutating func boolean(_ field: String) throws -> Bool {
        guard try reader.peekKind() == .boolean else { throw wrongType(field, "true or false") }
        return try reader.readBoolean()
    }

    mutating func shortString(_ field: String, limit: Int) throws -> String {
        guard try reader.peekKind() == .string else { throw wrongType(field, "a string") }
        let string = try reader.readString()
        guard string.range.count <= limit else {
            throw APIError.invalid("`\(field)` exceeds \(limit) bytes.", parameter: field)
        }
        return reader.text(of: string)
    }

    mutating func integer(_ field: String, in range: ClosedRange<Int64>) throws -> Int64 {
        guard try reader.peekKind() == .number else { throw wrongType(field, "an integer") }
        guard let value = try reader.readNumber().integer else {
            throw wrongType(field, "an integer of at most 64 bits")
        }
        guard range.contains(value) else {
            throw APIError.invalid(
                "`\(field)` is \(value); it must lie in \(range.lowerBound)...\(range.upperBound).", parameter: field)
        }
        return value
    }

    private mutating func number(_ field: String, in range: ClosedRange<Double>) throws {
        guard try reader.peekKind() == .number else { throw wrongType(field, "a number") }
        let value = try reader.readNumber().double
        guard range.contains(value) else {
            throw APIError.invalid(
                "`\(field)` is \(value); it must lie in \(range.lowerBound)...\(range.upperBound).", parameter: field)
        }
    }
}
