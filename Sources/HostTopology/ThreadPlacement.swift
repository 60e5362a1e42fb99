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
        placements(forThreads: count, reserved: [:])
    }

    /// The same, with processors left free for others.
    ///
    /// - Parameter reserved: by node, how many of the last of `cpusByCore` no thread is placed on. When there are not
    ///   enough for all nobody is pinned.
    func placements(forThreads count: Int, reserved: [Int: Int]) -> [ThreadPlacement] {
        precondition(count >= 0, "\(count) threads to place")
        let nodes = nodes.filter { !$0.cpus.isEmpty }
        let preferred = nodes.filter(\.mayHoldMemory).isEmpty ? nodes : nodes.filter(\.mayHoldMemory)
        func free(_ nodes: [Node]) -> Int {
            nodes.reduce(0) { $0 + max(0, $1.cpus.count - reserved[$1.number, default: 0]) }
        }
        let usable = free(preferred) >= count ? preferred : nodes
        let pins = free(usable) >= count
        let order = usable.map { cpusByCore($0) }
        var placed = [Int](repeating: 0, count: usable.count)
        return (0..<count).map { _ in
            // The node where a further thread makes the least crowd: (busy + 1) / cpus, compared without division. One
            // that is full is passed over while threads are pinned.
            var best = -1
            var leastBusy = 0
            for (index, node) in usable.enumerated() {
                let busy = placed[index] + reserved[node.number, default: 0]
                if pins && busy >= node.cpus.count { continue }
                if best < 0 || (busy + 1) * usable[best].cpus.count < (leastBusy + 1) * node.cpus.count {
                    best = index
                    leastBusy = busy
                }
            }
            let cpus = pins ? [order[best][placed[best]]] : usable[best].cpus
            placed[best] += 1
            return ThreadPlacement(cpus: cpus, node: usable[best].number)
        }
    }

    /// Processors of a node: the first of each core, then the second ones.
    func cpusByCore(_ node: Node) -> [Int] {
        let local = cores.map { $0.filter(node.cpus.contains) }
        let depth = local.map(\.count).max() ?? 0
        return (0..<depth).flatMap { level in local.compactMap { level < $0.count ? $0[level] : nil } }
    }
}
