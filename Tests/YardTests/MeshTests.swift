import Engine
import Glibc
import Synchronization
import Testing
import WaitFree
import Workload

@testable import Yard

@Suite struct MeshTests {
    @Test func publishedLoadKeepsItsPrecision() {
        var dice = SeededChoice(seed: 3)
        for _ in 0..<10_000 {
            let load = PublishedLoad(
                outstandingTokens: Int64(dice.next(below: 1 << (1 + dice.next(below: 40)))),
                waitingRequests: Int64(dice.next(below: 1 << (1 + dice.next(below: 20)))),
                freePlaces: Int64(dice.next(below: 1 << (1 + dice.next(below: 20)))),
                tokensPerSecond: Int64(dice.next(below: 1 << (1 + dice.next(below: 36)))),
                generation: UInt8(dice.next(below: 256))
            )
            let read = PublishedLoad(packed: load.packed)
            #expect(read.generation == load.generation)
            for (was, sent, digits) in [
                (load.outstandingTokens, read.outstandingTokens, 4096),
                (load.waitingRequests, read.waitingRequests, 128),
                (load.freePlaces, read.freePlaces, 256), (load.tokensPerSecond, read.tokensPerSecond, 512),
            ] as [(Int64, Int64, Int64)] {
                #expect(sent <= was && was - sent <= was / digits, "\(was) came out as \(sent)")
            }
            #expect(PublishedLoad(packed: read.packed) == read)
        }
    }

    @Test func jumpHashingMovesOnlyTheNewShare() {
        let keys = (0..<20_000).map { SeededChoice.mix(UInt64($0)) }
        var counts = [Int](repeating: 0, count: 10)
        var moved = 0
        for key in keys {
            let ten = Affinity.place(of: key, attempt: 0, places: 10)
            let eleven = Affinity.place(of: key, attempt: 0, places: 11)
            counts[ten] += 1
            if ten != eleven {
                moved += 1
                #expect(eleven == 10)
            }
        }
        #expect(counts.allSatisfy { $0 > 1850 && $0 < 2150 })
        #expect(moved > 1650 && moved < 1990)
    }

    private func request(_ id: UInt64, session: UInt64 = 0, at now: Int64 = 0) -> Request {
        var request = Request(id: id, arrivalNanoseconds: now, promptTokens: 50, outputTokens: 50)
        request.prefix.session = session
        return request
    }

