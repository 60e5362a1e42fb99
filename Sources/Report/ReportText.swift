//===----------------------------------------------------------------------===//
// The report on a terminal: one fleet, or a fleet beside its baseline.
//===----------------------------------------------------------------------===//

public import Ledger

/// One side of a report, with what its JSON does not say.
public struct ReportSide: Sendable {
    public var report: SimulationReport
    /// Lines under the fleet's name: "4 x trn2.48xlarge".
    public var caption: [String]
    public var keepsPromise: Bool

    public init(report: SimulationReport, caption: [String], keepsPromise: Bool) {
        self.report = report
        self.caption = caption
        self.keepsPromise = keepsPromise
    }
}

/// Writes reports as text.
public struct ReportText: Sendable {
    private let sides: [ReportSide]
    private var table = TextTable()

    /// - Parameter sides: the fleet, then the baseline if there is one.
    public init(sides: [ReportSide]) {
        precondition(sides.count == 1 || sides.count == 2)
        self.sides = sides
    }

    /// The whole report; `notes` come before the assumptions.
    public static func text(sides: [ReportSide], notes: [String]) -> String {
        var writer = ReportText(sides: sides)
        return writer.write(notes: notes)
    }

    private mutating func write(notes: [String]) -> String {
        let first = sides[0].report
        var text =
            "workload \(first.workload), seed \(first.seed): \(NumberText.grouped(first.requests.offered)) requests\n"
        text += "promise  TTFT p99 <= \(NumberText.milliseconds(first.goodput.ttftP99Seconds)) ms, "
        text += "TPOT p99 <= \(NumberText.milliseconds(first.goodput.tpotP99Seconds)) ms\n\n"
        heading()
        volume()
        latencies()
        goodput()
        money()
        energy()
        carbon()
        bands()
        row("weakest grade", "") { $0.grade }
        row("outcome digest", "") { String($0.digest.prefix(16)) }
        row("CPU time", "s") { NumberText.significant($0.cpuSeconds, digits: 3) }
        text += table.text
        if !notes.isEmpty { text += "\nnotes\n" + notes.map { "  * \($0)\n" }.joined() }
        text += assumptions()
        return text
    }

    private mutating func heading() {
        var cells = ["", ""] + sides.map(\.report.fleet)
        if sides.count == 2 { cells.append("ratio") }
        table.add(cells)
        let lines = sides.map(\.caption.count).max() ?? 0
        for line in 0..<lines {
            table.add(
                ["", ""] + sides.map { line < $0.caption.count ? $0.caption[line] : "" }
                    + (sides.count == 2 ? [""] : []))
        }
        table.rule()
    }

    private mutating func volume() {
        row("requests completed", "") { NumberText.grouped($0.requests.completed) }
        row("rejected, failed", "") {
            "\(NumberText.grouped($0.requests.rejected)), \(NumberText.grouped($0.requests.failed))"
        }
        row("preemptions", "") { NumberText.grouped($0.requests.preemptions) }
        row("prompt tokens", "") { NumberText.grouped($0.tokens.prompt) }
        row("  found in prefix cache", "") { NumberText.grouped($0.tokens.cachedPrompt) }
        row("output tokens", "") { NumberText.grouped($0.tokens.output) }
        figure("run", "s", decimals: 1) { $0.simulatedSeconds }
    }

    private mutating func latencies() {
        let kinds: [(String, (SimulationReport) -> SimulationReport.Latency)] = [
            ("TTFT", { $0.ttftSeconds }), ("TPOT", { $0.tpotSeconds }), ("ITL", { $0.itlSeconds }),
            ("E2E", { $0.e2eSeconds }),
            ("queue", { $0.queueSeconds }),
        ]
        for (name, latency) in kinds {
            table.rule()
            milliseconds("\(name) mean") { latency($0).mean }
            milliseconds("\(name) p50") { latency($0).p50 }
            milliseconds("\(name) p90") { latency($0).p90 }
            milliseconds("\(name) p99") { latency($0).p99 }
            milliseconds("\(name) max") { latency($0).max }
        }
    }

