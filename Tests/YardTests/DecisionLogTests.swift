import Engine
import Testing
import Workload

@testable import Yard

@Suite struct DecisionLogTests {
    /// Runs a random history with faults on a recording cell.
    private func record(
        seed: UInt64, policy: String, blocks: UnsafeMutablePointer<UInt64>? = nil
    ) throws
        -> (cell: Cell, log: DecisionLog, sink: CollectingSink)
    {
        let cell = try CellPropertyTests.cell(seed: seed, policy: policy, replicas: 5)
        let recorder = DecisionRecorder(cell: 0, capacity: 100_000)
        cell.recorder = recorder
        var sink = CollectingSink()
        for (at, message) in CellPropertyTests.history(seed: seed, replicas: 5, count: 800, faults: true) {
            // As a live cell does: time is told first, then messages take effect after it.
            cell.advance(until: at, into: &sink)
            CellPropertyTests.apply(message, to: cell, at: at)
        }
        cell.close(at: cell.clockNanoseconds + 1)
        cell.finish(into: &sink)
        return (cell, recorder.take(), sink)
    }

    @Test(arguments: PlacementTable.names) func aReplayedLogDecidesTheSame(policy: String) throws {
        for seed in 21...23 as ClosedRange<UInt64> {
            let (cell, log, sink) = try record(seed: seed, policy: policy)
            let outcome = try DecisionReplay(log).run(on: cell.configuration)
            #expect(
                outcome.decisions > 500 && outcome.isFaithful,
                "\(policy), seed \(seed): \(outcome.firstDifference as Any)")
            #expect(outcome.completions == sink.completions.sorted { $0.requestID < $1.requestID })
        }
    }

    @Test func anotherPolicyDecidesOtherwise() throws {
        let (cell, log, sink) = try record(seed: 5, policy: "round-robin")
        var configuration = cell.configuration
        configuration.placement.policy = "least-loaded"
        let outcome = try DecisionReplay(log).run(on: configuration)
        #expect(!outcome.isFaithful)
        let was = sink.completions.sorted { $0.requestID < $1.requestID }
        let regret = PlacementRegret(was: was, other: outcome.completions)
        #expect(regret.requests > 300 && regret.fasterElsewhere + regret.slowerElsewhere > 0)
        #expect(PlacementRegret(was: was, other: was).ttftNanoseconds == 0)
        let reverse = PlacementRegret(was: outcome.completions, other: was)
        #expect(reverse.ttftNanoseconds == -regret.ttftNanoseconds && reverse.fasterElsewhere == regret.slowerElsewhere)
    }

    @Test func bytesComeBackWhole() throws {
        var (_, log, _) = try record(seed: 9, policy: "least-loaded")
        log.blockHashes = [1, 2, 3]
        log.requests[4].prefix.blockHashCount = 3
        let bytes = log.encoded
        let back = try DecisionLog.decode(bytes + bytes)
        #expect(back.count == 1 && back[0].records == log.records + log.records)
        #expect(back[0].blockHashes == [1, 2, 3, 1, 2, 3])
        #expect(back[0].requests.map(\.id) == log.requests.map(\.id) + log.requests.map(\.id))
    }

    @Test func brokenBytesAreErrors() throws {
        let (_, log, _) = try record(seed: 9, policy: "least-loaded")
        let bytes = log.encoded
        for cut in [1, 55, 57, 1000, bytes.count - 1] {
            #expect(throws: DecisionLogError.self) { try DecisionLog.decode(Array(bytes.prefix(cut))) }
        }
        var dice = SeededChoice(seed: 4)
        for _ in 0..<300 {
            var broken = bytes
            let position = dice.next(below: 8 * 7 + 40)
            broken[position] ^= UInt8(1 + dice.next(below: 255))
            // Either refused, or understood as a log: never a crash.
            _ = try? DecisionLog.decode(broken)
        }
    }

    @Test func aFullRecorderSaysSo() throws {
        let cell = try YardFixture.cell(replicas: 2)
        let recorder = DecisionRecorder(cell: 0, capacity: 5)
        cell.recorder = recorder
        for id in 0..<4 {
            cell.submit(Request(id: UInt64(id), arrivalNanoseconds: 0, promptTokens: 1, outputTokens: 1), at: 0)
        }
        #expect(recorder.lost == 3)
        #expect(recorder.take().records.count == 5 && recorder.take().records.isEmpty)
    }
}
