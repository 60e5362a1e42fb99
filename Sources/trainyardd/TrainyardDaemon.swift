//===----------------------------------------------------------------------===//
// `trainyardd`: the daemon's command line.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import Logging
import Server
import ServiceLifecycle
import UnixSignals

@main
struct TrainyardDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trainyardd",
        abstract:
            "Serves the OpenAI API on a modelled fleet, in real time, beside a baseline that gets the same requests.",
        version: Daemon.version)

    @Option(help: "The configuration file.", completion: .file(extensions: ["yaml", "yml"]))
    var config = "/etc/trainyard/trainyard.yaml"

    @Flag(help: "Read the configuration, look everything up, say what would run, and exit.")
    var check = false

    @Flag(help: "Show this host, and where every cell's thread and rings are put, and exit.")
    var topology = false

    /// Exit status: 0 stopped as asked; 1 failed while running; 2 the configuration or an option is wrong.
    static func main() async {
        do {
            let daemon = try parse()
            try await daemon.run()
        } catch let status as ExitCode {
            Foundation.exit(status.rawValue)
        } catch {
            let isAnswer = exitCode(for: error) == .success
            say(fullMessage(for: error), to: isAnswer ? .standardOutput : .standardError)
            Foundation.exit(isAnswer ? 0 : 2)
        }
    }

    private static func say(_ text: String, to file: FileHandle = .standardError) {
        try? file.write(contentsOf: Data((text + "\n").utf8))
    }

    func run() async throws {
        let plan: DaemonPlan
        do {
            plan = try DaemonPlan(DaemonConfiguration(contentsOf: config))
        } catch {
            Self.say("trainyardd: \(error)")
            throw ExitCode(2)
        }
        if check || topology {
            for line in topology ? plan.topology : plan.summary { print(line) }
            return
        }
        let level = Logger.Level(rawValue: plan.configuration.logLevel) ?? .info
        LoggingSystem.bootstrap { label in
            var handler: any LogHandler =
                JournalLogHandler.fromEnvironment(label: label) ?? StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "trainyardd")
        let services = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(
                        service: Daemon(plan: plan, logger: logger),
                        successTerminationBehavior: .gracefullyShutdownGroup)
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        do {
            try await services.run()
        } catch {
            Self.say("trainyardd: \(error)")
            throw ExitCode(1)
        }
    }
}
