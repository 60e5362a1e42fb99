//===----------------------------------------------------------------------===//
// One run of a reference pack: its requests, its rules, its results.
//===----------------------------------------------------------------------===//

import Engine
import Foundation

/// What Vidur was asked, and what it answered.
struct ReferenceRun: Sendable {
    var name: String
    var replicas: Int
    var router: ReferenceRouter
    /// Of Python's generator.
    var seed: UInt64
    /// Each gap between arrivals took a random number.
    var drawsGaps: Bool
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

    /// - Parameters:
    ///   - path: `…/runs/NAME`, without the endings `.requests.csv.gz` and `.summary.json`.
    ///   - seed: of the random router, where the run's command line names none.
    init(path: String, table: VidurTable, seed: UInt64 = 42) throws(ConformanceError) {
        name = URL(fileURLWithPath: path).lastPathComponent
        let summaryPath = path + ".summary.json"
        let summary = try RunSummary(path: summaryPath)
        let options = ReferenceOptions(summary.argv, place: summaryPath)
        iterations = summary.iterations
        replicas = try options.integer("cluster_config_num_replicas", default: 1)
        let routerName = options.values["global_scheduler_config_type"] ?? ReferenceRouter.roundRobin.rawValue
        guard let router = ReferenceRouter(rawValue: routerName) else {
            let known = ReferenceRouter.allCases.map(\.rawValue).joined(separator: ", ")
            throw ConformanceError(
                place: summaryPath, message: "router '\(routerName)' is not known; known are \(known)")
        }
        self.router = router
        self.seed = UInt64(try options.integer("seed", default: Int(clamping: seed), atLeast: 0))
        drawsGaps = options.values["interval_generator_config_type"] == "poisson"
        let rows = try PackTable(path: PackTable.existing(path + ".requests.csv"))
        arrivalSeconds = try rows.numbers("arrived_at")
        promptTokens = try rows.integers("prefill_tokens")
        outputTokens = try rows.integers("decode_tokens")
        replica = try rows.integers("replica")
        scheduledSeconds = try rows.numbers("scheduled_at")
        firstTokenSeconds = try rows.numbers("first_token_at")
        completedSeconds = try rows.numbers("completed_at")
        restarts = try rows.integers("restarts")
        configuration = try options.configuration(
            table: table, longest: zip(promptTokens, outputTokens).map { $0 + $1 }.max() ?? 1)
        try checkRows(rows)
    }

    private func checkRows(_ rows: PackTable) throws(ConformanceError) {
        guard rows.count > 0 else { throw ConformanceError(place: rows.path, message: "has no requests") }
        for row in 0..<rows.count {
            func problem(_ message: String) -> ConformanceError {
                ConformanceError(place: "\(rows.path):\(row + 2)", message: message)
            }
            if promptTokens[row] < 1 || outputTokens[row] < 1 {
                throw problem("a request has at least one token each way")
            }
            if replica[row] < 0 || replica[row] >= replicas {
                throw problem("replica \(replica[row]) is not one of \(replicas)")
            }
            if arrivalSeconds[row] < 0 || arrivalSeconds[row] > 1e9 {
                throw problem("arrived_at is \(arrivalSeconds[row]); 0 to 1e9 seconds are possible")
            }
            let blocks = configuration.blocks(forTokens: Int32(promptTokens[row] + outputTokens[row]))
            if blocks > configuration.kvBlocks - configuration.watermarkBlocks {
                throw problem(
                    "the request needs \(blocks) KV blocks and would never be admitted to "
                        + "\(configuration.kvBlocks) with a watermark of \(configuration.watermarkBlocks)")
            }
        }
    }
}

/// The part of a run's summary that is read.
private struct RunSummary: Decodable {
    var argv: [String]
    var iterations: Int

    init(path: String) throws(ConformanceError) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw ConformanceError(
                place: path, message: "cannot be read; each run needs its command line (argv) and its iterations")
        }
        do { self = try JSONDecoder().decode(Self.self, from: data) } catch {
            throw ConformanceError(place: path, message: "needs argv (a list of texts) and iterations (a number)")
        }
    }
}
