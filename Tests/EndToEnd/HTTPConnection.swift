import Foundation

/// One keep-alive HTTP/1.1 connection to loopback over a plain blocking socket: nothing between the test and the bytes,
/// so that the times at which they arrive are the server's.
final class HTTPConnection {
    struct Answer {
        var status: Int
        var headers: [String: String]
        var body: String
        /// When each piece of the body was read, in seconds since the request was sent.
        var pieces: [(seconds: Double, text: String)]
    }

    struct Broken: Error, CustomStringConvertible { var description: String }

    private let descriptor: Int32
    private var unread: [UInt8] = []

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(port: port)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, length) == 0 }
        }
        guard connected else {
            // All is initialised, so `deinit` closes the socket.
            throw Broken(description: "cannot connect to 127.0.0.1:\(port)")
        }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    func exchange(_ method: String, _ path: String, body: String?) throws -> Answer {
        var head = "\(method) \(path) HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        if let body { head += "content-type: application/json\r\ncontent-length: \(body.utf8.count)\r\n" }
        let start = Self.now()
        try send(Array((head + "\r\n" + (body ?? "")).utf8))
        let headText = try readHead()
        let lines = headText.components(separatedBy: "\r\n")
        guard let status = lines[0].split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw Broken(description: "not a status line: \(lines[0])")
        }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
                in: .whitespaces)
        }
        var answer = Answer(status: status, headers: headers, body: "", pieces: [])
        guard method != "HEAD" else { return answer }
        if headers["transfer-encoding"] == "chunked" {
            while let chunk = try readChunk() { answer.pieces.append((Self.now() - start, chunk)) }
        } else {
            let bytes = try read(Int(headers["content-length"] ?? "0") ?? 0)
            answer.pieces.append((Self.now() - start, String(decoding: bytes, as: UTF8.self)))
        }
        answer.body = answer.pieces.map(\.text).joined()
        return answer
    }

    // MARK: Bytes

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    private func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + sent, bytes.count - sent) }
            guard count > 0 else {
                throw Broken(description: "the server closed the connection while it was written to")
            }
            sent += count
        }
    }

    private func receive() throws {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = Foundation.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { throw Broken(description: "the connection ended in the middle of an answer") }
        unread += buffer[..<count]
    }

    private func readHead() throws -> String {
        while true {
            if let end = unread.firstRange(of: Array("\r\n\r\n".utf8)) {
                let head = String(decoding: unread[..<end.lowerBound], as: UTF8.self)
                unread.removeSubrange(..<end.upperBound)
                return head
            }
            try receive()
        }
    }

    private func read(_ count: Int) throws -> [UInt8] {
        while unread.count < count { try receive() }
        defer { unread.removeSubrange(..<count) }
        return Array(unread[..<count])
    }

    private func readChunk() throws -> String? {
        while true {
            if let end = unread.firstRange(of: Array("\r\n".utf8)) {
                let sizeText = String(decoding: unread[..<end.lowerBound], as: UTF8.self)
                guard let size = Int(sizeText, radix: 16) else {
                    throw Broken(description: "not a chunk size: \(sizeText)")
                }
                unread.removeSubrange(..<end.upperBound)
                let text = String(decoding: try read(size), as: UTF8.self)
                _ = try read(2)
                return size == 0 ? nil : text
            }
            try receive()
        }
    }
}
