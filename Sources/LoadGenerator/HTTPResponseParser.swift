//===----------------------------------------------------------------------===//
// Responses of HTTP/1.1, byte by byte as they come, with nothing kept but unfinished lines.
//===----------------------------------------------------------------------===//

import Workload

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What the client needs of a response's head.
struct ResponseHead {
    var status = 0
    var isEventStream = false
    var keepsAlive = true
    /// `Retry-After` in seconds.
    var retryAfterSeconds: Int?
}

/// Why a response cannot be understood.
struct HTTPFault: Error {
    var reason: StaticString
}

/// Takes what a parser finds.
protocol HTTPResponseSink {
    mutating func head(_ head: ResponseHead)
    /// A piece of the body; false stops the parser (the request was given up).
    mutating func body(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool
    mutating func end()
}

/// An incremental parser of one response after the other on a connection. Bodies are framed by `Content-Length`, by
/// chunks, or by the end of the connection. Interim responses (1xx) are passed over.
struct HTTPResponseParser {
    private static let longestLine = 16_384
    private static let mostHeaderLines = 256

    private enum State {
        case statusLine
        case headers
        case fixed(Int)
        case chunkSize
        case chunk(Int)
        case chunkEnd
        case trailers
        case untilClose
    }

    private enum Framing {
        case none
        case length(Int)
        case chunked
    }

    private var state = State.statusLine
    private var head = ResponseHead()
    private var framing = Framing.none
    private var headerLines = 0
    /// The beginning of a line whose end has not come yet.
    private var carry: [UInt8] = []

    /// Whether nothing of a response has been read.
    var isIdle: Bool { if case .statusLine = state { carry.isEmpty } else { false } }

    /// Goes through `bytes`; returns how many belong to the response when it ended, or nil if it goes on.
    mutating func feed<Sink: HTTPResponseSink>(
        _ bytes: UnsafeBufferPointer<UInt8>, _ sink: inout Sink
    ) throws(HTTPFault) -> Int? {
        var position = 0
        while position < bytes.count {
            switch state {
            case .fixed(let left):
                let count = min(left, bytes.count - position)
                guard sink.body(slice(bytes, position, count)) else { return nil }
                position += count
                if count == left { return finish(&sink, at: position) }
                state = .fixed(left - count)
            case .chunk(let left):
                let count = min(left, bytes.count - position)
                guard sink.body(slice(bytes, position, count)) else { return nil }
                position += count
                state = count == left ? .chunkEnd : .chunk(left - count)
            case .untilClose:
                guard sink.body(slice(bytes, position, bytes.count - position)) else { return nil }
                return nil
            case .statusLine, .headers, .chunkSize, .chunkEnd, .trailers:
                let rest = slice(bytes, position, bytes.count - position)
                guard let newline = memchr(rest.baseAddress!, 10, rest.count) else {
                    guard carry.count + rest.count <= HTTPResponseParser.longestLine else {
                        throw HTTPFault(reason: "a line is too long")
                    }
                    carry.append(contentsOf: rest)
                    return nil
                }
                let length = UnsafeRawPointer(newline) - UnsafeRawPointer(rest.baseAddress!)
                position += length + 1
                let ended: Bool
                if carry.isEmpty {
                    ended = try line(trimmed(slice(rest, 0, length)), &sink)
                } else {
                    carry.append(contentsOf: slice(rest, 0, length))
                    let whole = carry
                    carry.removeAll(keepingCapacity: true)
                    ended = try whole.withUnsafeBufferPointer { (line) throws(HTTPFault) in
                        try self.line(trimmed(line), &sink)
                    }
                }
                if ended { return finish(&sink, at: position) }
            }
        }
        return nil
    }

    /// The connection has ended: true if that ends the response properly.
    mutating func connectionEnded<Sink: HTTPResponseSink>(_ sink: inout Sink) -> Bool {
        guard case .untilClose = state else { return false }
        _ = finish(&sink, at: 0)
        return true
    }

    private mutating func finish<Sink: HTTPResponseSink>(_ sink: inout Sink, at position: Int) -> Int {
        state = .statusLine
        sink.end()
        return position
    }

    @inline(__always)
    private func slice(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ count: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: bytes.baseAddress! + start, count: count)
    }

    @inline(__always)
    private func trimmed(_ line: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        line.last == 13 ? UnsafeBufferPointer(rebasing: line.dropLast()) : line
    }

