//===----------------------------------------------------------------------===//
// A connection that is waited for.
//===----------------------------------------------------------------------===//

import CSocket

/// A socket of its own for one request beside the load. Every call waits, until the deadline at most.
final class ServerSocket {
    enum Received {
        case bytes([UInt8])
        /// None yet.
        case nothing
        /// The connection is gone, for a reason if it was an error.
        case end(String?)
    }

    private var descriptor: Int32 = -1
    /// CLOCK_MONOTONIC, in nanoseconds.
    private let deadline: Int64

    init(deadline: Int64) { self.deadline = deadline }

    deinit { if descriptor >= 0 { csocket_close(descriptor) } }

    func connect(_ address: ServerAddress) throws(LoadError) {
        descriptor = address.connect(stamps: false)
        guard descriptor >= 0 else { throw LoadError("cannot connect: \(SystemFault.text(-descriptor))") }
        try wait(for: csocket_writable)
        let code = csocket_connect_result(descriptor)
        guard code == 0 else { throw LoadError("cannot connect: \(SystemFault.text(code))") }
    }

    private func wait(for wanted: UInt32) throws(LoadError) {
        guard csocket_await(descriptor, wanted, deadline - csocket_now()) == 1 else {
            throw LoadError("no answer in time")
        }
    }

    func send(_ bytes: [UInt8]) throws(LoadError) {
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

    /// Sends what TLS wants sent.
    func send(_ secure: SecureSession) throws(LoadError) {
        var output: [UInt8] = []
        do {
            try secure.takeOutput(into: &output)
        } catch {
            throw LoadError("\(error)")
        }
        try send(output)
    }

    func receive() throws(LoadError) -> Received {
        try wait(for: csocket_readable)
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        var stamp: Int64 = 0
        let count = bytes.withUnsafeMutableBytes { csocket_receive(descriptor, $0.baseAddress, $0.count, &stamp) }
        if count > 0 { return .bytes(Array(bytes[..<count])) }
        if count < 0, Int32(-count) == SystemFault.wouldBlock { return .nothing }
        return .end(count < 0 ? SystemFault.text(Int32(-count)) : nil)
    }

    /// What received bytes mean, in parts.
    func plain(_ bytes: [UInt8], _ secure: SecureSession?) throws(LoadError) -> [[UInt8]] {
        guard let secure else { return [bytes] }
        var parts: [[UInt8]] = []
        do {
            try bytes.withUnsafeBytes { raw in try secure.receive(raw) { parts.append(Array($0)) } }
        } catch {
            throw LoadError(SecureSession.faultOfAgreement(error) ?? "\(error)")
        }
        try send(secure)
        return parts
    }

    static func endedEarly(_ reason: String?) -> LoadError {
        LoadError("the connection ended before the answer was complete" + (reason.map { ": \($0)" } ?? ""))
    }
}
