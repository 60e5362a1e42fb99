//===----------------------------------------------------------------------===//
// The virtual clock: runs cells on arrivals until nothing is left to happen.
//===----------------------------------------------------------------------===//

import Engine
import Ledger
import Synchronization
public import Workload
public import Yard

/// A fleet's cells and their arrivals on a virtual clock.
///
/// One cell is run exactly. Several are run in windows of virtual time: front ends first send everything that arrives
/// in the window, choosing cells by the load that was posted at its start; then cells take it, each at its time, and
/// live through the window; then they post their load. Within a window nothing is shared, so cells and front ends run
/// on any number of threads with the same outcome.
public struct Simulation {
    private let cells: [CellSimulation]
    private let frontEnds: [FrontEndSimulation]
    private let options: SimulationOptions
    private let pools: Int
    private let windowNanoseconds: Int64

    /// The window when none is asked for.
    static func window(forCells cells: Int) -> Int64 { cells > 16 ? 100_000_000 : 10_000_000 }

    /// - Parameter sources: one for each front end, with request numbers that do not collide.
    public init(
        cells configurations: [CellConfiguration], sources: [any RequestSource], options: SimulationOptions
    ) throws {
        guard !configurations.isEmpty, let pools = configurations.first?.pools.count else {
            throw SimulationError(description: "a simulation needs at least one cell")
        }
        guard !sources.isEmpty, sources.count <= Int(UInt16.max) else {
            throw SimulationError(description: "a simulation needs 1 to \(UInt16.max) front ends, not \(sources.count)")
        }
        let window = options.windowNanoseconds ?? Self.window(forCells: configurations.count)
        guard window > 0, options.threads > 0 else {
            throw SimulationError(
                description: "window \(window) ns and threads \(options.threads) must both be above 0")
        }
        self.options = options
        self.pools = pools
        windowNanoseconds = window
        let perCell = try Self.deal(options.events, to: configurations)
        cells = try Self.makeCells(configurations, events: perCell, frontEnds: sources.count, options: options)
        frontEnds = try sources.enumerated().map { number, source in
            let clients = options.closedLoop.map { loop in
                ClosedLoopClients(
                    loop: loop.share(number, of: sources.count), endNanoseconds: options.closedLoopEndNanoseconds,
                    seed: options.thinkSeed &+ UInt64(number))
            }
            return FrontEndSimulation(
                number: number, arrivals: try Arrivals(source: source, clients: clients), cells: configurations.count,
                frontEnds: sources.count, options: options)
        }
    }

    /// Makes the cells on all threads: most of it is memory that the kernel has to find and clear, and what a thread
    /// touches first lies on its node.
    private static func makeCells(
        _ configurations: [CellConfiguration], events: [[ReplicaEvent]], frontEnds: Int, options: SimulationOptions
    ) throws -> [CellSimulation] {
        let made = Mutex([Result<CellSimulation, any Error>?](repeating: nil, count: configurations.count))
        let pool = try WorkerPool(workers: min(options.threads, configurations.count), pinned: options.pinned)
        defer { pool.stop() }
        pool.forEach(configurations.count) { number, _ in
            let result = Result<CellSimulation, any Error> {
                var configuration = configurations[number]
                configuration.keepsRequests = !events[number].isEmpty
                let cell = try Cell(configuration: configuration)
                if options.decisionRecords > 0 {
                    cell.recorder = DecisionRecorder(cell: configuration.number, capacity: options.decisionRecords)
                }
                return CellSimulation(cell: cell, events: events[number], frontEnds: frontEnds)
            }
            made.withLock { $0[number] = result }
        }
        return try made.withLock { results in
            try results.map { result in
                guard let result else { preconditionFailure("a cell was not made") }
                return try result.get()
            }
        }
    }

