import Engine
import Foundation
import Ledger
import StepModel
import Testing
import Workload
import Yard

@testable import Simulator

/// Whole fleets, drawn at random with everything that can go wrong in them, checked at every step against what must
/// hold.
///
/// A failure prints its seed; `TRAINYARD_FUZZ_SEEDS=FIRST...LAST` runs others, as many as there is time for.
@Suite struct FleetFuzzTests {
    static let seeds: [UInt64] = {
        guard let text = ProcessInfo.processInfo.environment["TRAINYARD_FUZZ_SEEDS"] else { return Array(1...12) }
        let bounds = text.components(separatedBy: "...").compactMap(UInt64.init)
        precondition(bounds.count == 2 && bounds[0] <= bounds[1], "TRAINYARD_FUZZ_SEEDS is FIRST...LAST, not '\(text)'")
        return Array(bounds[0]...bounds[1])
    }()

    private static let idleWatts: Int64 = 300
    private static let maxWatts: Int64 = 500

    /// A fleet with its arrivals and faults, all from one seed.
    struct Scenario {
        var cells: [CellConfiguration]
        var events: [ReplicaEvent]
        var frontEnds: Int
        var requestsPerFrontEnd: Int
        var requestsPerSecond: Double
        var seed: UInt64

        func sources() -> [SeededSource] {
            (0..<frontEnds).map { number in
                SeededSource(
                    seed: seed &* 31 &+ UInt64(number), requestsPerSecond: requestsPerSecond / Double(frontEnds),
                    count: requestsPerFrontEnd, firstID: UInt64(number), stride: UInt64(frontEnds),
                    lengths: { (Int32(1 + $0.next(below: 700)), Int32(1 + $0.next(below: 120))) },
                    shape: { request, dice in
                        request.tenant = UInt16(dice.next(below: 4))
                        request.priorityClass = UInt8(dice.next(below: 3))
                        if dice.next(below: 4) == 0 { request.flags = [.streams] }
                        if dice.next(below: 2) == 0 {
                            request.prefix.session = UInt64(1 + dice.next(below: 40))
                            request.prefix.sessionTokens = Int32(dice.next(below: Int(request.promptTokens)))
                        }
                    })
            }
        }
    }

    /// A table on which every step burns between the idle and the maximum power.
    private static func table(_ dice: inout SeededChoice) -> StepTable {
        let step = 1_000_000_000 + Int64(dice.next(below: 4_000_000_000))
        let token = Int64(dice.next(below: 20_000_000))
        let watts = idleWatts + Int64(dice.next(below: Int(maxWatts - idleWatts)))
        // 1 W × 1 ps = 10⁻³ nJ.
        func cost(_ picoseconds: Int64) -> StepCost {
            StepCost(picoseconds: picoseconds / 1000 * 1000, nanojoules: picoseconds / 1000 * watts)
        }
        let slope = Int64(dice.next(below: 3)) * 1000
        return StepTable(
            tokens: (0...2048).map { cost(step + Int64($0) * token) },
            sequences: (0...16).map { cost(Int64($0) * 1_000_000) },
            decodeAttention: .init(
                axis: dice.next(below: 2) == 0 ? .meanContext : .longestContext,
                pieces: (0..<17 * 8).map { _ in
                    .init(base: cost(Int64(dice.next(below: 50_000_000))), slope: cost(slope))
                }, piecesPerBatch: 8, shift: 7, roundUp: 0),
            prefillAttention: .linear(
                base: cost(0), perPairShifted20: StepCost(picoseconds: 0, nanojoules: 0),
                perContextTokenShifted20: StepCost(picoseconds: 0, nanojoules: 0)))
    }

    private static func replica(_ dice: inout SeededChoice, handsOver: Bool) -> ReplicaConfiguration {
        let stack: ReplicaConfiguration.Stack
        switch dice.next(below: handsOver ? 2 : 4) {
        case 0: stack = .mixed(MixedRules(chunkedPrefill: dice.next(below: 4) > 0))
        case 1: stack = .phased(PhasedRules(admission: dice.next(below: 2) == 0 ? .wholeContext : .requestMaximum))
        case 2: stack = .sarathi(chunkTokens: Int32(64 + dice.next(below: 512)))
        default: stack = .vllmV0
        }
        let caching: ReplicaConfiguration.PrefixCaching
        switch stack {
        case .mixed, .phased: caching = dice.next(below: 2) == 0 ? .sessions : .off
        case .sarathi, .vllmV0: caching = .off
        }
        return ReplicaConfiguration(
            stack: stack, maxSequences: Int32(1 + dice.next(below: 16)), maxModelTokens: 1024, maxBatchedTokens: 1024,
            kvBlocks: Int32(65 + dice.next(below: 400)), prefixCaching: caching)
    }

