//===----------------------------------------------------------------------===//
// The options of trainyard load.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import LoadGenerator
import Workload

/// Which server, and how it is spoken to.
struct LoadServerOptions: ParsableArguments {
    @Option(help: "Server, as http://HOST:PORT or https://HOST.")
    var url: String?

    @Option(help: "Unix socket to connect to; --url then only gives the Host header and the path.")
    var unixSocket: String?

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

    @Flag(help: "HTTP/2, many streams on a connection: https:// agrees it by ALPN, http:// takes it for granted.")
    var http2 = false

    @Flag(help: "Ask the server to go on to max_tokens (servers of vLLM's kind).")
    var ignoreEos = false

    @Option(help: "Metrics page to read during the run; default URL/metrics; 'none' for none.")
    var metrics: String?

    @Option(help: "Seconds between two readings of the metrics page.")
    var metricsInterval = 1.0

    func configuration() async throws -> LoadConfiguration {
        guard let url else { throw LoadError("say which server: --url http://HOST:PORT") }
        var target = try LoadTarget(parsing: url)
        target.socketPath = unixSocket
        target.usesHTTP2 = http2
        guard let endpoint = LoadEndpoint(rawValue: endpoint) else {
            throw LoadError("--endpoint is '\(endpoint)', where chat or completions was expected")
        }
        guard metricsInterval >= 0.1, metricsInterval < 1e6 else {
            throw LoadError("--metrics-interval takes seconds from 0.1, not \(metricsInterval)")
        }
        let headers = try headers()
        let name: String
        if let model {
            name = model
        } else {
            name = try await ServerQuery.firstModel(
                target, headers: headers, verifiesCertificates: !insecure, rootCertificatePath: cacert)
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

    private func headers() throws -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        if let key = apiKey ?? ProcessInfo.processInfo.environment["OPENAI_API_KEY"] {
            guard !key.contains(where: \.isNewline) else { throw LoadError("the API key has a line break in it") }
            headers.append(("Authorization", "Bearer \(key)"))
        }
        for line in header {
            guard let colon = line.firstIndex(of: ":"), colon > line.startIndex, !line.contains(where: \.isNewline)
            else {
                throw LoadError("--header is '\(line)', where 'Name: value' was expected")
            }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            headers.append((String(line[..<colon]), String(value)))
        }
        return headers
    }
}

/// What is sent, and when.
struct LoadWorkloadOptions: ParsableArguments {
    @Option(help: "FORMAT:PATH or a built-in name, with options after a question mark.")
    var workload: String?

    @Option(help: "Prompt tokens of every request, without --workload. Default: 128.")
    var promptTokens: Int?

    @Option(help: "Output tokens of every request, without --workload. Default: 64.")
    var outputTokens: Int?

    @Option(help: "Requests per second.")
    var rate: String?

    @Option(help: "constant, poisson, gamma, weibull or at-once.")
    var arrivals: String?

    @Option(help: "Shape of gamma arrivals, as vLLM has it: 1 is Poisson, less is burstier.")
    var burstiness: String?

    @Option(help: "Shape of Weibull arrivals: 1 is Poisson, less is burstier.")
    var shape: String?

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

    @Option(
        help:
            "Seed of everything that is drawn, prompts included: a server with a prefix cache knows those of a seed it has seen."
    )
    var seed: UInt64?

    @Flag(help: "Count malformed rows of a trace instead of stopping at the first.")
    var skipBadRows = false

    func open() throws -> Workload {
        let given: [(String, String?)] = [
            ("rate", rate), ("arrivals", arrivals), ("burstiness", burstiness), ("shape", shape),
            ("stages", stages),
            ("concurrency", concurrency.map { "\($0)" }), ("think", think), ("duration", duration),
            ("limit", requests.map { "\($0)" }), ("seed", seed.map { "\($0)" }),
        ]
        let options = given.compactMap { name, value in value.map { "\(name)=\($0)" } }.joined(separator: "&")
        let policy = ReadingPolicy(skipsBadRows: skipBadRows)
        if let workload {
            if promptTokens != nil || outputTokens != nil {
                throw LoadError(
                    "--prompt-tokens and --output-tokens go without --workload, which says how long requests are")
            }
            let separator = workload.contains("?") ? "&" : "?"
            return try Workload.open(options.isEmpty ? workload : workload + separator + options, policy: policy)
        }
        let (promptTokens, outputTokens) = (promptTokens ?? 128, outputTokens ?? 64)
        for (name, value) in [("--prompt-tokens", promptTokens), ("--output-tokens", outputTokens)] {
            guard (1...10_000_000).contains(value) else { throw LoadError("\(name) takes 1 to 10000000, not \(value)") }
        }
        guard rate != nil || concurrency != nil || stages != nil || arrivals == "at-once" else {
            throw LoadError(
                "say how fast: --rate REQUESTS_PER_SECOND, --concurrency CLIENTS, --stages or --arrivals at-once, or a --workload"
            )
        }
        var text = "lengths:\(promptTokens) prompt and \(outputTokens) output tokens?\(options)"
        if duration == nil && requests == nil && stages == nil { text += "&limit=1000" }
        let table = "prompt_tokens,output_tokens\n\(promptTokens),\(outputTokens)\n"
        return try Workload(WorkloadDescription(parsing: text), bytes: Array(table.utf8), policy: policy)
    }
}

/// How the client behaves.
struct LoadClientOptions: ParsableArguments {
    @Option(help: "Threads that send and receive.")
    var threads = 1