    /// Takes one line in a state that reads lines; true when the response has ended with it.
    private mutating func line<Sink: HTTPResponseSink>(
        _ line: UnsafeBufferPointer<UInt8>, _ sink: inout Sink
    ) throws(HTTPFault) -> Bool {
        switch state {
        case .statusLine:
            try statusLine(line)
            return false
        case .headers:
            if !line.isEmpty {
                headerLines += 1
                guard headerLines <= HTTPResponseParser.mostHeaderLines else {
                    throw HTTPFault(reason: "too many header lines")
                }
                try header(line)
                return false
            }
            return try headersEnded(&sink)
        case .chunkSize:
            let size = try chunkSize(line)
            state = size == 0 ? .trailers : .chunk(size)
            return false
        case .chunkEnd:
            guard line.isEmpty else { throw HTTPFault(reason: "a chunk is longer than announced") }
            state = .chunkSize
            return false
        case .trailers: return line.isEmpty
        case .fixed, .chunk, .untilClose: return false
        }
    }

    private mutating func statusLine(_ line: UnsafeBufferPointer<UInt8>) throws(HTTPFault) {
        // "HTTP/1.1 200 OK"
        guard line.count >= 12, starts(line, with: "HTTP/1."), line[8] == 32,
            let status = FieldParsing.integer(UnsafeBufferPointer(rebasing: line[9..<12])), (100...999).contains(status)
        else { throw HTTPFault(reason: "no HTTP status line") }
        head = ResponseHead(status: Int(status), keepsAlive: line[7] == UInt8(ascii: "1"))
        framing = .none
        headerLines = 0
        state = .headers
    }

    private mutating func header(_ line: UnsafeBufferPointer<UInt8>) throws(HTTPFault) {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0 else {
            throw HTTPFault(reason: "a header line without a colon")
        }
        var start = colon + 1
        while start < line.count, line[start] == 32 || line[start] == 9 { start += 1 }
        var end = line.count
        while end > start, line[end - 1] == 32 || line[end - 1] == 9 { end -= 1 }
        let value = UnsafeBufferPointer(rebasing: line[start..<end])
        switch colon {
        case 14 where starts(line, with: "content-length"):
            guard let length = FieldParsing.integer(value), length < 1 << 40 else {
                throw HTTPFault(reason: "a malformed Content-Length")
            }
            if case .chunked = framing { return }
            framing = .length(Int(length))
        case 17 where starts(line, with: "transfer-encoding"):
            guard contains(value, "chunked") else { throw HTTPFault(reason: "an unknown transfer encoding") }
            framing = .chunked
        case 12 where starts(line, with: "content-type"): head.isEventStream = starts(value, with: "text/event-stream")
        case 10 where starts(line, with: "connection"):
            if contains(value, "close") { head.keepsAlive = false }
            if contains(value, "keep-alive") { head.keepsAlive = true }
        case 11 where starts(line, with: "retry-after"):
            head.retryAfterSeconds = FieldParsing.integer(value).flatMap { $0 <= 86_400 ? Int($0) : nil }
        default: break
        }
    }

    private mutating func headersEnded<Sink: HTTPResponseSink>(_ sink: inout Sink) throws(HTTPFault) -> Bool {
        if head.status < 200 {
            state = .statusLine
            return false
        }
        let empty = head.status == 204 || head.status == 304
        if !empty, case .none = framing { head.keepsAlive = false }
        sink.head(head)
        if empty { return true }
        switch framing {
        case .length(let length):
            state = .fixed(length)
            return length == 0
        case .chunked: state = .chunkSize
        case .none: state = .untilClose
        }
        return false
    }

    private func chunkSize(_ line: UnsafeBufferPointer<UInt8>) throws(HTTPFault) -> Int {
        var size = 0
        var digits = 0
        for byte in line {
            let value: UInt8
            switch byte {
            case 48...57: value = byte - 48
            case 97...102: value = byte - 87
            case 65...70: value = byte - 55
            case 59, 32:
                guard digits > 0 else { throw HTTPFault(reason: "a malformed chunk size") }
                return size
            default: throw HTTPFault(reason: "a malformed chunk size")
            }
            digits += 1
            size = size << 4 | Int(value)
            guard digits <= 8 else { throw HTTPFault(reason: "a chunk of 4 GiB or more") }
        }
        guard digits > 0 else { throw HTTPFault(reason: "a malformed chunk size") }
        return size
    }

    /// Whether `bytes` begin with `text`, letters compared without case.
    @inline(__always)
    private func starts(_ bytes: UnsafeBufferPointer<UInt8>, with text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard bytes.count >= count else { return false }
        for index in 0..<count where lower(bytes[index]) != lower(text.utf8Start[index]) { return false }
        return true
    }

    private func contains(_ bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
        guard bytes.count >= text.utf8CodeUnitCount else { return false }
        for start in 0...(bytes.count - text.utf8CodeUnitCount)
        where starts(UnsafeBufferPointer(rebasing: bytes[start...]), with: text) { return true }
        return false
    }

    @inline(__always)
    private func lower(_ byte: UInt8) -> UInt8 { byte >= 65 && byte <= 90 ? byte | 0x20 : byte }
}
