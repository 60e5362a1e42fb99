//===----------------------------------------------------------------------===//
// One connection to the server, carrying one request at a time.
//===----------------------------------------------------------------------===//

import CSocket

/// Feeds what comes to the parser and the request on its way, and tells the worker when that has ended.
///
/// Used on its worker's loop only. An open stream costs this object and nothing else: bytes are received into the
/// loop's buffer and parsed there, and only a line that is cut in the middle is kept.
final class StreamConnection: PollHandler {
    private enum Phase {
        case connecting, open, closed
    }

    private unowned let worker: LoadWorker
    private let descriptor: Int32
    private var phase = Phase.connecting
    private let secure: SecureSession?
    private var parser = HTTPResponseParser()
    /// The request on its way, and the workload's request that it came from.
    private var exchange: StreamExchange?
    private(set) var ticket: RequestTicket?
    private var unsent = UnsentBytes()
    /// Requests that have used this connection, the present one included.
    private(set) var uses = 0
    /// Place among the worker's active connections.
    var activeIndex = -1

    var isConnecting: Bool { phase == .connecting }

    /// Takes over a descriptor whose connection has begun; `ticket` is sent once it is made.
    init(_ descriptor: Int32, worker: LoadWorker, secure: SecureSession?, for ticket: RequestTicket) {
        self.descriptor = descriptor
        self.worker = worker
        self.secure = secure
        self.ticket = ticket
        worker.loop.add(descriptor, self, for: csocket_writable)
    }

    /// Sends a request. The connection must be open and idle.
    func send(_ bytes: ArraySlice<UInt8>, _ exchange: StreamExchange, _ ticket: RequestTicket) {
        precondition(self.exchange == nil && phase == .open, "a connection carries one request at a time")
        self.exchange = exchange
        self.ticket = ticket
        uses += 1
        if let secure {
            secure.send(bytes)
            sendSecured()
        } else {
            unsent.send(bytes, on: descriptor, of: worker.loop)
        }
    }

    func ready(_ ready: UInt32) {
        if phase == .connecting { return connectionEnds() }
        if ready & csocket_writable != 0, !unsent.isEmpty { unsent.flush(on: descriptor, of: worker.loop) }
        if ready & (csocket_readable | csocket_broken) != 0, phase == .open { receive() }
    }

    /// Gives the present request up with `status`; the connection is closed.
    func giveUp(_ status: RequestStatus, _ reason: String) {
        guard exchange != nil else { return }
        exchange!.beginFeed(at: worker.now())
        exchange!.fail(status, reason)
        finish(reusable: false)
    }

    func close() {
        guard phase != .closed else { return }
        phase = .closed
        unsent.drop()
        worker.loop.close(descriptor)
    }

    // MARK: the socket

    /// The attempt to connect has ended, one way or the other.
    private func connectionEnds() {
        guard let ticket else { return }
        let code = csocket_connect_result(descriptor)
        self.ticket = nil
        guard code == 0 else {
            close()
            return worker.connectFailed(self, ticket, SystemFault.text(code))
        }
        phase = .open
        worker.loop.change(descriptor, to: csocket_readable)
        worker.connected(self, ticket)
    }

    private func receive() {
        let buffer = worker.loop.received
        while phase == .open {
            var stamp: Int64 = 0
            let count = csocket_receive(descriptor, buffer.baseAddress, buffer.count, &stamp)
            if count > 0 {
                take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: worker.time(ofStamp: stamp))
                if count < buffer.count { return }
            } else if count < 0, Int32(-count) == SystemFault.wouldBlock {
                return
            } else {
                return connectionEnded(count == 0 ? nil : SystemFault.text(Int32(-count)))
            }
        }
    }

    private func take(_ bytes: UnsafeRawBufferPointer, at time: Int64) {
        guard let secure else { return feed(bytes.assumingMemoryBound(to: UInt8.self), at: time) }
        do {
            try secure.receive(bytes) { feed($0, at: time) }
            sendSecured()
        } catch {
            connectionEnded("\(error)")
        }
    }

    private func sendSecured() {
        guard let secure, phase == .open else { return }
        var output: [UInt8] = []
        do {
            try secure.takeOutput(into: &output)
        } catch {
            return connectionEnded("\(error)")
        }
        if !output.isEmpty { unsent.send(output[...], on: descriptor, of: worker.loop) }
    }

    // MARK: the answer

    private func feed(_ bytes: UnsafeBufferPointer<UInt8>, at time: Int64) {
        guard phase == .open else { return }
        guard exchange != nil else {
            // Bytes that nobody asked for.
            worker.idleConnectionBroke(self)
            return close()
        }
        exchange!.beginFeed(at: time)
        var ended: Int?
        do throws(HTTPFault) {
            ended = try parser.feed(bytes, &exchange!)
        } catch {
            exchange!.fail(.garbage, "not a response of HTTP/1.1: \(error.reason)")
        }
        worker.noteProgress(exchange!)
        guard exchange!.isFinished || ended != nil else { return }
        // Whatever follows the end of the answer belongs to no request.
        finish(reusable: ended == bytes.count && exchange!.keepsConnection)
    }

    /// The connection is gone, for `reason` if it was an error.
    private func connectionEnded(_ reason: String?) {
        guard phase == .open else { return }
        if exchange == nil {
            worker.idleConnectionBroke(self)
            return close()
        }
        let time = worker.now()
        exchange!.beginFeed(at: time)
        if reason != nil || !parser.connectionEnded(&exchange!) { exchange!.connectionLost(at: time, reason) }
        finish(reusable: false)
    }

    private func finish(reusable: Bool) {
        guard let exchange, let ticket else { return }
        self.exchange = nil
        self.ticket = nil
        if !reusable { close() }
        worker.ended(exchange, ticket, on: self, reusable: reusable)
    }
}
