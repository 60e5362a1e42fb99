/// Reads a `HostTopology` from the kernel's files.
///
/// Documentation/admin-guide/cputopology.rst and Documentation/ABI/stable/sysfs-devices-node of Linux describe them.
struct TopologyReader {
    let root: String
    let allowedCPUs: [Int]?

    private var system: String { root + "/sys/devices/system" }

    func read() -> HostTopology {
        var notes: [String] = []
        let cpus = usableCPUs(&notes)
        var nodes = readNodes(cpus, &notes)
        if nodes.allSatisfy(\.cpus.isEmpty) {
            notes.append("the kernel names no NUMA node with usable CPUs: the host counts as one node")
            nodes = [
                HostTopology.Node(number: 0, cpus: cpus, memoryBytes: nil, mayHoldMemory: true, distances: [0: 10])
            ]
        }
        // CPUs that no node claims would be lost; the first node takes them.
        let claimed = Set(nodes.flatMap(\.cpus))
        let orphans = cpus.filter { !claimed.contains($0) }
        if !orphans.isEmpty {
            notes.append("CPUs \(CPUList.format(orphans)) belong to no node and are counted to node \(nodes[0].number)")
            nodes[0].cpus = (nodes[0].cpus + orphans).sorted()
        }
        if let quota = cpuQuota(), quota < Double(cpus.count) {
            notes.append(
                "a control group limits this process to \(quota) CPUs of time, of \(cpus.count) that it may run on")
        }
        return HostTopology(nodes: nodes, cores: cores(of: cpus), interfaces: interfaces(), notes: notes)
    }

    /// Online and allowed.
    private func usableCPUs(_ notes: inout [String]) -> [Int] {
        let online = TextFile.read(system + "/cpu/online").flatMap { CPUList.parse($0) } ?? []
        guard let allowedCPUs, !allowedCPUs.isEmpty else {
            if online.isEmpty {
                notes.append("neither an affinity mask nor a list of online CPUs: CPU 0 is assumed")
                return [0]
            }
            notes.append("no affinity mask: all CPUs that are online are taken as allowed")
            return online
        }
        if online.isEmpty { return allowedCPUs.sorted() }
        let usable = online.filter(Set(allowedCPUs).contains)
        if usable.count < online.count {
            notes.append(
                "restricted to CPUs \(CPUList.format(usable)) of \(CPUList.format(online)) by an affinity mask or a cpuset"
            )
        }
        if usable.isEmpty {
            notes.append("no allowed CPU is listed as online: the affinity mask is believed")
            return allowedCPUs.sorted()
        }
        return usable
    }

    private func readNodes(_ cpus: [Int], _ notes: inout [String]) -> [HostTopology.Node] {
        let folder = system + "/node"
        guard let online = TextFile.read(folder + "/online").flatMap({ CPUList.parse($0) }) else { return [] }
        let usable = Set(cpus)
        let allowedMemory = allowedMemoryNodes()
        var nodes: [HostTopology.Node] = []
        for number in online {
            let path = "\(folder)/node\(number)"
            guard let listed = TextFile.read(path + "/cpulist").flatMap({ CPUList.parse($0) }) else {
                notes.append("node \(number) is online, but \(path)/cpulist cannot be read: the node is left out")
                continue
            }
            let row = (TextFile.read(path + "/distance") ?? "").split(whereSeparator: \.isWhitespace).compactMap {
                Int($0)
            }
            let distances =
                row.count == online.count ? Dictionary(uniqueKeysWithValues: zip(online, row)) : [number: 10]
            if row.count != online.count { notes.append("the distances of node \(number) cannot be read") }
            let mayHoldMemory = allowedMemory.map { $0.contains(number) } ?? true
            if !mayHoldMemory { notes.append("a cpuset forbids memory on node \(number)") }
            nodes.append(
                HostTopology.Node(
                    number: number, cpus: listed.filter(usable.contains), memoryBytes: memoryBytes(path),
                    mayHoldMemory: mayHoldMemory, distances: distances))
        }
        return nodes
    }

    /// The line `Node 0 MemTotal:  24567890 kB`.
    private func memoryBytes(_ path: String) -> Int64? {
        for line in (TextFile.read(path + "/meminfo") ?? "").split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard let label = words.firstIndex(of: "MemTotal:"), label + 1 < words.count else { continue }
            return Int64(words[label + 1]).map { $0 * 1024 }
        }
        return nil
    }

    /// The line `Mems_allowed_list:  0-1` of /proc/self/status.
    private func allowedMemoryNodes() -> Set<Int>? {
        for line in (TextFile.read(root + "/proc/self/status") ?? "").split(separator: "\n") {
            guard line.hasPrefix("Mems_allowed_list:") else { continue }
            return CPUList.parse(line.dropFirst("Mems_allowed_list:".count)).map(Set.init)
        }
        return nil
    }

    private func cores(of cpus: [Int]) -> [[Int]] {
        let usable = Set(cpus)
        var cores: [[Int]] = []
        var seen: Set<Int> = []
        for cpu in cpus where !seen.contains(cpu) {
            let path = "\(system)/cpu/cpu\(cpu)/topology/thread_siblings_list"
            let siblings = TextFile.read(path).flatMap { CPUList.parse($0) } ?? [cpu]
            var core = siblings.filter { usable.contains($0) && !seen.contains($0) }
            if !core.contains(cpu) { core = [cpu] }
            seen.formUnion(core)
            cores.append(core)
        }
        return cores
    }

    /// Interfaces that hang on a device. A virtio device hangs below the PCI function that has the node and the
    /// interrupts.
    private func interfaces() -> [HostTopology.Interface] {
        let folder = root + "/sys/class/net"
        return TextFile.names(in: folder).compactMap { name in
            let devices = ["\(folder)/\(name)/device", "\(folder)/\(name)/device/.."]
            let node = devices.lazy.compactMap { TextFile.number("\($0)/numa_node") }.first { $0 >= 0 }
            let queues = devices.lazy.map { queueCPUs(ofDevice: $0) }.first { !$0.isEmpty } ?? []
            if node == nil && queues.isEmpty { return nil }
            let state = TextFile.read("\(folder)/\(name)/operstate")?.split(whereSeparator: \.isWhitespace).first
            return HostTopology.Interface(name: name, node: node, queueCPUs: queues, isUp: state == "up")
        }
    }

    /// The first processor to which each interrupt of a device goes (Documentation/core-api/irq/irq-affinity.rst).
    private func queueCPUs(ofDevice device: String) -> [Int] {
        TextFile.names(in: device + "/msi_irqs").compactMap { Int($0) }.sorted().compactMap { interrupt in
            let folder = "\(root)/proc/irq/\(interrupt)"
            return ["effective_affinity_list", "smp_affinity_list"].lazy
                .compactMap { TextFile.read("\(folder)/\($0)").flatMap { CPUList.parse($0)?.first } }.first
        }
    }

    /// CPUs' worth of time that the control group (version 2) grants: `max 100000`, or quota and period in
    /// microseconds.
    private func cpuQuota() -> Double? {
        let words = (TextFile.read(root + "/sys/fs/cgroup/cpu.max") ?? "").split(whereSeparator: \.isWhitespace)
        guard words.count == 2, let quota = Double(words[0]), let period = Double(words[1]), period > 0 else {
            return nil
        }
        return quota / period
    }
}
