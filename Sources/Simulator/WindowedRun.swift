//===----------------------------------------------------------------------===//
// Several cells in windows of virtual time, on several threads.
//===----------------------------------------------------------------------===//

import Engine
import Ledger
import Synchronization
import WaitFree
import Workload
import Yard

/// Runs cells and front ends window by window.
///
/// Windows lie on a grid of `window` nanoseconds; those in which nothing happens are skipped. In a window, a closed
/// loop's next request comes at the end of its client's pause or at the window's end, whichever is later: the one way,
/// beside the age of load information, in which windows show in the results.
final class WindowedRun: @unchecked Sendable {
    private let cells: [CellSimulation]
    private let frontEnds: [FrontEndSimulation]
    private let pool: WorkerPool
    private let options: SimulationOptions
    private let window: Int64
    private let board: LoadBoard<PublishedLoad>
    private let sinks: UnsafeMutablePointer<RunSink>
    private var refusedTally: Tally
    private var backlog = BacklogMonitor()
    private let waitsForEndings: Bool
    private var lastOrder: Int64 = 0
    /// Below this many events and arrivals in the last window, the next one is run on one thread: waking the others
    /// costs more.
    private static let fewEvents: UInt64 = 400

    init(
        cells: [CellSimulation], frontEnds: [FrontEndSimulation], pool: WorkerPool, window: Int64,
        options: SimulationOptions
    ) {
        self.window = window
        self.cells = cells
        self.frontEnds = frontEnds
        self.pool = pool
        self.options = options
        board = .allocate(rows: cells.count, showing: PublishedLoad(freePlaces: 1))
        waitsForEndings = frontEnds.contains(where: \.waitsForEndings)
        refusedTally = Tally(promise: options.promise, keepsCompletions: options.keepsCompletions)
        sinks = .allocate(capacity: pool.workers)
        let sink = RunSink(
            promise: options.promise, keepsCompletions: options.keepsCompletions, keepsEndings: waitsForEndings)
        sinks.initialize(repeating: sink, count: pool.workers)
        for (row, cell) in cells.enumerated() { board.publish(cell.post(at: 0), row: row) }
    }

    deinit {
        sinks.deinitialize(count: pool.workers)
        sinks.deallocate()
        board.deallocate()
    }

    func run() throws -> Simulation.Outcome {
        var windows: Int64 = 0
        var events: UInt64 = 0
        while true {
            let next = nextNanoseconds
            if next == .max { break }
            let start = next / window * window
            let before = events
            try runWindow(from: start, until: start + window, alone: windows > 0 && lastEvents < Self.fewEvents)
            events = cells.reduce(0) { $0 + $1.cell.counters.events + $1.cell.counters.submitted }
            lastEvents = events - before
            windows += 1
            report(at: start + window)
        }
        return finish(windows: windows)
    }

    private var lastEvents: UInt64 = 0

    private var nextNanoseconds: Int64 {
        var next = Int64.max
        for cell in cells { next = min(next, cell.nextNanoseconds) }
        for frontEnd in frontEnds { next = min(next, frontEnd.nextNanoseconds) }
        return next
    }

    private func runWindow(from start: Int64, until end: Int64, alone: Bool) throws {
        // What is judged is the backlog while requests come: samples of a long drain would thin those.
        let arriving = frontEnds.contains { $0.nextNanoseconds < end }
        pool.forEach(frontEnds.count, alone: alone) { [self] number, _ in
            frontEnds[number].fillWindow(from: start, until: end, board: board)
        }
        for frontEnd in frontEnds {
            if let failure = frontEnd.failure { throw failure }
            for completion in frontEnd.takeRefused() {
                refusedTally.completed(completion)
                frontEnd.ended(completion, wasAdmitted: false, at: completion.arrivalNanoseconds, earliest: end)
            }
        }
        if arriving, backlog.isDue(at: start) {
            backlog.sample(cells.reduce(0) { $0 + $1.cell.load.outstandingTokens }, at: start)
        }
        for cell in cells where cell.nextOrderNanoseconds < end {
            lastOrder = max(lastOrder, cell.nextOrderNanoseconds)
        }
        pool.forEach(cells.count, alone: alone) { [self] number, worker in
            let cell = cells[number]
            cell.runWindow(until: end, frontEnds: frontEnds, index: number, into: &sinks[worker])
            board.publish(cell.post(at: end), row: number)
            if waitsForEndings { swap(&cell.endings, &sinks[worker].endings) }
        }
        guard waitsForEndings else { return }
        for cell in cells {
            for completion in cell.endings {
                frontEnds[Int(completion.frontEnd)].ended(
                    completion, wasAdmitted: true, at: completion.endNanoseconds, earliest: end)
            }
            cell.endings.removeAll(keepingCapacity: true)
        }
    }

    private func report(at now: Int64) {
        guard let progress = options.progress else { return }
        progress(
            SimulationProgress(
                simulatedSeconds: Double(now) * 1e-9,
                requestsOffered: frontEnds.reduce(0) { $0 + $1.offered },
                requestsEnded: (0..<pool.workers).reduce(refusedTally.offered) { $0 + sinks[$1].tally.offered }))
    }

    private func finish(windows: Int64) -> Simulation.Outcome {
        for cell in cells {
            cell.cell.close(at: 0)
            while cell.cell.nextEventNanoseconds != .max {
                cell.cell.advance(until: cell.cell.nextEventNanoseconds, into: &sinks[0])
            }
        }
        var tally = refusedTally
        for worker in 0..<pool.workers { tally.merge(sinks[worker].tally) }
        let lastArrival = frontEnds.map(\.lastArrivalNanoseconds).max() ?? 0
        return Simulation.Outcome(
            tally: tally, backlog: backlog, endNanoseconds: max(tally.lastNanoseconds, lastArrival, lastOrder),
            windows: windows)
    }
}
