//===----------------------------------------------------------------------===//
// From a fleet's plan to its account.
//===----------------------------------------------------------------------===//

public import Fleet
public import Ledger
import StepModel

extension FleetAccount {
    /// The fixed side of a plan's books.
    public init(_ plan: FleetPlan) {
        self.init(
            fleet: plan.name, pools: plan.pools.map(PoolAccount.init),
            site: SiteAccount(
                region: plan.site.region, pue: plan.site.pue, wueLitresPerKWh: plan.site.wueLitresPerKWh,
                gramsCO2ePerKWh: plan.site.gramsCO2ePerKWh, pueGrade: plan.site.pueGrade,
                wueGrade: plan.site.wueGrade, carbonGrade: plan.site.carbonGrade),
            priceBasis: plan.priceBasis, grade: plan.grade, assumptions: plan.assumptions, bands: ModelBands(plan))
    }
}

extension ModelBands {
    /// The widest band of any pool. Energy also spans what the sources on chip power allow.
    init(_ plan: FleetPlan) {
        func widest(_ quantity: Uncertainty.Quantity) -> ClosedRange<Double> {
            let bands = plan.pools.map { pool in
                let band = pool.compiled.uncertainty.band(quantity)
                let chips = quantity == .energy ? pool.compiled.power.chipWattsRange : 1...1
                return (band.lowerBound * chips.lowerBound)...(band.upperBound * chips.upperBound)
            }
            return (bands.map(\.lowerBound).min() ?? 1)...(bands.map(\.upperBound).max() ?? 1)
        }
        self.init(
            ttft: widest(.ttft), tpot: widest(.tpot), throughput: widest(.throughput), cost: widest(.cost),
            energy: widest(.energy))
    }
}

extension PoolAccount {
    public init(_ pool: PoolPlan) {
        func milliwatts(_ watts: Double) -> Int64 { Int64((watts * 1000).rounded()) }
        let replicaChips = pool.compiled.chipShare
        self.init(
            name: pool.name, instances: Int64(pool.instances), replicas: Int64(pool.replicas),
            microDollarsPerInstanceHour: pool.microDollarsPerInstanceHour,
            replicaIdleMilliwatts: milliwatts(pool.power.idleChipWatts * replicaChips),
            replicaMaxMilliwatts: milliwatts(pool.power.maxChipWatts * replicaChips),
            spareMilliwatts: milliwatts(pool.power.idleChipWatts * max(0, pool.spareChips)),
            hostMilliwatts: milliwatts(pool.power.hostWatts), networkMilliwatts: milliwatts(pool.power.networkWatts),
            wallPerChipWattThousandths: Int64((pool.power.wallPerChipWatt * 1000).rounded()))
    }
}
