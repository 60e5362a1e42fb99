//===----------------------------------------------------------------------===//
// Cost, energy, carbon and water of a window of time.
//===----------------------------------------------------------------------===//

/// Energy of one pool over a window, in nanojoules.
///
/// `wall = chip × slope + host + network`, the server model of MLPerf's wall measurements (a base plus 1.12 to 1.135
/// watts per
/// chip watt); `facility = wall × PUE`.
public struct PoolEnergy: Sendable, Equatable {
    /// Chips while a step runs, while none runs, and chips that no replica uses.
    public var activeNanojoules: Int128
    public var idleNanojoules: Int128
    public var spareNanojoules: Int128
    /// What the server adds per chip joule (fans, regulators, power supplies), and whatever its chips do.
    public var conversionNanojoules: Int128
    public var hostNanojoules: Int128
    public var networkNanojoules: Int128

    public var chipNanojoules: Int128 { activeNanojoules + idleNanojoules + spareNanojoules }
    public var wallNanojoules: Int128 { chipNanojoules + conversionNanojoules + hostNanojoules + networkNanojoules }

    /// - Precondition: the replicas were not busy for longer than the window, but for the nanosecond that times are
    ///   rounded down to.
    public init(pool: PoolAccount, activity: PoolActivity, windowNanoseconds: Int64) {
        let window = Int128(windowNanoseconds)
        let replicaTime = window * 1000 * Int128(pool.replicas)
        precondition(
            activity.busyPicoseconds <= replicaTime + 1000 * Int128(pool.replicas),
            "pool \(pool.name): \(activity.busyPicoseconds) ps busy in a window of \(replicaTime) ps over all replicas")
        activeNanojoules = activity.activeNanojoules
        // 1 mW × 1 ps = 10⁻¹⁵ J = 10⁻⁶ nJ; 1 mW × 1 ns = 10⁻³ nJ.
        idleNanojoules = max(0, replicaTime - activity.busyPicoseconds) * Int128(pool.replicaIdleMilliwatts) / 1_000_000
        spareNanojoules = window * Int128(pool.spareMilliwatts) / 1000
        hostNanojoules = window * Int128(pool.hostMilliwatts) * Int128(pool.instances) / 1000
        networkNanojoules = window * Int128(pool.networkMilliwatts) * Int128(pool.instances) / 1000
        let chip = activeNanojoules + idleNanojoules + spareNanojoules
        conversionNanojoules = chip * Int128(pool.wallPerChipWattThousandths - 1000) / 1000
    }

    /// What the chips would have drawn had nothing run, and had every replica run at its limit: the energy lies
    /// between.
    public static func bounds(of pool: PoolAccount, windowNanoseconds: Int64) -> ClosedRange<Int128> {
        let window = Int128(windowNanoseconds)
        let spare = window * Int128(pool.spareMilliwatts) / 1000
        let replicas = window * Int128(pool.replicas)
        return
            (replicas * Int128(pool.replicaIdleMilliwatts) / 1000 + spare)...(replicas
            * Int128(pool.replicaMaxMilliwatts)
            / 1000 + spare)
    }
}

/// The books of one fleet over one window: from time 0 to its end.
public struct Settlement: Sendable, Equatable {
    public var windowNanoseconds: Int64
    public var energies: [PoolEnergy]
    /// Nil when the fleet has no price.
    public var microDollars: Int128?
    /// Per pool; nil when the fleet has no price.
    public var poolMicroDollars: [Int128]?
    public var site: SiteAccount

    /// - Parameter activities: one for each pool of the account, in its order.
    public init(account: FleetAccount, activities: [PoolActivity], windowNanoseconds: Int64) {
        precondition(activities.count == account.pools.count && windowNanoseconds >= 0)
        self.windowNanoseconds = windowNanoseconds
        self.site = account.site
        energies = zip(account.pools, activities).map {
            PoolEnergy(pool: $0, activity: $1, windowNanoseconds: windowNanoseconds)
        }
        let hourNanoseconds: Int128 = 3_600_000_000_000
        var costs: [Int128]? = []
        for pool in account.pools {
            guard let price = pool.microDollarsPerInstanceHour else {
                costs = nil
                break
            }
            costs?.append(Int128(price) * Int128(pool.instances) * Int128(windowNanoseconds) / hourNanoseconds)
        }
        poolMicroDollars = costs
        microDollars = costs?.reduce(0, +)
    }

    public var chipJoules: Double { Double(energies.reduce(0) { $0 + $1.chipNanojoules }) / 1e9 }
    public var wallJoules: Double { Double(energies.reduce(0) { $0 + $1.wallNanojoules }) / 1e9 }
    /// Nil when the site's PUE is not known.
    public var facilityJoules: Double? { site.pue.map { $0 * wallJoules } }
    /// Share of the chips' energy that was drawn while no step ran on them.
    public var idleFraction: Double {
        let idle = energies.reduce(Int128(0)) { $0 + $1.idleNanojoules + $1.spareNanojoules }
        return chipJoules > 0 ? Double(idle) / 1e9 / chipJoules : 0
    }
    /// Operational emissions: energy at the meter times the grid's intensity. What it took to make the hardware is
    /// not in it.
    public var gramsCO2e: Double? {
        guard let facilityJoules, let intensity = site.gramsCO2ePerKWh else { return nil }
        return facilityJoules / 3.6e6 * intensity
    }
    /// Water used on the site. WUE is defined per kWh of IT energy, which is the wall's.
    public var litresOfWater: Double? { site.wueLitresPerKWh.map { wallJoules / 3.6e6 * $0 } }
}
