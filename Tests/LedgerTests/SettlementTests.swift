//===----------------------------------------------------------------------===//
// Energy and cost: bounds, additivity, known answers.
//===----------------------------------------------------------------------===//

import Catalog
import Testing

@testable import Ledger

/// Sixteen chips a server, two replicas of eight: 100 W idle, 500 W at most each.
private let server = PoolAccount(
    name: "pool", instances: 3, replicas: 6, microDollarsPerInstanceHour: 35_760_800, replicaIdleMilliwatts: 800_000,
    replicaMaxMilliwatts: 4_000_000, spareMilliwatts: 0, hostMilliwatts: 1_600_000, networkMilliwatts: 100_000,
    wallPerChipWattThousandths: 1130)

private func account(_ pools: [PoolAccount], pue: Double? = 1.13) -> FleetAccount {
    FleetAccount(
        fleet: "test", pools: pools, site: SiteAccount(pue: pue, wueLitresPerKWh: 0.1, gramsCO2ePerKWh: 400),
        priceBasis: "capacity-block", grade: .assumed, assumptions: [])
}

private let hour: Int64 = 3_600_000_000_000

@Suite struct SettlementTests {
    @Test func idleHourIsIdlePowerTimesTime() {
        let books = Settlement(account: account([server]), activities: [PoolActivity()], windowNanoseconds: hour)
        let chip = 6 * 800.0 * 3600
        #expect(abs(books.chipJoules - chip) < 1e-6)
        #expect(abs(books.wallJoules - (chip * 1.13 + 3 * 1700 * 3600)) < 1e-3)
        #expect(abs(books.facilityJoules! - books.wallJoules * 1.13) < 1e-3)
        #expect(books.idleFraction == 1)
        #expect(books.microDollars == Int128(3 * 35_760_800))
        #expect(abs(books.gramsCO2e! - books.facilityJoules! / 3.6e6 * 400) < 1e-9)
        #expect(abs(books.litresOfWater! - books.wallJoules / 3.6e6 * 0.1) < 1e-9)
    }

    @Test func energyLiesBetweenIdleAndMaximum() {
        let seed: UInt64 = 9
        var random = SplitMix(state: seed)
        for _ in 0..<500 {
            let window = Int64.random(in: 1...(24 * hour), using: &random)
            let busy = Int128(Int64.random(in: 0...window, using: &random)) * 1000 * 6
            // Anything between idle and maximum power while busy.
            let watts = Int128(Int64.random(in: 800...4000, using: &random))
            let activity = PoolActivity(busyPicoseconds: busy, activeNanojoules: busy * watts / 1000, steps: 1)
            let energy = PoolEnergy(pool: server, activity: activity, windowNanoseconds: window)
            let bounds = PoolEnergy.bounds(of: server, windowNanoseconds: window)
            // Integer division drops less than one nanojoule per term.
            #expect(
                energy.chipNanojoules >= bounds.lowerBound - 2 && energy.chipNanojoules <= bounds.upperBound + 2,
                "seed \(seed)")
            #expect(energy.wallNanojoules > energy.chipNanojoules)
        }
    }

    @Test func poolsAndPartsAddUpToTheFleet() {
        var other = server
        other.name = "other"
        other.instances = 2
        other.replicas = 2
        other.spareMilliwatts = 700_000
        other.microDollarsPerInstanceHour = 63_158_000
        let activities = [
            PoolActivity(busyPicoseconds: 5_000_000_000_000, activeNanojoules: 9_000_000_000_000, steps: 9),
            PoolActivity(busyPicoseconds: 1_000_000_000_000, activeNanojoules: 3_000_000_000_000, steps: 4),
        ]
        let window: Int64 = 17_000_000_000
        let both = Settlement(account: account([server, other]), activities: activities, windowNanoseconds: window)
        let first = Settlement(account: account([server]), activities: [activities[0]], windowNanoseconds: window)
        let second = Settlement(account: account([other]), activities: [activities[1]], windowNanoseconds: window)
        #expect(both.energies == first.energies + second.energies)
        #expect(both.microDollars == first.microDollars! + second.microDollars!)
        #expect(both.poolMicroDollars?.reduce(0, +) == both.microDollars)
        for energy in both.energies {
            let parts =
                energy.activeNanojoules + energy.idleNanojoules + energy.spareNanojoules + energy.conversionNanojoules
                + energy.hostNanojoules + energy.networkNanojoules
            #expect(parts == energy.wallNanojoules)
        }
        #expect(abs(both.chipJoules - first.chipJoules - second.chipJoules) < 1e-6)
    }

    @Test func missingFiguresStayMissing() {
        var unpriced = server
        unpriced.microDollarsPerInstanceHour = nil
        var account = account([unpriced], pue: nil)
        account.site.wueLitresPerKWh = nil
        let books = Settlement(account: account, activities: [PoolActivity()], windowNanoseconds: hour)
        #expect(
            books.microDollars == nil && books.facilityJoules == nil && books.gramsCO2e == nil
                && books.litresOfWater == nil)
        #expect(account.microDollarsPerHour == nil)
        #expect(books.wallJoules > 0)
    }

    @Test func aReplicaBusyForLongerThanTheWindowIsRefused() async {
        await #expect(processExitsWith: .failure) {
            let pool = PoolAccount(
                name: "pool", instances: 1, replicas: 1, microDollarsPerInstanceHour: nil, replicaIdleMilliwatts: 1,
                replicaMaxMilliwatts: 2, spareMilliwatts: 0, hostMilliwatts: 0, networkMilliwatts: 0,
                wallPerChipWattThousandths: 1000)
            _ = PoolEnergy(
                pool: pool, activity: PoolActivity(busyPicoseconds: 2001, activeNanojoules: 0), windowNanoseconds: 1)
        }
    }
}
