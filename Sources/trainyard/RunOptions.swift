//===----------------------------------------------------------------------===//
// What simulate and compare have in common.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Fleet
import Foundation
import Ledger
import StepModel
import Workload

/// Where results go, and how they are computed.
struct RunOptions: ParsableArguments {
    @Option(
        help: "FORMAT:PATH or a built-in name, with options after a question mark (azure:trace.csv?scale=2).",
        completion: .list(BuiltInWorkload.allCases.map(\.rawValue) + TraceFormat.allCases.map { "\($0.rawValue):" }))
    var workload: String

    @Option(name: .customLong("ttft-p99"), help: "Promised time to first token, seconds at the 99th percentile.")
    var ttftSeconds: Double?

    @Option(name: .customLong("tpot-p99"), help: "Promised time per output token, seconds at the 99th percentile.")
    var tpotSeconds: Double?

    @Flag(help: "Grow or shrink each fleet to the smallest that keeps the promise.")
    var size = false

    @Option(
        help: "Write the report as JSON to this file; - for standard output instead of the table.",
        completion: .file())
    var json: String?

    @Option(help: "Write the report as one HTML page to this file.", completion: .file())
    var html: String?

    @Option(help: "Seed of the yard's choices, and of a generated workload that names none.")
    var seed: UInt64 = 1

    @Option(help: "Threads; results do not depend on them. Default: all CPUs.")
    var threads: Int?

    @Option(
        help: "Directory of catalogue files that replace or add to the built-in ones.", completion: .directory)
    var catalog: String?

    @Flag(help: "Count malformed rows of a trace instead of stopping at the first.")
    var skipBadRows = false

    @Flag(help: "No progress on standard error.")
    var quiet = false

    func validate() throws {
        for (name, seconds) in [("--ttft-p99", ttftSeconds), ("--tpot-p99", tpotSeconds)] {
            guard let seconds else { continue }
            guard seconds > 0, seconds < 100_000 else {
                throw ValidationError("\(name) takes seconds above 0, such as 0.5, not \(seconds)")
            }
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads takes 1 to 1024, not \(threads)")
        }
    }

    /// The promise asked for, with INTERFACE's defaults where none was.
    var promise: LatencyPromise {
        LatencyPromise(
            ttftSeconds: ttftSeconds ?? LatencyPromise.interactive.ttftSeconds,
            tpotSeconds: tpotSeconds ?? LatencyPromise.interactive.tpotSeconds)
    }

    /// Whether a broken promise is worth exit status 1: only one that was asked for.
    var asksForPromise: Bool { ttftSeconds != nil || tpotSeconds != nil || size }

    var threadCount: Int { threads ?? max(1, ProcessInfo.processInfo.activeProcessorCount) }

    func openCatalog() throws -> Catalog {
        try catalog.map { try Catalog(directory: $0) } ?? Catalog.builtIn
    }

    func plan(_ path: String, in catalog: Catalog) throws -> FleetPlan {
        try FleetSpecification(contentsOf: path).plan(catalog: catalog, calibration: .builtIn)
    }

    func openWorkload() throws -> Workload {
        var description = try WorkloadDescription(parsing: workload)
        if !workload.contains("seed=") { description.options.seed = seed }
        return try Workload(description, policy: ReadingPolicy(skipsBadRows: skipBadRows))
    }

    /// Writes the files that were asked for, and prints the table, or the JSON in its place when `--json -` asks for
    /// it.
    func print(table: String, json text: String, html page: @autoclosure () -> String? = nil) throws {
        if let json, json != "-" { try write(text, to: json) }
        if let html {
            guard let page = page() else { throw CommandError("--html goes with simulate and compare") }
            try write(page, to: html)
        }
        FileHandle.standardOutput.write(Data((json == "-" ? text : table).utf8))
    }

    private func write(_ text: String, to path: String) throws {
        do { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) } catch {
            throw CommandError("cannot write \(path): \(error.localizedDescription)")
        }
    }
}

/// Input that cannot be used: one sentence for standard error.
struct CommandError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
