//===----------------------------------------------------------------------===//
// trainyard conformance: a reference pack, request by request.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Conformance
import Foundation

struct ConformanceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "conformance",
        abstract:
            "Replay a reference pack with its own step times and rules, and print the largest difference per field.",
        discussion: "Exit status 1 when a time differs by more than 10 µs or a count differs at all.")

    @Argument(help: "Folder of the pack, with table/ and runs/.")
    var folder: String

    @Option(help: "Write the results as JSON to this file; - for standard output.")
    var json: String?

    @Flag(help: "No table on standard output, only the exit status and what --json asks for.")
    var quiet = false

    func run() throws {
        let results = try Conformance.check(folder: folder)
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            let text = try encoder.encode(results) + Data("\n".utf8)
            if json == "-" {
                FileHandle.standardOutput.write(text)
            } else {
                try text.write(to: URL(fileURLWithPath: json))
            }
        }
        if json != "-" && !quiet { print(ConformanceText.table(results)) }
        if results.contains(where: { !$0.agrees }) { throw ExitCode(1) }
    }
}
