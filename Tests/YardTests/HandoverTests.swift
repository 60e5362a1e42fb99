//===----------------------------------------------------------------------===//
// Prefill and decode apart inside one cell.
//===----------------------------------------------------------------------===//

import Engine
import Testing
import Workload

@testable import Yard

@Suite struct HandoverTests {
    @Test func oneRequestGoesOver() throws {
        let cell = try Cell(configuration: HandoverFixture.configuration(prefill: 1, decode: 1))
        var sink = CollectingSink()
        cell.submit(Request(id: 5, arrivalNanoseconds: 0, promptTokens: 100, outputTokens: 3), at: 0)
        cell.finish(into: &sink)
        let completion = try #require(sink.completions.first)
        // Prefill 1 ms + 100 × 3 µs; 100 kB at 100 MB/s and 15 µs on the wire; three steps of 1 ms + 3 µs.
        #expect(completion.scheduledNanoseconds == 0)
        #expect(completion.firstTokenNanoseconds == 1_300_000 + 1_000_000 + 15_000 + 1_003_000)
        #expect(completion.lastTokenNanoseconds == completion.firstTokenNanoseconds + 2 * 1_003_000)
        #expect(completion.outputTokens == 3 && completion.replica == 1 && completion.status == .finished)
        #expect(sink.gapCount == 2 && sink.completions.count == 1)
        let usage = cell.counters.transfers
        #expect(usage.transfers == 1 && usage.bytes == 100_000 && usage.placeWaitNanoseconds == 0)
        #expect(usage.crossingNanoseconds == 1_015_000 && usage.longestCrossingNanoseconds == 1_015_000)
        // Both pools' steps are counted, each on its own replica.
        #expect(cell.usage(ofReplica: 0).steps == 1 && cell.usage(ofReplica: 0).activeNanojoules == 100)
        #expect(cell.usage(ofReplica: 1).steps == 3 && cell.usage(ofReplica: 1).activeNanojoules == 3)
    }

    /// Four prompts that end together on four prefill replicas meet at the one decode replica's port.
    @Test func transfersShareTheirPorts() throws {
        for (prefill, decode, last) in [(4, 1, 4), (1, 4, 4), (4, 4, 1)] {
            let cell = try Cell(
                configuration: HandoverFixture.configuration(
                    prefill: prefill, decode: decode, rate: (1_000_000, 2_000_000)))
            var sink = CollectingSink()
            for id in 0..<4 as Range<UInt64> {
                cell.submit(Request(id: id, arrivalNanoseconds: 0, promptTokens: 100, outputTokens: 1), at: 0)
            }
            cell.finish(into: &sink)
            // 100 kB at the slower port's 1 MB/s is 100 ms; one after the other where a port is shared.
            #expect(cell.counters.transfers.longestCrossingNanoseconds / 100_000_000 == Int64(last))
        }
    }

