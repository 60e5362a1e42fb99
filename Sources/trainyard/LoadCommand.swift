//===----------------------------------------------------------------------===//
// trainyard load: measures any OpenAI-compatible server under a workload.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import LoadGenerator
import Workload

struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Send a workload to an OpenAI-compatible server and measure what comes back.",
        discussion: """
            Without --workload, requests of --prompt-tokens and --output-tokens go out at --rate (Poisson) or from --concurrency clients.
            TTFT is the first output that is not empty; ITL every gap between outputs; TPOT (E2E - TTFT) / (output tokens - 1); NTPOT E2E / output \
            tokens; all as vLLM's benchmark defines them, and TTFT and E2E also from the time at which the schedule wanted the request sent.
            """
    )

    @OptionGroup(title: "Server") var server: LoadServerOptions
    @OptionGroup(title: "Workload") var workload: LoadWorkloadOptions
    @OptionGroup(title: "Client") var client: LoadClientOptions
    @OptionGroup(title: "Output") var output: LoadOutputOptions

    func run() async throws {
        let schedule = try LoadSchedule(workload.open())
        var configuration = try await server.configuration()
        try client.apply(to: &configuration)
        configuration.seed = workload.seed ?? 1
        let report = try await LoadSession(quiet: output.quiet).measure(schedule, configuration)
        try output.write(report)
        if report.requests.completed == 0 { throw ExitCode(1) }
        if let least = output.goodput, (report.goodput?.fraction ?? 0) < least { throw ExitCode(1) }
    }
}

/// Which server, and how it is spoken to.
struct LoadServerOptions: ParsableArguments {
    @Option(help: "Server, as http://HOST:PORT or https://HOST.")
    var url: String

    @Option(help: "Model to ask for; default: the first that the server lists.")
    var model: String?

    @Option(help: "chat or completions.")
    var endpoint = "chat"

    @Flag(help: "Ask for whole answers instead of streams.")
    var noStream = false

    @Option(help: "Bearer token; default: the environment's OPENAI_API_KEY.")
    var apiKey: String?

    @Option(help: "Another header line, 'Name: value'; may be repeated.")
    var header: [String] = []

    @Flag(help: "Do not verify the server's certificate.")
    var insecure = false

    @Option(help: "PEM file of roots to verify the server's certificate against.")
    var cacert: String?

    @Flag(help: "Ask the server to go on to max_tokens (servers of vLLM's kind).")
    var ignoreEos = false

    func configuration() async throws -> LoadConfiguration {
        let target = try LoadTarget(parsing: url)
        guard let endpoint = LoadEndpoint(rawValue: endpoint) else {
            throw LoadError("--endpoint is '\(endpoint)', where chat or completions was expected")
        }
        var headers: [(name: String, value: String)] = []
        if let key = apiKey ?? ProcessInfo.processInfo.environment["OPENAI_API_KEY"] {
            headers.append(("Authorization", "Bearer \(key)"))
        }
        for line in header {
            guard let colon = line.firstIndex(of: ":"), !line.contains(where: \.isNewline) else {
                throw LoadError("--header is '\(line)', where 'Name: value' was expected")
            }
            headers.append(
                (String(line[..<colon]), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)))
        }
        let name: String
        if let model {
            name = model
        } else {
            name = try await ServerQuery.firstModel(target, headers: headers, verifiesCertificates: !insecure)
        }
        var configuration = LoadConfiguration(target: target, model: name)
        configuration.endpoint = endpoint
        configuration.streams = !noStream
        configuration.headers = headers
        configuration.verifiesCertificates = !insecure
        configuration.rootCertificatePath = cacert
        configuration.ignoresEndOfSequence = ignoreEos
        return configuration
    }
}

/// What is sent, and when.
struct LoadWorkloadOptions: ParsableArguments {
    @Option(help: "FORMAT:PATH or a built-in name, with options after a question mark.")
    var workload: String?

    @Option(help: "Prompt tokens of every request, without --workload.")
    var promptTokens = 128

    @Option(help: "Output tokens of every request, without --workload.")
    var outputTokens = 64

    @Option(help: "Requests per second.")
    var rate: String?

    @Option(help: "constant, poisson, gamma, weibull or at-once.")
    var arrivals: String?

    @Option(help: "Shape of gamma arrivals, as vLLM has it: 1 is Poisson, less is burstier.")
    var burstiness: String?

    @Option(help: "RATE:SECONDS or FROM..TO:SECONDS, separated by commas.")
    var stages: String?

    @Option(help: "Clients of a closed loop, each of which waits for its answer.")
    var concurrency: Int?

    @Option(help: "Think time of a closed loop's clients, such as 2s.")
    var think: String?

    @Option(help: "How long requests are sent, such as 60, 10m or 1h.")
    var duration: String?

    @Option(name: [.customLong("requests"), .customLong("num-prompts")], help: "How many requests are sent.")
    var requests: Int?

