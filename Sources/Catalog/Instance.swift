/// What one rents: a server, or an UltraServer or rack that is rented as one.
public struct Instance: FiguredEntry, Hashable, Encodable {
    public static let kind = "instance"
    public static let file = "instances.json"

    public var id: String
    public var name: String
    public var aliases: [String]
    /// Id of the accelerator.
    public var accelerator: String
    public var acceleratorCount: Figure<Int>
    public var topology: Topology
    /// Accelerators that reach each other without leaving the scale-up fabric.
    public var scaleUpDomain: Figure<Int>
    /// How many accelerators stop when one fails.
    public var blastRadius: Figure<Int>?
    public var virtualCPUs: Figure<Int>?
    public var hostMemoryBytes: Figure<Double>?
    public var hostProcessor: Figure<String>?
    /// Sum over the instance, one way.
    public var networkBytesPerSecond: Figure<Double>?
    public var localStorageBytes: Figure<Double>?
    /// `wall watts = hostBaseWatts + wallWattsPerAcceleratorWatt * sum of accelerator watts`.
    public var hostBaseWatts: Figure<Double>?
    public var wallWattsPerAcceleratorWatt: Figure<Double>?
    /// Wall power of the whole instance with nothing running.
    public var idleWallWatts: Figure<Double>?
    /// What the maker's label says the power supplies may draw.
    public var nameplateWatts: Figure<Double>?
    /// Everything a site provisions for one accelerator: chip, host, network, cooling.
    public var allInWattsPerAccelerator: Figure<Double>?
    /// Where it could be had, and when that was checked.
    public var availability: Figure<String>?
    public var facts: [Fact]

    /// How the accelerators of one scale-up domain are wired.
    public struct Topology: Sendable, Hashable, Encodable {
        public enum Kind: String, Sendable, Hashable, CaseIterable, Encodable {
            case single
            case ring
            case torus2D = "torus-2d"
            case torus3D = "torus-3d"
            case nvSwitch = "nvswitch"
            case neuronSwitch = "neuronswitch"
            case fullMesh = "full-mesh"
            case pcie
        }

        public var kind: Kind
        /// Sides of a torus, length of a ring, servers x accelerators of a switched rack; `[1]` for a single.
        public var dimensions: [Int]
        public var source: String
        public var date: CalendarDay
    }

    public static var figureNames: [PartialKeyPath<Instance>: String] {
        [
            \Instance.blastRadius: "blastRadius", \Instance.virtualCPUs: "virtualCPUs",
            \Instance.hostMemoryBytes: "hostMemoryBytes", \Instance.hostProcessor: "hostProcessor",
            \Instance.networkBytesPerSecond: "networkBytesPerSecond", \Instance.localStorageBytes: "localStorageBytes",
            \Instance.hostBaseWatts: "hostBaseWatts",
            \Instance.wallWattsPerAcceleratorWatt: "wallWattsPerAcceleratorWatt",
            \Instance.idleWallWatts: "idleWallWatts", \Instance.nameplateWatts: "nameplateWatts",
            \Instance.allInWattsPerAccelerator: "allInWattsPerAccelerator", \Instance.availability: "availability",
        ]
    }
}
