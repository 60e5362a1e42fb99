import CHost

/// The processors and memory nodes of this host that this process may use, as the kernel tells them.
///
/// Read once, from sysfs; what a container or `taskset` forbids is left out. Where the kernel tells nothing about nodes
/// the host counts as one node, and `notes` says so.
public struct HostTopology: Sendable, Equatable {
    /// A NUMA node: memory, and processors to which it is near.
    public struct Node: Sendable, Equatable {
        /// The kernel's number.
        public var number: Int
        /// Processors of the node that this process may run on, in rising order; empty for a node of memory only.
        public var cpus: [Int]
        /// Size of its memory in bytes, when known.
        public var memoryBytes: Int64?
        /// Whether this process may have memory here (cpuset.mems).
        public var mayHoldMemory: Bool
        /// Relative cost of memory, by node number, as the firmware gives it: 10 is local, 21 is 2.1 times that.
        public var distances: [Int: Int]

        /// - Parameters: as the properties.
        public init(
            number: Int, cpus: [Int], memoryBytes: Int64?, mayHoldMemory: Bool, distances: [Int: Int]
        ) {
            self.number = number
            self.cpus = cpus
            self.memoryBytes = memoryBytes
            self.mayHoldMemory = mayHoldMemory
            self.distances = distances
        }
    }

    /// Nodes in rising order of number; never empty.
    public var nodes: [Node]
    /// Processors that share a core, as far as this process may use them; each in rising order. A processor that is
    /// alone is in it too.
    public var cores: [[Int]]
    /// Network interfaces of which it is known near which memory or processors they are.
    public var interfaces: [Interface]
    /// What was missing or restricted, in sentences.
    public var notes: [String]

    /// A network interface and what it is near to.
    public struct Interface: Sendable, Equatable {
        /// The kernel's name, such as `eth0`.
        public var name: String
        /// Node of its device; nil when the firmware does not tell.
        public var node: Int?
        /// Processors that its queues interrupt, in the order of the interrupts' numbers.
        public var queueCPUs: [Int] = []
        /// Whether the kernel says that it is up.
        public var isUp = true

        /// - Parameters: as the properties.
        public init(name: String, node: Int?, queueCPUs: [Int] = [], isUp: Bool = true) {
            self.name = name
            self.node = node
            self.queueCPUs = queueCPUs
            self.isUp = isUp
        }
    }

    /// Processors that this process may run on, in rising order.
    public var cpus: [Int] { nodes.flatMap(\.cpus).sorted() }

    /// The node of a processor, or nil when this process may not run there.
    public func node(ofCPU cpu: Int) -> Int? { nodes.first { $0.cpus.contains(cpu) }?.number }

    /// The node with this number.
    public func node(_ number: Int) -> Node? { nodes.first { $0.number == number } }

    /// This host, as it is for the calling thread now.
    public static func current() -> HostTopology {
        HostTopology(root: "", allowedCPUs: allowedCPUsOfCallingThread())
    }

    /// A host described by files under `root` (`root/sys/...`, `root/proc/self/status`), with the affinity mask given.
    ///
    /// - Parameter allowedCPUs: what the affinity mask allows; nil when not known, which allows all that are online.
    public init(root: String, allowedCPUs: [Int]?) {
        let reader = TopologyReader(root: root, allowedCPUs: allowedCPUs)
        self = reader.read()
    }

    /// A host as described.
    public init(nodes: [Node], cores: [[Int]], interfaces: [Interface], notes: [String]) {
        precondition(!nodes.isEmpty, "a host has a node")
        self.nodes = nodes
        self.cores = cores
        self.interfaces = interfaces
        self.notes = notes
    }

    /// The affinity mask of the calling thread, which a container's cpuset is already part of; nil when the kernel
    /// refuses it.
    static func allowedCPUsOfCallingThread() -> [Int]? {
        var cpus = [Int32](repeating: 0, count: 4096)
        let count = chost_allowed_cpus(&cpus, Int32(cpus.count))
        if count <= 0 { return nil }
        return cpus.prefix(Int(min(count, Int32(cpus.count)))).map(Int.init)
    }
}
