//===----------------------------------------------------------------------===//
// Where requests wait that no replica has room for: by class, fair between tenants.
//===----------------------------------------------------------------------===//

import Workload

/// The queue of one cell: strict order between priority classes with promotion of the starved, and inside a class
/// deficit round robin between tenants (Shreedhar and Varghese, SIGCOMM 1995) with work counted in tokens, so that a
/// tenant's share follows its weight whatever the sizes of its requests. First come, first served within a tenant.
///
/// Every operation takes a fixed number of steps but for the round robin's turns: one visit per tenant that cannot yet
/// afford its head. Nodes come from a pool that doubles up to `maxWaitingRequests`.
struct WaitingRoom {
    private struct Node {
        var request: Request
        var sinceNanoseconds: Int64
        var tokens: Int32
        var priorityClass: Int32
        /// Neighbours in the tenant's queue; `next` also links free nodes.
        var previous: Int32
        var next: Int32
        /// Neighbours in the class's queue by age.
        var older: Int32
        var younger: Int32
    }
    private struct Tenant {
        var head: Int32 = -1
        var tail: Int32 = -1
        var count = 0
        var deficitTokens: Int64 = 0
        /// Ring of the class's tenants that have something waiting.
        var before: Int32 = -1
        var after: Int32 = -1
    }
    private struct ClassQueue {
        var tenants: [Tenant] = []
        /// Tenant whose turn it is, -1 when the class is empty.
        var turn: Int32 = -1
        /// Whether the tenant has been given its quantum for this turn.
        var turnCredited = false
        var oldest: Int32 = -1
        var youngest: Int32 = -1
        var count = 0
    }

    let rules: WaitingRoomRules
    private var nodes: [Node] = []
    private var freeNode: Int32 = -1
    private var classes: [ClassQueue]
    private(set) var count = 0
    private(set) var tokens: Int64 = 0

    init(rules: WaitingRoomRules) {
        precondition(!rules.classes.isEmpty, "a waiting room needs at least one class")
        precondition(rules.quantumTokens > 0 && rules.tenantWeights.allSatisfy { $0 > 0 })
        self.rules = rules
        classes = Array(repeating: ClassQueue(), count: rules.classes.count)
    }

    func refusal(of request: Request, tokens added: Int32) -> Refusal? {
        if count >= rules.maxWaitingRequests || tokens + Int64(added) > rules.maxWaitingTokens { return .roomFull }
        let index = classIndex(of: request)
        if classes[index].count >= rules.classes[index].maxWaitingRequests { return .classFull }
        let tenant = Int(request.tenant)
        if tenant < classes[index].tenants.count,
            classes[index].tenants[tenant].count >= rules.maxWaitingRequestsPerTenant
        {
            return .tenantFull
        }
        return nil
    }

    private func classIndex(of request: Request) -> Int { min(Int(request.priorityClass), classes.count - 1) }

    // MARK: In

    /// Puts a request at the end of its tenant's queue.
    /// - Returns: the node, by which it can be taken out again.
    mutating func append(_ request: Request, tokens added: Int32, at nowNanoseconds: Int64) -> Int32 {
        let index = classIndex(of: request)
        let tenant = Int(request.tenant)
        let node = takeNode(
            Node(
                request: request, sinceNanoseconds: nowNanoseconds, tokens: added, priorityClass: Int32(index),
                previous: -1, next: -1, older: classes[index].youngest, younger: -1
            )
        )
        while classes[index].tenants.count <= tenant { classes[index].tenants.append(Tenant()) }
        let tail = classes[index].tenants[tenant].tail
        if tail >= 0 {
            nodes[Int(tail)].next = node
            nodes[Int(node)].previous = tail
        } else {
            classes[index].tenants[tenant].head = node
            activate(tenant: Int32(tenant), in: index)
        }
        classes[index].tenants[tenant].tail = node
        classes[index].tenants[tenant].count += 1
        if classes[index].youngest >= 0 {
            nodes[Int(classes[index].youngest)].younger = node
        } else {
            classes[index].oldest = node
        }
        classes[index].youngest = node
        classes[index].count += 1
        count += 1
        tokens += Int64(added)
        return node
    }

    private mutating func takeNode(_ node: Node) -> Int32 {
        guard freeNode >= 0 else {
            nodes.append(node)
            return Int32(nodes.count - 1)
        }
        let free = freeNode
        freeNode = nodes[Int(free)].next
        nodes[Int(free)] = node
        return free
    }

