//===----------------------------------------------------------------------===//
// Single GET requests beside the load: the model's name, the server's metrics.
//===----------------------------------------------------------------------===//

import CSocket
import Dispatch

/// One GET, its whole answer in memory.
public enum ServerQuery {
    /// Status and body of `path` at `target`.
    public static func get(
        _ target: LoadTarget, path: String, headers: [(name: String, value: String)] = [],
        verifiesCertificates: Bool = true, rootCertificatePath: String? = nil,
        timeoutNanoseconds: Int64 = 5_000_000_000
    ) async throws(LoadError) -> (status: Int, body: [UInt8]) {
        // Waiting is done on a thread that nothing else waits for.
        let result: Result<Answer, LoadError> = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                let result = Result { () throws(LoadError) in
                    let secure: SecureSession? = try session(target, verifiesCertificates, rootCertificatePath)
                    var query = Query(secure: secure, deadline: csocket_now() + timeoutNanoseconds)
                    return try query.run(ServerAddress(resolving: target), request(target, path, headers))
                }
                continuation.resume(returning: result)
            }
        }
        do throws(LoadError) {
            let answer = try result.get()
            return (answer.status, answer.body)
        } catch {
            throw LoadError("\(target.usesTLS ? "https" : "http")://\(target.place)\(path): \(error)")
        }
    }

    private static func session(
        _ target: LoadTarget, _ verifies: Bool, _ rootCertificatePath: String?
    ) throws(LoadError) -> SecureSession? {
        guard target.usesTLS else { return nil }
        let context = try SecureSession.context(verifies: verifies, rootCertificatePath: rootCertificatePath)
        do {
            return try SecureSession(context, host: target.host)
        } catch {
            throw LoadError("\(error)")
        }
    }

    private static func request(
        _ target: LoadTarget, _ path: String, _ headers: [(name: String, value: String)]
    ) -> [UInt8] {
        var text =
            "GET \(path) HTTP/1.1\r\nHost: \(target.hostHeader)\r\nUser-Agent: trainyard-load\r\nConnection: close\r\n"
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        return Array((text + "\r\n").utf8)
    }

    /// The name of the first model that the server lists.
    public static func firstModel(
        _ target: LoadTarget, headers: [(name: String, value: String)], verifiesCertificates: Bool,
        rootCertificatePath: String? = nil
    ) async throws(LoadError) -> String {
        let path = "\(target.pathPrefix)/v1/models"
        let answer = try await get(
            target, path: path, headers: headers, verifiesCertificates: verifiesCertificates,
            rootCertificatePath: rootCertificatePath)
        guard answer.status == 200 else {
            throw LoadError("\(path) answered HTTP \(answer.status); name the model with --model")
        }
        if let name = ModelList.firstName(answer.body) { return name }
        throw LoadError("\(path) lists no model; name it with --model")
    }
}

/// A whole answer.
private struct Answer: HTTPResponseSink, Sendable {
    static let largestBody = 64 << 20

    var status = 0
    var body: [UInt8] = []
    var isComplete = false

    mutating func head(_ head: ResponseHead) { status = head.status }

    mutating func body(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        body.append(contentsOf: bytes)
        return body.count < Answer.largestBody
    }

    mutating func end() { isComplete = true }
}

/// One request on a connection of its own, waited for.
private struct Query {
    let secure: SecureSession?
    /// CLOCK_MONOTONIC, in nanoseconds.
    let deadline: Int64
    private var descriptor: Int32 = -1
    private var parser = HTTPResponseParser()
    private var answer = Answer()

    init(secure: SecureSession?, deadline: Int64) {
        self.secure = secure
        self.deadline = deadline
    }

    mutating func run(_ address: ServerAddress, _ request: [UInt8]) throws(LoadError) -> Answer {
        descriptor = address.connect(stamps: false)
        guard descriptor >= 0 else { throw LoadError("cannot connect: \(SystemFault.text(-descriptor))") }
        defer { csocket_close(descriptor) }
        try wait(for: csocket_writable)
        let code = csocket_connect_result(descriptor)
        guard code == 0 else { throw LoadError("cannot connect: \(SystemFault.text(code))") }
        if let secure {
            secure.send(request[...])
            try sendSecured(secure)
        } else {
            try send(request)
        }
        while !answer.isComplete { try receive() }
        return answer
    }

    private func wait(for wanted: UInt32) throws(LoadError) {
        guard csocket_await(descriptor, wanted, deadline - csocket_now()) == 1 else {
            throw LoadError("no answer in time")
        }
    }

    private func send(_ bytes: [UInt8]) throws(LoadError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { csocket_send(descriptor, $0.baseAddress, $0.count) }
            if sent >= 0 {
                rest = rest.dropFirst(sent)
            } else if Int32(-sent) == SystemFault.wouldBlock {
                try wait(for: csocket_writable)
            } else {
                throw LoadError("cannot send: \(SystemFault.text(Int32(-sent)))")
            }
        }
    }

    private func sendSecured(_ secure: SecureSession) throws(LoadError) {
        var output: [UInt8] = []
        do {
            try secure.takeOutput(into: &output)
        } catch {
            throw LoadError("\(error)")
        }
        try send(output)
    }

    private mutating func receive() throws(LoadError) {
        try wait(for: csocket_readable)
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        var stamp: Int64 = 0
        let count = bytes.withUnsafeMutableBytes { csocket_receive(descriptor, $0.baseAddress, $0.count, &stamp) }
        if count > 0 {
            return try take(bytes[..<count])
        }
        if count < 0, Int32(-count) == SystemFault.wouldBlock { return }
        _ = parser.connectionEnded(&answer)
        guard answer.isComplete else {
            throw LoadError(
                "the connection ended before the answer was complete"
                    + (count < 0 ? ": \(SystemFault.text(Int32(-count)))" : ""))
        }
    }

    private mutating func take(_ bytes: ArraySlice<UInt8>) throws(LoadError) {
        guard let secure else {
            return try bytes.withUnsafeBufferPointer { (plain) throws(LoadError) in try feed(plain) }
        }
        var parts: [[UInt8]] = []
        do {
            try bytes.withUnsafeBytes { raw in try secure.receive(raw) { parts.append(Array($0)) } }
        } catch {
            throw LoadError("\(error)")
        }
        try sendSecured(secure)
        for part in parts { try part.withUnsafeBufferPointer { (plain) throws(LoadError) in try feed(plain) } }
    }

    private mutating func feed(_ bytes: UnsafeBufferPointer<UInt8>) throws(LoadError) {
        guard !answer.isComplete else { return }
        do throws(HTTPFault) {
            _ = try parser.feed(bytes, &answer)
        } catch {
            throw LoadError("the answer is not HTTP: \(error.reason)")
        }
        guard answer.isComplete || answer.body.count < Answer.largestBody else {
            throw LoadError("the answer is longer than \(Answer.largestBody >> 20) MiB")
        }
    }
}
