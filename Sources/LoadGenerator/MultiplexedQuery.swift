//===----------------------------------------------------------------------===//
// Single GET requests of HTTP/2.
//===----------------------------------------------------------------------===//

import NIOCore

/// One request on a connection of its own, waited for.
final class MultiplexedQuery {
    private let socket: ServerSocket
    private let secure: SecureSession?
    private let fields: RequestFields
    private let session = MultiplexedSession()
    private var hasStarted = false
    private var hasAsked = false
    private var answer = Answer()

    init(_ socket: ServerSocket, _ secure: SecureSession?, _ fields: RequestFields) {
        self.socket = socket
        self.secure = secure
        self.fields = fields
    }

    func run(_ address: ServerAddress) throws(LoadError) -> Answer {
        try socket.connect(address)
        if secure == nil { start() }
        while true {
            try sendOutput()
            if answer.isComplete { return answer }
            switch try socket.receive() {
            case .bytes(let bytes):
                let parts = try socket.plain(bytes, secure)
                try agree()
                for part in parts { try take(part) }
            case .nothing: break
            case .end(let reason):
                if let fault = session.faultOfOpening { throw LoadError("the answer is not HTTP/2: \(fault)") }
                throw ServerSocket.endedEarly(reason)
            }
        }
    }

    private func start() {
        hasStarted = true
        session.start()
    }

    private func agree() throws(LoadError) {
        guard !hasStarted, let secure, secure.isEstablished else { return }
        if let fault = secure.faultOfAgreement { throw LoadError(fault) }
        start()
    }

    private func sendOutput() throws(LoadError) {
        let output = session.takeOutput()
        guard let secure else { return try socket.send(output) }
        if !output.isEmpty { secure.send(output[...]) }
        try socket.send(secure)
    }

    private func take(_ bytes: [UInt8]) throws(LoadError) {
        bytes.withUnsafeBytes { session.receive($0) }
        while let event = session.nextEvent() { try handle(event) }
    }

    private func handle(_ event: MultiplexedEvent) throws(LoadError) {
        switch event {
        case .settled:
            // Later settings change nothing for the one request.
            guard !hasAsked, session.canOpen else { return }
            hasAsked = true
            _ = session.open(fields.fields(bodyLength: nil), body: nil)
        case .head(_, let fields, let isLast):
            if answer.status < 200 {
                do throws(HTTPFault) {
                    answer.head(try ResponseHead.reading(fields).0)
                } catch {
                    throw LoadError("the answer is not HTTP/2: \(error.reason)")
                }
            }
            if isLast { answer.end() }
        case .body(_, let bytes, let isLast):
            _ = bytes.withUnsafeReadableBytes { answer.body($0.assumingMemoryBound(to: UInt8.self)) }
            if isLast { answer.end() }
            try answer.checkSize()
        case .reset(_, let reason): throw LoadError("the server reset the stream (\(reason))")
        case .faulty(_, let reason), .broken(let reason): throw LoadError("the answer is not HTTP/2: \(reason)")
        case .leaving(let last, let reason):
            guard last == 0 else { return }
            throw LoadError("the server went away before it took the request (\(reason))")
        }
    }
}
