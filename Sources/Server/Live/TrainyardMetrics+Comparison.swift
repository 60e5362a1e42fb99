//===----------------------------------------------------------------------===//
// The trainyard_ families that are worked out of others: shares, power, fleet against baseline, rings, the process.
//===----------------------------------------------------------------------===//

import Engine
import Fleet
import Ledger
import Yard

extension MetricsView {
    /// Shares between 0 and 1, each of what the replicas of a pool hold or did.
    func writeShares(_ page: inout Exposition) {
        let families: [(String, String, (PoolGauges, Double) -> Double)] = [
            (
                "trainyard_batch_occupancy_ratio", "Running requests over the slots of the pool's batches.",
                { $1 > 0 ? Double($0.runningRequests) / $1 : 0 }
            ),
            (
                "trainyard_kv_usage_ratio", "KV blocks in use over all.",
                { pool, _ in
                    pool.totalKVBlocks > 0 ? Double(pool.usedKVBlocks) / Double(pool.totalKVBlocks) : 0
                }
            ),
            (
                "trainyard_padding_waste_ratio", "Padding over all tokens that steps computed, since the start.",
                { pool, _ in
                    let all = pool.usage.realTokens + pool.usage.paddedTokens
                    return all > 0 ? Double(pool.usage.paddedTokens) / Double(all) : 0
                }
            ),
            (
                "trainyard_prefix_hit_ratio", "Prompt tokens found in prefix caches over those looked up.",
                { pool, _ in
                    let asked = pool.usage.prefixQueryTokens
                    return asked > 0 ? Double(pool.usage.prefixHitTokens) / Double(asked) : 0
                }
            ),
        ]
        let gauges = yards.map(\.gauges)
        for (name, help, pick) in families {
            page.family(name, .gauge, help: help)
            for (yard, pools) in zip(yards, gauges) {
                for pool in pools.indices {
                    let slots = Double(pools[pool].replicas) * Double(yard.plan.pools[pool].configuration.maxSequences)
                    page.sample(labels(yard, pool), pick(pools[pool], slots))
                }
            }
        }
    }

    /// Mean power over the last second.
    func writePower(_ page: inout Exposition) {
        guard let sides = latest?()?.sides, sides.count == yards.count else { return }
        page.family(
            "trainyard_boundary_power_watts", .gauge,
            help: "Modelled power up to a boundary (chip, wall, facility), mean of the last second.")
        for (yard, point) in zip(yards, sides) {
            let side: Labels = [("side", Self.name(yard.side)), ("fleet", yard.plan.name)]
            page.sample(side + [("boundary", "chip")], point.chipWatts)
            page.sample(side + [("boundary", "wall")], point.wallWatts)
            if let pue = yard.account.site.pue { page.sample(side + [("boundary", "facility")], pue * point.wallWatts) }
        }
        page.family(
            "trainyard_power_watts", .gauge,
            help: "Modelled power by component, mean of the last second; the components add up to the wall.")
        for (yard, point) in zip(yards, sides) {
            for (component, watts) in zip(EnergyComponent.allCases, point.componentWatts) {
                page.sample(
                    [
                        ("side", Self.name(yard.side)), ("fleet", yard.plan.name), ("component", component.rawValue),
                    ], watts)
            }
        }
    }

    /// Fleet over baseline, since the start; below 1 the fleet needs less. A figure that either side lacks is left out.
    func writeRatios(_ page: inout Exposition) {
        guard yards.count == 2 else { return }
        let figures = yards.map(perToken)
        page.family(
            "trainyard_fleet_to_baseline_ratio", .gauge,
            help: "The fleet's figure over the baseline's, since the start; below 1 the fleet needs less.")
        for (index, name) in Self.ratioNames.enumerated() {
            if let fleet = figures[0][index], let baseline = figures[1][index], baseline > 0 {
                page.sample([("figure", name)], fleet / baseline)
            }
        }
    }

    private static let ratioNames = [
        "dollars_per_output_token", "wall_joules_per_output_token", "grams_co2e_per_output_token",
        "mean_time_to_first_token", "mean_time_per_output_token",
    ]

    private func perToken(_ yard: LiveYard) -> [Double?] {
        let pools = yard.plan.pools.indices
        let tokens = Double(pools.reduce(UInt64(0)) { $0 + sum(yard, $1, .outputTokens) })
        let settlement = yard.settlement()
        func mean(_ pick: (OutcomeCounters) -> HistogramShard) -> Double? {
            let (counts, total) = merged(pools.flatMap { outcomes(yard, $0).map(pick) })
            let count = counts.reduce(0, +)
            return count > 0 ? total / Double(count) : nil
        }
        guard tokens > 0 else { return Self.ratioNames.map { _ in nil } }
        return [
            settlement.microDollars.map { Double($0) * 1e-6 / tokens }, settlement.wallJoules / tokens,
            settlement.gramsCO2e.map { $0 / tokens }, mean { $0.timeToFirstToken }, mean { $0.timePerOutputToken },
        ]
    }

    /// What lies between event loops and cells.
    func writeRings(_ page: inout Exposition) {
        let families: [(String, String, (LiveYard) -> (inbox: Int, outbox: Int))] = [
            ("trainyard_ring_depth", "Messages in the rings between event loops and cells.", { $0.mesh.ringDepths }),
            ("trainyard_ring_capacity", "Messages that fit into those rings.", { $0.mesh.ringCapacities }),
        ]
        for (name, help, pick) in families {
            page.family(name, .gauge, help: help)
            for yard in yards {
                let (inbox, outbox) = pick(yard)
                let side: Labels = [("side", Self.name(yard.side))]
                page.sample(side + [("direction", "to_cells")], Double(inbox))
                page.sample(side + [("direction", "to_front_ends")], Double(outbox))
            }
        }
    }

    /// What every Prometheus client shows of its process.
    func writeProcess(_ page: inout Exposition) {
        let effort = ProcessEffort.now(startedSeconds: startedSeconds)
        page.family("process_cpu_seconds_total", .counter, help: "Total user and system CPU time spent in seconds.")
        page.sample([], effort.cpuSeconds)
        page.family("process_resident_memory_bytes", .gauge, help: "Resident memory size in bytes.")
        page.sample([], ProcessEffort.residentBytes)
        page.family(
            "process_start_time_seconds", .gauge, help: "Start time of the process since unix epoch in seconds.")
        page.sample([], Double(startedSeconds))
    }
}
