import Testing
import Workload

@testable import Yard

@Suite struct WaitingRoomTests {
    private func request(_ id: UInt64, tenant: UInt16 = 0, priorityClass: UInt8 = 0, tokens: Int32 = 100) -> Request {
        var request = Request(id: id, arrivalNanoseconds: 0, promptTokens: tokens - 1, outputTokens: 1)
        request.tenant = tenant
        request.priorityClass = priorityClass
        return request
    }

    private func append(_ request: Request, to room: inout WaitingRoom, at now: Int64 = 0) -> Int32 {
        room.append(request, tokens: request.promptTokens + request.outputTokens, at: now)
    }

    @Test func firstComeFirstServedForOneTenant() {
        var room = WaitingRoom(rules: WaitingRoomRules())
        for id in 0..<50 { _ = append(request(UInt64(id), tokens: Int32(10 + id * 200)), to: &room) }
        for id in 0..<50 { #expect(room.popFirst(at: 1)?.id == UInt64(id)) }
        #expect(room.popFirst(at: 1) == nil)
        #expect(room.count == 0 && room.tokens == 0)
    }

    @Test func urgentClassesGoFirst() {
        var rules = WaitingRoomRules()
        rules.classes = [.init(name: "system"), .init(name: "chat"), .init(name: "bulk")]
        var room = WaitingRoom(rules: rules)
        for id in 0..<9 { _ = append(request(UInt64(id), priorityClass: UInt8(2 - id % 3)), to: &room) }
        let order = (0..<9).compactMap { _ in room.popFirst(at: 1)?.priorityClass }
        #expect(order == [0, 0, 0, 1, 1, 1, 2, 2, 2])
    }

    @Test func theStarvedArePromotedOldestFirst() {
        var rules = WaitingRoomRules()
        rules.classes = [.init(name: "chat"), .init(name: "bulk", promoteAfterNanoseconds: 100)]
        var room = WaitingRoom(rules: rules)
        _ = append(request(1, priorityClass: 1), to: &room, at: 0)
        _ = append(request(2, priorityClass: 1), to: &room, at: 5)
        _ = append(request(3, priorityClass: 0), to: &room, at: 6)
        _ = append(request(4, priorityClass: 0), to: &room, at: 7)
        #expect(room.popFirst(at: 99)?.id == 3)
        #expect(room.popFirst(at: 100)?.id == 1)
        #expect(room.popFirst(at: 104)?.id == 4)
        #expect(room.popFirst(at: 104)?.id == 2)
    }

    /// A tenant of small requests gets the tokens of its weight beside one of large requests.
    @Test(arguments: [1, 2, 5] as [Int64]) func tenantsShareTokensByWeight(weight: Int64) {
        var rules = WaitingRoomRules()
        rules.tenantWeights = [1, weight]
        rules.quantumTokens = 500
        var room = WaitingRoom(rules: rules)
        var dice = SeededChoice(seed: 7)
        for id in 0..<4000 {
            _ = append(request(UInt64(id), tenant: 0, tokens: Int32(50 + dice.next(below: 3000))), to: &room)
        }
        for id in 4000..<40000 {
            _ = append(request(UInt64(id), tenant: 1, tokens: Int32(10 + dice.next(below: 90))), to: &room)
        }
        var served: [Int64] = [0, 0]
        while served[0] + served[1] < 900_000, let next = room.popFirst(at: 1) {
            served[Int(next.tenant)] += Int64(next.promptTokens + next.outputTokens)
        }
        let share = Double(served[1]) / Double(served[0])
        #expect(abs(share / Double(weight) - 1) < 0.02, "tokens \(served) for weights 1:\(weight)")
    }

    @Test func boundsRefuse() {
        var rules = WaitingRoomRules()
        rules.classes = [.init(name: "a", maxWaitingRequests: 3), .init(name: "b")]
        rules.maxWaitingRequests = 5
        rules.maxWaitingRequestsPerTenant = 2
        var room = WaitingRoom(rules: rules)
        _ = append(request(1), to: &room)
        #expect(room.refusal(of: request(2), tokens: 100) == nil)
        _ = append(request(2), to: &room)
        #expect(room.refusal(of: request(3), tokens: 100) == .tenantFull)
        #expect(room.refusal(of: request(3, tenant: 9), tokens: 100) == nil)
        _ = append(request(3, tenant: 9), to: &room)
        #expect(room.refusal(of: request(4, tenant: 8), tokens: 100) == .classFull)
        _ = append(request(4, tenant: 8, priorityClass: 1), to: &room)
        _ = append(request(5, tenant: 7, priorityClass: 1), to: &room)
        #expect(room.refusal(of: request(6, tenant: 6, priorityClass: 1), tokens: 1) == .roomFull)
    }

    @Test(arguments: 1...10) func everythingThatGoesInComesOutOnce(seed: Int) {
        var rules = WaitingRoomRules()
        rules.classes = [.init(name: "a"), .init(name: "b", promoteAfterNanoseconds: 40), .init(name: "c")]
        rules.quantumTokens = 64
        var room = WaitingRoom(rules: rules)
        var dice = SeededChoice(seed: UInt64(seed))
        var inside: [UInt64: (node: Int32, tokens: Int64)] = [:]
        var next: UInt64 = 0
        for now in 0..<4000 {
            switch dice.next(below: 5) {
            case 0, 1, 2:
                let made = request(
                    next, tenant: UInt16(dice.next(below: 6)), priorityClass: UInt8(dice.next(below: 4)),
                    tokens: Int32(2 + dice.next(below: 400))
                )
                inside[next] = (append(made, to: &room, at: Int64(now)), Int64(made.promptTokens + made.outputTokens))
                next += 1
            case 3:
                let popped = room.popFirst(at: Int64(now))
                #expect((popped == nil) == inside.isEmpty, "seed \(seed), \(now)")
                if let popped { #expect(inside.removeValue(forKey: popped.id) != nil, "seed \(seed), \(now)") }
            default:
                guard let id = inside.keys.sorted().dropFirst(dice.next(below: inside.count + 1)).first else {
                    continue
                }
                #expect(room.remove(node: inside[id]!.node).id == id)
                inside[id] = nil
            }
            #expect(
                room.count == inside.count && room.tokens == inside.values.reduce(0) { $0 + $1.tokens },
                "seed \(seed), \(now)")
        }
    }
}
