//===----------------------------------------------------------------------===//
// One fleet on one workload, from plan to report.
//===----------------------------------------------------------------------===//

import Catalog
import Fleet
import Foundation
import Ledger
import Report
import Simulator
import StepModel
import Workload
import Yard

/// Runs one side of a simulation or comparison.
struct FleetRun: Sendable {
    var plan: FleetPlan
    var workload: Workload
    var seed: UInt64
    var threads: Int
    var promise: LatencyPromise
    var keepsCompletions = false
    /// Decisions that each cell may keep for a log; 0 for none.
    var decisionRecords = 0
    /// Virtual time between exchanges of load among cells; nil for the simulator's choice.
    var windowNanoseconds: Int64?
    var progress: ProgressLine?

    /// What came out of a run.
    struct Outcome: Sendable {
        var plan: FleetPlan
        var result: SimulationResult
        var settlement: Settlement
        var report: SimulationReport

        var side: ReportSide {
            ReportSide(report: report, caption: plan.caption, keepsPromise: result.tally.keepsPromise)
        }

        var pageSide: PageSide { PageSide(side: side, tally: result.tally, settlement: settlement) }
    }

    func run() throws -> Outcome {
        let clock = EffortClock(ownThreadOnly: usedThreads == 1)
        let result = try simulate(plan)
        let account = FleetAccount(plan)
        let settlement = Settlement(
            account: account, activities: result.activities, windowNanoseconds: result.endNanoseconds)
        for (pool, energy) in zip(account.pools, settlement.energies) {
            let bounds = PoolEnergy.bounds(of: pool, windowNanoseconds: settlement.windowNanoseconds)
            // A part in a million for the rounding of steps' energies and of milliwatts, and one nanosecond of all
            // replicas.
            let slack = bounds.upperBound / 1_000_000 + Int128(pool.replicas * pool.replicaMaxMilliwatts) / 1000 + 1000
            assert(
                energy.chipNanojoules >= bounds.lowerBound - slack
                    && energy.chipNanojoules <= bounds.upperBound + slack,
                "pool \(pool.name): \(energy.chipNanojoules) nJ lie outside \(bounds)")
        }
        let report = SimulationReport(
            account: account, subject: subject(result), tally: result.tally, settlement: settlement,
            effort: clock.effort)
        return Outcome(plan: plan, result: result, settlement: settlement, report: report)
    }

    /// Threads that the simulation can use: one cell is run on one.
    var usedThreads: Int { min(threads, plan.cells) }

    private func simulate(_ plan: FleetPlan) throws -> SimulationResult {
        var options = SimulationOptions()
        options.seed = seed
        options.threads = usedThreads
        options.promise = promise
        options.keepsCompletions = keepsCompletions
        options.decisionRecords = decisionRecords
        options.windowNanoseconds = windowNanoseconds
        if let progress {
            let name = plan.name
            options.progress = { progress.show($0, of: name) }
        }
        return try Simulation.run(plan: plan, workload: workload, options: options)
    }

    private func subject(_ result: SimulationResult) -> RunSubject {
        let provenance = workload.provenance
        var sentences = ["workload: \(provenance.source)"] + provenance.assumptions + result.reading.notes
        switch result.stability {
        case .stable: break
        case .backlogged:
            sentences.append(
                "a backlog was left when the last request arrived: latencies depend on how long the run is")
        case .overloaded:
            sentences.append("overloaded: the backlog grew throughout, so latencies only say how long the run was")
        }
        let transfers = result.counters.transfers
        if transfers.transfers > 0 {
            let count = Double(transfers.transfers)
            sentences.append(
                String(
                    format: "KV of %lld prompts went from prefill to decode, %.1f GB: %.2f ms on the way in the mean, "
                        + "%.2f ms at most, after %.2f ms of waiting for a place", transfers.transfers,
                    Double(transfers.bytes) * 1e-9, Double(transfers.crossingNanoseconds) * 1e-6 / count,
                    Double(transfers.longestCrossingNanoseconds) * 1e-6,
                    Double(transfers.placeWaitNanoseconds) * 1e-6 / count))
        }
        return RunSubject(
            workload: workload.description.description, seed: seed,
            grade: Grade(rawValue: provenance.grade.rawValue) ?? .assumed, assumptions: sentences,
            stability: result.stability.rawValue)
    }

    // MARK: Sizing

    /// The run with the fewest instances that keeps the promise, found by doubling and bisection.
    ///
    /// Takes for granted that more instances never break a promise that fewer keep. When growing stops helping (two
    /// doublings that change neither percentile by 1 %), the largest run is returned, and does not keep the promise.
    func smallest() throws -> Outcome {
        let unit = plan.pools.map { $0.compiled.instancesPerReplica }.reduce(0, +)
        func outcome(_ units: Int) throws -> Outcome {
            var run = self
            run.plan = plan.scaled(instances: units * unit)
            return try run.run()
        }
        var below = 0
        var units = max(1, plan.instances / unit)
        var best = try outcome(units)
        var idleDoublings = 0
        while !best.result.tally.keepsPromise {
            guard idleDoublings < 2, units < 1 << 20 else { return best }
            below = units
            units *= 2
            let larger = try outcome(units)
            idleDoublings = larger.improves(on: best) ? 0 : idleDoublings + 1
            best = larger
        }
        while units - below > 1 {
            let middle = (below + units) / 2
            let candidate = try outcome(middle)
            if candidate.result.tally.keepsPromise {
                units = middle
                best = candidate
            } else {
                below = middle
            }
        }
        return best
    }
}

extension FleetRun.Outcome {
    /// Says on standard error what was wrong with the input and was let pass.
    func writeMessages() {
        for note in result.reading.notes { Messages.write("trainyard: \(note)") }
    }

    /// Whether either percentile is at least 1 % better, or more requests were served.
    func improves(on other: FleetRun.Outcome) -> Bool {
        func better(_ mine: Double?, _ theirs: Double?) -> Bool { (mine ?? 0) < (theirs ?? 0) * 0.99 }
        return better(report.ttftSeconds.p99, other.report.ttftSeconds.p99)
            || better(report.tpotSeconds.p99, other.report.tpotSeconds.p99)
            || report.requests.completed > other.report.requests.completed
    }
}

/// Wall time, CPU time and memory since it was made.
struct EffortClock: Sendable {
    private let ownThreadOnly: Bool
    private let wall: ContinuousClock.Instant
    private let cpu: Double

    /// - Parameter ownThreadOnly: count only the CPU time of the calling thread, because others work on something
    ///   else.
    init(ownThreadOnly: Bool) {
        self.ownThreadOnly = ownThreadOnly
        wall = ContinuousClock.now
        cpu = Self.cpuSeconds(ownThreadOnly)
    }

    var effort: RunEffort {
        let elapsed = ContinuousClock.now - wall
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let (seconds, attoseconds) = elapsed.components
        return RunEffort(
            wallSeconds: Double(seconds) + Double(attoseconds) * 1e-18,
            cpuSeconds: Self.cpuSeconds(ownThreadOnly) - cpu,
            peakMemoryBytes: Int64(usage.ru_maxrss) * 1024)
    }

    private static func cpuSeconds(_ ownThreadOnly: Bool) -> Double {
        var time = timespec()
        clock_gettime(ownThreadOnly ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
