//===----------------------------------------------------------------------===//
// Nodes: what an operator drains, loses and restores.
//===----------------------------------------------------------------------===//

import StepModel

/// One node of a fleet: an instance with the replicas that stop when it does, or the several instances that one
/// replica spans.
public struct Node: Sendable, Equatable {
    /// "llama70b-0003": the pool's name and the node's number in it.
    public var identifier: String
    public var pool: Int
    /// Number within the pool.
    public var number: Int
    /// Replicas on it, as the fleet numbers them.
    public var replicas: Range<Int32>
}

extension FleetPlan {
    /// Nodes of one pool.
    public func nodeCount(ofPool pool: Int) -> Int {
        let plan = pools[pool]
        return plan.instances / plan.compiled.instancesPerReplica
    }

    public var nodeCount: Int { pools.indices.reduce(0) { $0 + nodeCount(ofPool: $1) } }

    /// - Precondition: the pool has that many nodes.
    public func node(_ number: Int, ofPool pool: Int) -> Node {
        precondition(number >= 0 && number < nodeCount(ofPool: pool), "pool \(pool) has no node \(number)")
        let plan = pools[pool]
        let replicas = Int32(max(1, plan.compiled.replicasPerInstance))
        let first = plan.firstReplica + Int32(number) * replicas
        let digits = String(number)
        let padded = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        return Node(
            identifier: "\(plan.name)-\(padded)", pool: pool, number: number, replicas: first..<first + replicas)
    }

    /// The node that an operator names, nil when there is none.
    public func node(named identifier: String) -> Node? {
        guard let dash = identifier.lastIndex(of: "-") else { return nil }
        let digits = identifier[identifier.index(after: dash)...]
        guard let number = Int(digits), number >= 0,
            let pool = pools.firstIndex(where: { $0.name == identifier[..<dash] }),
            number < nodeCount(ofPool: pool)
        else { return nil }
        let found = node(number, ofPool: pool)
        return found.identifier == identifier ? found : nil
    }

    /// The node that a replica runs on.
    public func node(ofReplica replica: Int32) -> Node {
        let pool = pool(ofReplica: replica)
        let perNode = Int32(max(1, pools[pool].compiled.replicasPerInstance))
        return node(Int((replica - pools[pool].firstReplica) / perNode), ofPool: pool)
    }
}
