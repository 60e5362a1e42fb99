//===----------------------------------------------------------------------===//
// A whole yard behind its mesh, with cells that stall, rings that fill and clients that leave together.
//===----------------------------------------------------------------------===//

import Engine
import Testing
import WaitFree
import Workload

@testable import Yard

/// One thread plays everybody, in an order that a seed decides; what must hold is looked at after every step. A failure
/// prints the seed.
@Suite struct MeshFaultTests {
    private final class Yard {
        static let inboxCapacity = 8
        static let outboxCapacity = 4
        let mesh: Mesh
        let cells: [CellPort]
        var fronts: [FrontEndPort]
        /// Until when each cell does nothing, whatever comes.
        var stalledUntil: [Int64]
        /// Until when each front end takes no replies.
        var deafUntil: [Int64]
        /// Cell by request, for those that were sent and have not ended.
        var live: [UInt64: Int] = [:]
        var leaving: Set<UInt64> = []
        var ended: [UInt64: Completion.Status] = [:]
        var asked: [UInt64: Request] = [:]
        var refused = 0
        var refusedByFullRings = 0
        var lastToken: [UInt64: Int32] = [:]
        var now: Int64 = 0
        var place = ""

        init(seed: UInt64) throws {
            mesh = try Mesh(
                frontEnds: 3, cells: 2, inboxCapacity: Self.inboxCapacity, outboxCapacity: Self.outboxCapacity)
            let mesh = mesh
            cells = try (0..<2).map { number in
                let cell = try CellPropertyTests.cell(seed: seed, policy: "power-of-two", replicas: 4)
                return CellPort(cell: cell, mesh: mesh, number: number)
            }
            fronts = (0..<3).map { FrontEndPort(mesh: mesh, number: $0, seed: seed) }
            stalledUntil = [0, 0]
            deafUntil = [0, 0, 0]
        }

        func send(_ request: Request, front: Int) {
            asked[request.id] = request
            switch fronts[front].submit(request, at: now) {
            case .sent(let cell): live[request.id] = cell
            case .refused(let refusal, _):
                refused += 1
                if refusal == .pathFull { refusedByFullRings += 1 }
            }
        }

        /// Everybody who waits at one cell leaves.
        func storm(cell: Int) {
            for requestID in live.keys.sorted() where live[requestID] == cell { leaving.insert(requestID) }
        }

        /// Cancellations that found the ring full are asked again.
        func cancelLeaving() {
            for requestID in leaving.sorted() {
                guard let cell = live[requestID], let request = asked[requestID] else {
                    leaving.remove(requestID)
                    continue
                }
                if fronts[Int(request.frontEnd)].cancel(requestID: requestID, cell: cell) { leaving.remove(requestID) }
            }
        }