    private mutating func goodput() {
        table.rule()
        var cells = ["promise", ""] + sides.map { $0.keepsPromise ? "kept" : "broken" }
        if sides.count == 2 { cells.append("") }
        table.add(cells)
        row("state", "") { $0.stability ?? "-" }
        figure("goodput", "requests/s") { $0.goodput.requestsPerSecond }
        row("requests in promise", "%") { NumberText.fixed($0.goodput.fraction * 100, decimals: 2) }
    }

    private mutating func money() {
        table.rule()
        row("price basis", "") { $0.cost.basis }
        figure("fleet", "USD/h", decimals: 2) { $0.cost.usdPerHour }
        figure("cost of the run", "USD", decimals: 2) { $0.cost.usd }
        figure("cost per M output tokens", "USD") { $0.cost.usdPerMillionOutputTokens }
        figure("cost per M tokens", "USD") { $0.cost.usdPerMillionTokens }
    }

    private mutating func energy() {
        table.rule()
        figure("chip energy", "J/output token") { $0.energy.boundary.chip.joulesPerOutputToken }
        figure("wall energy", "J/output token") { $0.energy.boundary.wall.joulesPerOutputToken }
        figure("facility energy", "J/output token") { $0.energy.boundary.facility.joulesPerOutputToken }
        figure("facility energy", "kWh") { $0.energy.boundary.facility.joules.map { $0 / 3.6e6 } }
        row("chip energy while idle", "%") { NumberText.fixed($0.energy.idleFraction * 100, decimals: 1) }
    }

    private mutating func carbon() {
        figure("carbon", "gCO2e/M output tokens") { $0.carbon.gramsPerMillionOutputTokens }
        figure("water", "litres") { $0.carbon.litresOfWater }
        table.rule()
    }

    private mutating func bands() {
        let kinds: [(String, (ModelBands) -> [Double])] = [
            ("model band of TTFT", { $0.ttft }), ("model band of TPOT", { $0.tpot }),
            ("model band of throughput", { $0.throughput }), ("model band of cost", { $0.cost }),
            ("model band of energy", { $0.energy }),
        ]
        guard sides.contains(where: { $0.report.bands != nil }) else { return }
        for (name, band) in kinds {
            row(name, "10th-90th") { report in
                guard let factors = report.bands.map(band), factors.count == 2 else { return "-" }
                return "\(NumberText.fixed(factors[0], decimals: 2))-\(NumberText.ratio(factors[1]))"
            }
        }
        table.rule()
    }

    private func assumptions() -> String {
        var text = ""
        for side in sides where !side.report.assumptions.isEmpty {
            text += "\nassumptions of \(side.report.fleet)\n"
            text += side.report.assumptions.map { "  * \($0)\n" }.joined()
        }
        return text
    }

    // MARK: Rows

    private mutating func row(_ name: String, _ unit: String, _ cell: (SimulationReport) -> String) {
        table.add([name, unit] + sides.map { cell($0.report) } + (sides.count == 2 ? [""] : []))
    }

    private mutating func milliseconds(_ name: String, _ value: (SimulationReport) -> Double?) {
        figure(name, "ms") { report in value(report).map { $0 * 1e3 } }
    }

    /// A row of numbers, with the ratio when there are two of them.
    private mutating func figure(
        _ name: String, _ unit: String, decimals: Int? = nil, _ value: (SimulationReport) -> Double?
    ) {
        let values = sides.map { value($0.report) }
        var cells = [name, unit]
        cells += values.map { decimals == nil ? NumberText.significant($0) : NumberText.fixed($0, decimals: decimals!) }
        if values.count == 2 {
            let ratio: Double? =
                if let above = values[0], let below = values[1], below != 0 { above / below } else { nil }
            cells.append(NumberText.ratio(ratio))
        }
        table.add(cells)
    }
}
