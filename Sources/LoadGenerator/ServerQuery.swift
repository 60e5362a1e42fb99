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
                    let deadline = csocket_now() + timeoutNanoseconds
                    let address = try ServerAddress(resolving: target)
                    if target.usesHTTP2 {
                        let fields = try RequestFields("GET", target, path: path, headers)
                        let query = MultiplexedQuery(ServerSocket(deadline: deadline), secure, fields)
                        return try query.run(address)
                    }
                    var query = Query(socket: ServerSocket(deadline: deadline), secure: secure)
                    return try query.run(address, request(target, path, headers))
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
        let context = try SecureSession.context(
            verifies: verifies, rootCertificatePath: rootCertificatePath, protocols: target.protocols)
        do {
            return try SecureSession(context, host: target.host, asksForProtocol: target.usesHTTP2)
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
struct Answer: HTTPResponseSink, Sendable {
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

    func checkSize() throws(LoadError) {
        guard isComplete || body.count < Answer.largestBody else {
            throw LoadError("the answer is longer than \(Answer.largestBody >> 20) MiB")
        }
    }
}

/// One request of HTTP/1.1 on a connection of its own, waited for.
private struct Query {
    let socket: ServerSocket
    let secure: SecureSession?
    private var parser = HTTPResponseParser()
    private var answer = Answer()

    init(socket: ServerSocket, secure: SecureSession?) {
        self.socket = socket
        self.secure = secure
    }

    mutating func run(_ address: ServerAddress, _ request: [UInt8]) throws(LoadError) -> Answer {
        try socket.connect(address)
        if let secure {
            secure.send(request[...])
            try socket.send(secure)
        } else {
            try socket.send(request)
        }
        while !answer.isComplete { try receive() }
        return answer
    }

    private mutating func receive() throws(LoadError) {
        switch try socket.receive() {
        case .bytes(let bytes): for part in try socket.plain(bytes, secure) { try feed(part) }
        case .nothing: break
        case .end(let reason):
            _ = parser.connectionEnded(&answer)
            guard answer.isComplete else { throw ServerSocket.endedEarly(reason) }
        }
    }

    private mutating func feed(_ bytes: [UInt8]) throws(LoadError) {
        guard !answer.isComplete else { return }
        do throws(HTTPFault) {
            _ = try bytes.withUnsafeBufferPointer { (bytes) throws(HTTPFault) in try parser.feed(bytes, &answer) }
        } catch {
            throw LoadError("the answer is not HTTP: \(error.reason)")
        }
        try answer.checkSize()
    }
}
