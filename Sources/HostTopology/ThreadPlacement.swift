/// Where a thread may run and where its memory should lie.
public struct ThreadPlacement: Sendable, Equatable {
    /// Processors that the thread is bound to: one when it is pinned, those of its node otherwise.
    public var cpus: [Int]
    /// The node whose memory is nearest.
    public var node: Int

    /// A place of the caller's choosing.
    public init(cpus: [Int], node: Int) {
        self.cpus = cpus
        self.node = node
    }

    /// Whether the thread has a processor to itself, as far as this plan goes.
    public var isPinned: Bool { cpus.count == 1 }
}

extension HostTopology {
    /// Places threads that are busy all the time: evenly over nodes in proportion to their processors, on cores of
    /// their own before they share one.
    ///
    /// When there are more threads than processors nobody is pinned, because two busy threads on one processor, with
    /// others free, would be worse than what the scheduler does; then each is bound to the processors of its node.
    /// Nodes on which this process may not have memory are used last. The result depends only on the topology and the
    /// count.
    public func placements(forThreads count: Int) -> [ThreadPlacement] {
        precondition(count >= 0, "\(count) threads to place")
        let nodes = nodes.filter { !$0.cpus.isEmpty }
        let preferred = nodes.filter(\.mayHoldMemory).isEmpty ? nodes : nodes.filter(\.mayHoldMemory)
        let usable = preferred.reduce(0) { $0 + $1.cpus.count } >= count ? preferred : nodes
        let pins = usable.reduce(0) { $0 + $1.cpus.count } >= count
        let order = usable.map { cpusByCore($0) }
        var placed = [Int](repeating: 0, count: usable.count)
        return (0..<count).map { _ in
            // The node where a further thread makes the least crowd: (placed + 1) / cpus, compared without division.
            var best = 0
            for index in 1..<max(1, usable.count)
            where (placed[index] + 1) * usable[best].cpus.count < (placed[best] + 1) * usable[index].cpus.count {
                best = index
            }
            let cpus = pins ? [order[best][placed[best]]] : usable[best].cpus
            placed[best] += 1
            return ThreadPlacement(cpus: cpus, node: usable[best].number)
        }
    }

    /// Processors of a node: the first of each core, then the second ones.
    private func cpusByCore(_ node: Node) -> [Int] {
        let local = cores.map { $0.filter(node.cpus.contains) }
        let depth = local.map(\.count).max() ?? 0
        return (0..<depth).flatMap { level in local.compactMap { level < $0.count ? $0[level] : nil } }
    }
}
