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

    @Option(help: "Seed of Vidur's random router, for runs whose own command line names none.")
    var seed: UInt64 = 42

    @Option(help: "Runs that are replayed at a time; results do not depend on it. Default: all CPUs.")
    var threads: Int?

    @Flag(help: "No table on standard output, only the exit status and what --json asks for.")
    var quiet = false

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads takes 1 to 1024, not \(threads)")
        }
    }

    func run() throws {
        let results = try Conformance.check(
            folder: folder, seed: seed, threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            let text = try encoder.encode(results) + Data("\n".utf8)
            if json == "-" {
                FileHandle.standardOutput.write(text)
            } else {
                do { try text.write(to: URL(fileURLWithPath: json)) } catch {
                    throw CommandError("cannot write \(json): \(error.localizedDescription)")
                }
            }
        }
        if json != "-" && !quiet { print(ConformanceText.table(results)) }
        if results.contains(where: { !$0.agrees }) { throw ExitCode(1) }
    }
}