    static func scenario(seed: UInt64) -> Scenario {
        var dice = SeededChoice(seed: seed)
        // One fleet in three prefills on one pool and decodes on another.
        let isApart = dice.next(below: 3) == 0
        let pools = (0..<(isApart ? 2 : 1 + dice.next(below: 2))).map { _ in
            (table(&dice), replica(&dice, handsOver: isApart), 2 + dice.next(below: 6))
        }
        let transfer = KVTransferRules(
            mode: dice.next(below: 2) == 0 ? .read : .write(layers: 8), bytesPerToken: 1000,
            latencyNanoseconds: Int64(dice.next(below: 1_000_000)))
        let bandwidth = Int64(1_000_000 + dice.next(below: 100_000_000))
        let cells = 1 + dice.next(below: 2)
        let policy = PlacementTable.names[dice.next(below: PlacementTable.names.count)]
        let queueLimit = Int32(dice.next(below: 6))
        let room = dice.next(below: 3) == 0 ? 20 : 100_000
        let configurations = (0..<cells).map { number in
            var first: Int32 = 0
            var configuration = CellConfiguration(
                pools: pools.enumerated().map { index, pool in
                    let from = pool.2 * number / cells
                    defer { first += Int32(pool.2) }
                    var replica = pool.1
                    if isApart { replica.role = index == 0 ? .prefillOnly : .decodeOnly }
                    return CellPool(
                        name: "pool \(index)", table: pool.0, replica: replica,
                        replicas: pool.2 * (number + 1) / cells - from,
                        firstReplicaNumber: first + Int32(from),
                        microdollarsPerReplicaHour: Int64(1 + index) * 1_000_000,
                        idleMilliwatts: idleWatts * 1000, transferBytesPerSecond: bandwidth)
                })
            configuration.number = number
            if isApart { configuration.transfer = transfer }
            configuration.placement.policy = policy
            configuration.seed = seed
            configuration.replicaQueueLimit = queueLimit
            configuration.waitingRoom.maxWaitingRequests = room
            configuration.waitingRoom.classes = [
                .init(name: "a"), .init(name: "b", promoteAfterNanoseconds: 100_000_000), .init(name: "c"),
            ]
            return configuration
        }
        let replicas = pools.reduce(0) { $0 + $1.2 }
        // A node fails, drains or comes back with all of its replicas.
        let events = (0..<dice.next(below: 24)).flatMap { _ in
            let order: ReplicaOrder
            switch dice.next(below: 5) {
            case 0: order = .drain
            case 1: order = .fail(.fail)
            case 2: order = .fail(.requeue)
            default: order = .restore
            }
            let at = Int64(dice.next(below: 3_000_000_000))
            let first = dice.next(below: replicas)
            return (first..<min(replicas, first + 1 + dice.next(below: 4))).map {
                ReplicaEvent(atNanoseconds: at, replica: Int32($0), order: order)
            }
        }
        return Scenario(
            cells: configurations, events: events, frontEnds: 1 + dice.next(below: 2), requestsPerFrontEnd: 150,
            requestsPerSecond: 20 + Double(dice.next(below: 200)), seed: seed)
    }

    @Test(arguments: seeds) func threadsAndReplaysAgree(seed: UInt64) throws {
        let scenario = Self.scenario(seed: seed)
        var options = SimulationOptions()
        options.events = scenario.events
        options.keepsCompletions = true
        options.decisionRecords = 1 << 20
        var results: [SimulationResult] = []
        for threads in [1, 3] {
            options.threads = threads
            results.append(try Simulation(cells: scenario.cells, sources: scenario.sources(), options: options).run())
        }
        let (one, many) = (results[0], results[1])
        #expect(
            one.tally.digest == many.tally.digest && one.usage == many.usage && one.counters == many.counters,
            "seed \(seed)")
        #expect(one.tally.itl == many.tally.itl && one.tally.ttft == many.tally.ttft, "seed \(seed)")
        #expect(zip(one.decisions, many.decisions).allSatisfy { $0.records == $1.records }, "seed \(seed)")

        // Conservation: every request ends once.
        let asked = scenario.frontEnds * scenario.requestsPerFrontEnd
        #expect(one.tally.offered == Int64(asked), "seed \(seed)")
        #expect(Set(one.tally.completions.map(\.requestID)).count == asked, "seed \(seed)")

        // The decision log of every cell, replayed, decides the same.
        for (configuration, log) in zip(scenario.cells, one.decisions) {
            let replay = try DecisionReplay(log).run(on: configuration)
            #expect(replay.isFaithful, "seed \(seed), cell \(configuration.number): \(replay.firstDifference as Any)")
        }

