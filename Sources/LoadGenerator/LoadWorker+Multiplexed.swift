//===----------------------------------------------------------------------===//
// A worker's connections of HTTP/2, whose streams its requests share.
//===----------------------------------------------------------------------===//

import CSocket
import NIOCore
import NIOHPACK
import Workload

/// Connections of HTTP/2: all that are held, and those with room for one more request.
final class MultiplexedConnections {
    /// The header fields of every request.
    let fields: RequestFields
    private(set) var all: [MultiplexedConnection] = []
    private var roomy: [MultiplexedConnection] = []
    /// Requests that they hold.
    var requestCount = 0
    /// Streams that a connection is expected to take, as long as its own settings have not come.
    var expectedStreamCount: Int

    init(_ fields: RequestFields, largestStreamCount: Int) {
        self.fields = fields
        expectedStreamCount = min(MultiplexedSession.customaryStreamCount, largestStreamCount)
    }

    /// One with room: that which had it last, so that few connections are full rather than many half empty.
    var withRoom: MultiplexedConnection? { roomy.last }

    func add(_ connection: MultiplexedConnection) {
        connection.index = all.count
        all.append(connection)
        noteRoom(of: connection)
    }

    func remove(_ connection: MultiplexedConnection) {
        noteRoom(of: connection)
        guard connection.index >= 0 else { return }
        let last = all.removeLast()
        if last !== connection {
            all[connection.index] = last
            last.index = connection.index
        }
        connection.index = -1
    }

    /// Notes whether `connection` has room.
    func noteRoom(of connection: MultiplexedConnection) {
        let hasRoom = connection.hasRoom
        guard hasRoom != (connection.roomIndex >= 0) else { return }
        if hasRoom {
            connection.roomIndex = roomy.count
            return roomy.append(connection)
        }
        let last = roomy.removeLast()
        if last !== connection {
            roomy[connection.roomIndex] = last
            last.roomIndex = connection.roomIndex
        }
        connection.roomIndex = -1
    }
}

extension LoadWorker {
    /// Sends a request on a connection with room, or makes one for it, or has it wait where neither can be.
    func sendMultiplexed(_ ticket: RequestTicket) {
        guard let multiplexed else { return }
        if let connection = multiplexed.withRoom { return give(ticket, to: connection) }
        guard multiplexed.all.count < largestConnectionCount else { return backlog.append(ticket) }
        var ticket = ticket
        guard let descriptor = beginConnection(for: &ticket) else { return }
        do {
            let secure = try tls.map {
                try SecureSession($0, host: configuration.target.host, asksForProtocol: true)
            }
            let connection = MultiplexedConnection(descriptor, worker: self, multiplexed, secure: secure)
            multiplexed.add(connection)
            give(ticket, to: connection)
        } catch {
            csocket_close(descriptor)
            failSoon(ticket, "\(error)")
        }
    }

    private func give(_ ticket: RequestTicket, to connection: MultiplexedConnection) {
        var ticket = ticket
        if ticket.dispatched < 0 { ticket.dispatched = now() }
        multiplexed?.requestCount += 1
        connection.take(ticket)
        multiplexed?.noteRoom(of: connection)
    }

    /// The header fields and the body of a request.
    func multiplexedRequest(_ request: Request) -> (HPACKHeaders, ByteBuffer) {
        requestBytes.removeAll(keepingCapacity: true)
        writer.appendBody(of: request, to: &requestBytes)
        let fields = multiplexed?.fields.fields(bodyLength: requestBytes.count) ?? HPACKHeaders()
        return (fields, ByteBuffer(bytes: requestBytes))
    }

    // MARK: what connections tell

    /// A request has ended, one way or another.
    func ended(_ stream: MultiplexedStream, isStale: Bool) {
        multiplexed?.requestCount -= 1
        settle(stream.exchange, stream.ticket, isStale: isStale)
    }

    /// A request that has not been sent yet, because its connection had no room after all, looks for another.
    func sendAgain(_ ticket: RequestTicket) {
        multiplexed?.requestCount -= 1
        send(ticket)
    }

    /// A server went away without having taken the request: it goes out again, and nothing is counted against it.
    func refused(_ ticket: RequestTicket) {
        multiplexed?.requestCount -= 1
        var again = ticket
        again.refusals += 1
        measurements.staleConnections += 1
        guard isStopping else { return send(again) }
        unfinished(again)
        finishIfDone()
    }

    /// A request that waited for a connection's settings has failed.
    func failedWaiting(_ ticket: RequestTicket, _ status: RequestStatus, _ reason: String) {
        multiplexed?.requestCount -= 1
        failed(ticket, status, reason)
    }

    func abandonedWaiting(_ ticket: RequestTicket) {
        multiplexed?.requestCount -= 1
        unfinished(ticket)
    }

    func sweepMultiplexed(at time: Int64) {
        guard let connections = multiplexed?.all else { return }
        for connection in connections.reversed() {
            connection.sweep(
                connectionsBefore: time - configuration.connectTimeoutNanoseconds,
                requestsBefore: time - configuration.requestTimeoutNanoseconds)
        }
    }
}
