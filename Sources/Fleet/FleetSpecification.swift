//===----------------------------------------------------------------------===//
// A fleet as a person writes it: nothing looked up, nothing computed.
//===----------------------------------------------------------------------===//

public import StepModel

/// What a fleet file says. Names are not yet looked up in the catalogue; each keeps its place, so that the planner can
/// point at the one that it does not find.
public struct FleetSpecification: Sendable, Equatable {
    public var name: String
    /// Region whose PUE, WUE, grid carbon and prices apply; nil when all of them are overridden.
    public var region: Located<String>?
    public var pools: [PoolSpecification]
    public var placement: Located<String>
    /// Nil when the file names none: costs are then not reported.
    public var price: PriceSpecification?
    public var site: SiteOverrides
    public var power: PowerOverrides
    public var classes: [ClassSpecification]
    public var tenants: [TenantSpecification]
    public var limits: LimitSpecification
    /// How prefill pools hand over to decode pools, where the file says more than the pools' roles.
    public var transfer: TransferSpecification?
    /// Threads' worth of independent replicas; nil leaves the number to the program.
    public var cells: Int?
    /// Where the file begins.
    public var place: Place

    public init(name: String, region: Located<String>?, pools: [PoolSpecification]) {
        self.name = name
        self.region = region
        self.pools = pools
        self.placement = Located("least-loaded")
        self.price = nil
        self.site = SiteOverrides()
        self.power = PowerOverrides()
        self.classes = []
        self.tenants = []
        self.limits = LimitSpecification()
        self.transfer = nil
        self.cells = nil
        self.place = .nowhere
    }
}

/// Identical replicas on identical instances.
public struct PoolSpecification: Sendable, Equatable {
    public var name: String
    public var instance: Located<String>
    public var instances: Int
    public var deployment: DeploymentSpecification
    /// Price of one instance, before the fleet's basis is asked.
    public var usdPerHour: Double?
    public var power: PowerOverrides
    /// Nil for replicas that do both.
    public var role: PoolRole?
    public var place: Place

    public init(name: String, instance: Located<String>, instances: Int, deployment: DeploymentSpecification) {
        self.name = name
        self.instance = instance
        self.instances = instances
        self.deployment = deployment
        self.usdPerHour = nil
        self.power = PowerOverrides()
        self.role = nil
        self.place = .nowhere
    }
}

/// How one replica serves its model. Everything that is nil takes the stack's default.
public struct DeploymentSpecification: Sendable, Equatable {
    /// Name of a catalogued model, or the path of a Hugging Face `config.json`.
    public var model: Located<String>
    public var precision: Located<String>
    public var parallelism: Located<Parallelism>
    public var stack: Located<String>
    /// Software generation, such as `neuron-2.32` or `vllm-0.11`.
    public var software: Located<String>?
    public var maxSequences: Int?
    public var maxModelTokens: Int?
    public var maxBatchedTokens: Int?
    public var kvPrecision: Located<String>?
    public var kvBlockTokens: Int?
    public var prefixCaching: Bool?
    public var gpuMemoryUtilization: Double?
    /// Share of memory that the KV cache may take on Neuron (0.30 by default there).
    public var kvMemoryFraction: Double?
    public var prefillBuckets: [Int]?
    public var contextBuckets: [Int]?
    public var onDeviceSampling: Bool?
    public var asyncScheduling: Bool?
    /// Physical cores that make one logical core on Neuron, 1 or 2.
    public var coresPerLogicalCore: Int?
    public var longPrefillThresholdTokens: Int?
    /// GPUs capped below their thermal design power, watts per chip.
    public var chipPowerCapWatts: Double?
    public var speculation: SpeculationSpecification?
    public var place: Place

    public init(
        model: Located<String>, precision: Located<String>, parallelism: Located<Parallelism>, stack: Located<String>
    ) {
        self.model = model
        self.precision = precision
        self.parallelism = parallelism
        self.stack = stack
        self.place = .nowhere
    }
}

/// Speculative decoding: how many tokens a draft proposes and how often the next one is accepted.
public struct SpeculationSpecification: Sendable, Equatable {
    public var draftTokens: Int
    /// Draft model of the catalogue; nil for a head on the target (EAGLE, Medusa).
    public var draftModel: String?
    /// Probability that draft token i is accepted, given that the ones before it were.
    public var acceptance: [Double]

    /// Mean tokens that a verification yields, the one of the target itself included.
    public var acceptedLength: Double {
        var reached = 1.0
        var length = 1.0
        for probability in acceptance {
            reached *= probability
            length += reached
        }
        return length
    }
}

/// Which price applies to both what is rented and what it is compared with.
public struct PriceSpecification: Sendable, Equatable {
    /// Nil when `usdPerHour` is given.
    public var basis: Located<String>?
    /// Day on which the price is asked, YYYY-MM-DD; nil takes the latest known one.
    public var date: Located<String>?
    /// One price for every instance of the fleet; replaces the basis.
    public var usdPerHour: Double?

    public init(basis: Located<String>? = nil, date: Located<String>? = nil, usdPerHour: Double? = nil) {
        self.basis = basis
        self.date = date
        self.usdPerHour = usdPerHour
    }
}

/// What the site adds to the wall power, where it is known better than by region.
public struct SiteOverrides: Sendable, Equatable {
    public var pue: Double?
    public var wueLitresPerKWh: Double?
    public var gramsCO2ePerKWh: Double?
}

/// Power figures that replace the catalogue's.
public struct PowerOverrides: Sendable, Equatable {
    /// Wall watts of a server that do not depend on its chips (host, fans at rest, NICs).
    public var hostWatts: Double?
    /// Wall watts added per watt of chip (fans, regulators, power supplies).
    public var wallPerChipWatt: Double?
    /// Wall watts of network switches per instance.
    public var networkWatts: Double?

    public init() {}

    /// These figures, and `other`'s where these have none.
    func or(_ other: PowerOverrides) -> PowerOverrides {
        var merged = self
        merged.hostWatts = hostWatts ?? other.hostWatts
        merged.wallPerChipWatt = wallPerChipWatt ?? other.wallPerChipWatt
        merged.networkWatts = networkWatts ?? other.networkWatts
        return merged
    }
}

/// A priority class. Classes are served strictly in the order in which they are listed, but for promotion.
public struct ClassSpecification: Sendable, Equatable {
    public var name: String
    /// Promises to its requests, for placement that looks at them.
    public var ttftSeconds: Double?
    public var tpotSeconds: Double?
    public var maxQueuedRequests: Int?
    /// A request that has waited this long is served before any class.
    public var promoteAfterSeconds: Double?
}

public struct TenantSpecification: Sendable, Equatable {
    public var name: String
    /// Share within a class, in whole units.
    public var weight: Int
    /// Class of its requests that name none.
    public var priorityClass: Located<String>?
    public var requestsPerMinute: Int?
    public var tokensPerMinute: Int?
    public var maxConcurrent: Int?
}

/// Bounds of the yard. A full yard refuses; it never grows.
public struct LimitSpecification: Sendable, Equatable {
    /// Requests, and tokens (prompt plus output), that may wait in the whole fleet.
    public var maxQueuedRequests: Int?
    public var maxQueuedTokens: Int?
    public var maxQueuedRequestsPerTenant: Int?
    /// Requests that a replica is given beyond the sequences that it runs at once.
    public var maxQueuedRequestsPerReplica: Int?
}
