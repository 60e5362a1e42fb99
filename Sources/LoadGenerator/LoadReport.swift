//===----------------------------------------------------------------------===//
// The figures of a run, as they are written to JSON and read back for comparison.
//===----------------------------------------------------------------------===//

import Workload

/// A latency in seconds: mean, percentiles and their 95 % confidence intervals.
public struct LatencyFigures: Codable, Equatable, Sendable {
    public var count: Int
    public var mean: Double
    /// Half the width of the mean's 95 % interval.
    public var meanError: Double
    public var standardDeviation: Double
    public var min: Double
    public var p50: Double
    public var p90: Double
    public var p95: Double
    public var p99: Double
    public var p999: Double
    public var max: Double
    /// Lower and upper ends by percentile; left out where the sample is too small.
    public var confidence: [String: [Double]]

    public init(_ histogram: LatencyHistogram) {
        count = histogram.count
        mean = histogram.mean / 1e9
        meanError = histogram.meanError / 1e9
        standardDeviation = histogram.standardDeviation / 1e9
        min = histogram.count == 0 ? 0 : Double(histogram.smallest) / 1e9
        p50 = Double(histogram.percentile(50)) / 1e9
        p90 = Double(histogram.percentile(90)) / 1e9
        p95 = Double(histogram.percentile(95)) / 1e9
        p99 = Double(histogram.percentile(99)) / 1e9
        p999 = Double(histogram.percentile(99.9)) / 1e9
        max = Double(histogram.largestRecorded) / 1e9
        confidence = [:]
        for (name, percentile) in [("p50", 50.0), ("p90", 90), ("p95", 95), ("p99", 99), ("p999", 99.9)] {
            guard let interval = histogram.confidence(percentile) else { continue }
            confidence[name] = [Double(interval.lowerBound) / 1e9, Double(interval.upperBound) / 1e9]
        }
    }
}

/// The report of a run. Times are seconds; the names are those of the JSON.
public struct LoadReport: Codable, Sendable {
    public struct Requests: Codable, Equatable, Sendable {
        public var scheduled: Int
        public var sent: Int
        public var completed: Int
        public var failed: Int
        public var cancelled: Int
        public var unfinished: Int
        public var retries: Int
        public var connections: Int
        public var staleConnections: Int
    }

    public struct Rate: Codable, Equatable, Sendable {
        /// The schedule's requests per second, and those that were really sent.
        public var askedPerSecond: Double?
        public var sentPerSecond: Double?
        /// Variance over mean of counts in windows of ten requests, in the schedule and as sent.
        public var scheduledDispersion: Double?
        public var sentDispersion: Double?
        /// Half the width of a Poisson process's 95 % interval around 1.
        public var poissonMargin: Double?
    }

    public struct Tokens: Codable, Equatable, Sendable {
        public var prompt: Int
        public var cachedPrompt: Int
        public var output: Int
        /// Completed requests without `usage`, whose outputs are counted in chunks.
        public var requestsWithoutUsage: Int
        /// Completed requests whose output has another length than was asked for.
        public var requestsOfOtherLength: Int
    }

    public struct Throughput: Codable, Equatable, Sendable {
        public var requestsPerSecond: Double
        public var outputTokensPerSecond: Double
        public var totalTokensPerSecond: Double
    }

    public struct Latencies: Codable, Equatable, Sendable {
        public var ttftSeconds: LatencyFigures
        public var ttftFromIntendedSeconds: LatencyFigures
        public var itlSeconds: LatencyFigures
        public var tpotSeconds: LatencyFigures
        public var ntpotSeconds: LatencyFigures
        public var e2eSeconds: LatencyFigures
        public var e2eFromIntendedSeconds: LatencyFigures
        public var clientLagSeconds: LatencyFigures
    }

    public struct Group: Codable, Equatable, Sendable {
        public var completed: Int
        public var failed: Int
        public var good: Int

        init(_ counts: GroupCounts) {
            completed = counts.completed
            failed = counts.failed
            good = counts.good
        }
    }

