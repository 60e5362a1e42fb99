//===----------------------------------------------------------------------===//
// The report as one HTML page without external assets.
//===----------------------------------------------------------------------===//

public import Ledger

/// One side of a page: the report, and what the charts are drawn from.
public struct PageSide: Sendable {
    public var side: ReportSide
    public var tally: Tally
    public var settlement: Settlement

    public init(side: ReportSide, tally: Tally, settlement: Settlement) {
        self.side = side
        self.tally = tally
        self.settlement = settlement
    }
}

/// Writes a page that stands alone: readable in light and dark, on a telephone, and by a screen reader.
public enum ReportPage {
    /// - Parameter sides: the fleet, then the baseline if there is one.
    public static func html(sides: [PageSide], notes: [String]) -> String {
        precondition(sides.count == 1 || sides.count == 2)
        let names = sides.map(\.side.report.fleet).joined(separator: " beside ")
        let first = sides[0].side.report
        // Grades from best to weakest.
        let grades = ["measured", "published", "derived", "assumed"]
        let weakest = grades.last { grade in sides.contains { $0.side.report.grade == grade } } ?? "assumed"
        var page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        page += "<title>\(Markup.escaped(names))</title>\n<style>\n\(style)</style>\n</head>\n<body>\n<main>\n"
        page += "<h1>\(Markup.escaped(names))</h1>\n<p>\(NumberText.grouped(first.requests.offered)) requests of "
        page += "<code>\(Markup.escaped(first.workload))</code>, seed \(first.seed). Promise: TTFT p99 at most "
        page += "\(NumberText.milliseconds(first.goodput.ttftP99Seconds)) ms, TPOT p99 at most "
        page += "\(NumberText.milliseconds(first.goodput.tpotP99Seconds)) ms. Weakest grade: "
        page += "<strong>\(Markup.escaped(weakest))</strong>.</p>\n"
        page += keyFigures(sides)
        page += legend(sides)
        page += charts(sides)
        page += "<section>\n<h2>Wall energy</h2>\n\(energy(sides).svg)</section>\n"
        if !notes.isEmpty { page += list("Notes", notes) }
        for side in sides where !side.side.report.assumptions.isEmpty {
            page += list("Assumptions of \(side.side.report.fleet)", side.side.report.assumptions)
        }
        page += "<section>\n<h2>All figures</h2>\n<pre>"
        page += Markup.escaped(ReportText.text(sides: sides.map(\.side), notes: [])) + "</pre>\n</section>\n"
        return page + "</main>\n</body>\n</html>\n"
    }

    // MARK: Parts

    private static func keyFigures(_ sides: [PageSide]) -> String {
        let rows: [(String, (SimulationReport) -> Double?)] = [
            ("TTFT p99, ms", { $0.ttftSeconds.p99.map { $0 * 1e3 } }),
            ("TPOT p99, ms", { $0.tpotSeconds.p99.map { $0 * 1e3 } }),
            ("E2E mean, s", { $0.e2eSeconds.mean }),
            ("Goodput, requests/s", { $0.goodput.requestsPerSecond }),
            ("USD per hour", { $0.cost.usdPerHour }),
            ("USD per million output tokens", { $0.cost.usdPerMillionOutputTokens }),
            ("Chip, J per output token", { $0.energy.boundary.chip.joulesPerOutputToken }),
            ("Wall, J per output token", { $0.energy.boundary.wall.joulesPerOutputToken }),
            ("Facility, J per output token", { $0.energy.boundary.facility.joulesPerOutputToken }),
            ("gCO2e per million output tokens", { $0.carbon.gramsPerMillionOutputTokens }),
        ]
        var text = "<section>\n<h2>Key figures</h2>\n<div class=\"scroll\"><table>\n<tr><th></th>"
        for side in sides {
            text += "<th scope=\"col\">\(Markup.escaped(side.side.report.fleet))<br><small>"
            text += side.side.caption.map(Markup.escaped).joined(separator: "<br>") + "</small></th>"
        }
        text += (sides.count == 2 ? "<th scope=\"col\">ratio</th>" : "") + "</tr>\n<tr><th scope=\"row\">Promise</th>"
        for side in sides { text += "<td>\(side.side.keepsPromise ? "kept" : "<strong>broken</strong>")</td>" }
        text += (sides.count == 2 ? "<td></td>" : "") + "</tr>\n"
        for (name, value) in rows {
            let values = sides.map { value($0.side.report) }
            text += "<tr><th scope=\"row\">\(Markup.escaped(name))</th>"
            for value in values { text += "<td>\(NumberText.significant(value))</td>" }
            if values.count == 2 {
                let ratio: Double? =
                    if let above = values[0], let below = values[1], below != 0 { above / below } else { nil }
                text += "<td>\(NumberText.ratio(ratio))</td>"
            }
            text += "</tr>\n"
        }
        return text + "</table></div>\n</section>\n"
    }

    private static let lineStyles = ["line0", "line1"]

