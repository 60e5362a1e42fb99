//===----------------------------------------------------------------------===//
// One run of a reference pack: its requests, its rules, its results.
//===----------------------------------------------------------------------===//

import Engine
import Foundation

/// What Vidur was asked, and what it answered.
struct ReferenceRun {
    enum Router: String { case roundRobin = "round_robin", leastOutstanding = "lor", random }

    var name: String
    var replicas: Int
    var router: Router
    var iterations: Int
    var configuration: ReplicaConfiguration
    var arrivalSeconds: [Double]
    var promptTokens: [Int]
    var outputTokens: [Int]
    var replica: [Int]
    var scheduledSeconds: [Double]
    var firstTokenSeconds: [Double]
    var completedSeconds: [Double]
    var restarts: [Int]

    private struct Summary: Decodable {
        var argv: [String]
        var iterations: Int
    }

    /// - Parameter path: `…/runs/NAME`, without the endings `.requests.csv.gz` and `.summary.json`.
    init(path: String, table: VidurTable) throws(ConformanceError) {
        name = URL(fileURLWithPath: path).lastPathComponent
        let summaryPath = path + ".summary.json"
        let summary: Summary
        do {
            summary = try JSONDecoder().decode(Summary.self, from: Data(contentsOf: URL(fileURLWithPath: summaryPath)))
        } catch {
            throw ConformanceError(place: summaryPath, message: "needs argv and iterations: \(error)")
        }
        let options = RunOptions(summary.argv, place: summaryPath)
        iterations = summary.iterations
        replicas = try options.integer("cluster_config_num_replicas", default: 1)
        let routerName = options.values["global_scheduler_config_type"] ?? Router.roundRobin.rawValue
        guard let router = Router(rawValue: routerName) else {
            throw ConformanceError(
                place: summaryPath, message: "router '\(routerName)' is not known; round_robin, lor and random are")
        }
        self.router = router
        let rows = try PackTable(path: path + ".requests.csv.gz")
        arrivalSeconds = try rows.numbers("arrived_at")
        promptTokens = try rows.integers("prefill_tokens")
        outputTokens = try rows.integers("decode_tokens")
        replica = try rows.integers("replica")
        scheduledSeconds = try rows.numbers("scheduled_at")
        firstTokenSeconds = try rows.numbers("first_token_at")
        completedSeconds = try rows.numbers("completed_at")
        restarts = try rows.integers("restarts")
        for (row, lengths) in zip(promptTokens, outputTokens).enumerated() where lengths.0 < 1 || lengths.1 < 1 {
            throw ConformanceError(
                place: "\(rows.path):\(row + 2)", message: "a request has at least one token each way")
        }
        for (row, number) in replica.enumerated() where number < 0 || number >= replicas {
            throw ConformanceError(
                place: "\(rows.path):\(row + 2)", message: "replica \(number) is not one of \(replicas)")
        }
        let longest = zip(promptTokens, outputTokens).map { $0 + $1 }.max() ?? 1
        configuration = try options.configuration(table: table, longest: longest)
    }
}

/// Vidur's command line: `--name value` pairs, the last one counts.
private struct RunOptions {
    var values: [String: String] = [:]
    let place: String

    init(_ arguments: [String], place: String) {
        self.place = place
        var index = 0
        while index + 1 < arguments.count {
            if arguments[index].hasPrefix("--"), !arguments[index + 1].hasPrefix("--") {
                values[String(arguments[index].dropFirst(2))] = arguments[index + 1]
                index += 1
            }
            index += 1
        }
    }

    func integer(_ name: String, default fallback: Int) throws(ConformanceError) -> Int {
        guard let text = values[name] else { return fallback }
        guard let value = Int(text), value > 0 else {
            throw ConformanceError(place: place, message: "--\(name) needs a positive whole number, found '\(text)'")
        }
        return value
    }

    /// Vidur's defaults: 128 sequences, chunks of 512 tokens, 4096 tokens in a batch of prompts, 1 % of blocks kept
    /// free.
    func configuration(table: VidurTable, longest: Int) throws(ConformanceError) -> ReplicaConfiguration {
        let kind = values["replica_scheduler_config_type"] ?? "sarathi"
        guard kind == "sarathi" || kind == "vllm" else {
            throw ConformanceError(place: place, message: "scheduler '\(kind)' is not known; sarathi and vllm are")
        }
        let blocks = try integer("\(kind)_scheduler_config_num_blocks", default: table.kvBlocks)
        let chunk = try integer("sarathi_scheduler_config_chunk_size", default: 512)
        let configuration = ReplicaConfiguration(
            stack: kind == "sarathi" ? .sarathi(chunkTokens: Int32(clamping: chunk)) : .vllmV0,
            maxSequences: Int32(clamping: try integer("\(kind)_scheduler_config_batch_size_cap", default: 128)),
            maxModelTokens: Int32(clamping: longest + 1),
            maxBatchedTokens: Int32(clamping: try integer("vllm_scheduler_config_max_tokens_in_batch", default: 4096)),
            kvBlocks: Int32(clamping: blocks), kvBlockTokens: Int32(clamping: table.blockTokens),
            watermarkBlocks: Int32(clamping: blocks / 100))
        if let problem = configuration.problem { throw ConformanceError(place: place, message: problem) }
        return configuration
    }
}
