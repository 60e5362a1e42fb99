//===----------------------------------------------------------------------===//
// A run in the JSON form of vLLM's serving benchmark.
//===----------------------------------------------------------------------===//

import Workload

/// The result file that `vllm bench serve --save-result` writes, so that tools which read those can read ours.
///
/// Times are milliseconds, latencies count from the send, percentiles interpolate linearly between ranks as numpy's do.
/// They are exact when the run kept all its records.
public struct VLLMResult: Encodable, Sendable {
    var date: String
    var backend = "openai"
    var modelID: String
    var tokenizerID: String
    var numberOfPrompts: Int
    var requestRate: Double?
    var burstiness: Double?
    var maxConcurrency: Int?
    var duration: Double
    var completed: Int
    var failed: Int
    var totalInputTokens: Int
    var totalOutputTokens: Int
    var requestThroughput: Double
    var requestGoodput: Double?
    var outputThroughput: Double
    var totalTokenThroughput: Double
    var ttft: Statistics
    var tpot: Statistics
    var itl: Statistics
    var e2el: Statistics

    /// Mean, median, deviation and percentiles of one metric in milliseconds.
    struct Statistics: Sendable {
        var mean: Double
        var median: Double
        var deviation: Double
        var p90: Double
        var p95: Double
        var p99: Double
    }

    /// - Parameters:
    ///   - date: when the run began, as `YYYYMMDD-hhmmss`.
    ///   - burstiness: as asked for; nil for arrivals that are not gamma.
    public init(_ result: LoadResult, _ report: LoadReport, date: String, burstiness: Double?) {
        self.date = date
        modelID = report.model
        tokenizerID = report.model
        numberOfPrompts = report.requests.scheduled
        requestRate = report.rate.askedPerSecond
        self.burstiness = burstiness
        maxConcurrency = result.schedule.closedLoop?.concurrency
        duration = report.durationSeconds
        completed = report.requests.completed
        failed = report.requests.failed
        totalInputTokens = report.tokens.prompt
        totalOutputTokens = report.tokens.output
        requestThroughput = report.throughput.requestsPerSecond
        requestGoodput = report.goodput?.requestsPerSecond
        outputThroughput = report.throughput.outputTokensPerSecond
        totalTokenThroughput = report.throughput.totalTokensPerSecond
        let done = result.measurements.records.filter { $0.status == .completed }
        ttft = Statistics(done.lazy.filter { $0.firstToken >= 0 }.map(\.ttft))
        tpot = Statistics(done.compactMap(\.tpot))
        e2el = Statistics(done.lazy.map(\.e2e))
        itl = Statistics(result.measurements.itl)
    }

    enum CodingKeys: String, CodingKey {
        case date, backend, burstiness, duration, completed, failed
        case modelID = "model_id"
        case tokenizerID = "tokenizer_id"
        case numberOfPrompts = "num_prompts"
        case requestRate = "request_rate"
        case maxConcurrency = "max_concurrency"
        case totalInputTokens = "total_input_tokens"
        case totalOutputTokens = "total_output_tokens"
        case requestThroughput = "request_throughput"
        case requestGoodput = "request_goodput:"
        case outputThroughput = "output_throughput"
        case totalTokenThroughput = "total_token_throughput"
    }

    /// `mean_ttft_ms` and so on are keys of the top level.
    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(date, forKey: .date)
        try fields.encode(backend, forKey: .backend)
        try fields.encode(modelID, forKey: .modelID)
        try fields.encode(tokenizerID, forKey: .tokenizerID)
        try fields.encode(numberOfPrompts, forKey: .numberOfPrompts)
        // vLLM writes "inf" for requests that all go out at once.
        if let requestRate {
            try fields.encode(requestRate, forKey: .requestRate)
        } else {
            try fields.encode("inf", forKey: .requestRate)
        }
        try fields.encode(burstiness ?? 1, forKey: .burstiness)
        try fields.encode(maxConcurrency, forKey: .maxConcurrency)
        try fields.encode(duration, forKey: .duration)
        try fields.encode(completed, forKey: .completed)
        try fields.encode(failed, forKey: .failed)
        try fields.encode(totalInputTokens, forKey: .totalInputTokens)
        try fields.encode(totalOutputTokens, forKey: .totalOutputTokens)
        try fields.encode(requestThroughput, forKey: .requestThroughput)
        try fields.encode(requestGoodput, forKey: .requestGoodput)
        try fields.encode(outputThroughput, forKey: .outputThroughput)
        try fields.encode(totalTokenThroughput, forKey: .totalTokenThroughput)
        var metrics = encoder.container(keyedBy: Key.self)
        for (name, values) in [("ttft", ttft), ("tpot", tpot), ("itl", itl), ("e2el", e2el)] {
            for (prefix, value) in [
                ("mean", values.mean), ("median", values.median), ("std", values.deviation), ("p90", values.p90),
                ("p95", values.p95),
                ("p99", values.p99),
            ] { try metrics.encode(value, forKey: Key(stringValue: "\(prefix)_\(name)_ms")) }
        }
    }
}

extension VLLMResult.Statistics {
    /// From nanoseconds, as numpy computes them (population deviation, linear interpolation).
    init(_ values: some Sequence<Int64>) {
        let sorted = values.sorted()
        let count = Double(max(1, sorted.count))
        let mean = sorted.reduce(0) { $0 + Double($1) } / count
        let variance = sorted.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count
        func percentile(_ share: Double) -> Double {
            guard let last = sorted.last else { return 0 }
            let position = share * Double(sorted.count - 1)
            let below = Int(position)
            guard below + 1 < sorted.count else { return Double(last) / 1e6 }
            let fraction = position - Double(below)
            return (Double(sorted[below]) + fraction * Double(sorted[below + 1] - sorted[below])) / 1e6
        }
        self.init(
            mean: mean / 1e6, median: percentile(0.5), deviation: variance.squareRoot() / 1e6, p90: percentile(0.9),
            p95: percentile(0.95), p99: percentile(0.99)
        )
    }

    /// From a histogram, whose percentiles have three digits.
    init(_ histogram: LatencyHistogram) {
        self.init(
            mean: histogram.mean / 1e6, median: Double(histogram.percentile(50)) / 1e6,
            deviation: histogram.standardDeviation / 1e6,
            p90: Double(histogram.percentile(90)) / 1e6, p95: Double(histogram.percentile(95)) / 1e6,
            p99: Double(histogram.percentile(99)) / 1e6
        )
    }
}