    public struct Goodput: Codable, Equatable, Sendable {
        public var promise: [String: Double]
        public var good: Int
        public var requestsPerSecond: Double
        /// Of all requests that ended, failures included.
        public var fraction: Double
        /// 95 % interval of the fraction (Wilson).
        public var fractionConfidence: [Double]
        public var byClass: [String: Group]
        public var byTenant: [String: Group]
    }

    public struct Second: Codable, Equatable, Sendable {
        public var intended: Int
        public var sent: Int
        public var completed: Int
        public var failed: Int
        public var outputTokens: Int
        public var meanTTFTSeconds: Double
    }

    public var tool = "trainyard load"
    public var url: String
    /// What was spoken, "1.1" or "2"; reports of versions that spoke only the former do not say.
    public var httpVersion: String?
    public var model: String
    public var endpoint: String
    public var streaming: Bool
    public var workload: String
    public var workloadGrade: String
    public var assumptions: [String]
    public var threads: Int
    public var requests: Requests
    public var failures: [String: Int]
    public var httpErrors: [String: Int]
    public var firstFailures: [String: String]
    public var durationSeconds: Double
    public var wallSeconds: Double
    public var cpuSeconds: Double
    public var rate: Rate
    public var tokens: Tokens
    public var throughput: Throughput
    public var latency: Latencies
    public var goodput: Goodput?
    public var clientWasTheLimit: Bool
    public var warnings: [String]
    public var server: ServerFigures?
    public var seconds: [Second]
    /// Recorded values in nanoseconds and their counts, for comparison and plots.
    public var histograms: [String: [[Int64]]]

    public init(_ result: LoadResult, server: ServerFigures? = nil) {
        let measured = result.measurements
        let configuration = result.configuration
        let schedule = result.schedule
        url =
            (configuration.target.usesTLS ? "https://" : "http://") + configuration.target.hostHeader
            + configuration.target.pathPrefix
        httpVersion = configuration.target.usesHTTP2 ? "2" : "1.1"
        model = configuration.model
        endpoint = configuration.endpoint.rawValue
        streaming = configuration.streams
        workload = schedule.workload
        workloadGrade = schedule.provenance.grade.rawValue
        assumptions = schedule.provenance.assumptions + schedule.notes
        threads = configuration.threads
        requests = Requests(
            scheduled: schedule.requests.count, sent: measured.lag.count, completed: measured.completed,
            failed: measured.failed,
            cancelled: measured.statuses[Int(RequestStatus.cancelled.rawValue)],
            unfinished: measured.statuses[Int(RequestStatus.unfinished.rawValue)], retries: measured.retries,
            connections: measured.connections, staleConnections: measured.staleConnections
        )
        failures = [:]
        for status in RequestStatus.allCases where status.isFailure && measured.statuses[Int(status.rawValue)] > 0 {
            failures[status.name] = measured.statuses[Int(status.rawValue)]
        }
        httpErrors = Dictionary(uniqueKeysWithValues: measured.httpErrors.map { ("\($0.key)", $0.value) })
        firstFailures = [:]
        for status in RequestStatus.allCases { firstFailures[status.name] = measured.firstFailures[status.rawValue] }
        let first = measured.firstIntended == .max ? 0 : measured.firstIntended
        let duration = max(Double(measured.lastEnded - first) / 1e9, 1e-9)
        durationSeconds = duration
        wallSeconds = result.wallSeconds
        cpuSeconds = result.cpuSeconds
        rate = Rate(result)
        tokens = Tokens(
            prompt: measured.promptTokens, cachedPrompt: measured.cachedTokens, output: measured.outputTokens,
            requestsWithoutUsage: measured.withoutUsage, requestsOfOtherLength: measured.otherLength
        )
        throughput = Throughput(
            requestsPerSecond: Double(measured.completed) / duration,
            outputTokensPerSecond: Double(measured.outputTokens) / duration,
            totalTokensPerSecond: Double(measured.outputTokens + measured.promptTokens) / duration
        )
        latency = Latencies(measured)
        goodput = configuration.promise.isEmpty ? nil : Goodput(measured, configuration.promise, duration)
        let judgement = ClientJudgement(result)
        clientWasTheLimit = judgement.wasTheLimit
        warnings = judgement.warnings
        self.server = server
        seconds = measured.seconds.map {
            Second(
                intended: $0.intended, sent: $0.sent, completed: $0.completed, failed: $0.failed,
                outputTokens: $0.outputTokens,
                meanTTFTSeconds: $0.ttftCount == 0 ? 0 : Double($0.ttftSum) / Double($0.ttftCount) / 1e9
            )
        }
        histograms = [:]
        for (name, histogram) in [
            ("ttft", measured.ttft), ("ttftFromIntended", measured.ttftFromIntended), ("itl", measured.itl),
            ("tpot", measured.tpot),
            ("e2e", measured.e2e), ("e2eFromIntended", measured.e2eFromIntended), ("clientLag", measured.lag),
        ] {
            histograms[name] = histogram.buckets.map { [$0.value, Int64($0.count)] }
        }
    }
}

