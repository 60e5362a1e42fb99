//===----------------------------------------------------------------------===//
// The HTML page: escaped, whole, without external assets.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Ledger
import Testing

@testable import Report

private func side(_ name: String, requests: Int = 50) -> PageSide {
    var tally = Tally(promise: LatencyPromise(ttftSeconds: 0.5, tpotSeconds: 0.05))
    for id in 0..<requests {
        tally.completed(
            Completion(
                requestID: UInt64(id), arrivalNanoseconds: 0, scheduledNanoseconds: 10,
                firstTokenNanoseconds: Int64(id + 1) * 9_000_000,
                lastTokenNanoseconds: 2_000_000_000, promptTokens: 10, cachedPromptTokens: 0, outputTokens: 20,
                preemptions: 0,
                replica: 0, session: 0, tenant: 0, frontEnd: 0, priorityClass: 0, status: .finished))
        tally.gaps(firstPicoseconds: 20_000_000_000, incrementPicoseconds: 1000, steps: 19, count: 1)
    }
    let account = FleetAccount(
        fleet: name,
        pools: [
            PoolAccount(
                name: "pool", instances: 1, replicas: 1, microDollarsPerInstanceHour: 1_000_000,
                replicaIdleMilliwatts: 100_000,
                replicaMaxMilliwatts: 800_000, spareMilliwatts: 0, hostMilliwatts: 500_000, networkMilliwatts: 0,
                wallPerChipWattThousandths: 1130)
        ], site: SiteAccount(pue: 1.1, wueLitresPerKWh: nil, gramsCO2ePerKWh: nil), priceBasis: "usd_per_hour 1.0",
        grade: .derived,
        assumptions: ["a < b & \"c\""])
    let settlement = Settlement(account: account, activities: [PoolActivity()], windowNanoseconds: 2_000_000_000)
    let report = SimulationReport(
        account: account, subject: RunSubject(workload: "chat", seed: 1, grade: .assumed, assumptions: []),
        tally: tally,
        settlement: settlement, effort: RunEffort(wallSeconds: 0, cpuSeconds: 0, peakMemoryBytes: 0))
    return PageSide(
        side: ReportSide(report: report, caption: ["1 x thing"], keepsPromise: true), tally: tally,
        settlement: settlement)
}

private func count(_ part: String, in text: String) -> Int { text.components(separatedBy: part) }

extension String {
    /// Occurrences of `part`.
    fileprivate func components(separatedBy part: String) -> Int {
        split(separator: part, omittingEmptySubsequences: false).count - 1
    }
}

@Suite struct ReportPageTests {
    @Test func whatComesFromOutsideIsEscaped() {
        let page = ReportPage.html(sides: [side("<script>alert(1)</script>")], notes: ["x > y"])
        #expect(!page.contains("<script"))
        #expect(
            page.contains("&lt;script&gt;") && page.contains("a &lt; b &amp; &quot;c&quot;")
                && page.contains("x &gt; y"))
    }

    @Test func elementsAreClosedAndNothingIsFetched() {
        let page = ReportPage.html(sides: [side("one"), side("two")], notes: [])
        for element in ["svg", "table", "section", "figure", "ul", "main", "pre", "text"] {
            let opened = count("<\(element)>", in: page) + count("<\(element) ", in: page)
            #expect(opened == count("</\(element)>", in: page), "\(element)")
        }
        #expect(count("<svg ", in: page) == 6)
        for asset in ["http:", "https:", "src=", "url(", "@import", "<link"] {
            #expect(!page.contains(asset), "\(asset)")
        }
        #expect(!page.contains("nan") && !page.contains("inf,"))
    }

    @Test func anEmptyRunStillMakesAPage() {
        let page = ReportPage.html(sides: [side("none", requests: 0)], notes: [])
        #expect(page.contains("nothing was measured"))
    }

    /// The line of a distribution passes through its median where the axis says so.
    @Test func chartsPlaceTheirPoints() {
        let chart = CumulativeChart(
            title: "t",
            lines: [.init(name: "n", style: "line0", points: [(share: 0, seconds: 0.01), (share: 1, seconds: 1)])],
            promiseSeconds: 0.1)
        // Two decades from 10 ms to 1 s over 44...548: 0.1 s lies in the middle.
        #expect(chart.svg.contains("points=\"44.0,226.0 548.0,14.0\""))
        #expect(chart.svg.contains("<line class=\"promise\" x1=\"296.0\" x2=\"296.0\""))
    }
}