    @Option(help: "What times an answer: 'kernel', when its bytes came in, or 'client', when they were read.")
    var timestamps = "kernel"

    @Option(help: "Most connections at once.")
    var connections = 16_384

    @Option(help: "Most streams at once on a connection (--http2), where the server allows more. Default: 1000.")
    var streamsPerConnection: Int?

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

    @Option(help: "tokenizer.json whose single-token words prompts are made of; default: common English words.")
    var tokenizer: String?

    @Option(help: "File of prompts to send in turn, one a line, instead of generated text.")
    var prompts: String?

    func apply(to configuration: inout LoadConfiguration) throws {
        guard (1...256).contains(threads) else { throw LoadError("--threads takes 1 to 256, not \(threads)") }
        guard (1...1_000_000).contains(connections) else {
            throw LoadError("--connections takes 1 to 1000000, not \(connections)")
        }
        if let streamsPerConnection {
            guard configuration.target.usesHTTP2 else { throw LoadError("--streams-per-connection goes with --http2") }
            guard (1...1_000_000).contains(streamsPerConnection) else {
                throw LoadError("--streams-per-connection takes 1 to 1000000, not \(streamsPerConnection)")
            }
            configuration.largestStreamCount = streamsPerConnection
        }
        guard (0...20).contains(retries) else { throw LoadError("--retries takes 0 to 20, not \(retries)") }
        guard (0...1).contains(cancel), (1...1_000_000).contains(cancelAfter) else {
            throw LoadError("--cancel takes 0 to 1, --cancel-after 1 to 1000000")
        }
        guard warmup >= 0, warmup < 1e6 else { throw LoadError("--warmup takes seconds from 0, not \(warmup)") }
        guard let limit = try? RequestPromise(parsing: "e2e=\(timeout)").e2e else {
            throw LoadError("--timeout is '\(timeout)', where a time such as 600s was expected")
        }
        guard ["kernel", "client"].contains(timestamps) else {
            throw LoadError("--timestamps is '\(timestamps)', where kernel or client was expected")
        }
        configuration.usesKernelTime = timestamps == "kernel"
        configuration.threads = threads
        configuration.largestConnectionCount = max(connections, threads)
        configuration.requestTimeoutNanoseconds = limit
        configuration.retry = RetryPolicy(retries: retries)
        configuration.cancelledShare = cancel
        configuration.cancelAfterChunks = cancelAfter
        configuration.warmupNanoseconds = Int64(warmup * 1e9)
        if let slo { configuration.promise = try RequestPromise(parsing: slo) }
        configuration.turnsWait = !overlapTurns
        if let prompts { configuration.prompts = try readPrompts(prompts) }
    }

    private func readPrompts(_ path: String) throws -> [String] {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw LoadError("\(path) cannot be read: \(error.localizedDescription)")
        }
        let lines = text.split(whereSeparator: \.isNewline).map(String.init)
        guard !lines.isEmpty else { throw LoadError("\(path) holds no prompts") }
        return lines
    }

    func words() throws -> WordList {
        guard let tokenizer else { return .common }
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: tokenizer))
        } catch {
            throw LoadError("\(tokenizer) cannot be read: \(error.localizedDescription)")
        }
        return try WordList.tokenizer(Array(data), path: tokenizer)
    }
}

/// Searching for the highest rate.
struct LoadSearchOptions: ParsableArguments {
    @Option(help: "Find the highest rate: 'knee' (the server keeps up) or 'goodput' (--slo is kept); begins at --rate.")
    var search: String?

    @Option(help: "Share of the requests that must keep the promise, or of the rate that must be completed.")
    var searchShare = 0.95

    func goal(promise: RequestPromise) throws -> RateSearch.Goal? {
        guard let search else { return nil }
        guard (0.01...1).contains(searchShare) else {
            throw LoadError("--search-share takes 0.01 to 1, not \(searchShare)")
        }
        switch search {
        case "knee": return .knee(share: searchShare)
        case "goodput":
            guard !promise.isEmpty else {
                throw LoadError("--search goodput needs promises: --slo ttft=200ms,tpot=50ms")
            }
            return .goodput(share: searchShare)
        default: throw LoadError("--search is '\(search)', where knee or goodput was expected")
        }
    }
}
