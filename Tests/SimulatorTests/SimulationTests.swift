import Engine
import Ledger
import Testing
import Workload
import Yard

@testable import Simulator

@Suite struct SimulationTests {
    /// Everything of a result that a report could print.
    private func fingerprint(_ result: SimulationResult) -> String {
        let tally = result.tally
        return [
            tally.digest.description, "\(tally.offered) \(tally.finished) \(tally.rejected) \(tally.metBoth)",
            "\(tally.ttft.percentilesSeconds([0.1, 0.5, 0.9, 0.99, 1]) ?? [])",
            "\(tally.itl.count) \(tally.itl.meanSeconds ?? 0)",
            "\(result.usage)", "\(result.counters)", "\(result.endNanoseconds) \(result.windows) \(result.stability)",
            "\(tally.completions.map(\.requestID).sorted() == tally.completions.map(\.requestID))",
        ].joined(separator: "\n")
    }

    private func run(
        cells: Int, frontEnds: Int, threads: Int, policy: String, window: Int64 = 10_000_000, count: Int = 2400,
        change: (inout SimulationOptions) -> Void = { _ in }
    ) throws -> SimulationResult {
        var options = SimulationOptions()
        options.threads = threads
        options.windowNanoseconds = window
        change(&options)
        let sources = (0..<frontEnds).map { number in
            SeededSource(
                seed: UInt64(number + 5), requestsPerSecond: 1500 / Double(frontEnds), count: count / frontEnds,
                firstID: UInt64(number), stride: UInt64(frontEnds),
                shape: { request, dice in
                    request.tenant = UInt16(dice.next(below: 3))
                    request.prefix.session = UInt64(1 + dice.next(below: 200))
                    request.prefix.sessionTokens = Int32(dice.next(below: Int(request.promptTokens)))
                })
        }
        return try Simulation(
            cells: SimulationFixture.cells(cells, replicas: 24, policy: policy), sources: sources, options: options
        ).run()
    }

