//===----------------------------------------------------------------------===//
// Two runs side by side: what differs, and whether chance explains it.
//===----------------------------------------------------------------------===//

/// A test of whether one of two samples tends to larger values (Mann-Whitney's U, normal approximation with ties).
public struct RankTest: Equatable, Sendable {
    /// Probability that a value of the second sample exceeds one of the first, ties counted half; 0.5 means no
    /// tendency.
    public var superiority: Double
    /// Two-sided p-value.
    public var pValue: Double

    /// Compares two histograms given as (value, count), rising by value; nil when either is empty or all values are
    /// equal.
    public init?(_ first: [[Int64]], _ second: [[Int64]]) {
        let n1 = first.reduce(0) { $0 + Double($1[1]) }
        let n2 = second.reduce(0) { $0 + Double($1[1]) }
        guard n1 > 0, n2 > 0 else { return nil }
        var u = 0.0
        var ties = 0.0
        var below = 0.0
        var i = 0
        var j = 0
        while i < first.count || j < second.count {
            let value = min(i < first.count ? first[i][0] : .max, j < second.count ? second[j][0] : .max)
            var a = 0.0
            var b = 0.0
            if i < first.count, first[i][0] == value {
                a = Double(first[i][1])
                i += 1
            }
            if j < second.count, second[j][0] == value {
                b = Double(second[j][1])
                j += 1
            }
            u += b * (below + a / 2)
            below += a
            let both = a + b
            ties += both * both * both - both
        }
        let n = n1 + n2
        let variance = n1 * n2 / 12 * ((n + 1) - ties / (n * (n - 1)))
        guard variance > 0 else { return nil }
        superiority = u / (n1 * n2)
        pValue = RankTest.twoSided(abs(u - n1 * n2 / 2) / variance.squareRoot())
    }

    /// Probability that a standard normal deviate is at least `z` away from 0 (Abramowitz and Stegun 26.2.17 below 6,
    /// its asymptotic form above).
    static func twoSided(_ z: Double) -> Double {
        let density = PortableNormal.density(z)
        if z > 6 { return min(1, 2 * density / z * (1 - 1 / (z * z))) }
        let t = 1 / (1 + 0.2316419 * z)
        let series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
        return min(1, 2 * density * series)
    }
}

/// One metric of two runs.
public struct ComparedMetric: Sendable {
    public var name: String
    public var first: LatencyFigures
    public var second: LatencyFigures
    /// nil when either run has no values.
    public var test: RankTest?

    /// Whether the 95 % intervals of the 99th percentiles are apart; nil when a run is too small to tell.
    public var tailsAreApart: Bool? {
        guard let a = first.confidence["p99"], let b = second.confidence["p99"] else { return nil }
        return a[1] < b[0] || b[1] < a[0]
    }
}

/// Compares two reports.
public struct LoadComparison: Sendable {
    /// Below this a difference is called significant. Seven metrics are tested, so it is stricter than 0.05.
    public static let significance = 0.01
    /// A smaller relative difference of the medians is of no consequence, however certain it is.
    public static let smallestEffect = 0.01

    public let first: LoadReport
    public let second: LoadReport
    public let metrics: [ComparedMetric]
    /// What makes the two hard to compare.
    public let warnings: [String]

    public init(_ first: LoadReport, _ second: LoadReport) {
        self.first = first
        self.second = second
        func metric(
            _ name: String, _ key: String, _ figures: (LoadReport.Latencies) -> LatencyFigures
        ) -> ComparedMetric {
            ComparedMetric(
                name: name, first: figures(first.latency), second: figures(second.latency),
                test: RankTest(first.histograms[key] ?? [], second.histograms[key] ?? [])
            )
        }
        metrics = [
            metric("TTFT", "ttft") { $0.ttftSeconds },
            metric("TTFT, intended", "ttftFromIntended") { $0.ttftFromIntendedSeconds },
            metric("ITL", "itl") { $0.itlSeconds }, metric("TPOT", "tpot") { $0.tpotSeconds },
            metric("E2E", "e2e") { $0.e2eSeconds },
            metric("E2E, intended", "e2eFromIntended") { $0.e2eFromIntendedSeconds },
        ]
        var warnings: [String] = []
        if first.workload != second.workload {
            warnings.append("the workloads differ: \(first.workload) and \(second.workload)")
        }
        if first.streaming != second.streaming { warnings.append("one run streamed and the other did not") }
        for (name, report) in [("first", first), ("second", second)] {
            if report.clientWasTheLimit { warnings.append("in the \(name) run the client was the limit") }
            if report.requests.failed > 0 {
                warnings.append("\(report.requests.failed) requests of the \(name) run failed and have no latency")
            }
        }
        self.warnings = warnings
    }

    /// Whether any latency of the second run is significantly worse than the first's.
    public var secondIsWorse: Bool {
        metrics.contains { metric in
            guard let test = metric.test else { return false }
            return test.pValue < LoadComparison.significance && test.superiority > 0.5
                && metric.second.p50 > metric.first.p50
        }
    }

    /// Whether the medians differ by enough to care.
    static func matters(_ metric: ComparedMetric) -> Bool {
        abs(metric.second.p50 - metric.first.p50) >= smallestEffect * metric.first.p50
    }

    /// A table for people.
    public var text: String {
        var rows = [
            [
                "milliseconds", "p50 A", "p50 B", "B / A", "p99 A", "p99 B", "B / A", "p99 apart", "B larger",
                "p-value", "",
            ]
        ]
        for metric in metrics where metric.first.count > 0 && metric.second.count > 0 {
            let apart = metric.tailsAreApart.map { $0 ? "yes" : "no" } ?? "-"
            var row = [metric.name, LoadText.milliseconds(metric.first.p50), LoadText.milliseconds(metric.second.p50)]
            row.append(LoadComparison.ratio(metric.second.p50, metric.first.p50))
            row += [LoadText.milliseconds(metric.first.p99), LoadText.milliseconds(metric.second.p99)]
            row.append(LoadComparison.ratio(metric.second.p99, metric.first.p99))
            row.append(apart)
            if let test = metric.test {
                row.append("\(LoadText.fixed(100 * test.superiority, 1)) %")
                row.append(test.pValue < 1e-4 ? "< 0.0001" : LoadText.fixed(test.pValue, 4))
                let isCertain = test.pValue < LoadComparison.significance
                row.append(isCertain ? LoadComparison.matters(metric) ? "significant" : "certain but below 1 %" : "")
            } else {
                row += ["-", "-", ""]
            }
            rows.append(row)
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        var lines = [
            "A: \(first.workload) -> \(first.url), \(first.requests.completed) completed, \(LoadText.number(first.throughput.requestsPerSecond)) requests/s",
            "B: \(second.workload) -> \(second.url), \(second.requests.completed) completed, \(LoadText.number(second.throughput.requestsPerSecond)) requests/s",
            "",
        ]
        for row in rows {
            lines.append(
                row.enumerated().map { index, cell in
                    let padding = String(repeating: " ", count: widths[index] - cell.count)
                    return index == 0 ? cell + padding : padding + cell
                }.joined(separator: "  ").trimmingBlanks
            )
        }
        lines.append(
            "B larger: how often a value of B exceeds one of A. p-value: Mann-Whitney, two-sided, values taken as independent."
        )
        lines += warnings.map { "note: \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func ratio(_ value: Double, _ base: Double) -> String {
        base > 0 ? LoadText.fixed(value / base, 3) : "-"
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var text = self[...]
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