    /// Whatever the room between the sides, times equal those of the naive model, to the nanosecond.
    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64]) func agreesWithTheNaiveModel(seed: UInt64) throws {
        var dice = SeededChoice(seed: seed)
        let layers = Int32(1 + dice.next(below: 40))
        let configuration = HandoverFixture.configuration(
            prefill: 1 + dice.next(below: 3), decode: 1 + dice.next(below: 3),
            mode: dice.next(below: 2) == 0 ? .read : .write(layers: layers),
            rate: (Int64(5_000_000 + dice.next(below: 400_000_000)), Int64(5_000_000 + dice.next(below: 400_000_000))),
            queueLimit: Int32(dice.next(below: 3)), phased: dice.next(below: 2) == 0, seed: seed)
        let requests = HandoverFixture.requests(seed: seed, count: 250, meanGapNanoseconds: 6_000_000)
        let cell = try Cell(configuration: configuration)
        let naive = NaiveDisaggregation(like: cell)
        var sink = CollectingSink()
        for request in requests { cell.submit(request, into: &sink) }
        cell.finish(into: &sink)
        let expected = naive.run(requests)
        #expect(sink.completions == expected.completions, "seed \(seed)")
        #expect(sink.tokens == expected.tokens, "seed \(seed)")
        #expect(sink.gapCount == expected.gapCount && sink.gapPicoseconds == expected.gapPicoseconds, "seed \(seed)")
        #expect(sink.completions.count == 250)
    }

    /// With one replica on each side the cell does what `DisaggregatedGroup` does.
    @Test(arguments: [KVTransferLink.Mode.read, .write(layers: 8)]) func agreesWithTheGroup(
        mode: KVTransferLink.Mode
    ) throws {
        let configuration = HandoverFixture.configuration(prefill: 1, decode: 1, mode: mode, queueLimit: 10_000)
        let (prefill, decode) = (configuration.pools[0], configuration.pools[1])
        let group = DisaggregatedGroup(
            prefill: (1, prefill.replica, prefill.table), decode: (1, decode.replica, decode.table),
            link: KVTransferLink(
                mode: mode, bytesPerSecond: 100_000_000, latencyNanoseconds: 15_000, bytesPerToken: 1000))
        let cell = try Cell(configuration: configuration)
        var sinks = [CollectingSink(), CollectingSink()]
        for var request in HandoverFixture.requests(seed: 9, count: 300, meanGapNanoseconds: 8_000_000) {
            request.flags = []
            cell.submit(request, into: &sinks[0])
            group.advance(until: request.arrivalNanoseconds - 1, into: &sinks[1])
            group.submit(request, at: request.arrivalNanoseconds)
        }
        cell.finish(into: &sinks[0])
        group.advance(until: .max - 1, into: &sinks[1])
        #expect(sinks[0].completions == sinks[1].completions && sinks[0].completions.count == 300)
        #expect(sinks[0].gapPicoseconds == sinks[1].gapPicoseconds)
    }

    @Test func aSlowDecodeSideHoldsThePrefillSideBack() throws {
        let cell = try Cell(
            configuration: HandoverFixture.configuration(prefill: 2, decode: 1, rate: (1000, 1000), queueLimit: 0))
        var sink = CollectingSink()
        for id in 0..<40 as Range<UInt64> {
            cell.submit(Request(id: id, arrivalNanoseconds: 0, promptTokens: 10, outputTokens: 1), at: 0)
        }
        // Two prefill replicas of four places each are full of prompts that wait or cross; the rest waits in the room.
        cell.advance(until: 1_000_000_000, into: &sink)
        #expect(cell.handovers == 8 && cell.load.waitingRequests == 32 && cell.load.acceptingReplicas == 0)
        cell.finish(into: &sink)
        #expect(sink.completions.count == 40 && cell.counters.handedOver == 40)
    }

    @Test(arguments: PlacementTable.names) func everyRequestEndsOnceWhateverFails(policy: String) throws {
        for seed in 1...5 as ClosedRange<UInt64> {
            var configuration = HandoverFixture.configuration(
                prefill: 3, decode: 3, mode: seed % 2 == 0 ? .read : .write(layers: 4),
                rate: (200_000_000, 150_000_000),
                policy: policy, seed: seed)
            configuration.waitingRoom.classes = [.init(name: "a"), .init(name: "b"), .init(name: "c")]
            configuration.waitingRoom.maxWaitingRequests = 40
            var results: [CollectingSink] = []
            for pieces in [1, 5] {
                let cell = try Cell(configuration: configuration)
                var sink = CollectingSink()
                var dice = SeededChoice(seed: seed)
                var asked: [UInt64: Request] = [:]
                for (at, message) in CellPropertyTests.history(seed: seed, replicas: 6, count: 1200, faults: true) {
                    let at = at * 900
                    for _ in 1..<pieces {
                        let left = at - 1 - cell.clockNanoseconds
                        if left > 0 {
                            cell.advance(until: cell.clockNanoseconds + Int64(dice.next(below: Int(left))), into: &sink)
                        }
                    }
                    cell.advance(until: at - 1, into: &sink)
                    CellPropertyTests.apply(message, to: cell, at: at)
                    if case .submit(let request) = message { asked[request.id] = request }
                    if pieces == 1 { checkBooks(of: cell, "policy \(policy), seed \(seed), \(at) ns") }
                }
                for replica in 0..<6 { cell.order(.restore, replica: replica, at: cell.clockNanoseconds + 1) }
                cell.finish(into: &sink)
                checkEnd(of: cell, sink, asked, "policy \(policy), seed \(seed)")
                results.append(sink)
            }
            #expect(results[0].completions == results[1].completions, "policy \(policy), seed \(seed)")
            #expect(results[0].tokens == results[1].tokens, "policy \(policy), seed \(seed)")
        }
    }

    private func checkEnd(of cell: Cell, _ sink: CollectingSink, _ asked: [UInt64: Request], _ place: String) {
        #expect(sink.completions.count == asked.count, "\(place)")
        #expect(Set(sink.completions.map(\.requestID)).count == asked.count, "\(place)")
        #expect(sink.completions.filter { $0.status == .finished }.count > asked.count / 4, "\(place): nothing to see")
        for completion in sink.completions where completion.status == .finished {
            #expect(completion.outputTokens == asked[completion.requestID]?.outputTokens, "\(place)")
            #expect(completion.replica >= 3, "\(place): \(completion) ended on the prefill side")
            #expect(completion.scheduledNanoseconds < completion.firstTokenNanoseconds, "\(place)")
        }
        #expect(cell.load.outstandingTokens == 0 && cell.inFlight.count == 0 && cell.handovers == 0, "\(place)")
        #expect(cell.decodeSide?.placedTokens == 0 && cell.decodeSide?.promptTokens == 0, "\(place)")
        #expect(
            (0..<6).allSatisfy {
                cell.states[$0].requests == 0 && cell.states[$0].tokens == 0 && cell.states[$0].outputTokens == 0
            }, "\(place)")
        let counters = cell.counters
        #expect(
            counters.submitted == counters.finished + counters.cancelled + counters.failed + counters.refused,
            "\(place)")
    }

    /// What the cell keeps up to date equals what one would count.
    private func checkBooks(of cell: Cell, _ place: String) {
        guard let desk = cell.desk, let side = cell.decodeSide else { return }
        let states = (0..<cell.replicaCount).map { cell.states[$0] }
        let (prefill, decode) = (states.filter { !$0.isDecodeSide }, states.filter(\.isDecodeSide))
        func count(_ stage: Handover.Stage) -> Int { desk.handovers.values.count { $0.stage == stage } }
        let decodeRequests = decode.reduce(0) { $0 + Int($1.requests) }
        let prefillRequests = prefill.reduce(0) { $0 + Int($1.requests) }
        #expect(decodeRequests == count(.decoding) + count(.crossing), "\(place)")
        #expect(Int(cell.load.placedRequests) == prefillRequests + count(.decoding), "\(place)")
        #expect(cell.inFlight.count == Int(cell.load.placedRequests) + cell.room.count, "\(place)")
        #expect(side.promptTokens == prefill.reduce(0) { $0 + $1.tokens }, "\(place)")
        #expect(side.placedTokens == decode.reduce(0) { $0 + $1.tokens }, "\(place)")
        #expect(Int(cell.load.acceptingReplicas) == prefill.count { $0.accepts }, "\(place)")
        #expect(Int(side.acceptingReplicas) == decode.count { $0.accepts }, "\(place)")
        let places = prefill.filter { $0.phase == .ready }.reduce(0) { $0 + Int($1.requestLimit - $1.requests) }
        #expect(Int(cell.load.freePlaces) == places, "\(place)")
        #expect(!desk.hasWaiting || side.acceptingReplicas == 0, "\(place): prompts wait before an open replica")
        #expect(desk.hasWaiting == (count(.waiting) > 0), "\(place)")
        #expect(
            cell.room.count == 0 || cell.load.acceptingReplicas == 0, "\(place): requests wait before an open replica")
        for replica in 0..<cell.replicaCount {
            let load = cell.load(ofReplica: replica)
            #expect(load.waitingRequests + load.runningRequests <= states[replica].requests, "\(place)")
        }
    }

    @Test func aReplayDecidesTheSameOnBothSides() throws {
        let configuration = HandoverFixture.configuration(prefill: 3, decode: 4, policy: "power-of-two", seed: 3)
        let cell = try Cell(configuration: configuration)
        cell.recorder = DecisionRecorder(cell: 0, capacity: 1 << 16)
        var sink = CollectingSink()
        for request in HandoverFixture.requests(seed: 3, count: 200, meanGapNanoseconds: 4_000_000) {
            cell.submit(request, into: &sink)
        }
        cell.finish(into: &sink)
        let log = try #require(cell.recorder?.take())
        #expect(log.records.count { $0.kind == .placed } == 400)
        #expect(try DecisionReplay(log).run(on: configuration).isFaithful)
    }

    @Test func impossibleSidesAreRefused() {
        func problem(_ change: (inout CellConfiguration) -> Void) -> String {
            var configuration = HandoverFixture.configuration(prefill: 1, decode: 1)
            change(&configuration)
            do {
                try configuration.validate()
                return "none"
            } catch { return error.description }
        }
        #expect(problem { _ in } == "none")
        #expect(problem { $0.transfer = nil }.hasPrefix("pool 'prefill' is prefillOnly, and the cell has no transfer"))
        #expect(
            problem { $0.pools[1].replica.role = .whole }.contains(
                "pools that prefill, pools that decode, and no others"))
        #expect(problem { $0.pools.removeLast() }.contains("pools that prefill, pools that decode"))
        #expect(problem { $0.pools[1].transferBytesPerSecond = 0 }.contains("pool 'decode' has no bandwidth"))
        #expect(problem { $0.pools[0].replica.stack = .vllmV0 }.contains("cannot hand prompts over"))
        let weightless = problem { $0.transfer = KVTransferRules(bytesPerToken: 0, latencyNanoseconds: 0) }
        #expect(weightless.contains("at least 1 byte"))
    }
}