    @Option(help: "Seed of everything that is drawn.")
    var seed: UInt64?

    @Flag(help: "Count malformed rows of a trace instead of stopping at the first.")
    var skipBadRows = false

    func open() throws -> Workload {
        let given: [(String, String?)] = [
            ("rate", rate), ("arrivals", arrivals), ("burstiness", burstiness), ("stages", stages),
            ("concurrency", concurrency.map(String.init)),
            ("think", think), ("duration", duration), ("limit", requests.map(String.init)),
            ("seed", seed.map(String.init)),
        ]
        let options = given.compactMap { name, value in value.map { "\(name)=\($0)" } }.joined(separator: "&")
        let policy = ReadingPolicy(skipsBadRows: skipBadRows)
        if let workload {
            let separator = workload.contains("?") ? "&" : "?"
            return try Workload.open(options.isEmpty ? workload : workload + separator + options, policy: policy)
        }
        for (name, value) in [("--prompt-tokens", promptTokens), ("--output-tokens", outputTokens)] {
            guard (1...10_000_000).contains(value) else { throw LoadError("\(name) takes 1 to 10000000, not \(value)") }
        }
        guard rate != nil || concurrency != nil || stages != nil || arrivals == "at-once" else {
            throw LoadError(
                "say how fast: --rate REQUESTS_PER_SECOND, --concurrency CLIENTS or --stages, or a --workload")
        }
        var text = "lengths:\(promptTokens) prompt and \(outputTokens) output tokens?\(options)"
        if duration == nil && requests == nil && stages == nil { text += "&limit=1000" }
        let table = "prompt_tokens,output_tokens\n\(promptTokens),\(outputTokens)\n"
        return try Workload(WorkloadDescription(parsing: text), bytes: Array(table.utf8), policy: policy)
    }
}

/// How the client behaves.
struct LoadClientOptions: ParsableArguments {
    @Option(help: "Event loops, one thread each.")
    var threads = 1

    @Option(help: "Most connections at once.")
    var connections = 16_384

    @Option(help: "Longest time for one answer, such as 600s or 5s.")
    var timeout = "600s"

    @Option(help: "Attempts after the first, on 429, 503 and failed connections; honours Retry-After.")
    var retries = 0

    @Option(help: "Share of the streams that the client cuts, 0 to 1.")
    var cancel = 0.0

    @Option(help: "Chunks after which those streams are cut.")
    var cancelAfter = 8

    @Option(help: "Requests of the first so many seconds are sent but not measured.")
    var warmup: Double = 0

    @Option(help: "Promises for goodput, such as ttft=200ms,tpot=50ms,e2e=5s.")
    var slo: String?

    @Flag(help: "Send turns of a session at their times even if the turn before has not ended.")
    var overlapTurns = false

    func apply(to configuration: inout LoadConfiguration) throws {
        guard (1...256).contains(threads) else { throw LoadError("--threads takes 1 to 256, not \(threads)") }
        guard (1...1_000_000).contains(connections) else {
            throw LoadError("--connections takes 1 to 1000000, not \(connections)")
        }
        guard (0...20).contains(retries) else { throw LoadError("--retries takes 0 to 20, not \(retries)") }
        guard (0...1).contains(cancel), cancelAfter >= 1 else {
            throw LoadError("--cancel takes 0 to 1, --cancel-after 1 or more")
        }
        guard warmup >= 0, warmup < 1e6 else { throw LoadError("--warmup takes seconds from 0, not \(warmup)") }
        configuration.threads = threads
        configuration.largestConnectionCount = connections
        configuration.requestTimeoutNanoseconds = try LatencyPromise(parsing: "e2e=\(timeout)").e2e ?? 0
        configuration.retry = RetryPolicy(retries: retries)
        configuration.cancelledShare = cancel
        configuration.cancelAfterChunks = cancelAfter
        configuration.warmupNanoseconds = Int64(warmup * 1e9)
        if let slo { configuration.promise = try LatencyPromise(parsing: slo) }
        configuration.turnsWait = !overlapTurns
    }
}

/// Where the report goes.
struct LoadOutputOptions: ParsableArguments {
    @Option(help: "Write the report as JSON to this file; - for standard output instead of the table.")
    var json: String?

    @Option(help: "Exit with status 1 when a smaller share of the requests than this kept the promises of --slo.")
    var goodput: Double?

    @Flag(help: "No progress on standard error.")
    var quiet = false

    func write(_ report: LoadReport) throws {
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            let data = try encoder.encode(report) + Data("\n".utf8)
            if json == "-" {
                FileHandle.standardOutput.write(data)
                return
            }
            do {
                try data.write(to: URL(fileURLWithPath: json))
            } catch {
                throw LoadError("\(json) cannot be written: \(error.localizedDescription)")
            }
        }
        FileHandle.standardOutput.write(Data(LoadText.table(report).utf8))
    }
}
