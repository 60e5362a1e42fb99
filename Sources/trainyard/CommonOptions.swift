//===----------------------------------------------------------------------===//
// The options that commands share.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Foundation
import Ledger

/// What every command takes, so that a script can pass it to any of them. A command that draws nothing, or works on one
/// thread, gives the same results with any.
struct CommonOptions: ParsableArguments {
    @Option(
        help: "Write the results as JSON to this file; - for standard output instead of the text.",
        completion: .file())
    var json: String?

    @Option(help: "Seed of what is drawn, where the input names none. Default: 1.")
    var seed: UInt64?

    @Option(help: "Threads; results do not depend on them. Default: all CPUs.")
    var threads: Int?

    @Flag(help: "No progress on standard error.")
    var quiet = false

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads takes 1 to 1024, not \(threads)")
        }
    }

    var seedNumber: UInt64 { seed ?? 1 }
    var threadCount: Int { threads ?? max(1, ProcessInfo.processInfo.activeProcessorCount) }

    /// Writes the JSON where `--json` wants it, and the text to standard output unless the JSON went there.
    func write(text: @autoclosure () throws -> String, json document: @autoclosure () throws -> String) throws {
        if let json { try Output.write(try document(), to: json) }
        if json != "-" { try Output.write(try text()) }
    }
}

/// Which catalogue is asked.
struct CatalogOptions: ParsableArguments {
    @Option(help: "Directory of catalogue files that replace or add to the built-in ones.", completion: .directory)
    var catalog: String?

    func open() throws -> Catalog { try catalog.map { try Catalog(directory: $0) } ?? Catalog.builtIn }
}

/// A latency promise.
struct PromiseOptions: ParsableArguments {
    @Option(name: .customLong("ttft-p99"), help: "Promised time to first token, seconds at the 99th percentile.")
    var ttftSeconds: Double?

    @Option(name: .customLong("tpot-p99"), help: "Promised time per output token, seconds at the 99th percentile.")
    var tpotSeconds: Double?

    func validate() throws {
        for (name, seconds) in [("--ttft-p99", ttftSeconds), ("--tpot-p99", tpotSeconds)] {
            guard let seconds else { continue }
            guard seconds > 0, seconds < 100_000 else {
                throw ValidationError("\(name) takes seconds above 0, such as 0.5, not \(seconds)")
            }
        }
    }

    /// The promise asked for; that of interactive use where none was.
    var promise: LatencyPromise {
        LatencyPromise(
            ttftSeconds: ttftSeconds ?? LatencyPromise.interactive.ttftSeconds,
            tpotSeconds: tpotSeconds ?? LatencyPromise.interactive.tpotSeconds)
    }

    /// Whether a broken promise is worth exit status 1: only one that was asked for.
    var isAsked: Bool { ttftSeconds != nil || tpotSeconds != nil }
}
