//===----------------------------------------------------------------------===//
// Regret, decision by decision.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import Yard

extension DecisionReplayRun {
    /// One cell's log, replayed beside another policy.
    struct Audit {
        var cell: Int
        var log: DecisionLog
        var outcome: DecisionReplay.Outcome
    }

    static func table(of audits: [Audit], policy: String, whatIf: String) -> [String] {
        var regret = DecisionRegret()
        for audit in audits { regret.add(DecisionRegret(audit.outcome.audited)) }
        func mean(_ sum: Int128, _ scale: Double) -> Double { Double(sum) * scale / Double(max(1, regret.decisions)) }
        return [
            "at the decision: \(whatIf) takes another replica than \(policy) at \(regret.different) of \(regret.decisions) placements",
            String(
                format: "  predicted   TTFT %+.3f ms, TPOT %+.4f ms, %+.3f J, %+.4f microdollars a placement",
                mean(regret.ttftPicoseconds, 1e-9), mean(regret.tpotPicoseconds, 1e-9),
                mean(regret.energyNanojoules, 1e-9), regret.costMicrodollars / Double(max(1, regret.decisions))),
            "  first token predicted sooner there for \(regret.soonerElsewhere), later for \(regret.laterElsewhere)",
        ]
    }

    /// Simulates the decisions with the largest predicted regret again, each with only that request moved.
    func resimulate(_ audits: [Audit], _ configurations: [CellConfiguration]) throws -> [String] {
        let worst = audits.indices.flatMap { audit in
            audits[audit].outcome.audited.enumerated().map { (audit: audit, number: $0.offset, decision: $0.element) }
        }.filter { $0.decision.ttftRegretPicoseconds > 0 && $0.decision.differs }
            .sorted {
                ($1.decision.ttftRegretPicoseconds, $0.audit, $0.number)
                    < ($0.decision.ttftRegretPicoseconds, $1.audit, $1.number)
            }.prefix(resimulated)
        var lines: [String] = worst.isEmpty ? [] : ["alone: only this request moved, and simulated again to the end"]
        for (index, number, decision) in worst {
            let audit = audits[index]
            let moved = try DecisionReplay(audit.log).run(
                on: configurations[audit.cell], moved: [number: Int(decision.alternative)])
            let effect = PlacementRegret(was: audit.outcome.completions, other: moved.completions)
            lines.append(
                "  request \(decision.requestID), replica \(decision.chosen) to \(decision.alternative): TTFT predicted "
                    + Self.milliseconds(decision.ttftRegretPicoseconds / 1000) + " sooner, was "
                    + Self.milliseconds(
                        Self.ttft(of: decision.requestID, audit.outcome) - Self.ttft(of: decision.requestID, moved))
                    + "; all requests' E2E together " + Self.milliseconds(effect.e2eNanoseconds) + " shorter")
        }
        return lines
    }

    private static func ttft(of requestID: UInt64, _ outcome: DecisionReplay.Outcome) -> Int64 {
        // Completions are in the order of request numbers.
        var range = outcome.completions.startIndex..<outcome.completions.endIndex
        while range.count > 1 {
            let middle = (range.lowerBound + range.upperBound) / 2
            range =
                outcome.completions[middle].requestID <= requestID
                ? middle..<range.upperBound : range.lowerBound..<middle
        }
        guard let found = range.first.map({ outcome.completions[$0] }), found.requestID == requestID,
            found.firstTokenNanoseconds >= 0
        else { return 0 }
        return found.firstTokenNanoseconds - found.arrivalNanoseconds
    }

    private static func milliseconds(_ nanoseconds: Int64) -> String {
        String(format: "%.3f ms", Double(nanoseconds) * 1e-6)
    }

    static func write(_ audits: [Audit], to path: String) throws {
        var text =
            "cell,request,at_s,replica,alternative,ttft_ms,ttft_regret_ms,tpot_regret_ms,regret_microdollars,regret_joules\n"
        for audit in audits {
            for decision in audit.outcome.audited {
                text +=
                    "\(audit.cell),\(decision.requestID),\(Double(decision.atNanoseconds) * 1e-9),\(decision.chosen),"
                text += "\(decision.alternative),\(Double(decision.ttftPicoseconds) * 1e-9),"
                text += "\(Double(decision.ttftRegretPicoseconds) * 1e-9),"
                text += "\(Double(decision.tpotRegretPicoseconds) * 1e-9),\(decision.costRegretMicrodollars),"
                text += "\(Double(decision.energyRegretNanojoules) * 1e-9)\n"
            }
        }
        try Output.write(text, to: path)
    }
}
