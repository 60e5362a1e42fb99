//===----------------------------------------------------------------------===//
// What a server says on a connection of HTTP/2, told to the requests that it is about.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOHPACK

extension MultiplexedConnection {
    /// Most times that a request goes out again because connections went away without having taken it.
    static let mostRefusals = 5

    /// - Parameter time: when it came, in nanoseconds since the run began.
    func handle(_ event: MultiplexedEvent, at time: Int64) {
        switch event {
        case .settled: settled()
        case .head(let id, let fields, let isLast):
            guard let stream = streams[id] else { return }
            stream.exchange.beginFeed(at: time)
            stream.takeHead(fields, isLast: isLast)
            if stream.exchange.isFinished { finish(id, stream) }
        case .body(let id, let bytes, let isLast):
            guard let stream = streams[id] else { return }
            stream.exchange.beginFeed(at: time)
            stream.takeBody(bytes, isLast: isLast)
            worker.noteProgress(stream.exchange)
            if stream.exchange.isFinished { finish(id, stream) }
        case .reset(let id, let reason):
            guard let stream = streams[id] else { return streamClosed() }
            stream.exchange.beginFeed(at: time)
            stream.exchange.streamReset("RST_STREAM, \(reason)")
            finish(id, stream)
        case .faulty(let id, let reason):
            guard let stream = streams[id] else { return streamClosed() }
            stream.exchange.beginFeed(at: time)
            stream.exchange.fail(.garbage, "not a response of HTTP/2: \(reason)")
            finish(id, stream)
        case .leaving(let last, let reason): leave(last: last, reason, at: time)
        case .broken(let reason): fail(.garbage, "not HTTP/2: \(reason)")
        }
    }

    /// A stream is gone whose request had ended before.
    private func streamClosed() {
        noteRoom()
        worker.sendBacklog()
    }

    /// A request has ended, one way or another. A stream that the server has not ended is given up.
    func finish(_ id: Int32, _ stream: MultiplexedStream) {
        streams[id] = nil
        session.reset(id)
        if stream.exchange.hasBegun { hasAnswered = true }
        if session.isSpent, streams.isEmpty {
            close()
        } else {
            noteRoom()
        }
        worker.ended(stream, isStale: false)
    }

    /// The server takes no more streams. Those above `last` it has not looked at: they go out again elsewhere.
    private func leave(last: Int32, _ reason: String, at time: Int64) {
        farewell = reason
        noteRoom()
        let passedOver = streams.filter { $0.key > last }.sorted { $0.key < $1.key }
        for (id, _) in passedOver { streams[id] = nil }
        if streams.isEmpty { close() }
        for (_, stream) in passedOver {
            if stream.ticket.refusals < MultiplexedConnection.mostRefusals {
                var ticket = stream.ticket
                ticket.attempts -= 1
                worker.refused(ticket)
            } else {
                stream.exchange.beginFeed(at: time)
                stream.exchange.connectionLost(at: time, reason)
                worker.ended(stream, isStale: false)
            }
        }
    }
}

extension StreamExchange {
    /// The server has given the stream up before the answer was complete.
    mutating func streamReset(_ reason: String) {
        if hasBegun {
            fail(.truncated, "the server reset the stream in the middle of the answer (\(reason))")
        } else {
            fail(.closed, "the server reset the stream before an answer began (\(reason))")
        }
    }
}
