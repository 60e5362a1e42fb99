//===----------------------------------------------------------------------===//
// A report as one HTML page that needs nothing else.
//===----------------------------------------------------------------------===//

public enum LoadPage {
    private static let style = """
        body{font:15px/1.45 system-ui,sans-serif;max-width:1360px;margin:24px auto;padding:0 16px;color:#1b1f24;background:#fff}
        h1{font-size:22px;margin:0 0 4px}table{border-collapse:collapse;margin:16px 0;font-variant-numeric:tabular-nums}
        th,td{padding:3px 12px;text-align:right;border-bottom:1px solid #d8dee4}th:first-child,td:first-child{text-align:left}
        .plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:12px}svg{width:100%;height:auto}
        svg text{font:11px system-ui,sans-serif;fill:#57606a}svg .title{font-size:13px;font-weight:600;fill:#1b1f24}
        .grid{stroke:#e4e8ec;stroke-width:1}.alarm{background:#b42318;color:#fff;padding:10px 14px;border-radius:6px;margin:10px 0}
        .note{color:#57606a;margin:4px 0}
        """

    /// The whole page.
    public static func html(_ report: LoadReport) -> String {
        var page =
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>trainyard load: \(escaped(report.model))</title>"
        page += "<style>\(style)</style></head><body>"
        page += "<h1>\(escaped(report.workload))</h1>"
        page +=
            "<div class=\"note\">\(escaped(report.url)), \(escaped(report.endpoint)), model \(escaped(report.model)), "
        page += "\(report.streaming ? "streamed" : "not streamed")\(report.httpVersion == "2" ? ", HTTP/2" : "")</div>"
        for warning in report.warnings {
            page += "<div class=\"\(warning.hasPrefix("THE CLIENT") ? "alarm" : "note")\">\(escaped(warning))</div>"
        }
        page += summary(report) + latencyTable(report.latency) + "<div class=\"plots\">"
        for plot in plots(report) { page += plot.svg }
        page += "</div>"
        if !report.failures.isEmpty { page += failureTable(report) }
        if !report.assumptions.isEmpty {
            page +=
                "<div class=\"note\">Workload (\(escaped(report.workloadGrade))): \(escaped(report.assumptions.joined(separator: "; ")))</div>"
        }
        return page + "</body></html>\n"
    }

    private static func summary(_ report: LoadReport) -> String {
        var rows: [(String, String)] = [
            (
                "requests",
                "\(report.requests.completed) completed of \(report.requests.sent) sent, \(report.requests.failed) failed"
            ),
            (
                "throughput",
                "\(LoadText.number(report.throughput.requestsPerSecond)) requests/s, \(LoadText.number(report.throughput.outputTokensPerSecond)) output tokens/s"
            ),
        ]
        if let asked = report.rate.askedPerSecond, let sent = report.rate.sentPerSecond {
            rows.append(("rate", "scheduled \(LoadText.number(asked)) requests/s, sent \(LoadText.number(sent))"))
        }
        if let goodput = report.goodput {
            let promise = goodput.promise.sorted { $0.key < $1.key }.map {
                "\($0.key) \(LoadText.number($0.value * 1e3)) ms"
            }
            rows.append(
                (
                    "goodput",
                    "\(LoadText.number(goodput.requestsPerSecond)) requests/s, \(LoadText.number(100 * goodput.fraction)) % kept \(promise.joined(separator: ", "))"
                )
            )
        }
        for (title, groups) in [("class", report.goodput?.byClass), ("tenant", report.goodput?.byTenant)] {
            guard let groups, groups.count > 1 else { continue }
            for (name, group) in groups.sorted(by: { $0.key < $1.key }) {
                rows.append(("\(title) \(name)", "\(group.good) of \(group.completed + group.failed) kept it"))
            }
        }
        if let server = report.server {
            if let joules = server.joulesPerOutputToken {
                rows.append(("energy", "\(LoadText.number(joules)) J per output token, as the server says"))
            }
            if let dollars = server.usdPerMillionOutputTokens {
                rows.append(("cost", "$\(LoadText.number(dollars)) per million output tokens, as the server says"))
            }
        }
        return "<table>"
            + rows.map { "<tr><td>\($0.0)</td><td style=\"text-align:left\">\(escaped($0.1))</td></tr>" }.joined()
            + "</table>"
    }

