/// Where the threads of a service go: those that work all the time, and the front ends that take packets.
public struct ServicePlacements: Sendable, Equatable {
    /// Of the busy threads, in their order.
    public var threads: [ThreadPlacement]
    /// Of the front ends, in their order; nil for one that may run anywhere.
    public var frontEnds: [ThreadPlacement?]
    /// Why front ends are where they are, in a sentence.
    public var reason: String
}

extension HostTopology {
    /// Places busy threads beside front ends, and front ends near the network.
    ///
    /// A front end reads what the interrupt of a queue has put into memory, so it is bound to the node where the queue
    /// interrupts, or else to the node of the interface's device; front ends are dealt to the queues of all interfaces
    /// that are up. As many processors of that node as it has front ends are kept free of busy threads, and the front
    /// ends share these. On one node, or when no interface tells where it is, they are bound to nothing.
    public func placements(forThreads count: Int, besideFrontEnds frontEnds: Int) -> ServicePlacements {
        precondition(count >= 0 && frontEnds >= 0, "\(count) threads and \(frontEnds) front ends to place")
        let up = interfaces.filter(\.isUp)
        let near = up.flatMap { nodes(near: $0) }
        guard nodes.count(where: { !$0.cpus.isEmpty }) > 1, !near.isEmpty else {
            let reason =
                nodes.count(where: { !$0.cpus.isEmpty }) > 1
                ? "no interface that is up tells its node or its queues' processors" : "there is one node"
            return ServicePlacements(
                threads: Array(placements(forThreads: count + frontEnds).prefix(count)),
                frontEnds: Array(repeating: nil, count: frontEnds), reason: "not bound: \(reason)")
        }
        let wanted = (0..<frontEnds).map { near[$0 % near.count] }
        var reserved: [Int: Int] = [:]
        for node in wanted { reserved[node, default: 0] += 1 }
        for node in nodes { reserved[node.number] = min(reserved[node.number] ?? 0, node.cpus.count) }
        let threads = placements(forThreads: count, reserved: reserved)
        let pinned = Set(threads.filter(\.isPinned).flatMap(\.cpus))
        return ServicePlacements(
            threads: threads,
            frontEnds: wanted.map { number in
                let cpus = node(number)?.cpus ?? []
                let free = cpus.filter { !pinned.contains($0) }
                return ThreadPlacement(cpus: free.isEmpty ? cpus : free, node: number)
            },
            reason: "near " + up.filter { !nodes(near: $0).isEmpty }.map(\.description).joined(separator: "; "))
    }

    /// The node of each queue of an interface, or that of its device; without those on which this process may not run.
    private func nodes(near interface: Interface) -> [Int] {
        let queues = interface.queueCPUs.compactMap { node(ofCPU: $0) }
        if !queues.isEmpty { return queues }
        return [interface.node].compactMap { $0 }.filter { number in node(number).map { !$0.cpus.isEmpty } ?? false }
    }
}