    /// Sorts replica events into cells, with the cells' own replica numbers.
    private static func deal(_ events: [ReplicaEvent], to cells: [CellConfiguration]) throws -> [[ReplicaEvent]] {
        var dealt = cells.map { _ in [ReplicaEvent]() }
        for event in events.sorted(by: { ($0.atNanoseconds, $0.replica) < ($1.atNanoseconds, $1.replica) }) {
            guard let (cell, local) = cells.place(ofReplica: event.replica) else {
                throw SimulationError(
                    description: "an event names replica \(event.replica), which the fleet does not have")
            }
            dealt[cell].append(
                ReplicaEvent(atNanoseconds: event.atNanoseconds, replica: Int32(local), order: event.order))
        }
        return dealt
    }

    /// Runs to the end.
    public func run() throws -> SimulationResult {
        var outcome: Outcome
        if cells.count == 1, frontEnds.count == 1 {
            var run = ExactRun(cell: cells[0], frontEnd: frontEnds[0], options: options)
            outcome = try run.run()
        } else {
            let pool = try WorkerPool(
                workers: min(options.threads, max(cells.count, frontEnds.count)), pinned: options.pinned)
            defer { pool.stop() }
            let run = WindowedRun(
                cells: cells, frontEnds: frontEnds, pool: pool, window: windowNanoseconds, options: options)
            outcome = try run.run()
        }
        return result(&outcome)
    }

    /// What a way of running hands over.
    struct Outcome {
        var tally: Tally
        var backlog: BacklogMonitor
        var endNanoseconds: Int64
        var windows: Int64
    }

    private func result(_ outcome: inout Outcome) -> SimulationResult {
        var usage = Array(repeating: ReplicaUsage(), count: pools)
        var counters = CellCounters()
        for cell in cells.map(\.cell) {
            counters.add(cell.counters)
            for pool in 0..<pools {
                for replica in cell.replicas(ofPool: pool) {
                    usage[pool] = usage[pool] + cell.usage(ofReplica: replica)
                }
            }
        }
        var reading = ReadingCounts()
        for frontEnd in frontEnds { reading.add(frontEnd.reading) }
        let lastArrival = frontEnds.map(\.lastArrivalNanoseconds).max() ?? 0
        let waiting = outcome.tally.queue.meanSeconds ?? 0
        let whole = outcome.tally.e2e.meanSeconds ?? 0
        let typical = Int64((outcome.tally.e2e.percentilesSeconds([0.5])?.first ?? 0) * 1e9)
        return SimulationResult(
            tally: outcome.tally, usage: usage, counters: counters,
            refusedByGate: frontEnds.reduce(0) { $0 + $1.refusals }, endNanoseconds: outcome.endNanoseconds,
            lastArrivalNanoseconds: lastArrival,
            stability: outcome.backlog.verdict(
                lastArrival: lastArrival, end: outcome.endNanoseconds, typicalLatencyNanoseconds: typical,
                waitingShare: whole > 0 ? waiting / whole : 0,
                turnedAway: counters.refusedForRoom > 0),
            cells: cells.count, windows: outcome.windows,
            decisions: options.decisionRecords > 0 ? cells.map { $0.cell.recorder?.take() ?? DecisionLog() } : [],
            decisionsLost: cells.reduce(0) { $0 + ($1.cell.recorder?.lost ?? 0) },
            reading: reading)
    }
}

extension ClosedLoop {
    /// One of several front ends' part of the clients.
    func share(_ number: Int, of count: Int) -> ClosedLoop {
        var share = self
        share.concurrency = concurrency * (number + 1) / count - concurrency * number / count
        return share
    }
}

extension [CellConfiguration] {
    /// The cell that holds a replica of the fleet, and its number there.
    func place(ofReplica replica: Int32) -> (cell: Int, local: Int)? {
        for (index, configuration) in enumerated() {
            var start = 0
            for pool in configuration.pools {
                let offset = Int(replica) - Int(pool.firstReplicaNumber)
                if offset >= 0 && offset < pool.replicas { return (index, start + offset) }
                start += pool.replicas
            }
        }
        return nil
    }
}

extension ReadingCounts {
    mutating func add(_ other: ReadingCounts) {
        accepted += other.accepted
        skipped += other.skipped
        raisedToOneToken += other.raisedToOneToken
        shortened += other.shortened
        firstSkipped = firstSkipped ?? other.firstSkipped
    }
}