        // Energy: between idle and maximum power for the time that steps ran, and no replica runs for longer than the
        // run.
        let span = Int128(one.endNanoseconds) * 1000
        for (pool, usage) in one.usage.enumerated() {
            let replicas = scenario.cells.reduce(0) { $0 + $1.pools[pool].replicas }
            #expect(usage.busyPicoseconds <= span * Int128(replicas), "seed \(seed), pool \(pool)")
            #expect(
                usage.activeNanojoules >= usage.busyPicoseconds * Int128(Self.idleWatts) / 1000,
                "seed \(seed), pool \(pool)")
            #expect(
                usage.activeNanojoules <= usage.busyPicoseconds * Int128(Self.maxWatts) / 1000,
                "seed \(seed), pool \(pool)")
        }
    }

    /// One cell, event by event.
    @Test(arguments: seeds) func everyStepKeepsTheInvariants(seed: UInt64) throws {
        let scenario = Self.scenario(seed: seed)
        let cell = try Cell(configuration: scenario.cells[0])
        let events = scenario.events.filter { Int($0.replica) < cell.replicaCount }
            .sorted { ($0.atNanoseconds, $0.replica) < ($1.atNanoseconds, $1.replica) }
        var sink = RunSink(promise: .interactive, keepsCompletions: true, keepsEndings: false)
        var source = try Arrivals(source: scenario.sources()[0], clients: nil)
        var asked: [UInt64: Request] = [:]
        var nextOrder = 0
        var last = (0..<cell.replicaCount).map { cell.usage(ofReplica: $0) }
        var now: Int64 = 0
        var dice = SeededChoice(seed: seed ^ 0x73746F726D)
        var stormed = false
        while true {
            let order = nextOrder < events.count ? events[nextOrder].atNanoseconds : .max
            let next = min(cell.nextEventNanoseconds, source.nextNanoseconds, order)
            if next == .max { break }
            now = max(now, next)
            if order == next {
                cell.advance(until: next - 1, into: &sink)
                cell.order(events[nextOrder].order, replica: Int(events[nextOrder].replica), at: next)
                nextOrder += 1
            } else if source.nextNanoseconds == next, let request = try source.pop() {
                cell.advance(until: next - 1, into: &sink)
                cell.submit(request, at: next)
                asked[request.id] = request
            } else {
                cell.advance(until: next, into: &sink)
            }
            // A storm: half of all that was ever asked leaves at one instant; most of it has ended before.
            if dice.next(below: 400) == 0 {
                stormed = true
                now += 1
                cell.advance(until: now - 1, into: &sink)
                for requestID in asked.keys.sorted() where dice.next(below: 2) == 0 {
                    cell.cancel(requestID: requestID, at: now)
                }
            }
            try check(
                cell, asked: asked.count, ended: sink.tally.offered, now: now, last: &last, stormed: stormed,
                "seed \(seed) at \(now) ns")
        }
        cell.close(at: now + 1)
        cell.advance(until: now + 2, into: &sink)
        #expect(sink.tally.offered == Int64(asked.count), "seed \(seed)")
        for completion in sink.tally.completions where completion.status == .finished {
            #expect(completion.outputTokens == asked[completion.requestID]?.outputTokens, "seed \(seed)")
            #expect(completion.arrivalNanoseconds <= completion.scheduledNanoseconds, "seed \(seed)")
            #expect(completion.scheduledNanoseconds < completion.firstTokenNanoseconds, "seed \(seed)")
            #expect(completion.firstTokenNanoseconds <= completion.lastTokenNanoseconds, "seed \(seed)")
        }
    }

    private func check(
        _ cell: Cell, asked: Int, ended: Int64, now: Int64, last: inout [ReplicaUsage], stormed: Bool,
        _ place: String
    ) throws {
        let load = cell.load
        let counters = cell.counters
        let gone = counters.finished + counters.cancelled + counters.failed + counters.refused
        let present = UInt64(load.waitingRequests) + UInt64(load.placedRequests)
        try #require(
            counters.submitted == UInt64(asked) && counters.submitted == gone + present, "\(place): \(counters) \(load)"
        )
        try #require(UInt64(ended) <= gone, "\(place)")
        for replica in 0..<cell.replicaCount {
            let state = cell.load(ofReplica: replica)
            try #require(
                state.freeKVBlocks >= 0 && state.freeKVBlocks <= state.totalKVBlocks,
                "\(place), replica \(replica): \(state)")
            try #require(
                state.waitingRequests >= 0 && state.runningRequests >= 0, "\(place), replica \(replica): \(state)")
            let idle = state.waitingRequests == 0 && state.runningRequests == 0
            try #require(!idle || state.outstandingTokens == 0, "\(place), replica \(replica): \(state)")
            let usage = cell.usage(ofReplica: replica)
            try #require(
                usage.busyPicoseconds >= last[replica].busyPicoseconds
                    && usage.activeNanojoules >= last[replica].activeNanojoules
                    && usage.steps >= last[replica].steps,
                "\(place), replica \(replica): \(usage) after \(last[replica])")
            // A step whose sequences have all left goes on to its end, which lies ahead.
            if idle, !stormed, cell.phase(ofReplica: replica) != .failed {
                try #require(
                    usage.busyPicoseconds <= Int128(now + 1) * 1000,
                    "\(place), replica \(replica): busy for longer than there was")
            }
            last[replica] = usage
        }
    }
}
