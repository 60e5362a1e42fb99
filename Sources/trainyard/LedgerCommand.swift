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
        guard let csv else {
            for (run, requests) in try store.runs() where runNumber == nil || runNumber == run.run {
                let started = ISO8601DateFormatter().string(from: Date(timeIntervalSince1970: Double(run.run) * 1e-9))
                let sides = run.fleet + (run.baseline.map { " beside \($0)" } ?? "")
                print(
                    "\(run.run)  \(started)  \(requests) requests  \(run.model)  \(sides)  time scale \(run.timeScale)")
            }
            return
        }
        let file = try csv == "-" ? FileHandle.standardOutput : Self.create(csv)
        var hasHeader = false
        try store.export(run: runNumber) { columns, values in
            if !hasHeader {
                hasHeader = true
                try file.write(contentsOf: Data((columns.joined(separator: ",") + "\n").utf8))
            }
            try file.write(contentsOf: Data((values.joined(separator: ",") + "\n").utf8))
        }
        if csv != "-" { try file.close() }
    }

    private static func create(_ path: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
        else {
            throw CommandError("cannot write \(path)")
        }
        return file
    }
}

extension LedgerStore {
    /// Opens a ledger that is there: a mistyped path must not make an empty one.
    static func existing(_ path: String) throws -> LedgerStore {
        guard FileManager.default.fileExists(atPath: path) else { throw CommandError("no such ledger: \(path)") }
        return try LedgerStore(path: path)
    }
}
