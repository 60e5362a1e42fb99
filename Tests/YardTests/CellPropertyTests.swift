import Engine
import Testing
import Workload

@testable import Yard

/// Random messages to random cells, checked against what must hold whatever they are.
@Suite struct CellPropertyTests {
    /// One message of a random history, given at its time.
    enum Message {
        case submit(Request)
        case cancel(UInt64)
        case order(ReplicaOrder, Int)
    }

    static func history(seed: UInt64, replicas: Int, count: Int, faults: Bool) -> [(at: Int64, message: Message)] {
        var dice = SeededChoice(seed: seed)
        var now: Int64 = 0
        var next: UInt64 = 0
        return (0..<count).map { _ in
            now += Int64(dice.next(below: 6000))
            switch dice.next(below: 20) {
            case 0 where next > 0: return (now, .cancel(UInt64(dice.next(below: Int(next)))))
            case 1 where faults:
                return (now, .order(.fail(dice.next(below: 2) == 0 ? .fail : .requeue), dice.next(below: replicas)))
            case 2, 3:
                if faults {
                    return (now, .order(dice.next(below: 3) == 0 ? .drain : .restore, dice.next(below: replicas)))
                }
                fallthrough
            default:
                var request = Request(
                    id: next, arrivalNanoseconds: now, promptTokens: Int32(1 + dice.next(below: 300)),
                    outputTokens: Int32(1 + dice.next(below: 40))
                )
                next += 1
                request.tenant = UInt16(dice.next(below: 4))
                request.priorityClass = UInt8(dice.next(below: 3))
                if dice.next(below: 3) == 0 { request.flags = [.streams] }
                request.prefix.session = UInt64(dice.next(below: 30))
                request.prefix.sessionTokens = Int32(dice.next(below: Int(request.promptTokens)))
                return (now, .submit(request))
            }
        }
    }

    static func apply(_ message: Message, to cell: Cell, at now: Int64) {
        switch message {
        case .submit(let request): cell.submit(request, at: now)
        case .cancel(let id): cell.cancel(requestID: id, at: now)
        case .order(let order, let replica): cell.order(order, replica: replica, at: now)
        }
    }

    static func cell(seed: UInt64, policy: String, replicas: Int) throws -> Cell {
        try YardFixture.cell(
            replicas: replicas, policy: policy, sequences: 3, queueLimit: 1, seed: seed, caching: .sessions
        ) {
            $0.waitingRoom.classes = [
                .init(name: "a"), .init(name: "b", promoteAfterNanoseconds: 50_000), .init(name: "c"),
            ]
            $0.waitingRoom.maxWaitingRequests = 40
        }
    }

    /// Asking for memory in advance is only that: announced windows, right or wrong, change nothing.
    @Test func foresightChangesNothing() throws {
        for seed in 1...8 as ClosedRange<UInt64> {
            let history = Self.history(seed: seed, replicas: 40, count: 600, faults: true)
            var outcomes: [CollectingSink] = []
            var counters: [CellCounters] = []
            for foresees in [false, true] {
                let cell = try Self.cell(seed: seed, policy: "power-of-two", replicas: 40)
                var dice = SeededChoice(seed: seed)
                var sink = CollectingSink()
                for (now, message) in history {
                    if foresees, dice.next(below: 4) == 0 {
                        cell.foresee(until: now + Int64(dice.next(below: 400_000)) - 10_000)
                    }
                    cell.advance(until: now - 1, into: &sink)
                    Self.apply(message, to: cell, at: now)
                }
                cell.finish(into: &sink)
                outcomes.append(sink)
                counters.append(cell.counters)
            }
            #expect(outcomes[0].completions == outcomes[1].completions && outcomes[0].tokens == outcomes[1].tokens)
            #expect(outcomes[0].gapPicoseconds == outcomes[1].gapPicoseconds)
            #expect(counters[0] == counters[1] && counters[0].events > 1000, "seed \(seed): \(counters[0].events)")
        }
    }