    @Test func sessionsStayWhileTheirCellIsNotOverloaded() {
        var chooser = CellChooser(cells: 8, choice: CellChoice(), seed: 1, frontEnd: 0)
        let board = LoadBoard<PublishedLoad>.allocate(
            rows: 8, showing: PublishedLoad(outstandingTokens: 10_000, freePlaces: 100))
        defer { board.deallocate() }
        for cell in 0..<8 {
            board.publish(PublishedLoad(outstandingTokens: 100_000, freePlaces: 1000, generation: 1), row: cell)
        }
        chooser.look(at: board, nowNanoseconds: 0)
        let home = chooser.choose(for: request(1, session: 42))
        for id in 2..<20 { #expect(chooser.choose(for: request(UInt64(id), session: 42)) == home) }
        board.publish(PublishedLoad(outstandingTokens: 200_000, freePlaces: 1000, generation: 2), row: home)
        #expect(chooser.choose(for: request(30, session: 42)) == home, "the picture is not old enough to be renewed")
        chooser.look(at: board, nowNanoseconds: 1_000_000)
        let second = chooser.choose(for: request(31, session: 42))
        #expect(second != home)
        #expect(chooser.choose(for: request(32, session: 42)) == second, "the second choice is stable too")
    }

    /// The choice of two follows what was published and what was sent since.
    @Test func unrelatedRequestsSpreadByLoad() {
        var chooser = CellChooser(cells: 4, choice: CellChoice(), seed: 1, frontEnd: 0)
        let board = LoadBoard<PublishedLoad>.allocate(rows: 4, showing: PublishedLoad(freePlaces: 1))
        defer { board.deallocate() }
        for cell in 0..<4 {
            board.publish(
                PublishedLoad(outstandingTokens: cell == 0 ? 40_000 : 0, freePlaces: 10_000, generation: 1), row: cell)
        }
        chooser.look(at: board, nowNanoseconds: 0)
        var counts = [0, 0, 0, 0]
        for id in 0..<1200 { counts[chooser.choose(for: request(UInt64(id)))] += 1 }
        // 1,600 requests' worth of tokens over four cells, 400 of them already at cell 0: each ends with 400.
        #expect(counts[0] < 60, "\(counts)")
        #expect(counts[1...].allSatisfy { abs($0 - 385) < 30 }, "\(counts)")
    }

    @Test func gatesHoldRatesAndConcurrency() {
        var gate = TenantGate(limits: [
            TenantLimits(), TenantLimits(requestsPerMinute: 60), TenantLimits(tokensPerMinute: 6000),
            TenantLimits(maxConcurrent: 2),
        ])
        func ask(_ tenant: UInt16, _ now: Int64) -> GateRefusal? {
            var asked = request(1)
            asked.tenant = tenant
            return gate.admit(asked, at: now)
        }
        for _ in 0..<1000 { #expect(ask(0, 0) == nil && ask(9, 0) == nil) }
        for _ in 0..<60 { #expect(ask(1, 0) == nil) }
        #expect(ask(1, 0) == GateRefusal(refusal: .requestRate, retryAfterNanoseconds: 1_000_000_000))
        #expect(ask(1, 999_999_999)?.retryAfterNanoseconds == 1)
        #expect(ask(1, 1_000_000_000) == nil)
        #expect(ask(1, 1_000_000_000) != nil)
        for _ in 0..<60 { #expect(ask(2, 0) == nil) }
        #expect(ask(2, 0) == GateRefusal(refusal: .tokenRate, retryAfterNanoseconds: 1_000_000_000))
        #expect(ask(3, 0) == nil && ask(3, 0) == nil)
        #expect(ask(3, 0)?.refusal == .concurrency)
        gate.ended(tenant: 3)
        #expect(ask(3, 0) == nil)
        #expect(TenantLimits(requestsPerMinute: 10).share(ofFrontEnds: 3).requestsPerMinute == 4)
    }

    @Test func aFullPathRefusesAndRepliesComeBack() throws {
        let mesh = try Mesh(frontEnds: 2, cells: 1, inboxCapacity: 4, outboxCapacity: 2)
        let cell = CellPort(cell: try YardFixture.cell(replicas: 4), mesh: mesh, number: 0)
        var first = FrontEndPort(mesh: mesh, number: 0)
        var second = FrontEndPort(mesh: mesh, number: 1, limits: [TenantLimits(maxConcurrent: 2)])
        for id in 0..<4 { #expect(first.submit(request(UInt64(id)), at: 5) == .sent(cell: 0)) }
        #expect(first.submit(request(4), at: 5) == .refused(.pathFull, retryAfterNanoseconds: 1_000_000_000))
        #expect(second.submit(request(100), at: 5) == .sent(cell: 0))
        guard case .refused(.concurrency, _) = second.submit(request(101), at: 5) else {
            Issue.record("one of two front ends may send one of two concurrent requests")
            return
        }
        var woken: Set<Int> = []
        cell.wakeFrontEnd = { woken.insert($0) }
        var replies: [CellReply] = []
        var otherReplies: [CellReply] = []
        var now: Int64 = 10
        var turns = 0
        // The outbox holds two replies: the rest waits in the cell until there is room.
        while replies.count < 4 || otherReplies.isEmpty {
            let next = cell.turn(at: now)
            now = max(now + 1, min(next, now + 1_000_000))
            if turns > 50 { _ = first.takeReplies { replies.append($0) } }
            _ = second.takeReplies { otherReplies.append($0) }
            turns += 1
            try #require(turns < 1000)
        }
        #expect(woken == [0, 1])
        #expect(replies.count == 4 && otherReplies.count == 1)
        #expect(second.submit(request(102), at: now) == .sent(cell: 0))
        #expect(first.hasNoReplies)
    }

    /// Requests of two front ends that a cell sees in one late turn begin when they arrived, in that order, exactly as if the
    /// cell had been woken for each.
    @Test func messagesSeenLateTakeEffectWhenTheyArrived() throws {
        func run(turns: [Int64]) throws -> [Completion] {
            let mesh = try Mesh(frontEnds: 2, cells: 1)
            let cell = CellPort(cell: try YardFixture.cell(replicas: 1, sequences: 2), mesh: mesh, number: 0)
            var fronts = [FrontEndPort(mesh: mesh, number: 0), FrontEndPort(mesh: mesh, number: 1)]
            var arrivals: [(time: Int64, front: Int, id: UInt64)] = [
                (1_000, 0, 1), (1_500, 1, 2), (2_000_007, 1, 3), (2_000_009, 0, 4), (9_000_000, 0, 5),
            ]
            var done: [Completion] = []
            for turn in turns {
                while let next = arrivals.first, next.time <= turn {
                    arrivals.removeFirst()
                    #expect(fronts[next.front].submit(request(next.id, at: next.time), at: next.time) == .sent(cell: 0))
                }
                _ = cell.turn(at: turn)
                for index in fronts.indices {
                    _ = fronts[index].takeReplies { if case .completed(let one) = $0 { done.append(one) } }
                }
            }
            return done.sorted { $0.requestID < $1.requestID }
        }
        let prompt = try run(turns: [1_000, 1_500, 2_000_007, 2_000_009, 9_000_000, 1_000_000_000])
        #expect(prompt.count == 5 && prompt[0].scheduledNanoseconds == 1_000)
        #expect(try run(turns: [9_500_000, 1_000_000_000]) == prompt)
        #expect(try run(turns: [1_700, 8_000_000, 1_000_000_000]) == prompt)
    }

    /// A front end and a cell on threads of their own: every request comes back once.
    @Test func threadsExchangeEverything() throws {
        let mesh = try Mesh(frontEnds: 1, cells: 2, inboxCapacity: 64, outboxCapacity: 64)
        let count: UInt64 = 3000
        let stop = Atomic<Bool>(false)
        var back: [UInt64: Int] = [:]
        try withoutActuallyEscaping({ (number: Int) in
            let port = CellPort(cell: try! YardFixture.cell(replicas: 3), mesh: mesh, number: number)
            var now: Int64 = 0
            while !stop.load(ordering: .acquiring) {
                let next = port.turn(at: now)
                if next == .max {
                    _ = port.bell.sleep(forAtMost: 20_000_000, unless: { port.hasMessages })
                    now += 1000
                } else {
                    now = max(now + 1, next)
                }
            }
        }) { body in
            let threads = try (0..<2).map { number in try TestThread { body(number) } }
            var port = FrontEndPort(mesh: mesh, number: 0, choice: CellChoice())
            var sent: UInt64 = 0
            var received: UInt64 = 0
            while received < count {
                if sent < count, case .sent = port.submit(request(sent, session: sent % 7), at: Int64(sent)) {
                    sent += 1
                }
                received += UInt64(
                    port.takeReplies { if case .completed(let done) = $0 { back[done.requestID, default: 0] += 1 } })
            }
            stop.store(true, ordering: .releasing)
            for thread in threads { thread.join() }
        }
        #expect(back.count == Int(count) && back.values.allSatisfy { $0 == 1 })
    }
}

/// A thread to be joined. The closure must not outlive the test.
struct TestThread {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }
    private let handle: pthread_t

    init(_ run: @escaping () -> Void) throws {
        var handle = pthread_t()
        let body = Unmanaged.passRetained(Body(run))
        let code = pthread_create(
            &handle, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, body.toOpaque())
        guard code == 0 else {
            body.release()
            throw CellConfigurationError(description: "pthread_create failed with \(code)")
        }
        self.handle = handle
    }

    func join() { pthread_join(handle, nil) }
}