    /// Joins the ring just before the tenant whose turn it is: a newcomer waits a full round.
    private mutating func activate(tenant: Int32, in index: Int) {
        let turn = classes[index].turn
        if turn < 0 {
            classes[index].tenants[Int(tenant)].before = tenant
            classes[index].tenants[Int(tenant)].after = tenant
            classes[index].turn = tenant
            classes[index].turnCredited = false
        } else {
            let last = classes[index].tenants[Int(turn)].before
            classes[index].tenants[Int(tenant)].before = last
            classes[index].tenants[Int(tenant)].after = turn
            classes[index].tenants[Int(last)].after = tenant
            classes[index].tenants[Int(turn)].before = tenant
        }
        classes[index].tenants[Int(tenant)].deficitTokens = 0
    }

    // MARK: Out

    /// Takes the request whose turn it is.
    mutating func popFirst(at nowNanoseconds: Int64) -> Request? {
        if count == 0 { return nil }
        if let starved = starvedNode(at: nowNanoseconds) { return remove(node: starved) }
        for index in classes.indices where classes[index].count > 0 {
            let tenant = advanceTurn(in: index)
            let head = classes[index].tenants[tenant].head
            classes[index].tenants[tenant].deficitTokens -= Int64(nodes[Int(head)].tokens)
            return remove(node: head)
        }
        preconditionFailure("\(count) requests wait in no class")
    }

    /// The request that has waited longest among those past their class's promotion time.
    private func starvedNode(at nowNanoseconds: Int64) -> Int32? {
        var starved: Int32?
        var since = Int64.max
        for index in classes.indices where classes[index].oldest >= 0 {
            let patience = rules.classes[index].promoteAfterNanoseconds
            let oldest = classes[index].oldest
            let waitingSince = nodes[Int(oldest)].sinceNanoseconds
            if patience > 0 && nowNanoseconds - waitingSince >= patience && waitingSince < since {
                starved = oldest
                since = waitingSince
            }
        }
        return starved
    }

    /// Moves the turn to a tenant that can afford its head.
    private mutating func advanceTurn(in index: Int) -> Int {
        while true {
            let tenant = Int(classes[index].turn)
            if !classes[index].turnCredited {
                let weight = tenant < rules.tenantWeights.count ? rules.tenantWeights[tenant] : 1
                classes[index].tenants[tenant].deficitTokens += rules.quantumTokens * weight
                classes[index].turnCredited = true
            }
            let head = Int(classes[index].tenants[tenant].head)
            if Int64(nodes[head].tokens) <= classes[index].tenants[tenant].deficitTokens { return tenant }
            classes[index].turn = classes[index].tenants[tenant].after
            classes[index].turnCredited = false
        }
    }

    /// Takes out any waiting request, by its node.
    mutating func remove(node: Int32) -> Request {
        let taken = nodes[Int(node)]
        let index = Int(taken.priorityClass)
        let tenant = Int(taken.request.tenant)
        if taken.previous >= 0 {
            nodes[Int(taken.previous)].next = taken.next
        } else {
            classes[index].tenants[tenant].head = taken.next
        }
        if taken.next >= 0 {
            nodes[Int(taken.next)].previous = taken.previous
        } else {
            classes[index].tenants[tenant].tail = taken.previous
        }
        if taken.older >= 0 {
            nodes[Int(taken.older)].younger = taken.younger
        } else {
            classes[index].oldest = taken.younger
        }
        if taken.younger >= 0 {
            nodes[Int(taken.younger)].older = taken.older
        } else {
            classes[index].youngest = taken.older
        }
        classes[index].tenants[tenant].count -= 1
        classes[index].count -= 1
        count -= 1
        tokens -= Int64(taken.tokens)
        if classes[index].tenants[tenant].head < 0 { deactivate(tenant: Int32(tenant), in: index) }
        nodes[Int(node)].next = freeNode
        freeNode = node
        return taken.request
    }

    private mutating func deactivate(tenant: Int32, in index: Int) {
        let before = classes[index].tenants[Int(tenant)].before
        let after = classes[index].tenants[Int(tenant)].after
        if after == tenant {
            classes[index].turn = -1
            classes[index].turnCredited = false
        } else {
            classes[index].tenants[Int(before)].after = after
            classes[index].tenants[Int(after)].before = before
            if classes[index].turn == tenant {
                classes[index].turn = after
                classes[index].turnCredited = false
            }
        }
    }
}
