//===----------------------------------------------------------------------===//
// A worker's share of the requests, and the turns of sessions.
//===----------------------------------------------------------------------===//

import NIOCore
import Workload

/// Hands out one worker's requests in order.
final class RequestFeed {
    enum Pace {
        /// At the times of the schedule.
        case open
        /// One for every client of this worker that is free.
        case closed(ClosedLoop)
    }

    let pace: Pace
    /// No request is begun at or after this, in nanoseconds since the run began.
    let endNanoseconds: Int64
    private let requests: [Request]
    private var position = 0

    /// - Parameter requests: this worker's share; in an open loop in order of arrival.
    init(_ requests: [Request], pace: Pace, endNanoseconds: Int64 = .max) {
        self.requests = requests
        self.pace = pace
        self.endNanoseconds = endNanoseconds
    }

    var isExhausted: Bool {
        if case .closed = pace { return true }
        return position == requests.count
    }

    /// When the next request is to be sent.
    var nextDue: Int64? { position < requests.count ? requests[position].arrivalNanoseconds : nil }

    func take() -> Request? {
        guard position < requests.count else { return nil }
        defer { position += 1 }
        return requests[position]
    }
}

/// Which sessions have a turn under way, and the turns that wait for it.
struct SessionTurns {
    private var waiting: [UInt64: CircularBuffer<RequestTicket>] = [:]
    private var count = 0

    var isEmpty: Bool { count == 0 }

    /// True when the turn may begin; else it is kept until the one before it has ended.
    mutating func begin(_ ticket: RequestTicket) -> Bool {
        let session = ticket.request.prefix.session
        if waiting[session] == nil {
            waiting[session] = CircularBuffer()
            return true
        }
        waiting[session]?.append(ticket)
        count += 1
        return false
    }

    /// A turn has ended: the next one of its session that waits, if any.
    mutating func end(_ session: UInt64) -> RequestTicket? {
        guard let next = waiting[session]?.popFirst() else {
            waiting[session] = nil
            return nil
        }
        count -= 1
        return next
    }

    /// Every turn that waits, in no order.
    mutating func drain() -> [RequestTicket] {
        let all = waiting.values.flatMap { Array($0) }
        waiting.removeAll()
        count = 0
        return all
    }
}
