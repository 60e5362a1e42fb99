//===----------------------------------------------------------------------===//
// trainyard compare: the identical arrivals to a fleet and its baseline.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Fleet
import Ledger
import Report
import Simulator

struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Run the identical arrivals on a fleet and on a baseline, side by side.")

    @Option(help: "Fleet file (YAML).", completion: .file(extensions: ["yaml", "yml"]))
    var fleet: String

    @Option(
        help: "Fleet file (YAML) of what it is compared with.", completion: .file(extensions: ["yaml", "yml"]))
    var baseline: String

    @OptionGroup var options: RunOptions

    func run() async throws {
        let catalog = try options.catalogue.open()
        let plans = [try options.plan(fleet, in: catalog), try options.plan(baseline, in: catalog)]
        let workload = try options.openWorkload()
        let progress = ProgressLine(quiet: options.common.quiet)
        // Fleets of one cell run beside each other, one thread each; larger ones run one after the other on all
        // threads, so that each side's CPU time can be told.
        let sideBySide = options.common.threadCount > 1 && plans.allSatisfy { $0.cells == 1 }
        let runs = plans.map {
            FleetRun(
                plan: $0, workload: workload, seed: options.common.seedNumber,
                threads: sideBySide ? 1 : options.common.threadCount, promise: options.promises.promise,
                progress: progress)
        }
        let outcomes = try await outcomes(of: runs, sideBySide: sideBySide)
        progress?.finish()
        outcomes[0].writeMessages()
        let sides = outcomes.map {
            ComparisonSide(
                report: $0.report, instances: Int64($0.plan.instances), keepsPromise: $0.result.tally.keepsPromise)
        }
        let report = ComparisonReport(fleet: sides[0], baseline: sides[1], sized: options.size)
        try options.write(
            table: ReportText.text(sides: outcomes.map(\.side), notes: report.notes), json: try ReportJSON.text(report),
            html: ReportPage.html(sides: outcomes.map(\.pageSide), notes: report.notes))
        if options.asksForPromise && !sides.allSatisfy(\.keepsPromise) { throw ExitCode(1) }
    }

    private func outcomes(of runs: [FleetRun], sideBySide: Bool) async throws -> [FleetRun.Outcome] {
        let sized = options.size
        @Sendable func outcome(_ run: FleetRun) throws -> FleetRun.Outcome { try sized ? run.smallest() : run.run() }
        guard sideBySide else { return try runs.map(outcome) }
        return try await withThrowingTaskGroup(of: (Int, FleetRun.Outcome).self) { group in
            for (index, run) in runs.enumerated() {
                group.addTask { (index, try outcome(run)) }
            }
            var found: [(Int, FleetRun.Outcome)] = []
            for try await pair in group { found.append(pair) }
            return found.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }
}
