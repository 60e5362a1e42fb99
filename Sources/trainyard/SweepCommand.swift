//===----------------------------------------------------------------------===//
// trainyard sweep: many runs, over the values of several parameters.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Fleet
import Foundation
import Ledger
import Report

struct SweepCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep", abstract: "Make many runs, over the values of several parameters.",
        discussion: """
            A sweep file (YAML) names a fleet, a workload, a promise and, under 'vary', the parameters with their values: rate, \
            scale, duration, limit or concurrency of the workload; fleet, workload, seed, instances, placement; or any key of the \
            fleet file by its path, such as pools.*.deployment.max_num_seqs. Every combination is run.

            --shard 3/16 makes every sixteenth run, for an array of jobs; --database gathers the rows of all jobs in one SQLite \
            file. The results depend on neither. Exit status 1 when a run could not be made.
            """)

    @Option(help: "Sweep file (YAML).")
    var spec: String

    @Option(help: "Which part of the runs to make, I/N with I from 1 to N.")
    var shard: String?

    @Option(help: "Write one row a run into this SQLite file, beside what other shards have written.")
    var database: String?

    @Option(help: "Write one row a run to this CSV file; - for standard output instead of the table.")
    var csv: String?

    @OptionGroup var catalogue: CatalogOptions

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if csv == "-" && common.json == "-" {
            throw ValidationError("only one of --csv and --json can go to standard output")
        }
        _ = try part()
    }

    /// Number from 0, and how many there are.
    private func part() throws -> (number: Int, count: Int) {
        guard let shard else { return (0, 1) }
        let parts = shard.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let number = parts[0], let count = parts[1], count >= 1, (1...count).contains(number)
        else { throw ValidationError("--shard takes I/N with I from 1 to N, such as 3/16, not '\(shard)'") }
        return (number - 1, count)
    }

    func run() async throws {
        let specification = try SweepSpecification(contentsOf: spec)
        let (number, count) = try part()
        let runner = SweepRun(
            specification: specification, seed: common.seedNumber, catalog: try catalogue.open())
        let store = try database.map { try SweepStore(path: $0) }
        let started = ContinuousClock.now
        let rows = try await runner.rows(
            specification.runs(ofShard: number, of: count),
            atATime: common.threadCount, into: store, progress: common.quiet ? nil : SweepProgress())
        if !common.quiet {
            Messages.write("trainyard: \(rows.count) runs in \(ContinuousClock.now - started)")
        }
        try write(rows)
        if rows.contains(where: { $0.problem != nil }) { throw ExitCode(1) }
    }

    private func write(_ rows: [SweepRow]) throws {
        if let csv { try Output.write(rows.csv, to: csv) }
        try common.write(text: csv == "-" ? "" : SweepTable.text(rows), json: ReportJSON.text(rows))
    }
}
