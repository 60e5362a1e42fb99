//===----------------------------------------------------------------------===//
// What the routes' ways of writing a reply have in common.
//===----------------------------------------------------------------------===//

import NIOCore

/// Writes one exchange's reply as its route's clients expect it. Chunks are written when the connection can take them, so a
/// writer keeps no text: everything follows from the plan and from how much was written before.
protocol ReplyWriting {
    /// What opens a choice of a stream, before its first token.
    func writeOpening(choice: Int, plan: ReplyPlan, usage: Usage, to buffer: inout ByteBuffer)
    /// The event of one token. Returns the bytes of text written.
    /// - Parameter textBytes: bytes of the choice's text that left before.
    func writeToken(
        _ index: Int32, choice: Int, plan: ReplyPlan, textBytes: Int, usage: Usage, to buffer: inout ByteBuffer
    ) -> Int
    /// What closes a choice of a stream, after its last token.
    func writeClosing(choice: Int, plan: ReplyPlan, usage: Usage, to buffer: inout ByteBuffer)
    /// The end of a stream, after every choice was closed.
    func writeEnd(plans: [ReplyPlan], usage: Usage, to buffer: inout ByteBuffer)
    /// The end of a stream that fails after it has begun.
    func writeFailure(_ error: APIError, to buffer: inout ByteBuffer)
    /// The body of a reply that is not streamed.
    func writeBody(plans: [ReplyPlan], usage: Usage, to buffer: inout ByteBuffer)
}

extension GenerationRequest {
    /// The writer of this request's reply.
    /// - Parameters:
    ///   - number: the exchange's number, unique within the daemon's life.
    ///   - createdSeconds: Unix time.
    func writer(number: UInt64, createdSeconds: Int64) -> any ReplyWriting {
        switch endpoint {
        case .chat, .completion: ReplyWriter(request: self, number: number, createdSeconds: createdSeconds)
        case .responses: ResponsesWriter(request: self, number: number, createdSeconds: createdSeconds)
        case .embeddings: EmbeddingsWriter(request: self)
        }
    }
}

extension ReplyPlan {
    /// Writes the text of one token, within the reply's limit, as it stands inside a string literal. JSON replies have their
    /// first and last token wrapped, so that the whole parses. Returns the bytes of filler written.
    func writeText(_ index: Int32, textBytes: Int, isStructured: Bool, to buffer: inout ByteBuffer) -> Int {
        if isStructured, index == 0 { buffer.writeStaticString(#"{\"text\":\""#) }
        let written = FillerText.withToken(index, seed: fillerSeed) { word in
            buffer.writeBytes(UnsafeBufferPointer(rebasing: word.prefix(max(0, self.textBytes - textBytes))))
        }
        if isStructured, index + 1 == outputTokens { buffer.writeStaticString(#"\"}"#) }
        return written
    }

    /// Writes the whole text as it stands inside a string literal.
    func writeText(isStructured: Bool, to buffer: inout ByteBuffer) {
        var written = 0
        for index in 0..<outputTokens {
            written += writeText(index, textBytes: written, isStructured: isStructured, to: &buffer)
        }
    }
}
