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

    @Option(help: "Fleet file (YAML).")
    var fleet: String

    @OptionGroup var options: RunOptions

    @Option(help: "Write one CSV row per request to this file.")
    var requests: String?

    func run() throws {
        let catalog = try options.openCatalog()
        let plan = try options.plan(fleet, in: catalog)
        let workload = try options.openWorkload()
        let progress = ProgressLine(quiet: options.quiet)
        let run = FleetRun(
            plan: plan, workload: workload, seed: options.seed, threads: options.threadCount, promise: options.promise,
            keepsCompletions: requests != nil, progress: progress)
        let outcome = try options.size ? run.smallest() : run.run()
        progress?.finish()
        outcome.writeMessages()
        if let requests { try writeRows(outcome, to: requests) }
        try options.print(
            table: ReportText.text(sides: [outcome.side], notes: []), json: try ReportJSON.text(outcome.report))
        if options.asksForPromise && !outcome.result.tally.keepsPromise { throw ExitCode(1) }
    }

    private func writeRows(_ outcome: FleetRun.Outcome, to path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path) else {
            throw CommandError("cannot write \(path)")
        }
        defer { try? file.close() }
        try RequestRows.write(
            outcome.result.tally.completions, tenants: outcome.plan.tenants.map(\.name),
            classes: outcome.plan.classes.map(\.name)
        ) { try file.write(contentsOf: Data($0.utf8)) }
    }
}
