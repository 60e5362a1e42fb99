//===----------------------------------------------------------------------===//
// Requests as bytes: the head of HTTP/1.1 and the body.
//===----------------------------------------------------------------------===//

import Workload

/// Writes the HTTP request for each request of the workload. All that does not change is encoded once.
struct RequestWriter {
    private let head: [UInt8]
    private let bodyStart: [UInt8]
    private let bodyMiddle: [UInt8]
    private let bodyEnd: [UInt8]
    private let prompts: PromptText

    init(_ configuration: LoadConfiguration, prompts: PromptText) {
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
        self.prompts = prompts
    }

    /// Writes `request` into `bytes`, whose content is replaced; returns where it begins there.
    ///
    /// The length of the body stands before the body, so room is left for the head, and what is not used of it is
    /// skipped.
    func encode(_ request: Request, into bytes: inout [UInt8]) -> Int {
        let room = head.count + 24
        bytes.removeAll(keepingCapacity: true)
        bytes.append(contentsOf: repeatElement(0, count: room))
        appendBody(of: request, to: &bytes)
        return fillHead(of: &bytes, room: room)
    }

    /// Appends the JSON of `request`, which is all that HTTP/2 has of it besides header fields.
    func appendBody(of request: Request, to bytes: inout [UInt8]) {
        bytes += bodyStart
        prompts.write(request, into: &bytes)
        bytes += bodyMiddle
        RequestWriter.write(Int(request.outputTokens), into: &bytes)
        if request.priority != 0 { bytes += Array(",\"priority\":\(request.priority)".utf8) }
        bytes += bodyEnd
    }

    /// Puts the head right before the body, which begins at `room`.
    private func fillHead(of bytes: inout [UInt8], room: Int) -> Int {
        var position = room - 4
        bytes.replaceSubrange(position..<room, with: [13, 10, 13, 10])
        var length = bytes.count - room
        repeat {
            position -= 1
            bytes[position] = UInt8(48 + length % 10)
            length /= 10
        } while length > 0
        bytes.replaceSubrange((position - head.count)..<position, with: head)
        return position - head.count
    }

    private static func write(_ number: Int, into bytes: inout [UInt8]) {
        precondition(number >= 0)
        var divisor = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(48 + number / divisor % 10))
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
