//===----------------------------------------------------------------------===//
// A fleet with everything looked up and compiled: what is run, priced and reported.
//===----------------------------------------------------------------------===//

public import Catalog
public import Engine
public import StepModel
public import Yard

/// One pool of a plan: identical replicas of one compiled deployment.
public struct PoolPlan: Sendable {
    public var name: String
    public var instance: Instance
    public var instances: Int
    public var compiled: CompiledDeployment
    public var configuration: ReplicaConfiguration
    /// Fleet-wide number of the first replica; the others follow.
    public var firstReplica: Int32
    /// Nil when the fleet has no price.
    public var microDollarsPerInstanceHour: Int64?
    public var power: PoolPower
    public var role = PoolRole.both
    /// One way, in and out of one replica, for KV that moves between pools; 0 where none does.
    public var transferBytesPerSecond: Int64 = 0

    public var replicas: Int {
        compiled.replicasPerInstance > 0
            ? instances * compiled.replicasPerInstance : instances / compiled.instancesPerReplica
    }
    public var chips: Int { instances * instance.acceleratorCount.value }
    /// Chips that no replica uses.
    public var spareChips: Double { Double(chips) - Double(replicas) * compiled.chipShare }

    /// "4 x trn2.48xlarge", and what runs on them.
    public var caption: [String] {
        let deployment = compiled.deployment
        let precision = deployment.precision?.rawValue ?? "as published"
        return [
            "\(instances) x \(instance.id)",
            "\(replicas) x \(deployment.model) \(precision) \(deployment.parallelism.label)",
            "\(deployment.stack.rawValue), \(compiled.maxSequences) seqs, \(compiled.maxModelTokens) tokens"
                + (role == .both ? "" : ", \(role.rawValue)"),
        ]
    }
}

/// Watts of one instance of a pool beyond its chips, and of one chip.
public struct PoolPower: Sendable, Equatable {
    public var idleChipWatts: Double
    public var maxChipWatts: Double
    /// Wall watts that do not depend on the chips.
    public var hostWatts: Double
    public var wallPerChipWatt: Double
    public var networkWatts: Double
}

/// What the region, or the fleet file in its place, says of the site. Nil where no source gives the figure.
public struct SitePlan: Sendable, Equatable {
    public var region: String?
    public var pue: Double?
    public var wueLitresPerKWh: Double?
    public var gramsCO2ePerKWh: Double?
    /// Of the three figures; a figure that the fleet file gives is assumed.
    public var pueGrade: Grade?
    public var wueGrade: Grade?
    public var carbonGrade: Grade?
}

/// A fleet ready to run.
public struct FleetPlan: Sendable {
    public var name: String
    public var pools: [PoolPlan]
    public var site: SitePlan
    /// Which price applies, in words: the same text on both sides of a comparison means the same basis.
    public var priceBasis: String
    public var placement: PlacementChoice
    public var waitingRoom: WaitingRoomRules
    public var replicaQueueLimit: Int32
    public var classes: [ClassSpecification]
    public var tenants: [TenantSpecification]
    /// Cells that the file asks for; nil lets the number follow from the replicas.
    public var requestedCells: Int?
    /// The weakest grade among the figures that the plan rests on.
    public var grade: Grade
    public var assumptions: [String]
    /// How KV moves between prefill and decode pools; nil when every pool does both.
    public var transfer: KVTransferRules?

    public var replicas: Int { pools.reduce(0) { $0 + $1.replicas } }
    public var instances: Int { pools.reduce(0) { $0 + $1.instances } }
    public var chips: Int { pools.reduce(0) { $0 + $1.chips } }

    /// What the fleet is, for the head of a report.
    public var caption: [String] { pools.flatMap(\.caption) }

    /// Cells when the file names no number: one for every 512 replicas (a fleet of one cell is run exactly), so that
    /// the number follows from the fleet alone and a run does not depend on the machine it runs on.
    public var cells: Int {
        let most = pools.map(\.replicas).min() ?? 1
        return min(max(1, most), requestedCells ?? min(1024, (replicas + 511) / 512))
    }

    /// The same fleet with that many instances, dealt to the pools in their present proportion, at least one replica
    /// each.
    public func scaled(instances total: Int) -> FleetPlan {
        var plan = self
        let present = instances
        // What the pools after the present one need at least.
        var needed = pools.reduce(0) { $0 + $1.compiled.instancesPerReplica }
        var left = total
        var next: Int32 = 0
        for index in plan.pools.indices {
            let unit = plan.pools[index].compiled.instancesPerReplica
            needed -= unit
            let isLast = index == plan.pools.count - 1
            let share =
                isLast ? left : min(left - needed, (total * plan.pools[index].instances + present / 2) / present)
            let whole = max(unit, share / unit * unit)
            plan.pools[index].instances = whole
            plan.pools[index].firstReplica = next
            next += Int32(plan.pools[index].replicas)
            left -= whole
        }
        return plan
    }

    /// The pool of a replica.
    public func pool(ofReplica replica: Int32) -> Int {
        // Pools are few and in the order of their replicas.
        pools.lastIndex { $0.firstReplica <= replica } ?? 0
    }

    /// Configurations of the cells: each has an equal share of every pool, to within one replica.
    public func cellConfigurations(seed: UInt64) -> [CellConfiguration] {
        let count = cells
        return (0..<count).map { number in
            let pools = pools.map { pool in
                let from = pool.replicas * number / count
                let to = pool.replicas * (number + 1) / count
                var price = pool.microDollarsPerInstanceHour ?? 0
                if pool.compiled.replicasPerInstance > 0 {
                    price /= Int64(pool.compiled.replicasPerInstance)
                } else {
                    price *= Int64(pool.compiled.instancesPerReplica)
                }
                return CellPool(
                    name: pool.name, table: pool.compiled.table, replica: pool.configuration, replicas: to - from,
                    firstReplicaNumber: pool.firstReplica + Int32(from), microdollarsPerReplicaHour: price,
                    idleMilliwatts: Int64(
                        (pool.power.idleChipWatts * pool.compiled.chipShare * 1000).rounded()),
                    transferBytesPerSecond: pool.transferBytesPerSecond)
            }
            var configuration = CellConfiguration(pools: pools)
            configuration.number = number
            configuration.placement = placement
            configuration.transfer = transfer
            configuration.seed = seed
            configuration.replicaQueueLimit = replicaQueueLimit
            configuration.waitingRoom = share(of: waitingRoom, cells: count)
            return configuration
        }
    }

    /// Fleet-wide bounds dealt to the cells, rounded up so that none has a bound of zero.
    private func share(of rules: WaitingRoomRules, cells: Int) -> WaitingRoomRules {
        func dealt<Bound: FixedWidthInteger>(_ bound: Bound) -> Bound {
            bound == .max ? .max : (bound + Bound(cells) - 1) / Bound(cells)
        }
        var share = rules
        share.maxWaitingRequests = dealt(rules.maxWaitingRequests)
        share.maxWaitingTokens = dealt(rules.maxWaitingTokens)
        share.maxWaitingRequestsPerTenant = dealt(rules.maxWaitingRequestsPerTenant)
        for index in share.classes.indices {
            share.classes[index].maxWaitingRequests = dealt(rules.classes[index].maxWaitingRequests)
        }
        return share
    }
}
