//===----------------------------------------------------------------------===//
// A cell on the virtual clock.
//===----------------------------------------------------------------------===//

import Engine
import Workload
import Yard

/// One cell with the events that strike its replicas.
final class CellSimulation: @unchecked Sendable {
    let cell: Cell
    private var publisher = LoadPublisher()
    /// Of this cell, by time; `replica` is the cell's own number.
    private let events: [ReplicaEvent]
    private var nextEvent = 0
    /// What is left of each front end's requests in this window.
    private let inboxes: UnsafeMutablePointer<Inbox>
    private let inboxCount: Int
    /// Completions that front ends wait for.
    var endings: [Completion] = []

    init(cell: Cell, events: [ReplicaEvent], frontEnds: Int) {
        self.cell = cell
        self.events = events
        inboxCount = frontEnds
        inboxes = .allocate(capacity: frontEnds)
    }

    deinit { inboxes.deallocate() }

    private struct Inbox: BitwiseCopyable {
        var requests: UnsafeMutablePointer<Request>
        var left: Int
        /// Arrival of the first one left.
        var nextNanoseconds: Int64

        init(requests: UnsafeMutablePointer<Request>, left: Int) {
            self.requests = requests
            self.left = left
            nextNanoseconds = left > 0 ? requests.pointee.arrivalNanoseconds : .max
        }

        mutating func takeFirst() {
            requests += 1
            left -= 1
            nextNanoseconds = left > 0 ? requests.pointee.arrivalNanoseconds : .max
        }
    }

    var nextOrderNanoseconds: Int64 { nextEvent < events.count ? events[nextEvent].atNanoseconds : .max }
    var nextNanoseconds: Int64 { min(cell.nextEventNanoseconds, nextOrderNanoseconds) }

    /// Carries out the orders that are due at `now`; the cell has been advanced to just before it.
    func carryOutOrders(at now: Int64) {
        while nextEvent < events.count, events[nextEvent].atNanoseconds <= now {
            cell.order(events[nextEvent].order, replica: Int(events[nextEvent].replica), at: now)
            nextEvent += 1
        }
    }

    /// Takes what front ends sent, merged by time and then by front end, and lets everything happen before `end`.
    func runWindow(until end: Int64, frontEnds: [FrontEndSimulation], index: Int, into sink: inout RunSink) {
        cell.foresee(until: end)
        for frontEnd in 0..<inboxCount {
            let sent = frontEnds[frontEnd].outgoing[index]
            inboxes[frontEnd] = Inbox(requests: sent.requests, left: sent.count)
        }
        var nextOrder = nextOrderNanoseconds
        while true {
            var earliest = nextOrder < end ? nextOrder : Int64.max
            var from = -1
            for frontEnd in 0..<inboxCount where inboxes[frontEnd].nextNanoseconds < earliest {
                earliest = inboxes[frontEnd].nextNanoseconds
                from = frontEnd
            }
            if earliest == .max { break }
            cell.advance(until: earliest - 1, into: &sink)
            if from < 0 {
                carryOutOrders(at: earliest)
                nextOrder = nextOrderNanoseconds
            } else {
                cell.submit(inboxes[from].requests.pointee, at: earliest)
                inboxes[from].takeFirst()
            }
        }
        cell.advance(until: end - 1, into: &sink)
        for frontEnd in 0..<inboxCount { (frontEnds[frontEnd].outgoing + index).pointee.removeAll() }
    }

    func post(at now: Int64) -> PublishedLoad { publisher.post(of: cell, at: now) }
}
