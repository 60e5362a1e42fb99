//===----------------------------------------------------------------------===//
// trainyard simulate: one fleet on the virtual clock.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Engine
import Fleet
import Foundation
import Ledger
import Report
import Simulator

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Run a workload on one fleet, as fast as the machine can go.")

    @Option(help: "Fleet file (YAML).", completion: .file(extensions: ["yaml", "yml"]))
    var fleet: String

    @OptionGroup var options: RunOptions

    @Option(
        help: "Milliseconds of virtual time between exchanges of load among cells (default: 10; 100 beyond 16 cells).")
    var window: Double?

    @Option(help: "Write one CSV row per request to this file.", completion: .file())
    var requests: String?

    @Option(help: "Write the log of every placement decision to this file, for `trainyard replay --decisions`.")
    var decisions: String?

    /// Records per cell, 40 bytes each and as much again for requests: a bound, not what is taken.
    private static let mostDecisions = 1 << 24

    func validate() throws {
        if let window, !(0.001...60_000).contains(window) {
            throw ValidationError("--window takes 0.001 to 60000 milliseconds, not \(window)")
        }
    }

    func run() throws {
        let catalog = try options.catalogue.open()
        let plan = try options.plan(fleet, in: catalog)
        let workload = try options.openWorkload()
        let progress = ProgressLine(quiet: options.common.quiet)
        let run = FleetRun(
            plan: plan, workload: workload, seed: options.common.seedNumber, threads: options.common.threadCount,
            promise: options.promises.promise,
            keepsCompletions: requests != nil, decisionRecords: decisions == nil ? 0 : Self.mostDecisions,
            windowNanoseconds: window.map { Int64(($0 * 1e6).rounded()) },
            progress: progress)
        let outcome = try options.size ? run.smallest() : run.run()
        progress?.finish()
        outcome.writeMessages()
        if let requests { try writeRows(outcome, to: requests) }
        if let decisions { try DecisionReplayRun.write(outcome.result, to: decisions) }
        try options.write(
            table: ReportText.text(sides: [outcome.side], notes: []), json: try ReportJSON.text(outcome.report),
            html: ReportPage.html(sides: [outcome.pageSide], notes: []))
        if options.asksForPromise && !outcome.result.tally.keepsPromise { throw ExitCode(1) }
    }

    private func writeRows(_ outcome: FleetRun.Outcome, to path: String) throws {
        try Output.write(to: path) { write in
            try RequestRows.write(
                outcome.result.tally.completions, tenants: outcome.plan.tenants.map(\.name),
                classes: outcome.plan.classes.map(\.name)
            ) { try write(Data($0.utf8)) }
        }
    }
}