        func takeReplies(front: Int) {
            guard deafUntil[front] <= now else { return }
            _ = fronts[front].takeReplies { reply in
                switch reply {
                case .produced(let token):
                    // One whose replica failed may start again from its prompt.
                    let restarted = token.outputTokens == 1 && cells.contains { $0.cell.counters.requeued > 0 }
                    #expect(
                        token.outputTokens > lastToken[token.requestID, default: 0] || restarted,
                        "\(place): tokens out of order")
                    #expect(ended[token.requestID] == nil, "\(place): a token after the end")
                    lastToken[token.requestID] = token.outputTokens
                case .completed(let completion):
                    #expect(ended[completion.requestID] == nil, "\(place): \(completion) ended twice")
                    #expect(
                        live.removeValue(forKey: completion.requestID) != nil, "\(place): \(completion) was not sent")
                    ended[completion.requestID] = completion.status
                    if completion.status == .finished {
                        #expect(completion.outputTokens == asked[completion.requestID]?.outputTokens, "\(place)")
                    }
                }
            }
        }

        func turn(_ cell: Int) {
            if stalledUntil[cell] <= now { _ = cells[cell].turn(at: now) }
        }

        /// Nothing is lost between the books of the cells, the rings and the front ends.
        func check() {
            for (number, port) in cells.enumerated() {
                let counters = port.cell.counters
                let gone = counters.finished + counters.cancelled + counters.failed + counters.refused
                let load = port.cell.load
                #expect(
                    counters.submitted == gone + UInt64(load.waitingRequests) + UInt64(load.placedRequests), "\(place)")
                #expect(load.waitingRequests <= 40, "\(place): the waiting room has no bound")
                let mine = live.values.count { $0 == number }
                let inside = Int(load.waitingRequests) + Int(load.placedRequests)
                #expect(mine >= inside, "\(place): cell \(number) holds \(inside), its front ends know of \(mine)")
                // A cell posts its load at the end of each turn, rounded down by less than one part in 2¹².
                let posted = mesh.board.read(row: number).outstandingTokens
                #expect(
                    posted <= load.outstandingTokens
                        && posted >= load.outstandingTokens - load.outstandingTokens / 4096 - 1,
                    "\(place): the board says \(posted) of cell \(number), which has \(load.outstandingTokens)")
            }
            #expect(asked.count == live.count + ended.count + refused, "\(place)")
        }
    }

    @Test func nothingIsLost() throws {
        var seen: [Completion.Status: Int] = [:]
        for seed in 1...12 {
            let yard = try run(seed: seed)
            try settle(yard)
            #expect(yard.refusedByFullRings > 0, "seed \(seed): no ring was ever full")
            for status in yard.ended.values { seen[status, default: 0] += 1 }
        }
        for status in [Completion.Status.finished, .cancelled, .failed, .rejected] {
            #expect(seen[status, default: 0] > 50, "only \(seen[status, default: 0]) were \(status)")
        }
    }

    private func run(seed: Int) throws -> Yard {
        var dice = SeededChoice(seed: UInt64(seed))
        let yard = try Yard(seed: UInt64(seed))
        var next: UInt64 = 0
        for step in 0..<2500 {
            yard.place = "seed \(seed), step \(step)"
            yard.now += Int64(1 + dice.next(below: 3000))
            switch dice.next(below: 100) {
            case 0: yard.stalledUntil[dice.next(below: 2)] = yard.now + Int64(dice.next(below: 200_000))
            case 1: yard.deafUntil[dice.next(below: 3)] = yard.now + Int64(dice.next(below: 200_000))
            case 2: yard.storm(cell: dice.next(below: 2))
            case 3...5:
                let order: ReplicaOrder = [.drain, .fail(.fail), .fail(.requeue), .restore][dice.next(below: 4)]
                _ = yard.fronts[0].order(order, replica: dice.next(below: 4), cell: dice.next(below: 2))
            case 6 where dice.next(below: 2) == 0:
                for replica in 0..<4 { _ = yard.fronts[1].order(.restore, replica: replica, cell: dice.next(below: 2)) }
            case 6..<66:
                let front = dice.next(below: 3)
                var request = Request(
                    id: next, arrivalNanoseconds: yard.now, promptTokens: Int32(1 + dice.next(below: 300)),
                    outputTokens: Int32(1 + dice.next(below: 40)))
                request.frontEnd = UInt16(front)
                request.priorityClass = UInt8(dice.next(below: 3))
                if dice.next(below: 3) == 0 { request.flags = [.streams] }
                next += 1
                yard.send(request, front: front)
            default: yard.turn(dice.next(below: 2))
            }
            yard.cancelLeaving()
            for front in 0..<3 where dice.next(below: 3) == 0 { yard.takeReplies(front: front) }
            yard.check()
        }
        return yard
    }

    /// Faults end; everything that was sent comes back.
    private func settle(_ yard: Yard) throws {
        var turns = 0
        while !yard.live.isEmpty || !yard.leaving.isEmpty {
            turns += 1
            try #require(turns < 100_000, "\(yard.place): \(yard.live.count) requests never ended")
            yard.now += 100_000
            for cell in 0..<2 {
                yard.stalledUntil[cell] = 0
                for replica in 0..<4 where turns % 50 == 1 {
                    _ = yard.fronts[0].order(.restore, replica: replica, cell: cell)
                }
                yard.turn(cell)
            }
            yard.cancelLeaving()
            for front in 0..<3 {
                yard.deafUntil[front] = 0
                yard.takeReplies(front: front)
            }
        }
        #expect(yard.asked.count == yard.ended.count + yard.refused)
        for port in yard.cells { #expect(port.cell.load.outstandingTokens == 0) }
    }
}
