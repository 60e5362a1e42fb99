import Spelling

/// One chip or GPU package, as software addresses it. All figures are for one of them unless their name says "core".
public struct Accelerator: FiguredEntry, Hashable, Encodable {
    public static let kind = "accelerator"
    public static let file = "accelerators.json"

    public enum Family: String, Sendable, Hashable, CaseIterable, Encodable {
        /// AWS Trainium and Inferentia2.
        case neuron
        case nvidia
        case amd
    }

    public var id: String
    public var name: String
    public var aliases: [String]
    public var family: Family
    /// Dense multiply-add peak, FLOP/s (an addition and a multiplication are two), by precision.
    public var peakFlopsPerSecond: [Precision: Figure<Double>]
    /// Peak with structured sparsity, FLOP/s; kept for completeness, no model uses it.
    public var sparseFlopsPerSecond: [Precision: Figure<Double>]
    /// HBM as the data sheet prints it.
    public var memoryBytes: Figure<Double>?
    /// HBM that software sees before it allocates anything; what KV capacity is computed from.
    public var usableMemoryBytes: Figure<Double>?
    public var memoryBytesPerSecond: Figure<Double>?
    /// NeuronCores. A GPU counts as one.
    public var cores: Figure<Int>?
    /// How cores can be grouped (LNC). Empty for GPUs.
    public var logicalCoreModes: [LogicalCoreMode]
    public var tensorClockHertz: Figure<Double>?
    /// SBUF of one core.
    public var scratchpadBytesPerCore: Figure<Double>?
    /// PSUM of one core.
    public var accumulatorBytesPerCore: Figure<Double>?
    public var dmaEngines: Figure<Int>?
    public var dmaBytesPerSecondPerCore: Figure<Double>?
    public var collectiveCores: Figure<Int>?
    /// Links to other accelerators, nearest level first.
    public var links: [Link]
    public var thermalDesignWatts: Figure<Double>?
    /// Powered, no step running.
    public var idleWatts: Figure<Double>?
    public var power: Figure<PowerCoefficients>?
    /// Figures that no model uses yet, in file order.
    public var facts: [Fact]

    /// One way of grouping cores into what a tensor-parallel rank runs on.
    public struct LogicalCoreMode: Sendable, Hashable, Encodable {
        /// Physical cores in one logical core (LNC).
        public var coresPerLogicalCore: Int
        public var isDefault: Bool
        public var logicalCores: Figure<Int>
        public var memoryBytesPerLogicalCore: Figure<Double>
    }

    /// Bandwidth out of one accelerator at one level of the fabric.
    public struct Link: Sendable, Hashable, Encodable {
        /// `scale-up` (the whole of a server or torus), `torus-xy`, `torus-z`, `sled`, `rack`, `rack-to-rack`,
        /// `network`.
        public var level: String
        public var bytesPerSecond: Figure<Double>
        public var direction: Direction

        public enum Direction: String, Sendable, Hashable, CaseIterable, Encodable {
            case oneWay = "one-way"
            /// Both directions added.
            case summed
        }

        /// Bytes per second one way: half of a summed figure.
        public var oneWayBytesPerSecond: Double {
            direction == .oneWay ? bytesPerSecond.value : bytesPerSecond.value / 2
        }
    }

    public static var figureNames: [PartialKeyPath<Accelerator>: String] {
        [
            \Accelerator.memoryBytes: "memoryBytes", \Accelerator.usableMemoryBytes: "usableMemoryBytes",
            \Accelerator.memoryBytesPerSecond: "memoryBytesPerSecond", \Accelerator.cores: "cores",
            \Accelerator.tensorClockHertz: "tensorClockHertz",
            \Accelerator.scratchpadBytesPerCore: "scratchpadBytesPerCore",
            \Accelerator.accumulatorBytesPerCore: "accumulatorBytesPerCore", \Accelerator.dmaEngines: "dmaEngines",
            \Accelerator.dmaBytesPerSecondPerCore: "dmaBytesPerSecondPerCore",
            \Accelerator.collectiveCores: "collectiveCores", \Accelerator.thermalDesignWatts: "thermalDesignWatts",
            \Accelerator.idleWatts: "idleWatts", \Accelerator.power: "power",
        ]
    }

    /// Dense peak in FLOP/s. A precision that the accelerator does not multiply in is an error that lists those it
    /// does.
    public func peak(at precision: Precision) throws(CatalogError) -> Figure<Double> {
        if let found = peakFlopsPerSecond[precision] { return found }
        let known = Precision.allCases.filter { peakFlopsPerSecond[$0] != nil }.map(\.rawValue).joined(separator: ", ")
        throw CatalogError(
            .missingFigure,
            "accelerator \(id): no dense peak at \(precision.rawValue) (known: \(known)); if it has one, supply it under "
                + "peakFlopsPerSecond in accelerators.json of a catalogue directory (--catalog DIR)"
        )
    }

    /// Cores grouped by `coresPerLogicalCore`, or the default grouping when nil.
    public func logicalCoreMode(_ coresPerLogicalCore: Int? = nil) throws(CatalogError) -> LogicalCoreMode {
        let found = logicalCoreModes.first {
            coresPerLogicalCore == nil ? $0.isDefault : $0.coresPerLogicalCore == coresPerLogicalCore
        }
        if let found { return found }
        let known = logicalCoreModes.map { String($0.coresPerLogicalCore) }.joined(separator: ", ")
        throw CatalogError(
            .missingFigure,
            "accelerator \(id) has no logical cores of \(coresPerLogicalCore.map { String($0) } ?? "default size") "
                + "(known LNC: \(known.isEmpty ? "none, it has no NeuronCores" : known))"
        )
    }

    public func link(_ level: String) throws(CatalogError) -> Link {
        if let found = links.first(where: { $0.level == level }) { return found }
        let hint = nearestName(to: level, among: links.map(\.level)).map { "; the nearest is \"\($0)\"" } ?? ""
        throw CatalogError(.missingFigure, "accelerator \(id) has no link level \"\(level)\"\(hint)")
    }
}

/// Chip power while a step runs: `TDP * min(cap, floor + memory * MBU + compute * MFU)`, where MBU and MFU are the
/// fractions of peak bandwidth and peak FLOP/s averaged over the step.
public struct PowerCoefficients: FigureValue {
    public var floor: Double
    public var memory: Double
    public var compute: Double
    public var cap: Double
    /// Mean absolute relative error of the fit, leave-one-model-out where that is known; nil when nothing was fitted.
    public var relativeError: Double?

    public init(floor: Double, memory: Double, compute: Double, cap: Double, relativeError: Double? = nil) {
        self.floor = floor
        self.memory = memory
        self.compute = compute
        self.cap = cap
        self.relativeError = relativeError
    }

    public init(reading node: JSONNode, in document: JSONDocument) throws(CatalogError) {
        let reader = try ObjectReader(node, in: document, sources: Sources())
        floor = try reader.double("floor")
        memory = try reader.double("memory")
        compute = try reader.double("compute")
        cap = try reader.double("cap")
        relativeError = nil
        if let error = reader.optional("relativeError") { relativeError = try document.double(error) }
        try reader.finish()
        guard floor >= 0, memory >= 0, compute >= 0, cap > 0, cap <= 1.5 else {
            throw document.problem(at: node, "power coefficients must not be negative, and cap must lie in 0...1.5")
        }
    }
}
