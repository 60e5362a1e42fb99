//===----------------------------------------------------------------------===//
// Replies of /v1/embeddings.
//===----------------------------------------------------------------------===//

import Foundation
import NIOCore

/// Writes vectors of length 1 that follow from the prompt alone: equal prompts get equal vectors, different ones vectors that
/// are nearly orthogonal. They mean nothing, as the reply's words do.
struct EmbeddingsWriter: ReplyWriting {
    private let model: String
    private let form: EmbeddingForm

    init(request: GenerationRequest) {
        model = request.model
        form = request.embedding
    }

    func writeBody(plans: [ReplyPlan], usage: Usage, to buffer: inout ByteBuffer) {
        buffer.writeStaticString(#"{"object":"list","data":["#)
        for (index, plan) in plans.enumerated() {
            buffer.writeStaticString(index == 0 ? "" : ",")
            buffer.writeStaticString(#"{"object":"embedding","index":"#)
            buffer.writeDecimal(index)
            buffer.writeStaticString(#","embedding":"#)
            write(Self.vector(seed: plan.fillerSeed, dimensions: form.dimensions), to: &buffer)
            buffer.writeStaticString("}")
        }
        buffer.writeStaticString(#"],"model":"#)
        buffer.writeJSONString(model)
        buffer.writeStaticString(#","usage":{"prompt_tokens":"#)
        buffer.writeDecimal(usage.promptTokens)
        buffer.writeStaticString(#","total_tokens":"#)
        buffer.writeDecimal(usage.promptTokens)
        buffer.writeStaticString("}}\n")
    }

    /// Uniform numbers around zero, scaled to length 1.
    static func vector(seed: UInt64, dimensions: Int) -> [Float] {
        var squares = 0.0
        let numbers = (0..<dimensions).map { index -> Double in
            let draw = Double(mixed(seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15) >> 11) * 0x1p-52 - 1
            squares += draw * draw
            return draw
        }
        let scale = 1 / squares.squareRoot()
        return numbers.map { Float($0 * scale) }
    }

    private func write(_ vector: [Float], to buffer: inout ByteBuffer) {
        guard form.isBase64 else {
            buffer.writeStaticString("[")
            for (index, number) in vector.enumerated() {
                buffer.writeStaticString(index == 0 ? "" : ",")
                buffer.writeString("\(number)")
            }
            buffer.writeStaticString("]")
            return
        }
        var bytes = Data(capacity: vector.count * 4)
        for number in vector { withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) } }
        buffer.writeStaticString("\"")
        buffer.writeString(bytes.base64EncodedString())
        buffer.writeStaticString("\"")
    }

    // An embedding is never streamed: its body has no `stream`.

    func writeOpening(choice: Int, plan: ReplyPlan, usage: Usage, to buffer: inout ByteBuffer) {}
    func writeToken(
        _ index: Int32, choice: Int, plan: ReplyPlan, textBytes: Int, usage: Usage, to buffer: inout ByteBuffer
    ) -> Int { 0 }
    func writeClosing(choice: Int, plan: ReplyPlan, usage: Usage, to buffer: inout ByteBuffer) {}
    func writeEnd(plans: [ReplyPlan], usage: Usage, to buffer: inout ByteBuffer) {}
    func writeFailure(_ error: APIError, to buffer: inout ByteBuffer) {}
}
