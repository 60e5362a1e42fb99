//===----------------------------------------------------------------------===//
// The members that only /v1/responses and /v1/embeddings have.
//===----------------------------------------------------------------------===//

extension GenerationRequestParser {
    static let responseMembers: Set<String> = [
        "input", "instructions", "max_output_tokens", "text", "background", "previous_response_id", "conversation",
        "prompt",
        "n", "logprobs", "top_logprobs", "max_tokens", "max_completion_tokens", "response_format",
    ]

    mutating func responseMember(_ name: String) throws {
        switch name {
        case "input": try input()
        case "instructions":
            guard try reader.peekKind() == .string else { throw wrongType(name, "a string") }
            // Instructions are the first message, wherever they stand in the body.
            prompt.pieces.insert(contentsOf: [.messageHeader(role: 1), .text(try reader.readString())], at: 0)
        case "max_output_tokens": request.maxTokens = Int32(try integer(name, in: 1...Int64(Int32.max)))
        case "text":
            guard try reader.peekKind() == .object else { throw wrongType(name, "an object") }
            try reader.enterObject()
            while let key = try reader.nextKey() {
                if reader.text(of: key) == "format" {
                    try responseFormat("text.format")
                } else {
                    try reader.skipValue()
                }
            }
        case "background":
            if try boolean(name) {
                throw APIError.invalid(
                    "`background` is not modelled: nothing is kept to be asked for later.", parameter: name)
            }
        case "previous_response_id", "conversation", "prompt":
            throw APIError.invalid(
                "`\(name)` is not modelled: no response is kept. Send the whole conversation as `input`.",
                parameter: name)
        default: try reader.skipValue()
        }
    }

    /// A string, or a list of messages, calls of functions and what they returned.
    private mutating func input() throws {
        switch try reader.peekKind() {
        case .string: prompt.pieces += [.messageHeader(role: 2), .text(try reader.readString())]
        case .array:
            var count = 0
            try reader.enterArray()
            while try reader.nextElement() {
                count += 1
                guard count <= RequestLimits.messages else {
                    throw APIError.invalid(
                        "`input` has more than \(RequestLimits.messages) members.", parameter: "input")
                }
                try item(number: count - 1)
            }
            if count == 0 { return }
        default: throw wrongType("input", "a string or an array of items")
        }
        prompt.pieces.append(.replyHeader)
    }

    private mutating func item(number: Int) throws {
        guard try reader.peekKind() == .object else { throw wrongType("input[\(number)]", "an object") }
        let header = prompt.pieces.count
        prompt.pieces.append(.messageHeader(role: 0))
        try reader.enterObject()
        while let key = try reader.nextKey() {
            let name = reader.text(of: key)
            switch (name, try reader.peekKind()) {
            case ("role", .string):
                let role = try shortString("input[\(number)].role", limit: 64)
                guard ["system", "developer", "user", "assistant", "tool"].contains(role) else {
                    throw APIError.invalid("`input[\(number)].role` is `\(role)`.", parameter: "input[\(number)].role")
                }
                prompt.pieces[header] = .messageHeader(role: role.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) })
            case ("content", .string), ("arguments", .string), ("output", .string):
                prompt.pieces.append(.text(try reader.readString()))
            case ("content", .array), ("output", .array):
                try reader.enterArray()
                while try reader.nextElement() { try contentPart("input[\(number)].\(name)") }
            case ("type", .string):
                let type = try shortString("input[\(number)].type", limit: 64)
                guard ["message", "function_call", "function_call_output", "reasoning"].contains(type) else {
                    throw APIError.invalid(
                        "An item of type `\(type)` is not modelled.", parameter: "input[\(number)].type")
                }
            default: try reader.skipValue()
            }
        }
    }

    /// A member of an embedding's body other than the model and the input. There is no reply, so nothing else is looked at.
    mutating func embeddingMember(_ name: String) throws {
        switch name {
        case "model", "input": preconditionFailure("handled before")
        case "dimensions":
            request.embedding.dimensions = Int(try integer(name, in: 1...Int64(RequestLimits.dimensions)))
        case "encoding_format":
            switch try shortString(name, limit: 64) {
            case "float": request.embedding.isBase64 = false
            case "base64": request.embedding.isBase64 = true
            case let other:
                throw APIError.invalid(
                    "`encoding_format` is `\(other)`; known are `float` and `base64`.", parameter: name)
            }
        default: try reader.skipValue()
        }
    }

    /// What an embedding waits for is the end of the prefill, which is when a first token would come.
    mutating func finishEmbedding() throws(APIError) {
        request.maxTokens = 1
        guard request.prompts.count * request.embedding.dimensions <= RequestLimits.embeddingNumbers else {
            throw .invalid(
                "Inputs times `dimensions` must not exceed \(RequestLimits.embeddingNumbers).", parameter: "dimensions")
        }
    }
}
