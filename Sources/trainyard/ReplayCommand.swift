//===----------------------------------------------------------------------===//
// trainyard replay: what a daemon really got, on another fleet or on the same one; and decisions, one by one.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Fleet
import Foundation
import Ledger
import Report
import StepModel
import Workload

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Run the requests of a daemon's ledger on a fleet, as fast as the machine can go.",
        discussion: """
            Arrival times, prompt and output lengths are the recorded ones; prefixes that requests shared are not in the ledger, \
            so prefix caches start and stay empty.

            With --decisions, the placement decisions that `simulate --decisions` wrote are made again on the same --fleet and \
            compared one by one; --what-if names another policy and prints the regret of the one that was used: at each decision, \
            by what both replicas' step tables predicted then; of the largest of these alone, simulated again with one request \
            moved; and with the other policy in charge of everything.
            """)

    @Option(help: "The ledger's database.")
    var ledger: String?

    @Option(help: "A decision log, in the place of a ledger; exit status 1 when a decision comes out differently.")
    var decisions: String?

    @Option(help: "With --decisions: another placement policy, to see what it would have made of the same requests.")
    var whatIf: String?

    @Option(help: "With --what-if: write the regret of each decision to this CSV file.")
    var regret: String?

    @Option(help: "With --what-if: decisions with the largest predicted regret to simulate again, each on its own.")
    var resimulate = 5

    @Option(name: .customLong("run"), help: "A run's number, as `trainyard ledger` shows it. Default: the last run.")
    var runNumber: UInt64?

    @Option(help: "Fleet file (YAML). Default: the fleet that the run was recorded on.")
    var fleet: String?

    @Option(name: .customLong("ttft-p99"), help: "Promised time to first token, seconds at the 99th percentile.")
    var ttftSeconds = LatencyPromise.interactive.ttftSeconds

    @Option(name: .customLong("tpot-p99"), help: "Promised time per output token, seconds at the 99th percentile.")
    var tpotSeconds = LatencyPromise.interactive.tpotSeconds

    @Option(help: "Write the report as JSON to this file; - for standard output instead of the table.")
    var json: String?

    @Option(help: "Seed of the yard's choices.")
    var seed: UInt64 = 1

    @Option(help: "Threads; results do not depend on them. Default: all CPUs.")
    var threads: Int?

    @Flag(help: "No progress on standard error.")
    var quiet = false

    func validate() throws {
        guard (ledger == nil) != (decisions == nil) else {
            throw ValidationError("give either --ledger or --decisions")
        }
        if decisions != nil && fleet == nil { throw ValidationError("--decisions needs the --fleet that made them") }
        if decisions == nil && whatIf != nil { throw ValidationError("--what-if goes with --decisions") }
        if regret != nil && whatIf == nil { throw ValidationError("--regret goes with --what-if") }
        if !(0...10_000).contains(resimulate) { throw ValidationError("--resimulate takes 0 to 10000") }
    }

    func run() throws {
        if let decisions, let fleet {
            let plan = try FleetSpecification(contentsOf: fleet).plan(catalog: .builtIn, calibration: .builtIn)
            let (text, isFaithful) = try DecisionReplayRun(
                path: decisions, plan: plan, seed: seed, whatIf: whatIf, resimulated: resimulate, regretFile: regret
            ).run()
            FileHandle.standardOutput.write(Data(text.utf8))
            if !isFaithful { throw ExitCode(1) }
            return
        }
        guard let ledger else { return }
        let store = try LedgerStore.existing(ledger)
        let runs = try store.runs().map(\.run)
        guard let chosen = runNumber == nil ? runs.last : runs.first(where: { $0.run == runNumber }) else {
            throw CommandError(
                runNumber.map { "\(ledger) has no run \($0); `trainyard ledger` lists them" } ?? "\(ledger) has no runs"
            )
        }
        let arrivals = try store.arrivals(run: chosen.run)
        guard !arrivals.isEmpty else { throw CommandError("run \(chosen.run) has no requests that got a token") }
        let plan = try specification(of: chosen).plan(catalog: .builtIn, calibration: .builtIn)
        let progress = ProgressLine(quiet: quiet)
        let outcome = try FleetRun(
            plan: plan, workload: Self.workload(arrivals, name: "ledger-\(chosen.run)"), seed: seed,
            threads: threads ?? max(1, ProcessInfo.processInfo.activeProcessorCount),
            promise: LatencyPromise(ttftSeconds: ttftSeconds, tpotSeconds: tpotSeconds), progress: progress
        ).run()
        progress?.finish()
        outcome.writeMessages()
        let text = try ReportJSON.text(outcome.report)
        if let json, json != "-" { try Data(text.utf8).write(to: URL(fileURLWithPath: json)) }
        if json == "-" {
            FileHandle.standardOutput.write(Data(text.utf8))
            return
        }
        let recorded = try store.meanLatencies(run: chosen.run)
        let notes = [
            "recorded on \(chosen.fleet): mean TTFT \(Self.milliseconds(recorded.ttftSeconds)), "
                + "mean TPOT \(Self.milliseconds(recorded.tpotSeconds))"
        ]
        FileHandle.standardOutput.write(Data(ReportText.text(sides: [outcome.side], notes: notes).utf8))
    }

    private func specification(of run: LedgerRun) throws -> FleetSpecification {
        if let fleet { return try FleetSpecification(contentsOf: fleet) }
        guard let text = run.fleetFile else {
            throw CommandError(
                "the fleet '\(run.fleet)' stood in the daemon's configuration: name a fleet file with --fleet")
        }
        return try FleetSpecification(yaml: text, file: "\(run.fleet) (from the ledger)")
    }

    /// The recorded requests as a trace of times and lengths, the first at 0.
    private static func workload(_ arrivals: [LedgerArrival], name: String) throws -> Workload {
        var rows = "arrived_at,num_prefill_tokens,num_decode_tokens\n"
        let first = arrivals[0].arrivalNanoseconds
        for arrival in arrivals {
            let time = arrival.arrivalNanoseconds - first
            let fraction = String(time % 1_000_000_000)
            let seconds = "\(time / 1_000_000_000)." + String(repeating: "0", count: 9 - fraction.count) + fraction
            rows += "\(seconds),\(arrival.promptTokens),\(arrival.outputTokens)\n"
        }
        return try Workload(WorkloadDescription(parsing: "vidur:\(name)"), bytes: Array(rows.utf8))
    }

    private static func milliseconds(_ seconds: Double?) -> String {
        seconds.map { "\(($0 * 1_000_000).rounded() / 1000) ms" } ?? "not known"
    }
}
