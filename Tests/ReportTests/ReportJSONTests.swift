//===----------------------------------------------------------------------===//
// The JSON that scripts rely on, key by key.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Foundation
import Ledger
import Testing

@testable import Report

private func report(
    priced: Bool = true, name: String = "fleet", requests: Int = 200, grade: Grade = .assumed
) -> SimulationReport {
    var tally = Tally(promise: LatencyPromise(ttftSeconds: 0.5, tpotSeconds: 0.05))
    for id in 0..<requests {
        tally.completed(
            Completion(
                requestID: UInt64(id), arrivalNanoseconds: Int64(id) * 1_000_000,
                scheduledNanoseconds: Int64(id) * 1_000_000 + 500,
                firstTokenNanoseconds: Int64(id) * 1_000_000 + 90_000_000,
                lastTokenNanoseconds: Int64(id) * 1_000_000 + 990_000_000,
                promptTokens: 100, cachedPromptTokens: 16, outputTokens: 91, preemptions: 0, replica: 0, session: 0,
                tenant: 0,
                frontEnd: 0, priorityClass: 0, status: .finished))
        tally.gaps(firstPicoseconds: 10_000_000_000, incrementPicoseconds: 0, steps: 90, count: 1)
    }
    let pool = PoolAccount(
        name: "pool", instances: 2, replicas: 2, microDollarsPerInstanceHour: priced ? 36_000_000 : nil,
        replicaIdleMilliwatts: 1_000_000, replicaMaxMilliwatts: 8_000_000, spareMilliwatts: 0,
        hostMilliwatts: 1_500_000,
        networkMilliwatts: 0, wallPerChipWattThousandths: 1130)
    let account = FleetAccount(
        fleet: name, pools: [pool],
        site: SiteAccount(pue: 1.1, wueLitresPerKWh: 0.1, gramsCO2ePerKWh: priced ? 400 : nil),
        priceBasis: "capacity-block 2026-10-03", grade: grade, assumptions: ["something"])
    let settlement = Settlement(
        account: account,
        activities: [PoolActivity(busyPicoseconds: 900_000_000_000, activeNanojoules: 3_000_000_000_000, steps: 9)],
        windowNanoseconds: 1_000_000_000)
    return SimulationReport(
        account: account, subject: RunSubject(workload: "azure:-", seed: 7, grade: .measured, assumptions: []),
        tally: tally,
        settlement: settlement, effort: RunEffort(wallSeconds: 0.1, cpuSeconds: 0.2, peakMemoryBytes: 1 << 20))
}

private func object(_ report: some Encodable) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(try ReportJSON.text(report).utf8)) as? [String: Any])
}

/// Dotted paths of everything in a JSON object.
private func paths(_ object: [String: Any], under prefix: String = "") -> Set<String> {
    var found: Set<String> = []
    for (key, value) in object {
        let path = prefix + key
        if let inner = value as? [String: Any] {
            found.formUnion(paths(inner, under: path + "."))
        } else {
            found.insert(path)
        }
    }
    return found
}

private let interface: Set<String> = {
    var keys: Set<String> = [
        "fleet", "workload", "seed", "requests.offered", "requests.completed", "requests.rejected", "requests.failed",
        "requests.preemptions", "tokens.prompt", "tokens.cachedPrompt", "tokens.output", "simulatedSeconds",
        "wallSeconds",
        "cpuSeconds", "requestsPerCPUSecond", "peakMemoryBytes", "goodput.ttftP99Seconds", "goodput.tpotP99Seconds",
        "goodput.requestsPerSecond", "goodput.fraction", "cost.usdPerHour", "cost.usd",
        "cost.usdPerMillionOutputTokens",
        "cost.usdPerMillionTokens", "cost.basis", "energy.idleFraction", "carbon.gramsCO2e",
        "carbon.gramsPerMillionOutputTokens",
        "carbon.litresOfWater", "grade", "assumptions", "digest",
    ]
    for latency in ["ttftSeconds", "tpotSeconds", "itlSeconds", "e2eSeconds", "queueSeconds"] {
        for figure in ["mean", "p50", "p90", "p95", "p99", "max"] { keys.insert("\(latency).\(figure)") }
    }
    for boundary in ["chip", "wall", "facility"] {
        keys.insert("energy.boundary.\(boundary).joules")
        keys.insert("energy.boundary.\(boundary).joulesPerOutputToken")
    }
    return keys
}()

