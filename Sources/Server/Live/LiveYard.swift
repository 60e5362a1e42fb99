//===----------------------------------------------------------------------===//
// One side of the comparison, running: a fleet's cells on their threads.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Fleet
import HostTopology
import Ledger
import NIOCore
import Report
import StepModel
import Synchronization
import WaitFree
import Yard

/// A fleet (or the baseline) that runs on the wall clock.
final class LiveYard: Sendable {
    let side: Side
    let plan: FleetPlan
    private let books: Mutex<FleetAccount>
    let clock: ModelledClock
    let mesh: Mesh
    let cells: [CellThread]
    let promise: LatencyPromise
    private let configurations: [CellConfiguration]
    private let placements: [ThreadPlacement]

    /// Builds the mesh; no thread runs yet.
    /// - Parameters:
    ///   - placements: where each cell's thread and rings go, by cell.
    ///   - busyWaitNanoseconds: how long before an event a cell's thread may watch the clock instead of sleeping.
    /// - Throws: when the process has no file descriptors left for the cells' bells, or no memory for the rings.
    init(
        side: Side, plan: FleetPlan, frontEnds: Int, scale: TimeScale, seed: UInt64, promise: LatencyPromise,
        placements: [ThreadPlacement], busyWaitNanoseconds: Int64 = 0
    ) throws {
        self.side = side
        self.plan = plan
        self.promise = promise
        books = Mutex(FleetAccount(plan))
        clock = ModelledClock(scale: scale)
        configurations = plan.cellConfigurations(seed: seed)
        precondition(placements.count == configurations.count, "every cell has a place")
        self.placements = placements
        let mesh = try Self.mesh(frontEnds: frontEnds, placements: placements)
        self.mesh = mesh
        let clock = clock
        cells = configurations.indices.map { number in
            CellThread(
                name: "\(side == .fleet ? "cell" : "shadow")-\(number)", clock: clock, bell: mesh.cellBells[number],
                busyWaitNanoseconds: busyWaitNanoseconds)
        }
    }

    /// The rings between event loops and cells, each cell's on its node.
    static func mesh(frontEnds: Int, placements: [ThreadPlacement]) throws -> Mesh {
        try Mesh(
            frontEnds: frontEnds, cells: placements.count, inboxCapacity: 4096, outboxCapacity: 16_384,
            nodes: placements.map(\.node))
    }

    /// Starts every cell's thread.
    /// - Parameter wake: called on a cell's thread when it has sent something to the front end with that number.
    /// - Throws: when a cell's configuration is impossible, or its thread may not run where it should.
    func start(wake: @escaping @Sendable (Int) -> Void) throws {
        for configuration in configurations { try configuration.validate() }
        for (number, thread) in cells.enumerated() {
            let configuration = configurations[number]
            let mesh = mesh
            try thread.start(promise: promise, placement: placements[number]) {
                let cell: Cell
                do { cell = try Cell(configuration: configuration) } catch {
                    preconditionFailure("a cell's configuration became invalid: \(error)")
                }
                let port = CellPort(cell: cell, mesh: mesh, number: number)
                port.wakeFrontEnd = wake
                return port
            }
        }
    }

    func stop() async { for cell in cells { await cell.stop() } }

    /// Cell of each replica.
    var cellOfReplica: [Int32] {
        (0..<Int32(plan.replicas)).map { Int32(location(ofReplica: $0)?.cell ?? 0) }
    }

    /// Where a replica lives: its cell, and its index there.
    func location(ofReplica replica: Int32) -> (cell: Int, index: Int)? {
        for (cell, configuration) in configurations.enumerated() {
            var base = 0
            for pool in configuration.pools {
                if replica >= pool.firstReplicaNumber, replica < pool.firstReplicaNumber + Int32(pool.replicas) {
                    return (cell, base + Int(replica - pool.firstReplicaNumber))
                }
                base += pool.replicas
            }
        }
        return nil
    }

    // MARK: Figures

    /// Price and power; a reload replaces them, and the books are then restated at the new prices from the start.
    var account: FleetAccount {
        get { books.withLock { $0 } }
        set { books.withLock { $0 = newValue } }
    }

    /// Gauges per pool, over all cells, as last published.
    var gauges: [PoolGauges] {
        var sums = [PoolGauges](repeating: PoolGauges(), count: plan.pools.count)
        for cell in cells {
            for (index, pool) in cell.lastGauges.pools.enumerated() { sums[index] = sums[index] + pool }
        }
        return sums
    }

    /// Cost and energy from the start to now, from what the cells last published.
    func settlement() -> Settlement {
        var activities = [PoolActivity](repeating: PoolActivity(), count: plan.pools.count)
        for (index, pool) in gauges.enumerated() { activities[index] = PoolActivity(pool.usage) }
        return Settlement(
            account: account, activities: activities,
            windowNanoseconds: coveringWindow(clock.nowNanoseconds, activities))
    }

    /// The side's books from the start to now, with every latency.
    func report(workload: String, seed: UInt64, effort: RunEffort) async -> ComparisonSide {
        var tally = Tally(promise: promise)
        var activities = [PoolActivity](repeating: PoolActivity(), count: plan.pools.count)
        var window = clock.nowNanoseconds
        for cell in cells {
            guard let snapshot = await cell.snapshot() else { continue }
            tally.merge(snapshot.tally)
            window = max(window, snapshot.gauges.atNanoseconds)
            for (index, pool) in snapshot.gauges.pools.enumerated() {
                activities[index].merge(PoolActivity(pool.usage))
            }
        }
        let account = account
        let settlement = Settlement(
            account: account, activities: activities, windowNanoseconds: coveringWindow(window, activities))
        let subject = RunSubject(workload: workload, seed: seed, grade: account.grade, assumptions: [])
        return ComparisonSide(
            report: SimulationReport(
                account: account, subject: subject, tally: tally, settlement: settlement, effort: effort),
            instances: Int64(plan.instances), keepsPromise: tally.keepsPromise)
    }

    /// A step that is under way counts as busy to its end, which may lie a little after the window; the window covers
    /// it.
    private func coveringWindow(_ window: Int64, _ activities: [PoolActivity]) -> Int64 {
        zip(plan.pools, activities).reduce(max(0, window)) { longest, pool in
            let perReplica = pool.1.busyPicoseconds / Int128(max(1, pool.0.replicas))
            return max(longest, Int64(perReplica / 1000) + 1)
        }
    }
}

extension PoolActivity {
    /// What replicas used, as the books read it.
    init(_ usage: ReplicaUsage) {
        self.init(busyPicoseconds: usage.busyPicoseconds, activeNanojoules: usage.activeNanojoules, steps: usage.steps)
    }
}