    private static func latencyTable(_ latency: LoadReport.Latencies) -> String {
        var text =
            "<table><tr><th>milliseconds</th><th>mean</th><th>p50</th><th>p90</th><th>p95</th><th>p99</th><th>p99.9</th><th>max</th>"
        text += "<th>p99, 95 % interval</th></tr>"
        for (name, figures) in [
            ("TTFT", latency.ttftSeconds), ("TTFT from the intended time", latency.ttftFromIntendedSeconds),
            ("ITL", latency.itlSeconds),
            ("TPOT", latency.tpotSeconds), ("NTPOT", latency.ntpotSeconds), ("E2E", latency.e2eSeconds),
            ("E2E from the intended time", latency.e2eFromIntendedSeconds), ("client lag", latency.clientLagSeconds),
        ] where figures.count > 0 {
            text += "<tr><td>\(name)</td>"
            for value in [figures.mean, figures.p50, figures.p90, figures.p95, figures.p99, figures.p999, figures.max] {
                text += "<td>\(LoadText.milliseconds(value))</td>"
            }
            let interval =
                figures.confidence["p99"].map { "\(LoadText.milliseconds($0[0])) to \(LoadText.milliseconds($0[1]))" }
                ?? "-"
            text += "<td>\(interval)</td></tr>"
        }
        return text + "</table>"
    }

    private static func failureTable(_ report: LoadReport) -> String {
        var text = "<table><tr><th>failure</th><th>requests</th><th style=\"text-align:left\">first</th></tr>"
        for (kind, count) in report.failures.sorted(by: { $0.key < $1.key }) {
            text +=
                "<tr><td>\(kind)</td><td>\(count)</td><td style=\"text-align:left\">\(escaped(report.firstFailures[kind] ?? ""))</td></tr>"
        }
        return text + "</table>"
    }

    private static func plots(_ report: LoadReport) -> [LoadPlot] {
        func cumulative(_ name: String, _ key: String) -> LoadPlot.Line {
            let buckets = report.histograms[key] ?? []
            let total = buckets.reduce(0.0) { $0 + Double($1[1]) }
            var sum = 0.0
            let points = buckets.map { bucket -> (x: Double, y: Double) in
                sum += Double(bucket[1])
                return (Double(bucket[0]) / 1e6, 100 * sum / total)
            }
            // A few hundred points draw the curve; the rest would only weigh.
            let step = max(1, points.count / 400)
            let drawn = points.enumerated().filter { $0.offset % step == 0 || $0.offset == points.count - 1 }
            let foot = points.first.map { [(x: $0.x, y: 0.0)] } ?? []
            return LoadPlot.Line(name: name, points: foot + drawn.map(\.element))
        }
        // A second without a value has no point.
        func series(_ name: String, _ value: (LoadReport.Second) -> Double?) -> LoadPlot.Line {
            LoadPlot.Line(
                name: name,
                points: report.seconds.enumerated().compactMap { second in
                    value(second.element).map { (Double(second.offset), $0) }
                })
        }
        return [
            LoadPlot(
                title: "Time to first token", xLabel: "milliseconds", yLabel: "% of requests",
                lines: [cumulative("from the send", "ttft"), cumulative("from intended", "ttftFromIntended")],
                hasLogarithmicX: true
            ),
            LoadPlot(
                title: "Gaps and time per token", xLabel: "milliseconds", yLabel: "%",
                lines: [cumulative("ITL", "itl"), cumulative("TPOT", "tpot")], hasLogarithmicX: true
            ),
            LoadPlot(
                title: "Whole answer", xLabel: "milliseconds", yLabel: "% of requests",
                lines: [cumulative("from the send", "e2e"), cumulative("from intended", "e2eFromIntended")],
                hasLogarithmicX: true
            ),
            LoadPlot(
                title: "Client lag", xLabel: "milliseconds", yLabel: "% of requests",
                lines: [cumulative("lag", "clientLag")], hasLogarithmicX: true
            ),
            LoadPlot(
                title: "Requests per second", xLabel: "seconds", yLabel: "requests/s",
                lines: [
                    series("sent") { Double($0.sent) }, series("completed") { Double($0.completed) },
                    series("failed") { Double($0.failed) },
                ]
            ),
            LoadPlot(
                title: "Output per second", xLabel: "seconds", yLabel: "chunks/s",
                lines: [series("chunks") { Double($0.outputTokens) }]
            ),
            LoadPlot(
                title: "TTFT over time", xLabel: "seconds", yLabel: "milliseconds",
                lines: [series("mean TTFT, intended") { $0.meanTTFTSeconds > 0 ? $0.meanTTFTSeconds * 1e3 : nil }]
            ),
        ]
    }

    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }
}