    @Test(arguments: PlacementTable.names) func anyNumberOfThreadsGivesTheSameBytes(policy: String) throws {
        let one = fingerprint(try run(cells: 6, frontEnds: 3, threads: 1, policy: policy))
        for threads in [1, 2, 4] {
            #expect(
                fingerprint(try run(cells: 6, frontEnds: 3, threads: threads, policy: policy)) == one,
                "\(threads) threads")
        }
        let pinned = try run(cells: 6, frontEnds: 3, threads: 2, policy: policy) { $0.pinned = true }
        #expect(fingerprint(pinned) == one)
    }

    @Test func seedsMatter() throws {
        let one = try run(cells: 6, frontEnds: 3, threads: 1, policy: "random")
        let other = try run(cells: 6, frontEnds: 3, threads: 1, policy: "random") { $0.seed = 2 }
        #expect(one.tally.digest != other.tally.digest)
        #expect(one.tally.offered == other.tally.offered)
    }

    /// One cell behind one front end is run at the nanosecond: the same as giving a cell every request by hand.
    @Test func oneCellIsExact() throws {
        let result = try run(cells: 1, frontEnds: 1, threads: 2, policy: "least-loaded") { $0.keepsCompletions = true }
        var configuration = SimulationFixture.cells(1, replicas: 24)[0]
        configuration.keepsRequests = false
        let cell = try Cell(configuration: configuration)
        var sink = RunSink(promise: .interactive, keepsCompletions: true, keepsEndings: false)
        let source = SeededSource(
            seed: 5, requestsPerSecond: 1500, count: 2400,
            shape: { request, dice in
                request.tenant = UInt16(dice.next(below: 3))
                request.prefix.session = UInt64(1 + dice.next(below: 200))
                request.prefix.sessionTokens = Int32(dice.next(below: Int(request.promptTokens)))
            })
        while let request = try source.next() {
            cell.advance(until: request.arrivalNanoseconds - 1, into: &sink)
            cell.submit(request, at: request.arrivalNanoseconds)
        }
        while cell.nextEventNanoseconds != .max { cell.advance(until: cell.nextEventNanoseconds, into: &sink) }
        #expect(result.tally.completions == sink.tally.completions)
        #expect(result.windows == 0 && result.tally.finished == 2400)
    }

    /// With one front end that chooses at random, the length of windows changes nothing: only load information ages.
    @Test func windowsOnlyAgeLoadInformation() throws {
        let short = try run(cells: 2, frontEnds: 2, threads: 1, policy: "random", window: 1_000_000)
        let long = try run(cells: 2, frontEnds: 2, threads: 1, policy: "random", window: 50_000_000)
        #expect(short.tally.offered == long.tally.offered && short.windows > long.windows)
        #expect(short.tally.digest != long.tally.digest)
        let single = try run(cells: 1, frontEnds: 2, threads: 1, policy: "random", window: 1_000_000)
        let singleLong = try run(cells: 1, frontEnds: 2, threads: 1, policy: "random", window: 50_000_000)
        #expect(single.tally.digest == singleLong.tally.digest)
    }

    /// Clients of one cell: with a fixed service time and fixed thinking, each client's cycle is exactly their sum.
    @Test(arguments: [1, 3]) func closedLoopsAreExactInOneCell(clients: Int) throws {
        var options = SimulationOptions()
        options.keepsCompletions = true
        options.closedLoop = ClosedLoop(concurrency: clients, thinkSeconds: 0.5)
        let source = SeededSource(seed: 1, requestsPerSecond: 1, count: 10 * clients, lengths: { _ in (100, 1) })
        let result = try Simulation(
            cells: SimulationFixture.cells(1, replicas: clients, sequences: 1), sources: [source], options: options
        ).run()
        #expect(result.tally.finished == Int64(10 * clients))
        // 1 ms + 100 × 10 µs a request, alone on its replica; a second client's start is seen by an idle replica at
        // once.
        let arrivals = Set(result.tally.completions.map(\.arrivalNanoseconds)).sorted()
        #expect(arrivals == (0..<10).map { Int64($0) * 502_000_000 })
        #expect(result.tally.completions.allSatisfy { $0.lastTokenNanoseconds - $0.arrivalNanoseconds == 2_000_000 })
    }

    @Test func closedLoopsKeepTheirConcurrencyInManyCells() throws {
        var results: [SimulationResult] = []
        for threads in [1, 2] {
            var options = SimulationOptions()
            options.threads = threads
            options.keepsCompletions = true
            options.closedLoop = ClosedLoop(concurrency: 40)
            let source = SeededSource(seed: 1, requestsPerSecond: 1, count: 2000)
            results.append(
                try Simulation(cells: SimulationFixture.cells(4, replicas: 8), sources: [source], options: options)
                    .run())
        }
        #expect(results[0].tally.finished == 2000)
        #expect(results[0].tally.digest == results[1].tally.digest)
        let edges = results[0].tally.completions.flatMap {
            [($0.arrivalNanoseconds, 1), ($0.lastTokenNanoseconds, -1)]
        }
        var present = 0
        var most = 0
        for (_, change) in edges.sorted(by: { $0 < $1 }) {
            present += change
            most = max(most, present)
        }
        #expect(most == 40)
    }

    @Test func tenantsAreHeldToTheirLimits() throws {
        let result = try run(cells: 1, frontEnds: 1, threads: 1, policy: "least-loaded") {
            $0.limits = [TenantLimits(), TenantLimits(requestsPerMinute: 60), TenantLimits(maxConcurrent: 3)]
            $0.keepsCompletions = true
        }
        #expect(result.tally.offered == 2400 && result.refusedByGate > 1000)
        #expect(result.tally.rejected == result.refusedByGate)
        let second = result.tally.completions.filter { $0.tenant == 1 && $0.status == .finished }
        #expect(second.count >= 60 && second.count <= 63)
        let edges = result.tally.completions.filter { $0.tenant == 2 && $0.status == .finished }
            .flatMap { [($0.arrivalNanoseconds, 1), ($0.lastTokenNanoseconds, -1)] }
        var present = 0
        for (_, change) in edges.sorted(by: { $0 < $1 }) {
            present += change
            #expect(present <= 3)
        }
    }

    @Test func aBadSourceIsAnError() {
        final class Backwards: RequestSource {
            var made: Int64 = 0
            var reading: ReadingCounts { ReadingCounts() }
            func next() throws(WorkloadError) -> Request? {
                made += 1
                return Request(id: UInt64(made), arrivalNanoseconds: 10 - made, promptTokens: 1, outputTokens: 1)
            }
        }
        #expect(throws: SimulationError.self) {
            try Simulation(
                cells: SimulationFixture.cells(1, replicas: 1), sources: [Backwards()], options: SimulationOptions()
            ).run()
        }
        #expect(throws: SimulationError.self) {
            var options = SimulationOptions()
            options.events = [ReplicaEvent(atNanoseconds: 0, replica: 9, order: .drain)]
            _ = try Simulation(cells: SimulationFixture.cells(2, replicas: 4), sources: [Backwards()], options: options)
        }
    }

    @Test func stabilityIsJudged() throws {
        // 8 replicas of 8 sequences; about 30 output tokens of 1.1 ms and 200 prompt tokens of 10 µs: some 1,500
        // requests/s.
        func stability(_ rate: Double, count: Int, cells: Int = 1, room: Int = .max) throws -> Stability {
            let source = SeededSource(seed: 3, requestsPerSecond: rate, count: count)
            return try Simulation(
                cells: SimulationFixture.cells(cells, replicas: 8) { $0.waitingRoom.maxWaitingRequests = room },
                sources: [source],
                options: SimulationOptions()
            ).run().stability
        }
        #expect(try stability(400, count: 8000) == .stable)
        #expect(try stability(6000, count: 30_000) == .overloaded)
        #expect(try stability(6000, count: 3000, room: 10) == .overloaded)
        #expect(try stability(400, count: 8000, cells: 4) == .stable)
        // A hundred times what four cells can do: the drain, fifty times as long as the arrivals, hides nothing.
        #expect(try stability(150_000, count: 30_000, cells: 4) == .overloaded)
        // So short that the fleet only fills up: whether it could go on like that cannot be told.
        #expect(try stability(1000, count: 40) != .overloaded)
    }

    /// Replicas fail and come back: everything still ends once, on any number of threads.
    @Test func failuresLoseNothing() throws {
        var events: [ReplicaEvent] = []
        for replica in 0..<24 as Range<Int32> {
            let at = Int64(replica) * 40_000_000
            events.append(
                ReplicaEvent(
                    atNanoseconds: at, replica: replica, order: .fail(replica.isMultiple(of: 2) ? .requeue : .fail)))
            if replica != 5 {
                events.append(ReplicaEvent(atNanoseconds: at + 300_000_000, replica: replica, order: .restore))
            }
        }
        var prints: [String] = []
        for threads in [1, 2, 3] {
            let result = try run(cells: 4, frontEnds: 2, threads: threads, policy: "least-loaded") { [events] in
                $0.events = events
            }
            #expect(result.tally.offered == 2400)
            #expect(result.counters.requeued > 0 && result.tally.failed > 0)
            prints.append(fingerprint(result))
        }
        #expect(Set(prints).count == 1)
    }
}
