//===----------------------------------------------------------------------===//
// How a simulation is run, and what comes out of it.
//===----------------------------------------------------------------------===//

public import Engine
public import Ledger
public import Workload
public import Yard

/// Something that happens to a replica at a time: a drain, a failure, its return.
public struct ReplicaEvent: BitwiseCopyable, Sendable, Equatable {
    public var atNanoseconds: Int64
    /// As the fleet numbers them.
    public var replica: Int32
    public var order: ReplicaOrder

    public init(atNanoseconds: Int64, replica: Int32, order: ReplicaOrder) {
        self.atNanoseconds = atNanoseconds
        self.replica = replica
        self.order = order
    }
}

/// How far a simulation is.
public struct SimulationProgress: Sendable, Equatable {
    public var simulatedSeconds: Double
    public var requestsOffered: Int64
    public var requestsEnded: Int64
}

/// Everything about a run that is neither fleet nor workload. Only `threads`, `pinned` and `progress` leave the results
/// as they are.
public struct SimulationOptions: Sendable {
    /// Seeds the yard's choices (placement, cell choice); a workload brings its own seed.
    public var seed: UInt64 = 1
    /// Threads that step cells; the results do not depend on it.
    public var threads = 1
    /// Pins each thread to a CPU that the process may use.
    public var pinned = false
    /// In a fleet of several cells, front ends see the cells' load as of the start of the present window of virtual
    /// time. nil: 10 ms, and 100 ms for more than 16 cells, where a cell's memory then stays in the processor's cache
    /// for longer.
    ///
    /// Measured against one exact cell on the same arrivals (`scripts/bench staleness`: 1,024 replicas in 8 cells, 8
    /// seeds; mean difference ± its standard error, in %):
    ///
    ///     window      1 ms          10 ms         100 ms        1 s
    ///     TTFT p50    -0.06 ± 0.02  -0.07 ± 0.03  -0.09 ± 0.04  -0.10 ± 0.03
    ///     TTFT p99    -0.37 ± 0.32  -0.14 ± 0.22  -0.32 ± 0.20  -0.62 ± 0.15
    ///     TPOT p50    -0.14 ± 0.06  -0.21 ± 0.06  -0.06 ± 0.07  -0.18 ± 0.06
    ///     TPOT p99    -0.28 ± 1.87  -0.90 ± 2.01  -0.45 ± 2.06  -2.60 ± 2.09
    ///     E2E p99     +0.08 ± 0.14  +0.02 ± 0.22  -0.23 ± 0.12  -0.13 ± 0.18
    ///
    /// So what moves comes from dealing replicas to cells, not from the window's length, and is below 1 %. A single
    /// run's TPOT p99 differs by up to 11 % whatever the window: it hangs on requests of two or three tokens, whose
    /// TPOT is one or two gaps, and lies where few requests are; it varies by 4 % between seeds of the exact cell too.
    public var windowNanoseconds: Int64?
    public var cellChoice = CellChoice()
    /// By tenant; each front end enforces its share.
    public var limits: [TenantLimits] = []
    public var promise = LatencyPromise.interactive
    public var keepsCompletions = false
    /// In the order of time.
    public var events: [ReplicaEvent] = []
    /// Records that each cell may keep of its decisions; 0 for none.
    public var decisionRecords = 0
    /// Seeds closed-loop think times.
    public var thinkSeed: UInt64 = 1
    public var closedLoop: ClosedLoop?
    /// In a closed loop, no request starts after this.
    public var closedLoopEndNanoseconds: Int64?
    /// Called now and then, on the thread that runs the simulation.
    public var progress: (@Sendable (SimulationProgress) -> Void)?

    public init() {}
}

/// What came of a simulation.
public struct SimulationResult: Sendable {
    public var tally: Tally
    /// By pool, in the order of the fleet.
    public var usage: [ReplicaUsage]
    public var counters: CellCounters
    /// Requests that front ends refused, before any cell saw them.
    public var refusedByGate: Int64
    /// From the start of the run until nothing was left to happen.
    public var endNanoseconds: Int64
    public var lastArrivalNanoseconds: Int64
    public var stability: Stability
    public var cells: Int
    /// Windows in which something happened; 0 when one cell was run exactly.
    public var windows: Int64
    /// By cell, when decisions were recorded.
    public var decisions: [DecisionLog]
    /// Decisions beyond what the recorders held.
    public var decisionsLost: Int
    /// What the sources met while reading.
    public var reading: ReadingCounts

    /// By pool, as the ledger settles it.
    public var activities: [PoolActivity] {
        usage.map {
            PoolActivity(busyPicoseconds: $0.busyPicoseconds, activeNanojoules: $0.activeNanojoules, steps: $0.steps)
        }
    }
}

/// A simulation that cannot be run as asked.
public struct SimulationError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
}
