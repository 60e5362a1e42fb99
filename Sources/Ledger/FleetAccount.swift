//===----------------------------------------------------------------------===//
// What a fleet costs and draws while it stands there: the fixed side of the books.
//===----------------------------------------------------------------------===//

public import Catalog

/// Price and power of one pool, in integers so that parts add up to the whole.
public struct PoolAccount: Sendable, Equatable {
    public var name: String
    public var instances: Int64
    public var replicas: Int64
    /// Micro-dollars for one instance and hour; nil when the fleet has no price.
    public var microDollarsPerInstanceHour: Int64?
    /// Milliwatts of all chips of one replica: no step running, and at their limit.
    public var replicaIdleMilliwatts: Int64
    public var replicaMaxMilliwatts: Int64
    /// Milliwatts of the chips of the whole pool that no replica uses; they idle.
    public var spareMilliwatts: Int64
    /// Wall milliwatts of one instance that do not depend on its chips, and of its share of the network.
    public var hostMilliwatts: Int64
    public var networkMilliwatts: Int64
    /// Wall watts per watt of chip, in thousandths (fans, regulators, power supplies).
    public var wallPerChipWattThousandths: Int64

    public init(
        name: String, instances: Int64, replicas: Int64, microDollarsPerInstanceHour: Int64?,
        replicaIdleMilliwatts: Int64,
        replicaMaxMilliwatts: Int64, spareMilliwatts: Int64, hostMilliwatts: Int64, networkMilliwatts: Int64,
        wallPerChipWattThousandths: Int64
    ) {
        precondition(instances > 0 && replicas > 0 && replicaIdleMilliwatts >= 0 && spareMilliwatts >= 0)
        precondition(replicaIdleMilliwatts <= replicaMaxMilliwatts, "an idle chip draws more than a busy one")
        self.name = name
        self.instances = instances
        self.replicas = replicas
        self.microDollarsPerInstanceHour = microDollarsPerInstanceHour
        self.replicaIdleMilliwatts = replicaIdleMilliwatts
        self.replicaMaxMilliwatts = replicaMaxMilliwatts
        self.spareMilliwatts = spareMilliwatts
        self.hostMilliwatts = hostMilliwatts
        self.networkMilliwatts = networkMilliwatts
        self.wallPerChipWattThousandths = wallPerChipWattThousandths
    }
}

/// What the site adds to the wall power. A figure that no source gives is nil, and what rests on it is not reported.
public struct SiteAccount: Sendable, Equatable {
    /// Where it is, in the catalogue's words.
    public var region: String?
    /// Facility watts per wall watt.
    public var pue: Double?
    /// Litres of water per kWh at the wall.
    public var wueLitresPerKWh: Double?
    /// Grams of CO2e per kWh at the meter.
    public var gramsCO2ePerKWh: Double?
    /// How good the three figures are.
    public var pueGrade: Grade?
    public var wueGrade: Grade?
    public var carbonGrade: Grade?

    public init(
        region: String? = nil, pue: Double?, wueLitresPerKWh: Double?, gramsCO2ePerKWh: Double?,
        pueGrade: Grade? = nil, wueGrade: Grade? = nil, carbonGrade: Grade? = nil
    ) {
        self.region = region
        self.pueGrade = pueGrade
        self.wueGrade = wueGrade
        self.carbonGrade = carbonGrade
        self.pue = pue
        self.wueLitresPerKWh = wueLitresPerKWh
        self.gramsCO2ePerKWh = gramsCO2ePerKWh
    }
}

/// How far the model can be off: factors on a reported figure between which eight in ten outcomes lie (10th to 90th
/// percentile), from propagating the errors of the calibration. It says nothing about prices and nothing about the
/// workload.
public struct ModelBands: Codable, Sendable, Equatable {
    /// Low factor, then high factor.
    public var ttft: [Double]
    public var tpot: [Double]
    public var throughput: [Double]
    public var cost: [Double]
    public var energy: [Double]

    public init(
        ttft: ClosedRange<Double>, tpot: ClosedRange<Double>, throughput: ClosedRange<Double>,
        cost: ClosedRange<Double>,
        energy: ClosedRange<Double>
    ) {
        func pair(_ range: ClosedRange<Double>) -> [Double] { [range.lowerBound, range.upperBound] }
        self.ttft = pair(ttft)
        self.tpot = pair(tpot)
        self.throughput = pair(throughput)
        self.cost = pair(cost)
        self.energy = pair(energy)
    }
}

/// Everything that a report needs to know of a fleet besides what happened on it.
public struct FleetAccount: Sendable, Equatable {
    public var fleet: String
    public var pools: [PoolAccount]
    public var site: SiteAccount
    /// "capacity-block 2026-10-03", "usd_per_hour of the fleet file", or why there is none.
    public var priceBasis: String
    public var grade: Grade
    public var assumptions: [String]
    /// Nil when nothing was calibrated.
    public var bands: ModelBands?

    public init(
        fleet: String, pools: [PoolAccount], site: SiteAccount, priceBasis: String, grade: Grade, assumptions: [String],
        bands: ModelBands? = nil
    ) {
        self.fleet = fleet
        self.pools = pools
        self.site = site
        self.priceBasis = priceBasis
        self.grade = grade
        self.assumptions = assumptions
        self.bands = bands
    }

    /// Micro-dollars per hour of the whole fleet; nil when a pool has no price.
    public var microDollarsPerHour: Int64? {
        var total: Int64 = 0
        for pool in pools {
            guard let price = pool.microDollarsPerInstanceHour else { return nil }
            total += price * pool.instances
        }
        return total
    }
}

/// What the replicas of one pool did, summed over them.
public struct PoolActivity: Sendable, Equatable {
    /// Time in steps, and energy of the chips during it.
    public var busyPicoseconds: Int128
    public var activeNanojoules: Int128
    public var steps: Int64

    public init(busyPicoseconds: Int128 = 0, activeNanojoules: Int128 = 0, steps: Int64 = 0) {
        self.busyPicoseconds = busyPicoseconds
        self.activeNanojoules = activeNanojoules
        self.steps = steps
    }

    public mutating func merge(_ other: PoolActivity) {
        busyPicoseconds += other.busyPicoseconds
        activeNanojoules += other.activeNanojoules
        steps += other.steps
    }
}
