//===----------------------------------------------------------------------===//
// One connection to the server, carrying many requests at a time.
//===----------------------------------------------------------------------===//

import CSocket
import NIOCore

/// Joins a socket, TLS if there is any, HTTP/2 and the requests on their way, and tells the worker when one of them has
/// ended. Used on its worker's loop only.
///
/// Requests wait here until the server's settings have come, which say how many may go at once. That is a round trip
/// more than a connection takes, and is part of their latencies as connecting is.
final class MultiplexedConnection: PollHandler {
    enum Phase {
        /// The socket is being connected.
        case connecting
        /// The server's settings are awaited.
        case greeting
        case open, closed
    }

    unowned let worker: LoadWorker
    private unowned let siblings: MultiplexedConnections
    private let descriptor: Int32
    private(set) var phase = Phase.connecting
    private let secure: SecureSession?
    let session: MultiplexedSession
    private var hasStarted = false
    private var unsent = UnsentBytes()
    /// When it was begun, in nanoseconds since the run began.
    private let begun: Int64
    /// Requests that wait for the server's settings.
    private var waiting: [RequestTicket] = []
    var streams: [Int32: MultiplexedStream] = [:]
    /// What the server said when it went away.
    var farewell: String?
    /// Reads that brought something, and whether a request has been answered.
    private var reads: UInt64 = 0
    var hasAnswered = false
    /// While events are gone through, what is to be sent is collected and leaves in one piece.
    private var isReceiving = false
    /// Places among the worker's connections, and among those with room; -1 for none.
    var index = -1
    var roomIndex = -1

    /// Takes over a descriptor whose connection has begun.
    init(_ descriptor: Int32, worker: LoadWorker, _ siblings: MultiplexedConnections, secure: SecureSession?) {
        self.descriptor = descriptor
        self.worker = worker
        self.siblings = siblings
        self.secure = secure
        begun = worker.now()
        session = MultiplexedSession(largestStreamCount: worker.configuration.largestStreamCount)
        worker.loop.add(descriptor, self, for: csocket_writable)
    }

    /// Whether one more request can be given to it now.
    var hasRoom: Bool {
        switch phase {
        case .connecting, .greeting: waiting.count < siblings.expectedStreamCount
        case .open: session.canOpen
        case .closed: false
        }
    }

    /// Sends a request, now or when the server has said that it may. There must be room for it.
    func take(_ ticket: RequestTicket) {
        guard phase == .open else { return waiting.append(ticket) }
        guard session.canOpen else {
            // The server has changed its mind, which is not looked at yet.
            noteRoom()
            return worker.sendAgain(ticket)
        }
        open(ticket)
        sendOutput()
    }

    private func open(_ ticket: RequestTicket) {
        var ticket = ticket
        let exchange = worker.beginAttempt(of: &ticket)
        let (fields, body) = worker.multiplexedRequest(ticket.request)
        let stream = session.open(fields, body: body)
        streams[stream] = MultiplexedStream(ticket, exchange, readsBefore: reads)
    }

    func ready(_ ready: UInt32) {
        if phase == .connecting { return connectionEnds() }
        if ready & csocket_writable != 0, !unsent.isEmpty {
            unsent.flush(on: descriptor, of: worker.loop)
            session.isHeldBack = !unsent.isEmpty
            sendOutput()
        }
        if ready & (csocket_readable | csocket_broken) != 0, phase != .closed { receive() }
    }

    func close() {
        guard phase != .closed else { return }
        let isConnected = phase != .connecting
        phase = .closed
        if isConnected, let last = try? takeOutput(), !last.isEmpty {
            // The last word: which streams are given up, or what was wrong.
            unsent.send(last[...], on: descriptor, of: worker.loop)
        }
        unsent.drop()
        worker.loop.close(descriptor)
        siblings.remove(self)
    }

    /// Tells whether there is room for one more request.
    func noteRoom() { siblings.noteRoom(of: self) }

    // MARK: the socket

    /// The attempt to connect has ended, one way or the other.
    private func connectionEnds() {
        let code = csocket_connect_result(descriptor)
        guard code == 0 else { return fail(.refused, worker.connectReason(SystemFault.text(code))) }
        phase = .greeting
        worker.loop.change(descriptor, to: csocket_readable)
        if secure == nil { start() }
        sendOutput()
    }

    private func start() {
        hasStarted = true
        session.start()
    }

