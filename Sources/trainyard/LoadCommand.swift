//===----------------------------------------------------------------------===//
// trainyard load: measures any OpenAI-compatible server under a workload.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import LoadGenerator
import Workload

/// A run against a server; `compare` sets two of its reports side by side.
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Send a workload to an OpenAI-compatible server and measure what comes back.",
        discussion: """
            Without --workload, requests of --prompt-tokens and --output-tokens go out at --rate (Poisson) or from --concurrency clients. \
            TTFT is the first output that is not empty; ITL every gap between outputs; TPOT (E2E - TTFT) / (output tokens - 1); \
            NTPOT E2E / output tokens; all as vLLM's benchmark defines them. TTFT and E2E are also given from the time at which the schedule \
            wanted the request sent; promises (--slo) are held to that time.
            """,
        subcommands: [LoadCompareCommand.self]
    )

    @OptionGroup(title: "Server") var server: LoadServerOptions
    @OptionGroup(title: "Workload") var workload: LoadWorkloadOptions
    @OptionGroup(title: "Client") var client: LoadClientOptions
    @OptionGroup(title: "Rate search") var search: LoadSearchOptions
    @OptionGroup(title: "Output") var output: LoadOutputOptions

    func run() async throws {
        var configuration = try await server.configuration()
        try client.apply(to: &configuration)
        configuration.seed = workload.seed ?? 1
        let session = LoadSession(
            quiet: output.quiet, words: try client.words(), metricsPage: server.metrics,
            metricsInterval: server.metricsInterval)
        if let goal = try search.goal(promise: configuration.promise) {
            try output.checkSearch()
            return try await runSearch(goal, configuration, session)
        }
        try output.check(promise: configuration.promise)
        let schedule = try LoadSchedule(workload.open())
        let outcome = try await session.measure(schedule, configuration)
        try output.write(outcome, burstiness: workload.burstiness.flatMap(Double.init))
        if outcome.report.requests.completed == 0 { throw ExitCode(1) }
        if let least = output.goodput, (outcome.report.goodput?.fraction ?? 0) < least { throw ExitCode(1) }
    }

    private func runSearch(
        _ goal: RateSearch.Goal, _ configuration: LoadConfiguration, _ session: LoadSession
    ) async throws {
        guard let start = workload.rate.flatMap(Double.init), start > 0 else {
            throw LoadError("--search needs --rate REQUESTS_PER_SECOND to begin at")
        }
        // Every trial has prompts of its own, lest the server's prefix cache knows them from the trial before.
        var trial = configuration
        let found = try await RateSearch(goal: goal, startRate: start).run { rate in
            var at = workload
            at.rate = "\(rate)"
            at.duration = at.duration ?? "20"
            trial.seed &+= 1
            return try await session.measure(LoadSchedule(try at.open()), trial).report
        }
        try output.write(search: found.trials, rate: found.rate)
        if found.rate == 0 { throw ExitCode(1) }
    }
}

extension Trainyard {
    /// The command that the arguments ask for.
    ///
    /// A load is recognised here already: going through the options of all commands takes longer than making a
    /// connection does.
    static func parseArguments() throws -> any ParsableCommand {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == LoadCommand.configuration.commandName,
            let load = try? LoadCommand.parseAsRoot(Array(arguments.dropFirst())) as? LoadCommand
        {
            return load
        }
        // What is wrong with a load, and its help, is said as for every other command.
        return try parseAsRoot()
    }
}

/// Two reports side by side.
struct LoadCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Compare two reports that 'load --json' wrote, with significance.",
        discussion: "Exit status 1 when the second run is significantly slower than the first.")

    @Argument(help: "The report to compare with.") var first: String
    @Argument(help: "The report that is compared.") var second: String

    func run() throws {
        let comparison = LoadComparison(try read(first), try read(second))
        try Output.write(comparison.text)
        if comparison.secondIsWorse { throw ExitCode(1) }
    }

    private func read(_ path: String) throws -> LoadReport {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw LoadError("\(path) cannot be read: \(error.localizedDescription)")
        }
        do {
            return try JSONDecoder().decode(LoadReport.self, from: data)
        } catch {
            throw LoadError("\(path) is not a report of 'trainyard load --json': \(error)")
        }
    }
}
