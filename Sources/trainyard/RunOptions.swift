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

/// The workload, the promise, and where results go.
struct RunOptions: ParsableArguments {
    @Option(
        help: "FORMAT:PATH or a built-in name, with options after a question mark (azure:trace.csv?scale=2).",
        completion: .list(BuiltInWorkload.allCases.map(\.rawValue) + TraceFormat.allCases.map { "\($0.rawValue):" }))
    var workload: String

    @OptionGroup var promises: PromiseOptions

    @Flag(help: "Grow or shrink each fleet to the smallest that keeps the promise.")
    var size = false

    @Option(help: "Write the report as one HTML page to this file.", completion: .file())
    var html: String?

    @OptionGroup var catalogue: CatalogOptions

    @Flag(help: "Count malformed rows of a trace instead of stopping at the first.")
    var skipBadRows = false

    @OptionGroup var common: CommonOptions

    /// Whether a broken promise is worth exit status 1: only one that was asked for.
    var asksForPromise: Bool { promises.isAsked || size }

    func plan(_ path: String, in catalog: Catalog) throws -> FleetPlan {
        try FleetSpecification(contentsOf: path).plan(catalog: catalog, calibration: .builtIn)
    }

    func openWorkload() throws -> Workload {
        let description = try WorkloadDescription(parsing: workload, seed: common.seedNumber)
        return try Workload(description, policy: ReadingPolicy(skipsBadRows: skipBadRows))
    }

    /// Writes the files that were asked for, and the table, or the JSON in its place when `--json -` asks for it.
    func write(table: String, json document: String, html page: String) throws {
        if let html { try Output.write(page, to: html) }
        try common.write(text: table, json: document)
    }
}
