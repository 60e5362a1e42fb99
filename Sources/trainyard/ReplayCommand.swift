//===----------------------------------------------------------------------===//
// trainyard replay: what a daemon really got, on another fleet or on the same one; and decisions, one by one.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Fleet
import Foundation
import Ledger
import Report
import Simulator
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

    @OptionGroup var promises: PromiseOptions

    @OptionGroup var catalogue: CatalogOptions

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (ledger == nil) != (decisions == nil) else {
            throw ValidationError("give either --ledger or --decisions")
        }
        if decisions != nil && fleet == nil { throw ValidationError("--decisions needs the --fleet that made them") }
        if decisions != nil && common.json != nil { throw ValidationError("--json goes with --ledger") }
        if decisions == nil && whatIf != nil { throw ValidationError("--what-if goes with --decisions") }
        if regret != nil && whatIf == nil { throw ValidationError("--regret goes with --what-if") }
        if !(0...10_000).contains(resimulate) { throw ValidationError("--resimulate takes 0 to 10000") }
    }

    func run() throws {
        let catalog = try catalogue.open()
        if let decisions, let fleet { return try replay(decisions: decisions, fleet: fleet, catalog: catalog) }
        if let ledger { try replay(ledger: ledger, catalog: catalog) }
    }

    private func replay(decisions: String, fleet: String, catalog: Catalog) throws {
        let plan = try FleetSpecification(contentsOf: fleet).plan(catalog: catalog, calibration: .builtIn)
        let (text, isFaithful) = try DecisionReplayRun(
            path: decisions, plan: plan, seed: common.seedNumber, whatIf: whatIf, resimulated: resimulate,
            regretFile: regret
        ).run()
        try Output.write(text)
        if !isFaithful { throw ExitCode(1) }
    }

    private func replay(ledger: String, catalog: Catalog) throws {
        let store = try LedgerStore.existing(ledger)
        let chosen = try store.run(runNumber, in: ledger)
        let arrivals = try store.arrivals(run: chosen.run)
        guard !arrivals.isEmpty else { throw CommandError("run \(chosen.run) has no requests that got a token") }
        let plan = try specification(of: chosen).plan(catalog: catalog, calibration: .builtIn)
        let progress = ProgressLine(quiet: common.quiet)
        let outcome = try FleetRun(
            plan: plan, workload: Self.workload(arrivals, name: "ledger-\(chosen.run)"), seed: common.seedNumber,
            threads: common.threadCount, promise: promises.promise, progress: progress
        ).run()
        progress?.finish()
        outcome.writeMessages()
        let recorded = try store.meanLatencies(run: chosen.run)
        let notes = [
            "recorded on \(chosen.fleet): mean TTFT \(Self.milliseconds(recorded.ttftSeconds)), "
                + "mean TPOT \(Self.milliseconds(recorded.tpotSeconds))"
        ]
        try common.write(
            text: ReportText.text(sides: [outcome.side], notes: notes), json: ReportJSON.text(outcome.report))
        if promises.isAsked && !outcome.result.tally.keepsPromise { throw ExitCode(1) }
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
