//===----------------------------------------------------------------------===//
// A blocking HTTP/1.1 client over a plain socket, so that tests see exactly what arrives and when.
//===----------------------------------------------------------------------===//

import Dispatch
import Foundation

/// Runs blocking work on a thread of its own, away from the pool that the server under test may need.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread { continuation.resume(with: Swift.Result { try body() }) }
        thread.stackSize = 1 << 20
        thread.start()
    }
}

struct SocketError: Error, CustomStringConvertible {
    var description: String
}

/// A response as it came.
struct RawResponse: Sendable {
    var status: Int
    var headers: [String: String]
    var body: [UInt8]
    /// Server-sent events with the nanoseconds (monotonic) at which the read that completed each returned.
    var events: [(text: String, atNanoseconds: Int64)] = []
    var text: String { String(decoding: body, as: UTF8.self) }
    var json: [String: Any]? { (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] }
    var errorCode: String? { (json?["error"] as? [String: Any])?["code"] as? String }
}

/// One connection.
final class SocketClient: @unchecked Sendable {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private(set) var isAtEnd = false

    /// Connects to a Unix socket.
    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError(description: "socket: errno \(errno)") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard code == 0 else {
            let reason = errno
            close(descriptor)
            throw SocketError(description: "connect to \(path): errno \(reason)")
        }
    }

    init(port: Int, receiveBufferBytes: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError(description: "socket: errno \(errno)") }
        if var bytes = receiveBufferBytes {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            close(descriptor)
            throw SocketError(description: "connect to \(port): errno \(errno)")
        }
        var timeout = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    static func now() -> Int64 {
        Int64(DispatchTime.now().uptimeNanoseconds)
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw SocketError(description: "send: errno \(errno)") }
            sent += count
        }
    }

    func request(_ method: String, _ path: String, body: String? = nil, headers: [String: String] = [:]) throws {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        if let body { text += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n" }
        try send(text + "\r\n" + (body ?? ""))
    }

    /// Reads what is there, at least one byte; false at the end of the connection.
    @discardableResult
    func fill() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count >= 0 else { throw SocketError(description: "recv: errno \(errno)") }
        if count == 0 { isAtEnd = true }
        buffer.append(contentsOf: chunk.prefix(count))
        return count > 0
    }

    private func line() throws -> String {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeSubrange(...end)
                return line.hasSuffix("\r") ? String(line.dropLast()) : line
            }
            guard try fill() else { throw SocketError(description: "the connection ended inside a line") }
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while buffer.count < count {
            guard try fill() else { throw SocketError(description: "the connection ended inside a body") }
        }
        defer { buffer.removeFirst(count) }
        return Array(buffer.prefix(count))
    }

    /// Reads one response to its end.
    func response(isHead: Bool = false) throws -> RawResponse {
        let status = try line().split(separator: " ")
        guard status.count >= 2, let code = Int(status[1]) else {
            throw SocketError(description: "no status line: \(status)")
        }
        var response = RawResponse(status: code, headers: [:], body: [])
        while true {
            let field = try line()
            if field.isEmpty { break }
            guard let colon = field.firstIndex(of: ":") else {
                throw SocketError(description: "no header field: \(field)")
            }
            response.headers[field[..<colon].lowercased()] = field[field.index(after: colon)...].trimmingCharacters(
                in: .whitespaces)
        }
        if code == 100 { return try self.response(isHead: isHead) }
        if isHead { return response }
        if response.headers["transfer-encoding"] == "chunked" {
            try readChunks(into: &response)
        } else if let length = response.headers["content-length"].flatMap({ Int($0) }) {
            response.body = try take(length)
        } else {
            while try fill() {}
            response.body = buffer
            buffer = []
        }
        return response
    }

    private func readChunks(into response: inout RawResponse) throws {
        var pending = ""
        while true {
            guard let length = Int(try line(), radix: 16) else { throw SocketError(description: "no chunk size") }
            let bytes = try take(length)
            let arrived = Self.now()
            _ = try line()
            if length == 0 { return }
            response.body += bytes
            pending += String(decoding: bytes, as: UTF8.self)
            while let end = pending.range(of: "\n\n") {
                let event = pending[..<end.lowerBound]
                // Events of the Responses API have a name in a line of its own.
                let data = event.hasPrefix("event: ") ? event.drop { $0 != "\n" }.dropFirst() : event
                response.events.append((String(data.dropFirst("data: ".count)), arrived))
                pending.removeSubrange(..<end.upperBound)
            }
        }
    }

    /// Whether the server closed the connection, having read what it still sent.
    func waitForEnd() throws -> Bool {
        while try fill() {}
        return isAtEnd
    }
}

extension RawResponse {
    /// Content of the streamed deltas.
    var deltas: [String] {
        events.compactMap { event in
            let object = (try? JSONSerialization.jsonObject(with: Data(event.text.utf8))) as? [String: Any]
            let choice = (object?["choices"] as? [[String: Any]])?.first
            return (choice?["delta"] as? [String: Any])?["content"] as? String ?? choice?["text"] as? String
        }
    }

    /// When each event with text arrived.
    var tokenTimes: [Int64] {
        events.filter { event in
            let object = (try? JSONSerialization.jsonObject(with: Data(event.text.utf8))) as? [String: Any]
            let choice = (object?["choices"] as? [[String: Any]])?.first
            let text = (choice?["delta"] as? [String: Any])?["content"] as? String ?? choice?["text"] as? String
            return text?.isEmpty == false
        }.map(\.atNanoseconds)
    }

    var usage: [String: Any]? {
        if let usage = json?["usage"] as? [String: Any] { return usage }
        return events.lazy.compactMap { event in
            ((try? JSONSerialization.jsonObject(with: Data(event.text.utf8))) as? [String: Any])?["usage"]
                as? [String: Any]
        }.last
    }
}
