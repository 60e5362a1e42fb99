//===----------------------------------------------------------------------===//
// The runs of a sweep, several at a time.
//===----------------------------------------------------------------------===//

import Catalog
import Fleet
import Foundation
import Ledger
import Report
import Simulator
import StepModel
import Workload

/// Makes runs of a sweep. Each is one simulation on one thread, so that its row does not depend on what else runs.
struct SweepRun: Sendable {
    let specification: SweepSpecification
    let seed: UInt64
    let catalog: Catalog

    /// - Returns: rows in the order of runs.
    func rows(
        _ runs: [Int], atATime threads: Int, into store: SweepStore?, progress: SweepProgress?
    ) async throws -> [SweepRow] {
        try await withThrowingTaskGroup(of: SweepRow.self) { group in
            var rows: [SweepRow] = []
            var waiting = runs[...]
            func start() {
                guard let run = waiting.popFirst() else { return }
                group.addTask { row(ofRun: run) }
            }
            for _ in 0..<threads { start() }
            while let row = try await group.next() {
                start()
                try store?.store([row])
                rows.append(row)
                progress?.show(rows.count, of: runs.count)
            }
            return rows.sorted { $0.run < $1.run }
        }
    }

    private func row(ofRun run: Int) -> SweepRow {
        let parameters = zip(specification.axes, specification.values(ofRun: run)).map {
            SweepRow.Parameter(name: $0.name, value: $1)
        }
        var row = SweepRow(sweep: specification.name, run: run, parameters: parameters, figures: nil, problem: nil)
        do { row.figures = try figures(ofRun: run) } catch { row.problem = "\(error)" }
        return row
    }

    private func figures(ofRun run: Int) throws -> SweepFigures {
        let point = try specification.point(ofRun: run, seed: seed)
        var plan = try point.fleet.plan(catalog: catalog, calibration: .builtIn)
        if let instances = point.instances { plan = try scaled(plan, to: instances) }
        let promise = LatencyPromise(
            ttftSeconds: specification.ttftSeconds ?? LatencyPromise.interactive.ttftSeconds,
            tpotSeconds: specification.tpotSeconds ?? LatencyPromise.interactive.tpotSeconds)
        let outcome = try FleetRun(
            plan: plan, workload: try Workload(point.workload), seed: point.seed, threads: 1, promise: promise
        ).run()
        return SweepFigures(
            outcome.report, instances: Int64(plan.instances), keepsPromise: outcome.result.tally.keepsPromise,
            stability: outcome.result.stability.rawValue)
    }

    /// A fleet of exactly so many instances, or an error.
    private func scaled(_ plan: FleetPlan, to instances: Int) throws -> FleetPlan {
        let scaled = plan.scaled(instances: instances)
        guard scaled.instances == instances else {
            throw CommandError(
                "\(plan.name) cannot have \(instances) instances: its pools need whole replicas, at least one each")
        }
        return scaled
    }
}

/// How many runs are done, on a terminal.
struct SweepProgress: Sendable {
    private let isTerminal = isatty(FileHandle.standardError.fileDescriptor) == 1

    func show(_ done: Int, of count: Int) {
        guard isTerminal else { return }
        let end = done == count ? "\r\u{1B}[K" : ""
        try? FileHandle.standardError.write(contentsOf: Data("\r\(done) of \(count) runs\(end)".utf8))
    }
}

/// The rows for a terminal.
enum SweepTable {
    static func text(_ rows: [SweepRow]) -> String {
        guard let first = rows.first else { return "no runs in this shard\n" }
        var table = TextTable()
        table.add(
            ["run"] + first.parameters.map(\.name) + [
                "completed", "TTFT p50 ms", "p99", "TPOT p50 ms", "p99", "goodput/s", "in promise %", "USD/M out",
                "wall J/token", "state",
            ])
        table.rule()
        for row in rows {
            table.add([String(row.run)] + row.parameters.map(\.value) + cells(row))
        }
        let problems = rows.compactMap { row in row.problem.map { "run \(row.run): \($0)\n" } }
        return table.text + (problems.isEmpty ? "" : "\n" + problems.joined())
    }

    private static func cells(_ row: SweepRow) -> [String] {
        guard let figures = row.figures else { return Array(repeating: "", count: 9) + ["not run"] }
        func milliseconds(_ seconds: Double?) -> String { seconds.map { NumberText.milliseconds($0) } ?? "-" }
        func number(_ value: Double?) -> String { value.map { NumberText.significant($0, digits: 4) } ?? "-" }
        return [
            NumberText.grouped(figures.completed), milliseconds(figures.ttftP50Seconds),
            milliseconds(figures.ttftP99Seconds), milliseconds(figures.tpotP50Seconds),
            milliseconds(figures.tpotP99Seconds), number(figures.goodputRequestsPerSecond),
            NumberText.fixed(figures.goodputFraction * 100, decimals: 1), number(figures.usdPerMillionOutputTokens),
            number(figures.wallJoulesPerOutputToken),
            figures.stability + (figures.keepsPromise ? ", kept" : ", broken"),
        ]
    }
}
