extension HostTopology: CustomStringConvertible {
    /// The nodes, cores and restrictions, a line each.
    public var description: String {
        var lines: [String] = []
        lines.append(
            "\(nodes.count) NUMA node\(nodes.count == 1 ? "" : "s"), \(cpus.count) CPUs on \(cores.count) cores")
        for node in nodes {
            var parts = [node.cpus.isEmpty ? "no CPUs" : "CPUs \(CPUList.format(node.cpus))"]
            if let bytes = node.memoryBytes { parts.append("\(bytes >> 20) MiB") }
            if !node.mayHoldMemory { parts.append("memory forbidden") }
            let row = nodes.map { node.distances[$0.number].map(String.init) ?? "?" }.joined(separator: " ")
            parts.append("distances \(row)")
            lines.append("node \(node.number): \(parts.joined(separator: ", "))")
        }
        for interface in interfaces { lines.append("interface \(interface)") }
        for note in notes { lines.append("note: \(note)") }
        return lines.joined(separator: "\n")
    }

    /// What would be done for this many busy threads, tried out: each is started where it belongs, gets memory of its
    /// node, and says which processor it runs on and where its pages are. For `trainyardd --topology`.
    ///
    /// - Parameters:
    ///   - threads: how many
    ///   - byteCount: memory for each, in bytes
    public func trialReport(threads: Int, byteCount: Int = 1 << 20) -> String {
        var lines = [description]
        for (index, placement) in placements(forThreads: threads).enumerated() {
            lines.append("thread \(index): \(tryOut(placement, index: index, byteCount: byteCount))")
        }
        return lines.joined(separator: "\n")
    }

    private func tryOut(_ placement: ThreadPlacement, index: Int, byteCount: Int) -> String {
        final class Answer: @unchecked Sendable { var text = "" }
        let answer = Answer()
        let bound =
            placement.isPinned ? "pinned to CPU \(placement.cpus[0])" : "on CPUs \(CPUList.format(placement.cpus))"
        do throws(PinnedThread.StartError) {
            let thread = try PinnedThread(name: "topology-\(index)", placement: placement) {
                let cpu = PinnedThread.currentCPU.map { "runs on CPU \($0)" } ?? "runs on an unknown CPU"
                do throws(NodeMemory.AllocationError) {
                    let memory = try NodeMemory(byteCount: byteCount, node: placement.node)
                    defer { memory.deallocate() }
                    let census = PageCensus(of: UnsafeRawBufferPointer(start: memory.base, count: memory.byteCount))
                    answer.text = "\(cpu), memory \(memory.placement) (\(census))"
                } catch {
                    answer.text = "\(cpu), \(error)"
                }
            }
            thread.join()
        } catch {
            return "node \(placement.node), \(error)"
        }
        return "node \(placement.node), \(bound), \(answer.text)"
    }
}

extension HostTopology.Interface: CustomStringConvertible {
    /// The name and what is known, such as `eth0: node 1, queues on CPUs 2-3`.
    public var description: String {
        var parts: [String] = []
        if let node { parts.append("node \(node)") }
        if !queueCPUs.isEmpty { parts.append("queues on CPUs \(CPUList.format(Array(Set(queueCPUs))))") }
        if !isUp { parts.append("not up") }
        return "\(name): \(parts.joined(separator: ", "))"
    }
}
