//===----------------------------------------------------------------------===//
// The command line: subcommands, and what becomes of an error.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import Report

/// Exit status: 0 done; 1 it ran and the promise was not kept or a check failed; 2 bad input.
@main
struct Trainyard: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trainyard",
        abstract: "LLM inference on modelled Trainium and GPU fleets: latency, cost and energy, side by side.",
        version: ProductVersion.number,
        subcommands: [
            SimulateCommand.self,
            CompareCommand.self,
            PlanCommand.self,
            ClaimsCommand.self,
            ConformanceCommand.self,
            CatalogCommand.self,
            ValidateCommand.self,
            LoadCommand.self,
            WorkloadCommand.self,
            LedgerCommand.self,
            ReplayCommand.self,
            SweepCommand.self,
        ]
    )

    static func main() async {
        do {
            var command = try parseArguments()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let status as ExitCode {
            Foundation.exit(status.rawValue)
        } catch {
            let status = exitCode(for: error)
            if status == .success {
                // --help and --version are answers, not errors.
                do { try Output.write(fullMessage(for: error) + "\n") } catch { fail("\(error)") }
                Foundation.exit(0)
            }
            fail(status == .validationFailure ? fullMessage(for: error) : "trainyard: \(error)")
        }
    }

    private static func fail(_ message: String) -> Never {
        Messages.write(message)
        Foundation.exit(2)
    }
}