    @Test(arguments: PlacementTable.names) func everyRequestEndsOnce(policy: String) throws {
        for seed in 1...6 as ClosedRange<UInt64> {
            let cell = try Self.cell(seed: seed, policy: policy, replicas: 5)
            var sink = CollectingSink()
            var asked: [UInt64: Request] = [:]
            for (at, message) in Self.history(seed: seed, replicas: 5, count: 1500, faults: true) {
                cell.advance(until: at - 1, into: &sink)
                Self.apply(message, to: cell, at: at)
                if case .submit(let request) = message { asked[request.id] = request }
                checkBooks(of: cell, "policy \(policy), seed \(seed), \(at) ns")
            }
            for replica in 0..<5 { cell.order(.restore, replica: replica, at: cell.clockNanoseconds + 1) }
            cell.finish(into: &sink)
            let ended = Dictionary(grouping: sink.completions, by: \.requestID)
            #expect(
                ended.count == asked.count && sink.completions.count == asked.count, "policy \(policy), seed \(seed)")
            for completion in sink.completions where completion.status == .finished {
                #expect(completion.outputTokens == asked[completion.requestID]?.outputTokens)
            }
            #expect(cell.load.outstandingTokens == 0 && cell.inFlight.count == 0)
            #expect((0..<5).allSatisfy { cell.states[$0].tokens == 0 && cell.states[$0].outputTokens == 0 })
            let counters = cell.counters
            #expect(counters.submitted == counters.finished + counters.cancelled + counters.failed + counters.refused)
        }
    }

    /// What the cell keeps up to date equals what one would count.
    private func checkBooks(of cell: Cell, _ place: String) {
        let states = (0..<cell.replicaCount).map { cell.states[$0] }
        #expect(Int(cell.load.placedRequests) == states.reduce(0) { $0 + Int($1.requests) }, "\(place)")
        #expect(cell.load.placedTokens == states.reduce(0) { $0 + $1.tokens }, "\(place)")
        #expect(Int(cell.load.acceptingReplicas) == states.filter(\.accepts).count, "\(place)")
        #expect(states.allSatisfy { $0.outputTokens >= 0 && $0.outputTokens <= $0.tokens }, "\(place)")
        let places = states.filter { $0.phase == .ready }.reduce(0) { $0 + Int($1.requestLimit - $1.requests) }
        #expect(Int(cell.load.freePlaces) == places, "\(place)")
        #expect(
            Int(cell.load.waitingRequests) == cell.room.count && cell.load.waitingTokens == cell.room.tokens, "\(place)"
        )
        #expect(
            cell.room.count == 0 || !states.contains(where: \.accepts), "\(place): requests wait before an open replica"
        )
        #expect(cell.inFlight.count == Int(cell.load.placedRequests) + cell.room.count, "\(place)")
        for (index, state) in states.enumerated() {
            #expect(cell.loads[index] == state.loadKey)
            let load = cell.load(ofReplica: index)
            #expect(load.waitingRequests + load.runningRequests <= state.requests, "\(place)")
            #expect(load.freeKVBlocks >= 0 && load.freeKVBlocks <= load.totalKVBlocks, "\(place)")
        }
    }

    /// Calling `advance` more often, at any times, changes nothing.
    @Test(arguments: PlacementTable.names) func outcomesDoNotDependOnHowOftenTimeIsTold(policy: String) throws {
        for seed in 11...14 as ClosedRange<UInt64> {
            var results: [CollectingSink] = []
            for pieces in [1, 7] {
                let cell = try Self.cell(seed: seed, policy: policy, replicas: 5)
                var dice = SeededChoice(seed: seed)
                var sink = CollectingSink()
                for (at, message) in Self.history(seed: seed, replicas: 5, count: 1000, faults: true) {
                    for _ in 1..<pieces {
                        let left = at - 1 - cell.clockNanoseconds
                        if left > 0 {
                            cell.advance(until: cell.clockNanoseconds + Int64(dice.next(below: Int(left))), into: &sink)
                        }
                    }
                    cell.advance(until: at - 1, into: &sink)
                    Self.apply(message, to: cell, at: at)
                }
                cell.finish(into: &sink)
                results.append(sink)
            }
            #expect(results[0].completions == results[1].completions, "policy \(policy), seed \(seed)")
            #expect(results[0].tokens == results[1].tokens, "policy \(policy), seed \(seed)")
            #expect(
                results[0].gapCount == results[1].gapCount && results[0].gapPicoseconds == results[1].gapPicoseconds)
        }
    }
}
