//===----------------------------------------------------------------------===//
// One cell, one front end: every message at its own nanosecond.
//===----------------------------------------------------------------------===//

import Engine
import Ledger
import Workload
import Yard

/// Runs one cell with no approximation: a closed loop's next request comes exactly when its client has thought, and a
/// tenant's concurrency is what it is at that moment.
struct ExactRun {
    let cell: CellSimulation
    let frontEnd: FrontEndSimulation
    let options: SimulationOptions
    private var sink: RunSink
    private var backlog = BacklogMonitor()
    private var lastEvent: Int64 = 0

    init(cell: CellSimulation, frontEnd: FrontEndSimulation, options: SimulationOptions) {
        self.cell = cell
        self.frontEnd = frontEnd
        self.options = options
        sink = RunSink(
            promise: options.promise, keepsCompletions: options.keepsCompletions, keepsEndings: frontEnd.waitsForEndings
        )
    }

    mutating func run() throws -> Simulation.Outcome {
        while true {
            let event = cell.cell.nextEventNanoseconds
            let message = min(frontEnd.nextNanoseconds, cell.nextOrderNanoseconds)
            if event == .max && message == .max { break }
            if event < message {
                // When somebody waits for endings, only up to the next one that may bring a new message.
                advance(until: sink.keepsEndings || message == .max ? event : message - 1)
                if sink.keepsEndings { reportEndings() }
                continue
            }
            try take(at: message)
        }
        cell.cell.close(at: lastEvent)
        advance(until: lastEvent + 1)
        return Simulation.Outcome(tally: sink.tally, backlog: backlog, endNanoseconds: lastEvent, windows: 0)
    }

    private mutating func advance(until now: Int64) {
        cell.cell.advance(until: now, into: &sink)
        lastEvent = max(lastEvent, sink.tally.lastNanoseconds)
    }

    private mutating func take(at now: Int64) throws {
        advance(until: now - 1)
        lastEvent = max(lastEvent, now)
        if cell.nextOrderNanoseconds <= now {
            cell.carryOutOrders(at: now)
            return
        }
        if backlog.isDue(at: now) { backlog.sample(cell.cell.load.outstandingTokens, at: now) }
        if let request = try frontEnd.admitNext() { cell.cell.submit(request, at: now) }
        for completion in frontEnd.takeRefused() {
            sink.tally.completed(completion)
            frontEnd.ended(completion, wasAdmitted: false, at: now, earliest: now)
        }
        if let progress = options.progress, frontEnd.offered & 0xFFF == 0 {
            progress(
                SimulationProgress(
                    simulatedSeconds: Double(now) * 1e-9, requestsOffered: frontEnd.offered,
                    requestsEnded: sink.tally.offered))
        }
    }

    private mutating func reportEndings() {
        for completion in sink.endings {
            let end = completion.endNanoseconds
            frontEnd.ended(completion, wasAdmitted: true, at: end, earliest: end)
        }
        sink.endings.removeAll(keepingCapacity: true)
    }
}
