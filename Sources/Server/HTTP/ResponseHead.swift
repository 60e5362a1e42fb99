//===----------------------------------------------------------------------===//
// Heads of HTTP/1.1 responses, written straight into the buffer that carries the body.
//===----------------------------------------------------------------------===//

import Glibc
import NIOCore

/// How a body's end is marked.
enum BodyFraming: Equatable {
    /// `Content-Length` with a number of bytes.
    case length(Int)
    /// `Transfer-Encoding: chunked`; HTTP/1.1 only.
    case chunked
    /// The connection closes after it; for HTTP/1.0.
    case untilClose
}

/// Writes status lines and header fields.
enum ResponseHead {
    static func write(
        status: Int, contentType: StaticString, framing: BodyFraming, keepAlive: Bool, requestID: String?,
        date: DateHeader,
        extra: [(String, String)] = [], to buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString("HTTP/1.1 ")
        buffer.writeDecimal(status)
        buffer.writeStaticString(" ")
        buffer.writeStaticString(reason(status))
        buffer.writeStaticString("\r\nContent-Type: ")
        buffer.writeStaticString(contentType)
        switch framing {
        case .length(let bytes):
            buffer.writeStaticString("\r\nContent-Length: ")
            buffer.writeDecimal(bytes)
        case .chunked: buffer.writeStaticString("\r\nTransfer-Encoding: chunked\r\nCache-Control: no-cache")
        case .untilClose: buffer.writeStaticString("\r\nCache-Control: no-cache")
        }
        buffer.writeStaticString("\r\nDate: ")
        buffer.writeBytes(date.text)
        buffer.writeStaticString("\r\nServer: trainyard\r\nx-trainyard-modelled: true\r\n")
        if let requestID {
            buffer.writeStaticString("X-Request-Id: ")
            buffer.writeString(requestID)
            buffer.writeStaticString("\r\n")
        }
        for (name, value) in extra {
            buffer.writeString(name)
            buffer.writeStaticString(": ")
            buffer.writeString(value)
            buffer.writeStaticString("\r\n")
        }
        buffer.writeStaticString(keepAlive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n")
    }

    static func reason(_ status: Int) -> StaticString {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 503: "Service Unavailable"
        default: "Unknown"
        }
    }

    /// A client's request id is echoed only if it is short and cannot break out of its header line.
    static func acceptableRequestID(_ value: String?) -> String? {
        guard let value, (1...128).contains(value.utf8.count), value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return nil
        }
        return value
    }
}

/// The `Date` field's value, formatted once a second.
struct DateHeader: Equatable {
    private(set) var seconds: Int64 = -1
    private(set) var text: [UInt8] = []

    /// - Parameter seconds: Unix time.
    mutating func update(seconds: Int64) {
        guard seconds != self.seconds else { return }
        self.seconds = seconds
        text = Array(Self.format(seconds: seconds).utf8)
    }

    /// IMF-fixdate of RFC 9110, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    static func format(seconds: Int64) -> String {
        var time = time_t(seconds)
        var parts = tm()
        guard gmtime_r(&time, &parts) != nil else { return "Thu, 01 Jan 1970 00:00:00 GMT" }
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return
            "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(parts.tm_year + 1900) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}

extension ByteBuffer {
    /// Hexadecimal digits of a chunk's size (leading zeros are allowed): enough for all that a buffer can hold.
    static let chunkSizeDigits = 8
    /// Bytes that a chunk's size line takes, its end included.
    static let chunkHeaderBytes = chunkSizeDigits + 2

    /// Leaves room for a chunk's size and returns where.
    mutating func beginChunk() -> Int {
        let place = writerIndex
        writeStaticString("00000000\r\n")
        return place
    }

    /// Fills in the size of the chunk begun at `place`; an empty chunk is taken back, because it would end the body.
    mutating func endChunk(at place: Int) {
        let bytes = writerIndex - place - Self.chunkHeaderBytes
        guard bytes > 0 else {
            moveWriterIndex(to: place)
            return
        }
        for digit in 0..<Self.chunkSizeDigits {
            let nibble = UInt8((bytes >> (4 * (Self.chunkSizeDigits - 1 - digit))) & 15)
            setInteger(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10, at: place + digit)
        }
        writeStaticString("\r\n")
    }

    /// The chunk of length zero that ends a body.
    mutating func writeLastChunk() { writeStaticString("0\r\n\r\n") }
}
