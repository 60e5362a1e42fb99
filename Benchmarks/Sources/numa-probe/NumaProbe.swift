import Glibc
import HostTopology
import WaitFree

/// Shows, on the host it runs on, that threads run and memory lies where `HostTopology` says.
///
///     numa-probe [NODES]
///
/// Prints what it sees, a line a check. Ends with 1 when a check fails, or when the host does not have as many NUMA
/// nodes as said.
@main struct NumaProbe {
    static func main() throws {
        let topology = HostTopology.current()
        print(topology.trialReport(threads: topology.cpus.count))
        var checks = Checks()
        if CommandLine.arguments.count > 1, let nodes = Int(CommandLine.arguments[1]) {
            checks.check("the host has \(nodes) nodes", topology.nodes.count == nodes)
        }
        try checks.boundMemory(topology)
        try checks.firstTouch(topology)
        try checks.ringsBetweenNodes(topology)
        try checks.missingNode(topology)
        print(
            checks.failures == 0
                ? "numa-probe: all \(checks.made) checks hold" : "numa-probe: \(checks.failures) failed")
        exit(checks.failures == 0 ? 0 : 1)
    }
}

struct Checks {
    var made = 0
    var failures = 0

    mutating func check(_ what: String, _ holds: Bool, _ seen: String = "") {
        made += 1
        if !holds { failures += 1 }
        print("\(holds ? "ok" : "FAILED"): \(what)\(seen.isEmpty ? "" : " (\(seen))")")
    }

    /// Memory asked for on each node, by a thread on each node: it lies where it was asked for, not where the thread
    /// runs.
    mutating func boundMemory(_ topology: HostTopology) throws {
        for here in topology.nodes where !here.cpus.isEmpty {
            for there in topology.nodes where there.mayHoldMemory {
                let text = try onThread(of: here) {
                    guard let memory = try? NodeMemory(byteCount: 1 << 20, node: there.number) else {
                        return "no memory"
                    }
                    defer { memory.deallocate() }
                    return census(memory.base, memory.byteCount)
                }
                check(
                    "1 MiB for node \(there.number), asked for by a thread on node \(here.number)",
                    text == "256 pages on node \(there.number)", text)
            }
        }
    }

    /// Memory asked for without a node lies where the thread runs that touches it first.
    mutating func firstTouch(_ topology: HostTopology) throws {
        for node in topology.nodes where !node.cpus.isEmpty && node.mayHoldMemory {
            let text = try onThread(of: node) {
                guard let memory = try? NodeMemory(byteCount: 1 << 20, node: nil) else { return "no memory" }
                defer { memory.deallocate() }
                return census(memory.base, memory.byteCount)
            }
            check(
                "1 MiB for no node, touched first by a thread on node \(node.number)",
                text == "256 pages on node \(node.number)", text)
        }
    }

    /// A ring in the memory of its consumer's node, with the producer on another node: everything arrives, in order.
    mutating func ringsBetweenNodes(_ topology: HostTopology) throws {
        let count: UInt64 = 100_000
        for from in topology.nodes where !from.cpus.isEmpty {
            for to in topology.nodes where !to.cpus.isEmpty && to.mayHoldMemory {
                if from == to && from.cpus.count < 2 { continue }
                let capacity = 1024
                let memory = try NodeMemory(
                    byteCount: SPSCRing<UInt64>.byteCount(capacity: capacity), node: to.number)
                defer { memory.deallocate() }
                let ring = SPSCRing<UInt64>(in: memory.base, capacity: capacity)
                let inOrder = PaddedAtomic.allocate(1)
                defer { inOrder.deallocate() }
                let consumer = try PinnedThread(
                    name: "consumer", placement: ThreadPlacement(cpus: [to.cpus[0]], node: to.number)
                ) {
                    var next: UInt64 = 0
                    while next < count {
                        guard let element = ring.pop() else {
                            sched_yield()
                            continue
                        }
                        if element != next { inOrder.store(0) }
                        next += 1
                    }
                }
                let cpu = from == to ? from.cpus[1] : from.cpus[0]
                let producer = try PinnedThread(
                    name: "producer", placement: ThreadPlacement(cpus: [cpu], node: from.number)
                ) {
                    var next: UInt64 = 0
                    while next < count { if ring.push(next) { next += 1 } else { sched_yield() } }
                }
                producer.join()
                consumer.join()
                let pages = census(memory.base, memory.byteCount)
                let expected = "\(memory.byteCount / NodeMemory.pageBytes) pages on node \(to.number)"
                check(
                    "\(count) elements from node \(from.number) to node \(to.number), in order, ring at the consumer",
                    inOrder.load() == 1 && pages == expected, pages)
            }
        }
    }

    /// A node that does not exist is told, and not silently replaced.
    mutating func missingNode(_ topology: HostTopology) throws {
        let missing = topology.nodes.map(\.number).max()! + 1
        let memory = try NodeMemory(byteCount: 4096, node: missing)
        defer { memory.deallocate() }
        var isTold = false
        if case .anywhere = memory.placement { isTold = true }
        check("memory for node \(missing), which is not there", isTold, "\(memory.placement)")
    }

    private func onThread(of node: HostTopology.Node, _ body: @escaping @Sendable () -> String) throws -> String {
        final class Answer: @unchecked Sendable { var text = "" }
        let answer = Answer()
        let placement = ThreadPlacement(cpus: [node.cpus[0]], node: node.number)
        try PinnedThread(name: "probe", placement: placement) { answer.text = body() }.join()
        return answer.text
    }
}

/// On which nodes the pages are, asked both ways that the kernel offers.
func census(_ memory: UnsafeMutableRawPointer, _ byteCount: Int) -> String {
    let counted = PageCensus(of: UnsafeRawBufferPointer(start: memory, count: byteCount))
    if case .counted(let counts) = counted, counts.count == 1, counts[0].node != PageCensus.node(of: memory) {
        return "\(counted), but get_mempolicy says node \(PageCensus.node(of: memory).map(String.init) ?? "unknown")"
    }
    return counted.description
}