    private static func legend(_ sides: [PageSide]) -> String {
        var text = "<p class=\"legend\">"
        for (index, side) in sides.enumerated() {
            text += "<span class=\"key \(lineStyles[index])\"></span>\(Markup.escaped(side.side.report.fleet)) "
        }
        return text + "<span class=\"key promise\"></span>promise</p>\n"
    }

    private static func charts(_ sides: [PageSide]) -> String {
        let promise = sides[0].tally.promise
        let kinds: [(String, (Tally) -> LatencyDistribution, Double?)] = [
            ("Time to first token", { $0.ttft }, promise.ttftSeconds),
            ("Time per output token", { $0.tpot }, promise.tpotSeconds),
            ("Gap between tokens", { $0.itl }, nil), ("End to end", { $0.e2e }, nil),
            ("Time in queue", { $0.queue }, nil),
        ]
        let shares = [0.001] + (1...98).map { Double($0) / 100 } + [0.985, 0.99, 0.995, 0.999, 1]
        var text = "<section>\n<h2>Latency: share of requests within a time</h2>\n<div class=\"charts\">\n"
        for (title, distribution, bound) in kinds {
            let lines = sides.enumerated().map { index, side in
                let seconds = distribution(side.tally).percentilesSeconds(shares) ?? []
                return CumulativeChart.Line(
                    name: side.side.report.fleet, style: lineStyles[index],
                    points: zip(shares, seconds).map { (share: $0, seconds: $1) })
            }
            text += "<figure><figcaption>\(Markup.escaped(title))</figcaption>\n"
            text += CumulativeChart(title: title, lines: lines, promiseSeconds: bound).svg + "</figure>\n"
        }
        return text + "</div>\n</section>\n"
    }

    private static func energy(_ sides: [PageSide]) -> StackedBars {
        let bars = sides.map { side in
            func kilowattHours(_ part: (PoolEnergy) -> Int128) -> Double {
                Double(side.settlement.energies.reduce(Int128(0)) { $0 + part($1) }) / 3.6e15
            }
            return StackedBars.Bar(
                name: side.side.report.fleet,
                parts: [
                    ("chips in steps", kilowattHours { $0.activeNanojoules }),
                    ("chips idle", kilowattHours { $0.idleNanojoules + $0.spareNanojoules }),
                    ("conversion and fans", kilowattHours { $0.conversionNanojoules }),
                    ("host", kilowattHours { $0.hostNanojoules }), ("network", kilowattHours { $0.networkNanojoules }),
                ])
        }
        return StackedBars(title: "Wall energy", unit: "kWh", bars: bars)
    }

    private static func list(_ title: String, _ sentences: [String]) -> String {
        "<section>\n<h2>\(Markup.escaped(title))</h2>\n<ul>\n"
            + sentences.map { "<li>\(Markup.escaped($0))</li>\n" }.joined() + "</ul>\n</section>\n"
    }

    private static let style = """
        :root { color-scheme: light dark; --text: #1b1f24; --ground: #ffffff; --faint: #d5dae1; --quiet: #57606a;
                --first: #b4470a; --second: #1f5fbf; --promise: #7a7f87; }
        @media (prefers-color-scheme: dark) {
            :root { --text: #e6e9ee; --ground: #14171b; --faint: #343b44; --quiet: #9aa4b0;
                    --first: #ff9d5c; --second: #7ab2ff; --promise: #8d949e; } }
        body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
        main { max-width: 75rem; margin: 0 auto; padding: 1rem; }
        h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
        small { color: var(--quiet); font-weight: normal; }
        table { border-collapse: collapse; } th, td { padding: .25rem .75rem; border-bottom: 1px solid var(--faint); }
        th { text-align: left; vertical-align: top; } td { text-align: right; font-variant-numeric: tabular-nums; }
        .scroll, pre { overflow-x: auto; } pre { font-size: .8rem; }
        .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem; }
        figure { margin: 0; } figcaption { font-weight: 600; } svg { width: 100%; max-width: 42rem; height: auto; }
        .grid { stroke: var(--faint); } .tick, .label { fill: var(--quiet); font-size: 12px; }
        polyline { fill: none; stroke-width: 2; } polyline.line0 { stroke: var(--first); }
        polyline.line1 { stroke: var(--second); stroke-dasharray: 7 3; }
        line.promise { stroke: var(--promise); stroke-dasharray: 2 4; stroke-width: 2; }
        .key { display: inline-block; width: 1.5rem; height: 0; border-top: 3px solid; margin: 0 .4rem .25rem 1rem; }
        .key.line0 { border-color: var(--first); } .key.line1 { border-color: var(--second); border-top-style: dashed; }
        .key.promise { border-color: var(--promise); border-top-style: dotted; }
        .swatch { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; }
        rect.part0 { fill: #b4470a; } rect.part1 { fill: #e3a15f; } rect.part2 { fill: #6b8fb8; } rect.part3 { fill: #1f5fbf; }
        rect.part4 { fill: #8a6fb0; }
        .swatch.part0 { background: #b4470a; } .swatch.part1 { background: #e3a15f; } .swatch.part2 { background: #6b8fb8; }
        .swatch.part3 { background: #1f5fbf; } .swatch.part4 { background: #8a6fb0; }

        """
}
