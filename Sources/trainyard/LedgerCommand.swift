//===----------------------------------------------------------------------===//
// trainyard ledger: what a daemon recorded.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import Ledger

struct LedgerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger", abstract: "List the runs in a daemon's ledger, or export its requests as CSV.",
        discussion: """
            Parquet is not written, because no maintained Swift library writes it. Other programs make it of the CSV:
            duckdb -c "COPY (FROM 'requests.csv') TO 'requests.parquet'"
            """)

    @Option(help: "The ledger's database.", completion: .file(extensions: ["sqlite"]))
    var ledger: String

    @Option(name: .customLong("run"), help: "A run's number, as the list shows it; default for --csv: all runs.")
    var runNumber: UInt64?

    @Option(help: "Write one row per request to this file; - for standard output.", completion: .file())
    var csv: String?

    func validate() throws {
        guard csv?.hasSuffix(".parquet") == true else { return }
        throw ValidationError(
            "--csv writes CSV, and no maintained Swift library writes Parquet: export to requests.csv, then "
                + "duckdb -c \"COPY (FROM 'requests.csv') TO 'requests.parquet'\"")
    }

    func run() throws {
        let store = try LedgerStore.existing(ledger)
        if let runNumber { _ = try store.run(runNumber, in: ledger) }
        guard let csv else {
            let runs = try store.runs().filter { runNumber == nil || runNumber == $0.run.run }
            return try Output.write(runs.map { Self.line($0.run, requests: $0.requests) }.joined())
        }
        try Output.write(to: csv) { write in
            var hasHeader = false
            try store.export(run: runNumber) { columns, values in
                if !hasHeader { try write(Self.row(columns)) }
                hasHeader = true
                try write(Self.row(values))
            }
        }
    }

    private static func row(_ fields: [String]) -> Data { Data((fields.joined(separator: ",") + "\n").utf8) }

    private static func line(_ run: LedgerRun, requests: Int) -> String {
        let started = ISO8601DateFormatter().string(from: Date(timeIntervalSince1970: Double(run.run) * 1e-9))
        let sides = run.fleet + (run.baseline.map { " beside \($0)" } ?? "")
        return "\(run.run)  \(started)  \(requests) requests  \(run.model)  \(sides)  time scale \(run.timeScale)\n"
    }
}

extension LedgerStore {
    /// Opens a ledger that is there: a mistyped path must not make an empty one.
    static func existing(_ path: String) throws -> LedgerStore {
        guard FileManager.default.fileExists(atPath: path) else { throw CommandError("no such ledger: \(path)") }
        return try LedgerStore(path: path)
    }

    /// The run with a number, or the last one.
    func run(_ number: UInt64?, in path: String) throws -> LedgerRun {
        let runs = try runs().map(\.run)
        guard let number else {
            guard let last = runs.last else { throw CommandError("\(path) has no runs") }
            return last
        }
        guard let found = runs.first(where: { $0.run == number }) else {
            throw CommandError("\(path) has no run \(number); `trainyard ledger` lists them")
        }
        return found
    }
}
