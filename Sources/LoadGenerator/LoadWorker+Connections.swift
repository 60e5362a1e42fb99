//===----------------------------------------------------------------------===//
// A worker's connections: making them, sending on them, and what they tell.
//===----------------------------------------------------------------------===//

import CSocket
import Workload

/// What all streams of a worker have in common, as they are fed one at a time.
final class SharedScratch {
    /// The gaps between outputs that the present feed has found.
    var gaps: [Int64] = []
    var template = EventTemplate()
}

extension LoadWorker {
    func send(_ ticket: RequestTicket) {
        if multiplexed != nil { return sendMultiplexed(ticket) }
        if let connection = ticket.wasStale ? nil : idle.popLast() {
            activate(connection)
            transmit(ticket, on: connection)
        } else if active.count < largestConnectionCount {
            connect(for: ticket)
        } else {
            backlog.append(ticket)
        }
    }

    private func connect(for ticket: RequestTicket) {
        var ticket = ticket
        guard let descriptor = beginConnection(for: &ticket) else { return }
        do {
            let secure = try tls.map { try SecureSession($0, host: configuration.target.host) }
            activate(StreamConnection(descriptor, worker: self, secure: secure, for: ticket))
        } catch {
            csocket_close(descriptor)
            failSoon(ticket, "\(error)")
        }
    }

    /// Begins to connect to the server because of `ticket`. Nil where that cannot be: then the request waits, or is
    /// about to fail.
    func beginConnection(for ticket: inout RequestTicket) -> Int32? {
        let descriptor = address.connect(stamps: configuration.usesKernelTime)
        if SystemFault.isDescriptorLimit(-descriptor), connectionCount > 0 {
            // What cannot be opened waits for what is open, which shows as lag of this client.
            largestConnectionCount = connectionCount
            backlog.append(ticket)
            return nil
        }
        let time = now()
        if ticket.dispatched < 0 { ticket.dispatched = time }
        ticket.connecting = time
        measurements.connections += 1
        guard descriptor >= 0 else {
            failSoon(ticket, SystemFault.text(-descriptor))
            return nil
        }
        return descriptor
    }

    /// Fails a request from the loop, lest clients that ask again at once nest ever deeper.
    func failSoon(_ ticket: RequestTicket, _ reason: String) {
        failing += 1
        loop.schedule(at: loop.now()) {
            self.failing -= 1
            self.failed(ticket, .refused, self.connectReason(reason))
        }
    }

    func connectReason(_ reason: String) -> String { "cannot connect to \(configuration.target.place): \(reason)" }

    /// A connection is made; the request that it was made for goes out.
    func connected(_ connection: StreamConnection, _ ticket: RequestTicket) {
        guard isAbandoning else { return transmit(ticket, on: connection) }
        connection.close()
        deactivate(connection)
        unfinished(ticket)
        finishIfDone()
    }

    func connectFailed(_ connection: StreamConnection, _ ticket: RequestTicket, _ reason: String) {
        deactivate(connection)
        failed(ticket, .refused, connectReason(reason))
    }

    private func transmit(_ ticket: RequestTicket, on connection: StreamConnection) {
        var ticket = ticket
        let exchange = beginAttempt(of: &ticket)
        let start = writer.encode(ticket.request, into: &requestBytes)
        connection.send(requestBytes[start...], exchange, ticket)
    }

    /// Counts an attempt that begins now; returns what will follow its answer.
    func beginAttempt(of ticket: inout RequestTicket) -> StreamExchange {
        ticket.attempts &+= 1
        if ticket.dispatched < 0 { ticket.dispatched = now() }
        let cancels =
            configuration.streams && configuration.cancelledShare > 0 && random.unit() < configuration.cancelledShare
        if !ticket.isCounted, ticket.intended >= configuration.warmupNanoseconds {
            ticket.isCounted = true
            let second = measurements.second(at: ticket.dispatched)
            measurements.seconds[second].sent += 1
        }
        return StreamExchange(
            record: record(of: ticket), streams: configuration.streams,
            cancelAfterChunks: cancels ? Int32(configuration.cancelAfterChunks) : .max, shared: shared
        )
    }

    private func activate(_ connection: StreamConnection) {
        connection.activeIndex = active.count
        active.append(connection)
    }

    func deactivate(_ connection: StreamConnection) {
        let last = active.removeLast()
        if last !== connection {
            active[connection.activeIndex] = last
            last.activeIndex = connection.activeIndex
        }
        connection.activeIndex = -1
    }

    // MARK: what connections tell

    /// After every feed: the tokens that came.
    @inline(__always)
    func noteProgress(_ exchange: borrowing StreamExchange) {
        guard exchange.newOutputEvents > 0, exchange.record.intended >= configuration.warmupNanoseconds else { return }
        for gap in shared.gaps { measurements.itl.record(gap) }
        let second = measurements.second(at: exchange.now)
        measurements.seconds[second].outputTokens += exchange.newOutputEvents
        if exchange.sawFirstToken {
            measurements.seconds[second].ttftSum += exchange.now - exchange.record.intended
            measurements.seconds[second].ttftCount += 1
        }
    }

    func idleConnectionBroke(_ connection: StreamConnection) {
        if let index = idle.firstIndex(where: { $0 === connection }) { idle.remove(at: index) }
    }

    /// A request has ended, one way or another; the connection goes back to the idle ones if it can.
    func ended(_ exchange: StreamExchange, _ ticket: RequestTicket, on connection: StreamConnection, reusable: Bool) {
        deactivate(connection)
        if reusable { idle.append(connection) }
        settle(exchange, ticket, isStale: connection.uses > 1)
    }

    /// What becomes of a request that has ended.
    ///
    /// - Parameter isStale: whether it was sent on a kept connection, and nothing has come there since.
    func settle(_ exchange: StreamExchange, _ ticket: RequestTicket, isStale: Bool) {
        let record = exchange.record
        if record.status == .closed, isStale, !ticket.wasStale, !isStopping {
            // The server closed a kept connection just as it was used again: not an answer to this request.
            var again = ticket
            again.wasStale = true
            again.attempts -= 1
            measurements.staleConnections += 1
            send(again)
        } else {
            conclude(record, ticket, exchange.failure, retryAfter: exchange.retryAfterSeconds)
        }
        sendBacklog()
    }

    func failed(_ ticket: RequestTicket, _ status: RequestStatus, _ reason: String) {
        var ticket = ticket
        ticket.attempts &+= 1
        var record = record(of: ticket)
        record.status = isStopping ? .unfinished : status
        record.ended = now()
        conclude(record, ticket, reason, retryAfter: nil)
        sendBacklog()
    }

    /// Sends what waits, as far as there are connections for it.
    func sendBacklog() {
        while !backlog.isEmpty, canSend { send(backlog.removeFirst()) }
    }

    private var canSend: Bool {
        if let multiplexed { return multiplexed.withRoom != nil || connectionCount < largestConnectionCount }
        return !idle.isEmpty || active.count < largestConnectionCount
    }
}
