//===----------------------------------------------------------------------===//
// Decisions against those of another policy.
//===----------------------------------------------------------------------===//

import Engine
import Testing
import Workload

@testable import Yard

/// Regret at each decision, and single requests moved.
@Suite struct DecisionAuditTests {
    private func recorded(policy: String, seed: UInt64) throws -> (CellConfiguration, DecisionLog, [Completion]) {
        let cell = try CellPropertyTests.cell(seed: seed, policy: policy, replicas: 5)
        cell.recorder = DecisionRecorder(cell: 0, capacity: 1 << 16)
        var sink = CollectingSink()
        for (at, message) in CellPropertyTests.history(seed: seed, replicas: 5, count: 600, faults: true) {
            cell.advance(until: at - 1, into: &sink)
            CellPropertyTests.apply(message, to: cell, at: at)
        }
        cell.finish(into: &sink)
        let log = try #require(cell.recorder?.take())
        return (cell.configuration, log, sink.completions.sorted { $0.requestID < $1.requestID })
    }

    @Test(arguments: PlacementTable.names) func anAuditChangesNothing(policy: String) throws {
        let (configuration, log, completions) = try recorded(policy: policy, seed: 5)
        let outcome = try DecisionReplay(log).run(on: configuration, auditing: "random")
        #expect(outcome.isFaithful && outcome.completions == completions)
        #expect(outcome.audited.count == log.records.count { $0.kind == .placed })
        // In the order of the log, each about the request that was placed.
        #expect(outcome.audited.map(\.requestID) == log.records.filter { $0.kind == .placed }.map(\.requestID))
        #expect(outcome.audited.map(\.chosen) == log.records.filter { $0.kind == .placed }.map(\.replica))
    }

    /// A policy without memory or chance has no regret against itself.
    @Test func nobodyRegretsTheSamePolicy() throws {
        let (configuration, log, _) = try recorded(policy: "least-loaded", seed: 6)
        let outcome = try DecisionReplay(log).run(on: configuration, auditing: "least-loaded")
        let regret = DecisionRegret(outcome.audited)
        #expect(regret.decisions > 300 && regret.different == 0)
        #expect(regret.ttftPicoseconds == 0 && regret.energyNanojoules == 0 && regret.costMicrodollars == 0)
    }

    @Test func randomPlacementRegretsTheLeastLoadedReplica() throws {
        let (configuration, log, _) = try recorded(policy: "random", seed: 7)
        let outcome = try DecisionReplay(log).run(on: configuration, auditing: "slo-aware")
        let regret = DecisionRegret(outcome.audited)
        #expect(regret.different > regret.decisions / 8)
        #expect(regret.ttftPicoseconds > 0 && regret.soonerElsewhere > 2 * regret.laterElsewhere)
        for decision in outcome.audited where !decision.differs {
            #expect(decision.ttftRegretPicoseconds == 0 && decision.energyRegretNanojoules == 0)
        }
    }

    @Test func oneMovedRequestChangesItsDecisionAndNothingBefore() throws {
        let (configuration, log, completions) = try recorded(policy: "random", seed: 8)
        let audited = try DecisionReplay(log).run(on: configuration, auditing: "least-loaded").audited
        let different = audited.indices.filter { audited[$0].differs }
        let number = different[different.count / 2]
        let moved = try DecisionReplay(log).run(on: configuration, moved: [number: Int(audited[number].alternative)])
        #expect(moved.agreed < moved.decisions)
        let now = try #require(moved.firstDifference?.now)
        #expect(now.requestID == audited[number].requestID && now.replica == audited[number].alternative)
        let at = audited[number].atNanoseconds
        let before = completions.filter {
            max($0.lastTokenNanoseconds, $0.arrivalNanoseconds) < at && $0.status == .finished
        }
        #expect(before.count > 5 && before.allSatisfy { moved.completions.contains($0) })
        // Moving it to where it went anyway changes nothing.
        let same = try DecisionReplay(log).run(on: configuration, moved: [number: Int(audited[number].chosen)])
        #expect(same.isFaithful && same.completions == completions)
    }
}
