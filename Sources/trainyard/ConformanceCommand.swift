//===----------------------------------------------------------------------===//
// trainyard conformance: a reference pack, request by request.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Conformance
import Report

struct ConformanceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "conformance",
        abstract:
            "Replay a reference pack with its own step times and rules, and print the largest difference per field.",
        discussion: "Exit status 1 when a time differs by more than 10 µs or a count differs at all.")

    @Argument(help: "Folder of the pack, with table/ and runs/.")
    var folder: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        // 42 is what Vidur itself draws from; runs whose own command line names a seed keep that one.
        let results = try Conformance.check(
            folder: folder, seed: common.seed ?? 42, threads: common.threadCount)
        try common.write(
            text: common.quiet ? "" : ConformanceText.table(results) + "\n", json: ReportJSON.text(results))
        if results.contains(where: { !$0.agrees }) { throw ExitCode(1) }
    }
}
