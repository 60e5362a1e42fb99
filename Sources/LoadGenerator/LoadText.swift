//===----------------------------------------------------------------------===//
// A report as a table for people.
//===----------------------------------------------------------------------===//

/// The report in lines of plain text.
public enum LoadText {
    /// The whole report; ends with a newline.
    public static func table(_ report: LoadReport) -> String {
        var lines: [String] = []
        for warning in report.warnings where warning.hasPrefix("THE CLIENT") { lines.append("!!! \(warning)") }
        let requests = report.requests
        lines.append(
            "\(report.workload) -> \(report.url) (\(report.endpoint), \(report.model), \(report.streaming ? "streamed" : "not streamed")\(report.httpVersion == "2" ? ", HTTP/2" : ""))"
        )
        lines.append("")
        lines.append(
            "requests    \(requests.scheduled) scheduled, \(requests.sent) sent, \(requests.completed) completed, \(requests.failed) failed"
                + (requests.cancelled > 0 ? ", \(requests.cancelled) cancelled" : "")
                + (requests.unfinished > 0 ? ", \(requests.unfinished) unfinished" : "")
                + (requests.retries > 0 ? ", \(requests.retries) retries" : "")
        )
        for (kind, count) in report.failures.sorted(by: { $0.key < $1.key }) {
            lines.append("  \(kind): \(count)" + (report.firstFailures[kind].map { " (first: \($0))" } ?? ""))
        }
        if let asked = report.rate.askedPerSecond {
            var line = "rate        scheduled \(number(asked)) requests/s"
            if let sent = report.rate.sentPerSecond {
                line += ", sent \(number(sent)) (\(signed(100 * (sent / asked - 1))) %)"
            }
            lines.append(line)
            if let scheduled = report.rate.scheduledDispersion, let sent = report.rate.sentDispersion,
                let margin = report.rate.poissonMargin
            {
                lines.append(
                    "dispersion  schedule \(number(scheduled)), sent \(number(sent)) (Poisson: 1 +/- \(number(margin)), 95 %)"
                )
            }
        }
        lines.append(
            "throughput  \(number(report.throughput.requestsPerSecond)) requests/s, \(number(report.throughput.outputTokensPerSecond)) "
                + "output tokens/s, \(number(report.throughput.totalTokensPerSecond)) tokens/s in \(number(report.durationSeconds)) s"
        )
        lines.append(
            "tokens      \(report.tokens.prompt) prompt (\(report.tokens.cachedPrompt) cached), \(report.tokens.output) output"
        )
        lines.append(
            "client      \(number(report.cpuSeconds)) CPU-s in \(number(report.wallSeconds)) s on \(report.threads) threads, \(requests.connections) connections"
        )
        if let goodput = report.goodput { lines += goodputLines(goodput) }
        if let server = report.server { lines += serverLines(server) }
        lines.append("")
        lines += latencyLines(report.latency)
        for warning in report.warnings where !warning.hasPrefix("THE CLIENT") { lines.append("note: \(warning)") }
        if !report.assumptions.isEmpty {
            lines.append("workload: \(report.workloadGrade); " + report.assumptions.joined(separator: "; "))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func goodputLines(_ goodput: LoadReport.Goodput) -> [String] {
        let promise = goodput.promise.sorted { $0.key < $1.key }.map { "\($0.key) \(number($0.value * 1e3)) ms" }
            .joined(separator: ", ")
        var lines = [
            "goodput     \(number(goodput.requestsPerSecond)) requests/s, \(number(100 * goodput.fraction)) % "
                + "(95 %: \(number(100 * goodput.fractionConfidence[0])) to \(number(100 * goodput.fractionConfidence[1]))) kept \(promise)"
        ]
        for (title, groups) in [("class", goodput.byClass), ("tenant", goodput.byTenant)] where groups.count > 1 {
            for (name, group) in groups.sorted(by: { $0.key < $1.key }) {
                lines.append("  \(title) \(name): \(group.good) of \(group.completed + group.failed) kept it")
            }
        }
        return lines
    }

    private static func serverLines(_ server: ServerFigures) -> [String] {
        var figures = ["\(server.scrapes) scrapes of \(server.url)"]
        if let joules = server.joulesPerOutputToken { figures.append("\(number(joules)) J per output token") }
        if let dollars = server.usdPerMillionOutputTokens {
            figures.append("$\(number(dollars)) per million output tokens")
        }
        return ["server      " + figures.joined(separator: ", ")]
    }

    private static func latencyLines(_ latency: LoadReport.Latencies) -> [String] {
        let columns = ["milliseconds", "mean", "p50", "p90", "p95", "p99", "p99.9", "max", "p99, 95 % interval"]
        var rows: [[String]] = [columns]
        for (name, figures) in [
            ("TTFT", latency.ttftSeconds), ("TTFT, intended", latency.ttftFromIntendedSeconds),
            ("ITL", latency.itlSeconds),
            ("TPOT", latency.tpotSeconds), ("NTPOT", latency.ntpotSeconds), ("E2E", latency.e2eSeconds),
            ("E2E, intended", latency.e2eFromIntendedSeconds), ("client lag", latency.clientLagSeconds),
        ] where figures.count > 0 {
            let interval = figures.confidence["p99"].map { "\(milliseconds($0[0])) to \(milliseconds($0[1]))" } ?? "-"
            rows.append(
                [name]
                    + [figures.mean, figures.p50, figures.p90, figures.p95, figures.p99, figures.p999, figures.max].map(
                        milliseconds)
                    + [interval]
            )
        }
        let widths = columns.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { index, cell in
                let padding = String(repeating: " ", count: widths[index] - cell.count)
                return index == 0 ? cell + padding : padding + cell
            }.joined(separator: "  ")
        }
    }

    /// Seconds as milliseconds with three decimals.
    public static func milliseconds(_ seconds: Double) -> String { fixed(seconds * 1e3, 3) }

    /// Four significant digits, without an exponent below a billion.
    public static func number(_ value: Double) -> String {
        guard value.isFinite else { return "\(value)" }
        let magnitude = abs(value)
        if magnitude >= 1_000 || value == 0 { return fixed(value, 0) }
        if magnitude >= 100 { return fixed(value, 1) }
        if magnitude >= 10 { return fixed(value, 2) }
        if magnitude >= 0.1 { return fixed(value, 3) }
        return fixed(value, 6)
    }

    private static func signed(_ value: Double) -> String { (value < 0 ? "" : "+") + fixed(value, 2) }

    public static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        var factor = 1.0
        for _ in 0..<decimals { factor *= 10 }
        let scaled = Int64((abs(value) * factor).rounded())
        let whole = scaled / Int64(factor)
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(whole)" }
        let fraction = String(scaled % Int64(factor))
        return "\(sign)\(whole)." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }
}
