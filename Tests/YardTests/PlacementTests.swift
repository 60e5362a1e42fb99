import Engine
import Testing
import Workload

@testable import Yard

@Suite struct PlacementTests {
    private func counts(_ policy: String, replicas: Int, requests: Int, gapNanoseconds: Int64) throws -> [Int] {
        let cell = try YardFixture.cell(replicas: replicas, policy: policy)
        var sink = CollectingSink()
        for id in 0..<requests {
            cell.submit(
                Request(
                    id: UInt64(id), arrivalNanoseconds: Int64(id) * gapNanoseconds, promptTokens: 20, outputTokens: 5),
                into: &sink
            )
        }
        cell.finish(into: &sink)
        #expect(sink.completions.count == requests)
        var counts = [Int](repeating: 0, count: replicas)
        for completion in sink.completions { counts[Int(completion.replica)] += 1 }
        return counts
    }

    @Test func roundRobinTakesTurns() throws {
        #expect(
            try counts("round-robin", replicas: 7, requests: 70, gapNanoseconds: 9000) == Array(repeating: 10, count: 7)
        )
    }

    /// One request at a time: a policy that sends ties to the first replica would send all of them there.
    @Test func leastLoadedSpreadsEvenlyAtLightLoad() throws {
        let counts = try counts("least-loaded", replicas: 4, requests: 2000, gapNanoseconds: 1_000_000)
        #expect(counts == [500, 500, 500, 500])
    }

    @Test(arguments: ["random", "power-of-two"]) func randomPoliciesReachEveryReplica(policy: String) throws {
        let counts = try counts(policy, replicas: 5, requests: 5000, gapNanoseconds: 1_000_000)
        #expect(counts.allSatisfy { $0 > 850 && $0 < 1150 }, "\(counts)")
    }

    @Test func leastLoadedGoesToTheFewestTokens() throws {
        let cell = try YardFixture.cell(replicas: 3)
        for (id, prompt) in [(0, 500), (1, 100), (2, 300)] {
            cell.submit(
                Request(id: UInt64(id), arrivalNanoseconds: 0, promptTokens: Int32(prompt), outputTokens: 1), at: 0)
        }
        let small = (0..<3).first { cell.states[$0].tokens == 101 }!
        cell.submit(Request(id: 3, arrivalNanoseconds: 0, promptTokens: 150, outputTokens: 1), at: 0)
        #expect(cell.states[small].tokens == 252)
        cell.submit(Request(id: 4, arrivalNanoseconds: 0, promptTokens: 60, outputTokens: 1), at: 0)
        #expect(cell.states[small].tokens == 252 + 61)
    }

    @Test(arguments: PlacementTable.names) func neverChoosesAClosedReplica(policy: String) throws {
        let cell = try YardFixture.cell(replicas: 130, policy: policy, sequences: 1, queueLimit: 0)
        var sink = CollectingSink()
        for replica in 0..<130 where replica != 77 && replica != 128 { cell.order(.drain, replica: replica, at: 0) }
        for id in 0..<5 {
            cell.submit(Request(id: UInt64(id), arrivalNanoseconds: 1, promptTokens: 9, outputTokens: 2), at: 1)
        }
        #expect(cell.load.waitingRequests == 3)
        cell.finish(into: &sink)
        #expect(sink.completions.count == 5)
        #expect(sink.completions.allSatisfy { $0.replica == 77 || $0.replica == 128 })
    }

    @Test func namesAreUnique() {
        #expect(Set(PlacementTable.names).count == PlacementTable.all.count)
        #expect(PlacementTable.summaries.allSatisfy { !$0.summary.isEmpty })
    }
}