extension LoadReport.Rate {
    init(_ result: LoadResult) {
        guard result.schedule.closedLoop == nil else { return }
        let warmup = result.configuration.warmupNanoseconds
        let records = result.measurements.records.lazy.filter { $0.dispatched >= 0 }
        // Of a run that was stopped, only the part of the schedule that was reached is compared.
        let reached = result.measurements.recordsLeftOut == 0 ? records.map(\.intended).max() ?? .max : .max
        let scheduled = ArrivalCheck(
            result.schedule.requests.lazy.map(\.arrivalNanoseconds).filter { $0 >= warmup && $0 <= reached }
        )
        let sent = ArrivalCheck(records.map(\.dispatched))
        askedPerSecond = scheduled?.rate ?? result.schedule.askedRate
        scheduledDispersion = scheduled?.dispersion
        poissonMargin = scheduled?.poissonMargin
        if result.measurements.recordsLeftOut == 0 {
            sentPerSecond = sent?.rate
            sentDispersion = sent?.dispersion
        }
    }
}

extension LoadReport.Latencies {
    init(_ measured: LoadMeasurements) {
        ttftSeconds = LatencyFigures(measured.ttft)
        ttftFromIntendedSeconds = LatencyFigures(measured.ttftFromIntended)
        itlSeconds = LatencyFigures(measured.itl)
        tpotSeconds = LatencyFigures(measured.tpot)
        ntpotSeconds = LatencyFigures(measured.ntpot)
        e2eSeconds = LatencyFigures(measured.e2e)
        e2eFromIntendedSeconds = LatencyFigures(measured.e2eFromIntended)
        clientLagSeconds = LatencyFigures(measured.lag)
    }
}

extension LoadReport.Goodput {
    init(_ measured: LoadMeasurements, _ promise: RequestPromise, _ duration: Double) {
        self.promise = [:]
        for (name, value) in [
            ("ttft", promise.ttft), ("tpot", promise.tpot), ("itl", promise.itl), ("e2e", promise.e2e),
        ] {
            if let value { self.promise[name] = Double(value) / 1e9 }
        }
        good = measured.good
        requestsPerSecond = Double(good) / duration
        let ended = measured.completed + measured.failed
        fraction = ended == 0 ? 0 : Double(good) / Double(ended)
        fractionConfidence = Self.wilson(good, of: ended)
        byClass = Dictionary(uniqueKeysWithValues: measured.byClass.map { ("\($0.key)", LoadReport.Group($0.value)) })
        byTenant = Dictionary(
            uniqueKeysWithValues: measured.byTenant.map { ("\($0.key)", LoadReport.Group($0.value)) })
    }

    /// Wilson's 95 % score interval of a proportion.
    static func wilson(_ good: Int, of all: Int) -> [Double] {
        guard all > 0 else { return [0, 1] }
        let n = Double(all)
        let p = Double(good) / n
        let z = 1.96
        let centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        let spread = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
        return [max(0, centre - spread), min(1, centre + spread)]
    }
}
