//===----------------------------------------------------------------------===//
// trainyard replay --decisions: the yard's decisions again, one by one.
//===----------------------------------------------------------------------===//

import Fleet
import Foundation
import Simulator
import Spelling
import Yard

/// Replays the decision log of a run on the cells that made it, and says whether every decision comes out the same.
///
/// With another placement policy, three things are told apart. *At the decision*: the other policy is asked at every
/// placement, in the same place, and both replicas' predictions are compared. *Alone*: the decisions with the largest
/// predicted regret are simulated again, each with only that request moved, to the end of the log. *In charge*: the
/// other policy decides everything from the start.
struct DecisionReplayRun {
    var path: String
    var plan: FleetPlan
    var seed: UInt64
    var whatIf: String?
    /// Decisions with the largest predicted regret that are simulated again.
    var resimulated = 5
    /// Where the regret of each decision goes, one CSV row each.
    var regretFile: String?

    /// - Returns: the text for standard output, and whether all decisions agreed.
    func run() throws -> (text: String, isFaithful: Bool) {
        let logs = try read()
        let configurations = plan.cellConfigurations(seed: seed)
        var lines: [String] = []
        var decisions = 0
        var agreed = 0
        var regret = PlacementRegret()
        var audits: [Audit] = []
        for log in logs {
            guard let cell = log.records.first.map({ Int($0.cell) }) else { continue }
            guard cell < configurations.count else {
                throw CommandError(
                    "\(path): has decisions of cell \(cell), and '\(plan.name)' has \(configurations.count) cells")
            }
            let outcome = try DecisionReplay(log).run(on: configurations[cell], auditing: whatIf)
            decisions += outcome.decisions
            agreed += outcome.agreed
            if let (was, now) = outcome.firstDifference {
                lines.append(
                    "cell \(cell): \(Self.sentence(was)); now \(now.map(Self.sentence) ?? "nothing more is decided")")
            }
            if let whatIf {
                audits.append(Audit(cell: cell, log: log, outcome: outcome))
                var other = configurations[cell]
                other.placement.policy = whatIf
                regret.add(
                    PlacementRegret(was: outcome.completions, other: try DecisionReplay(log).run(on: other).completions)
                )
            }
        }
        lines.insert("decisions     \(decisions) in \(logs.count) cells, \(agreed) the same again", at: 0)
        if let whatIf {
            lines += Self.table(of: audits, policy: plan.placement.policy, whatIf: whatIf)
            lines += try resimulate(audits, configurations)
            lines += Self.table(of: regret, policy: plan.placement.policy, whatIf: whatIf)
        }
        if let regretFile { try Self.write(audits, to: regretFile) }
        return (lines.joined(separator: "\n") + "\n", agreed == decisions)
    }

    /// Writes the logs of a run's cells one after the other.
    static func write(_ result: SimulationResult, to path: String) throws {
        guard result.decisionsLost == 0 else {
            throw CommandError(
                "the run made \(result.decisionsLost) more decisions than a log holds; simulate a shorter stretch")
        }
        try Output.write(to: path) { write in
            for log in result.decisions { try write(Data(log.encoded)) }
        }
    }

    private func read() throws -> [DecisionLog] {
        if let whatIf, !PlacementTable.names.contains(whatIf) {
            throw CommandError(
                "--what-if \(whatIf): no such policy\(suggestion(for: whatIf, among: PlacementTable.names))")
        }
        guard let data = FileManager.default.contents(atPath: path) else { throw CommandError("cannot read \(path)") }
        do { return try DecisionLog.decode([UInt8](data)) } catch { throw CommandError("\(path): \(error)") }
    }

    private static func sentence(_ record: DecisionRecord) -> String {
        "request \(record.requestID) was \(record.kind)" + (record.replica >= 0 ? " on replica \(record.replica)" : "")
            + " at \(Double(record.atNanoseconds) * 1e-9) s"
    }

    private static func table(of regret: PlacementRegret, policy: String, whatIf: String) -> [String] {
        func milliseconds(_ nanoseconds: Int64) -> String {
            String(format: "%.3f ms", Double(nanoseconds) * 1e-6 / Double(max(1, regret.requests)))
        }
        let largest =
            String(format: "%.3f ms", Double(regret.largestTTFTNanoseconds) * 1e-6)
            + " (request \(regret.largestRequestID))"
        return [
            "in charge: \(whatIf) instead of \(policy) from the start, over \(regret.requests) requests that both finished",
            "  TTFT        \(milliseconds(regret.ttftNanoseconds)) a request; at most \(largest)",
            "  E2E         \(milliseconds(regret.e2eNanoseconds)) a request",
            "  first token sooner under \(whatIf) for \(regret.fasterElsewhere) requests, later for \(regret.slowerElsewhere)",
        ]
    }
}
