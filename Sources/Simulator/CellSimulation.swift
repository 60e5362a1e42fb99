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
    /// Per front end, how much of its outgoing has been taken in this window.
    private var taken: [Int]
    /// Completions that front ends wait for.
    var endings: [Completion] = []

    init(cell: Cell, events: [ReplicaEvent], frontEnds: Int) {
        self.cell = cell
        self.events = events
        taken = Array(repeating: 0, count: frontEnds)
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
        for frontEnd in taken.indices { taken[frontEnd] = 0 }
        while true {
            var earliest = nextOrderNanoseconds < end ? nextOrderNanoseconds : Int64.max
            var from = -1
            for frontEnd in taken.indices where taken[frontEnd] < frontEnds[frontEnd].outgoing[index].count {
                let arrival = frontEnds[frontEnd].outgoing[index][taken[frontEnd]].arrivalNanoseconds
                if arrival < earliest {
                    earliest = arrival
                    from = frontEnd
                }
            }
            if earliest == .max { break }
            cell.advance(until: earliest - 1, into: &sink)
            if from < 0 {
                carryOutOrders(at: earliest)
            } else {
                cell.submit(frontEnds[from].outgoing[index][taken[from]], at: earliest)
                taken[from] += 1
            }
        }
        cell.advance(until: end - 1, into: &sink)
        for frontEnd in taken.indices { frontEnds[frontEnd].outgoing[index].removeAll(keepingCapacity: true) }
    }

    func post(at now: Int64) -> PublishedLoad { publisher.post(of: cell, at: now) }
}
