//===----------------------------------------------------------------------===//
// Requests as bytes of HTTP/1.1.
//===----------------------------------------------------------------------===//

import NIOCore
import Workload

/// Writes the HTTP request for each request of the workload. All that does not change is encoded once.
struct RequestWriter {
    private let head: [UInt8]
    private let bodyStart: [UInt8]
    private let bodyMiddle: [UInt8]
    private let bodyEnd: [UInt8]
    private let prompts: PromptText
    private let allocator = ByteBufferAllocator()

    init(_ configuration: LoadConfiguration, words: WordList) {
        let target = configuration.target
        var lines = ["POST \(target.pathPrefix)\(configuration.endpoint.path) HTTP/1.1", "Host: \(target.hostHeader)"]
        lines += ["User-Agent: trainyard-load", "Content-Type: application/json"]
        lines.append(configuration.streams ? "Accept: text/event-stream" : "Accept: application/json")
        lines += configuration.headers.map { "\($0.name): \($0.value)" }
        head = Array((lines.joined(separator: "\r\n") + "\r\nContent-Length: ").utf8)
        let model = RequestWriter.escaped(configuration.model)
        switch configuration.endpoint {
        case .chat:
            bodyStart = Array("{\"model\":\"\(model)\",\"messages\":[{\"role\":\"user\",\"content\":\"".utf8)
            bodyMiddle = Array("\"}],\"max_tokens\":".utf8)
        case .completions:
            bodyStart = Array("{\"model\":\"\(model)\",\"prompt\":\"".utf8)
            bodyMiddle = Array("\",\"max_tokens\":".utf8)
        }
        var end = ""
        if configuration.streams { end += ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" }
        if configuration.ignoresEndOfSequence { end += ",\"ignore_eos\":true" }
        bodyEnd = Array((end + "}").utf8)
        prompts = PromptText(words, texts: configuration.prompts, seed: configuration.seed)
    }

    /// The bytes of `request`, head and body in one buffer.
    func encode(_ request: Request) -> ByteBuffer {
        var body = allocator.buffer(capacity: bodyStart.count + Int(request.promptTokens) * 8 + 160)
        // The length of the body goes before it, so room is left for the head and what is not used of it is skipped.
        let room = head.count + 24
        body.moveWriterIndex(to: room)
        body.moveReaderIndex(to: room)
        body.writeBytes(bodyStart)
        prompts.write(request, into: &body)
        body.writeBytes(bodyMiddle)
        RequestWriter.write(Int(request.outputTokens), into: &body)
        if request.priority != 0 {
            body.writeString(",\"priority\":\(request.priority)")
        }
        body.writeBytes(bodyEnd)
        var digits = allocator.buffer(capacity: 24)
        RequestWriter.write(body.readableBytes, into: &digits)
        digits.writeStaticString("\r\n\r\n")
        let start = room - digits.readableBytes - head.count
        body.setBytes(head, at: start)
        body.setBuffer(digits, at: start + head.count)
        body.moveReaderIndex(to: start)
        return body
    }

    private static func write(_ number: Int, into buffer: inout ByteBuffer) {
        precondition(number >= 0)
        var divisor = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            buffer.writeInteger(UInt8(48 + number / divisor % 10))
            divisor /= 10
        }
    }

    /// `text` for the inside of a JSON string.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
