//===----------------------------------------------------------------------===//
// Writing replies: streamed chunks spliced from a template, and whole bodies.
//===----------------------------------------------------------------------===//

import NIOCore

/// Tokens that a reply's `usage` reports.
struct Usage: Equatable {
    var promptTokens: Int
    var cachedTokens: Int
    var completionTokens: Int
}

/// Writes chat and completion replies. Everything that stays the same between chunks is formatted once.
struct ReplyWriter: ReplyWriting {
    let endpoint: GenerationEndpoint
    let includesUsage: Bool
    let includesContinuousUsage: Bool
    /// `"id":"…","object":"` up to the object's name.
    private let identity: [UInt8]
    /// `","created":…,"model":"…"`.
    private let origin: [UInt8]
    /// `data: {` identity, object, origin, `,"choices":[{"index":`.
    private let chunkHead: [UInt8]

    /// - Parameters:
    ///   - number: the exchange's number, unique within the daemon's life.
    ///   - createdSeconds: Unix time.
    init(request: GenerationRequest, number: UInt64, createdSeconds: Int64) {
        endpoint = request.endpoint
        includesUsage = request.includesUsage
        includesContinuousUsage = request.includesContinuousUsage
        var buffer = ByteBuffer()
        buffer.writeStaticString(request.endpoint == .chat ? #""id":"chatcmpl-"# : #""id":"cmpl-"#)
        buffer.writeHexadecimal(number)
        buffer.writeStaticString(#"","object":""#)
        identity = Array(buffer.readableBytesView)
        buffer.clear()
        buffer.writeStaticString(#"","created":"#)
        buffer.writeDecimal(createdSeconds)
        buffer.writeStaticString(#","model":"#)
        buffer.writeJSONString(request.model)
        origin = Array(buffer.readableBytesView)
        buffer.clear()
        buffer.writeStaticString("data: {")
        buffer.writeBytes(identity)
        buffer.writeStaticString(request.endpoint == .chat ? "chat.completion.chunk" : "text_completion")
        buffer.writeBytes(origin)
        buffer.writeStaticString(#","choices":["#)
        chunkHead = Array(buffer.readableBytesView)
    }

    // MARK: Streams

    /// The chunk that opens a choice of a chat: the role, no content yet. Completions have none.
    func writeOpening(choice: Int, plan: ReplyPlan, usage: Usage, to buffer: inout ByteBuffer) {
        guard endpoint == .chat else { return }
        writeHead(choice: choice, to: &buffer)
        if case .toolCall(let name) = plan.form {
            buffer.writeStaticString(
                #","delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_"#)
            buffer.writeHexadecimal(plan.fillerSeed)
            buffer.writeStaticString(#"","type":"function","function":{"name":"#)
            buffer.writeJSONString(name)
            buffer.writeStaticString(#","arguments":""}}]},"logprobs":null,"finish_reason":null}]"#)
        } else {
            buffer.writeStaticString(
                #","delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]"#)
        }
        writeChunkEnd(usage: usage, to: &buffer)
    }

    /// The chunk of one token. Returns the bytes of text written.
    /// - Parameter textBytes: bytes of the choice's text that left before.
    func writeToken(
        _ index: Int32, choice: Int, plan: ReplyPlan, textBytes: Int, usage: Usage, to buffer: inout ByteBuffer
    ) -> Int {
        writeHead(choice: choice, to: &buffer)
        let isLast = index + 1 == plan.outputTokens
        var written = 0
        switch (endpoint, plan.form) {
        case (.completion, _):
            buffer.writeStaticString(#","text":""#)
            written = plan.writeText(
                index, textBytes: textBytes, isStructured: isStructured(plan), to: &buffer)
            buffer.writeStaticString(#"","logprobs":null,"finish_reason":"#)
            if isLast {
                writeFinish(plan.finish, to: &buffer)
            } else {
                buffer.writeStaticString("null")
            }
            buffer.writeStaticString("}]")
        case (.chat, .toolCall):
            buffer.writeStaticString(#","delta":{"tool_calls":[{"index":0,"function":{"arguments":""#)
            written = plan.writeText(
                index, textBytes: textBytes, isStructured: isStructured(plan), to: &buffer)
            buffer.writeStaticString(#""}}]},"logprobs":null,"finish_reason":null}]"#)
        default:
            buffer.writeStaticString(#","delta":{"content":""#)
            written = plan.writeText(
                index, textBytes: textBytes, isStructured: isStructured(plan), to: &buffer)
            buffer.writeStaticString(#""},"logprobs":null,"finish_reason":null}]"#)
        }
        writeChunkEnd(usage: usage, to: &buffer)
        return written
    }

    /// The chunk that closes a choice of a chat. A completion's last token has closed it.
    func writeClosing(choice: Int, plan: ReplyPlan, usage: Usage, to buffer: inout ByteBuffer) {
        guard endpoint == .chat else { return }
        writeHead(choice: choice, to: &buffer)
        buffer.writeStaticString(#","delta":{},"logprobs":null,"finish_reason":"#)
        writeFinish(plan.finish, to: &buffer)
        buffer.writeStaticString("}]")
        writeChunkEnd(usage: usage, to: &buffer)
    }

    /// The end of the stream: the usage chunk, if the client asked for one, and the terminator.
    func writeEnd(plans: [ReplyPlan], usage: Usage, to buffer: inout ByteBuffer) {
        if includesUsage {
            buffer.writeBytes(chunkHead)
            buffer.writeStaticString("]")
            writeUsage(usage, to: &buffer)
            buffer.writeStaticString("}\n\n")
        }
        buffer.writeStaticString("data: [DONE]\n\n")
    }

    /// A failure after the stream has begun: an event with the error, and the terminator.
    func writeFailure(_ error: APIError, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("data: ")
        error.write(to: &buffer)
        buffer.writeStaticString("\ndata: [DONE]\n\n")
    }

    // MARK: Whole bodies

    /// The body of a reply that is not streamed.
    func writeBody(plans: [ReplyPlan], usage: Usage, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("{")
        buffer.writeBytes(identity)
        buffer.writeStaticString(endpoint == .chat ? "chat.completion" : "text_completion")
        buffer.writeBytes(origin)
        buffer.writeStaticString(#","choices":["#)
        for (choice, plan) in plans.enumerated() {
            if choice > 0 { buffer.writeStaticString(",") }
            buffer.writeStaticString(#"{"index":"#)
            buffer.writeDecimal(choice)
            writeWholeReply(plan, to: &buffer)
            buffer.writeStaticString(#","logprobs":null,"finish_reason":"#)
            writeFinish(plan.finish, to: &buffer)
            buffer.writeStaticString("}")
        }
        buffer.writeStaticString("]")
        writeUsage(usage, to: &buffer)
        buffer.writeStaticString("}\n")
    }

    private func writeWholeReply(_ plan: ReplyPlan, to buffer: inout ByteBuffer) {
        switch (endpoint, plan.form) {
        case (.completion, _): buffer.writeStaticString(#","text":""#)
        case (.chat, .toolCall(let name)):
            buffer.writeStaticString(#","message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_"#)
            buffer.writeHexadecimal(plan.fillerSeed)
            buffer.writeStaticString(#"","type":"function","function":{"name":"#)
            buffer.writeJSONString(name)
            buffer.writeStaticString(#","arguments":""#)
        default: buffer.writeStaticString(#","message":{"role":"assistant","content":""#)
        }
        plan.writeText(isStructured: isStructured(plan), to: &buffer)
        switch (endpoint, plan.form) {
        case (.completion, _): buffer.writeStaticString("\"")
        case (.chat, .toolCall): buffer.writeStaticString(#""}}]}"#)
        default: buffer.writeStaticString(#""}"#)
        }
    }

    // MARK: Parts

    private func isStructured(_ plan: ReplyPlan) -> Bool { endpoint == .chat && plan.form != .text }

    private func writeHead(choice: Int, to buffer: inout ByteBuffer) {
        buffer.writeBytes(chunkHead)
        buffer.writeStaticString(#"{"index":"#)
        buffer.writeDecimal(choice)
    }

    private func writeFinish(_ reason: FinishReason, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("\"")
        buffer.writeStaticString(reason.name)
        buffer.writeStaticString("\"")
    }

    private func writeChunkEnd(usage: Usage, to buffer: inout ByteBuffer) {
        if includesContinuousUsage { writeUsage(usage, to: &buffer) }
        buffer.writeStaticString("}\n\n")
    }

    private func writeUsage(_ usage: Usage, to buffer: inout ByteBuffer) {
        buffer.writeStaticString(#","usage":{"prompt_tokens":"#)
        buffer.writeDecimal(usage.promptTokens)
        buffer.writeStaticString(#","completion_tokens":"#)
        buffer.writeDecimal(usage.completionTokens)
        buffer.writeStaticString(#","total_tokens":"#)
        buffer.writeDecimal(usage.promptTokens + usage.completionTokens)
        buffer.writeStaticString(#","prompt_tokens_details":{"cached_tokens":"#)
        buffer.writeDecimal(usage.cachedTokens)
        buffer.writeStaticString("}}")
    }
}