@Suite struct ReportJSONTests {
    @Test func everyKeyOfTheInterfaceIsThere() throws {
        #expect(paths(try object(report())) == interface)
    }

    /// What is not known is null, not missing.
    @Test func unknownFiguresAreNull() throws {
        let found = try object(report(priced: false))
        #expect(paths(found) == interface)
        let cost = try #require(found["cost"] as? [String: Any])
        #expect(cost["usd"] is NSNull && cost["usdPerHour"] is NSNull && cost["usdPerMillionTokens"] is NSNull)
        let carbon = try #require(found["carbon"] as? [String: Any])
        #expect(carbon["gramsCO2e"] is NSNull && carbon["litresOfWater"] is Double)
        #expect(paths(try object(report(requests: 0))) == interface)
    }

    @Test func figuresAreThoseOfTheirDefinitions() throws {
        let report = report()
        #expect(report.requests.offered == 200 && report.tokens.output == 200 * 91 && report.tokens.prompt == 20_000)
        #expect(report.ttftSeconds.p99 == 0.09 && report.tpotSeconds.mean == 0.01 && report.itlSeconds.p50 == 0.01)
        #expect(report.cost.usdPerHour == 72 && abs(report.cost.usd! - 0.02) < 1e-9)
        #expect(abs(report.cost.usdPerMillionOutputTokens! - 0.02 * 1e6 / 18_200) < 1e-9)
        #expect(abs(report.cost.usdPerMillionTokens! - 0.02 * 1e6 / 38_200) < 1e-9)
        // 3 kJ busy, and 1.1 s of replica time idle at 1 kW.
        let chip = 3000.0 + 1100
        #expect(abs(report.energy.boundary.chip.joules! - chip) < 1e-6)
        #expect(abs(report.energy.boundary.wall.joules! - (chip * 1.13 + 3000)) < 1e-6)
        #expect(abs(report.energy.boundary.facility.joules! - (chip * 1.13 + 3000) * 1.1) < 1e-6)
        #expect(abs(report.energy.idleFraction - 1100 / chip) < 1e-12)
        #expect(report.goodput.fraction == 1 && report.goodput.requestsPerSecond == 200)
    }

    @Test func reportsSurviveTheRoundTripByteForByte() throws {
        let text = try ReportJSON.text(report())
        let decoded = try JSONDecoder().decode(SimulationReport.self, from: Data(text.utf8))
        #expect(try ReportJSON.text(decoded) == text)
        #expect(text.hasSuffix("}\n"))
    }

    @Test func comparisonsEmbedBothReports() throws {
        let sides = [
            ComparisonSide(report: report(name: "a"), instances: 2, keepsPromise: true),
            ComparisonSide(
                report: report(priced: false, name: "b", grade: .derived), instances: 3, keepsPromise: false),
        ]
        let comparison = ComparisonReport(fleet: sides[0], baseline: sides[1], sized: true)
        let found = try object(comparison)
        #expect(paths(try #require(found["fleet"] as? [String: Any])) == interface)
        #expect(paths(try #require(found["baseline"] as? [String: Any])) == interface)
        let ratios = try #require(found["ratios"] as? [String: Any])
        #expect(ratios["ttftP99"] as? Double == 1 && ratios["usdPerMillionTokens"] is NSNull)
        #expect((found["instances"] as? [String: Int]) == ["fleet": 2, "baseline": 3])
        #expect((found["keepsPromise"] as? [String: Bool]) == ["fleet": true, "baseline": false])
        // The weaker of the two.
        #expect(comparison.grade == "assumed")
        #expect(comparison.notes.contains { $0.hasPrefix("b does not keep the promise") })
    }

    @Test func tablesShowBothSidesRatiosAndGrade() {
        let first = ReportSide(report: report(name: "first"), caption: ["2 x one"], keepsPromise: true)
        let second = ReportSide(
            report: report(priced: false, name: "second"), caption: ["3 x other", "more"], keepsPromise: false)
        let text = ReportText.text(sides: [first, second], notes: ["mind this"])
        for part in [
            "first", "second", "ratio", "2 x one", "3 x other", "kept", "broken", "mind this", "assumptions of second",
            "1.00x",
        ] {
            #expect(text.contains(part), "\(part) is missing")
        }
        let grade = text.split(separator: "\n").first { $0.hasPrefix("weakest grade") }
        #expect(grade?.split(separator: " ").suffix(2) == ["assumed", "assumed"])
        #expect(!ReportText.text(sides: [first], notes: []).contains("ratio"))
    }
}