    private func receive() {
        let buffer = worker.loop.received
        while phase != .closed {
            var stamp: Int64 = 0
            let count = csocket_receive(descriptor, buffer.baseAddress, buffer.count, &stamp)
            if count > 0 {
                reads += 1
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
        isReceiving = true
        if let secure {
            do {
                try secure.receive(bytes) { feed(UnsafeRawBufferPointer($0), at: time) }
                agree()
            } catch {
                guard let fault = SecureSession.faultOfAgreement(error) else { return connectionEnded("\(error)") }
                return fail(.refused, worker.connectReason(fault))
            }
        } else {
            feed(bytes, at: time)
        }
        isReceiving = false
        sendOutput()
    }

    /// Looks whether the handshake is done, and what it settled.
    private func agree() {
        guard phase == .greeting, !hasStarted, let secure, secure.isEstablished else { return }
        if let fault = secure.faultOfAgreement { return fail(.refused, worker.connectReason(fault)) }
        start()
    }

    private func feed(_ bytes: UnsafeRawBufferPointer, at time: Int64) {
        agree()
        guard phase != .closed else { return }
        session.receive(bytes)
        while phase != .closed, let event = session.nextEvent() { handle(event, at: time) }
    }

    /// Sends what HTTP/2 and TLS want sent.
    private func sendOutput() {
        guard phase == .greeting || phase == .open, !isReceiving else { return }
        do {
            let output = try takeOutput()
            guard !output.isEmpty else { return }
            unsent.send(output[...], on: descriptor, of: worker.loop)
            session.isHeldBack = !unsent.isEmpty
        } catch {
            connectionEnded("\(error)")
        }
    }

    private func takeOutput() throws -> [UInt8] {
        var output = session.takeOutput()
        guard let secure else { return output }
        if !output.isEmpty { secure.send(output[...]) }
        output = []
        try secure.takeOutput(into: &output)
        return output
    }

    // MARK: the end

    /// The server's settings have come, or have changed.
    func settled() {
        guard phase == .greeting else {
            if session.isSpent, streams.isEmpty { close() }
            noteRoom()
            return worker.sendBacklog()
        }
        phase = .open
        guard session.streamLimit > 0 else {
            return fail(
                .refused, worker.connectReason("the server allows no streams (SETTINGS_MAX_CONCURRENT_STREAMS is 0)"))
        }
        siblings.expectedStreamCount = session.streamLimit
        // What waits goes out as far as there is room; the rest looks for other connections.
        let tickets = waiting
        waiting = []
        let room = tickets.prefix { ticket in
            guard session.canOpen else { return false }
            open(ticket)
            return true
        }
        noteRoom()
        for ticket in tickets[room.count...] {
            if session.isSpent { passOver(ticket) } else { worker.sendAgain(ticket) }
        }
        worker.sendBacklog()
    }

    /// The server went away without a look at the request, which had not even been sent.
    private func passOver(_ ticket: RequestTicket) {
        guard ticket.refusals >= MultiplexedConnection.mostRefusals else { return worker.refused(ticket) }
        worker.failedWaiting(ticket, .closed, "the server went away before it took the request")
    }

    /// The connection is gone, for `reason` if it was an error.
    private func connectionEnded(_ reason: String?) {
        guard phase != .closed else { return }
        if let fault = session.faultOfOpening { return fail(.garbage, "not HTTP/2: \(fault)") }
        let time = worker.now()
        let reason = [farewell, reason].compactMap { $0 }.joined(separator: "; ")
        let cause = reason.isEmpty ? "" : " (\(reason))"
        end(.closed, "the connection ended before an answer began\(cause)") { exchange in
            exchange.beginFeed(at: time)
            exchange.connectionLost(at: time, reason.isEmpty ? nil : reason)
        }
    }

    /// Gives the connection and all its requests up.
    func fail(_ status: RequestStatus, _ reason: String) {
        let time = worker.now()
        end(status, reason) { exchange in
            exchange.beginFeed(at: time)
            exchange.fail(status, reason)
        }
    }

    private func end(_ status: RequestStatus, _ reason: String, _ body: (inout StreamExchange) -> Void) {
        close()
        let (streams, waiting) = (self.streams, self.waiting)
        self.streams = [:]
        self.waiting = []
        for (_, stream) in streams.sorted(by: { $0.key < $1.key }) {
            body(&stream.exchange)
            let isStale = hasAnswered && stream.readsBefore == reads
            worker.ended(stream, isStale: isStale)
        }
        for ticket in waiting { worker.failedWaiting(ticket, status, reason) }
    }

    /// Gives up what has taken too long. Times are nanoseconds since the run began.
    func sweep(connectionsBefore: Int64, requestsBefore: Int64) {
        if phase == .connecting || phase == .greeting, begun < connectionsBefore {
            let missing = phase == .connecting ? "no answer in time" : "no settings of HTTP/2 in time"
            return fail(.connectTimedOut, worker.connectReason(missing))
        }
        var late: [Int32] = []
        for (id, stream) in streams where stream.ticket.dispatched < requestsBefore { late.append(id) }
        for id in late.sorted() { giveUp(id, .timedOut, worker.timeoutReason) }
        guard phase == .greeting, waiting.contains(where: { $0.dispatched < requestsBefore }) else { return }
        let overdue = waiting.filter { $0.dispatched < requestsBefore }
        waiting.removeAll { $0.dispatched < requestsBefore }
        for ticket in overdue { worker.failedWaiting(ticket, .timedOut, worker.timeoutReason) }
    }

    /// The run is abandoned.
    func abandon() {
        let tickets = waiting
        waiting = []
        for ticket in tickets { worker.abandonedWaiting(ticket) }
        for id in streams.keys.sorted() { giveUp(id, .unfinished, "the run was stopped") }
    }

    private func giveUp(_ id: Int32, _ status: RequestStatus, _ reason: String) {
        guard let stream = streams[id] else { return }
        stream.exchange.beginFeed(at: worker.now())
        stream.exchange.fail(status, reason)
        finish(id, stream)
        sendOutput()
    }
}
