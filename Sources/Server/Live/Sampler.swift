//===----------------------------------------------------------------------===//
// A short history of both sides, for the dashboard and for power.
//===----------------------------------------------------------------------===//

import Fleet
import Ledger
import Synchronization

/// One second of one side.
struct SidePoint: Sendable, Equatable {
    var tokensPerSecond = 0.0
    var requestsPerSecond = 0.0
    var waiting = 0.0
    var running = 0.0
    /// Mean of the requests that ended in this second; nil when none did.
    var ttftSeconds: Double?
    var tpotSeconds: Double?
    var chipWatts = 0.0
    var wallWatts = 0.0
    /// By `EnergyComponent`, in its order.
    var componentWatts = [Double](repeating: 0, count: EnergyComponent.allCases.count)
}

/// Where the energy of a pool goes; the parts add up to what it draws from the wall.
enum EnergyComponent: String, CaseIterable, Sendable {
    case chipActive = "chip_active"
    case chipIdle = "chip_idle"
    case chipSpare = "chip_spare"
    case conversion, host, network

    func nanojoules(of energy: PoolEnergy) -> Int128 {
        switch self {
        case .chipActive: energy.activeNanojoules
        case .chipIdle: energy.idleNanojoules
        case .chipSpare: energy.spareNanojoules
        case .conversion: energy.conversionNanojoules
        case .host: energy.hostNanojoules
        case .network: energy.networkNanojoules
        }
    }
}

/// Samples both sides once a second and keeps the last ten minutes.
final class Sampler: Sendable {
    static let capacity = 600

    struct Point: Sendable, Equatable {
        var unixSeconds: Int64
        var sides: [SidePoint]
    }

    /// Totals of one side at the last sample.
    private struct Totals: Sendable {
        var tokens: UInt64 = 0
        var requests: UInt64 = 0
        var ttft = (count: UInt64(0), sum: 0.0)
        var tpot = (count: UInt64(0), sum: 0.0)
        var chipJoules = 0.0
        var wallJoules = 0.0
        var componentJoules: [Double] = []
        var modelledNanoseconds: Int64 = 0
    }

    private struct State: Sendable {
        var last: [Totals] = []
        var points: [Point] = []
    }

    private let view: MetricsView
    private let state = Mutex(State())

    init(view: MetricsView) { self.view = view }

    var points: [Point] { state.withLock { $0.points } }
    var latest: Point? { state.withLock { $0.points.last } }

    /// Takes one sample. Rates are per modelled second, so that they do not depend on the time scale.
    func sample(unixSeconds: Int64) {
        let totals = view.yards.map(totals)
        let gauges = view.yards.map { yard in yard.gauges.reduce(PoolGauges()) { $0 + $1 } }
        let rooms = view.yards.map { yard in yard.cells.reduce(0) { $0 + $1.lastGauges.roomRequests } }
        state.withLock { state in
            if state.points.last?.unixSeconds == unixSeconds { return }
            defer { state.last = totals }
            guard state.last.count == totals.count else { return }
            let sides = totals.indices.map { index in
                var point = Self.point(from: state.last[index], to: totals[index])
                point.waiting = Double(gauges[index].waitingRequests + rooms[index])
                point.running = Double(gauges[index].runningRequests)
                return point
            }
            if state.points.count == Self.capacity { state.points.removeFirst() }
            state.points.append(Point(unixSeconds: unixSeconds, sides: sides))
        }
    }

    private static func point(from last: Totals, to now: Totals) -> SidePoint {
        var point = SidePoint()
        let seconds = Double(now.modelledNanoseconds - last.modelledNanoseconds) * 1e-9
        if seconds > 0 {
            point.tokensPerSecond = Double(now.tokens - last.tokens) / seconds
            point.requestsPerSecond = Double(now.requests - last.requests) / seconds
            point.chipWatts = max(0, (now.chipJoules - last.chipJoules) / seconds)
            point.wallWatts = max(0, (now.wallJoules - last.wallJoules) / seconds)
            point.componentWatts = zip(last.componentJoules, now.componentJoules).map { max(0, ($1 - $0) / seconds) }
        }
        if now.ttft.count > last.ttft.count {
            point.ttftSeconds = (now.ttft.sum - last.ttft.sum) / Double(now.ttft.count - last.ttft.count)
        }
        if now.tpot.count > last.tpot.count {
            point.tpotSeconds = (now.tpot.sum - last.tpot.sum) / Double(now.tpot.count - last.tpot.count)
        }
        return point
    }

    private func totals(_ yard: LiveYard) -> Totals {
        var totals = Totals()
        totals.modelledNanoseconds = yard.clock.nowNanoseconds
        for pool in yard.plan.pools.indices {
            totals.tokens += view.sum(yard, pool, .outputTokens)
            totals.requests += view.sum(yard, pool, .finishedByLength) + view.sum(yard, pool, .finishedByStop)
            for counters in view.counters {
                let outcomes = counters.outcomes[yard.side.rawValue][pool]
                let ttft = outcomes.timeToFirstToken.read()
                totals.ttft.count += ttft.counts.reduce(0, +)
                totals.ttft.sum += ttft.sum
                let tpot = outcomes.timePerOutputToken.read()
                totals.tpot.count += tpot.counts.reduce(0, +)
                totals.tpot.sum += tpot.sum
            }
        }
        let settlement = yard.settlement()
        totals.chipJoules = settlement.chipJoules
        totals.wallJoules = settlement.wallJoules
        totals.componentJoules = EnergyComponent.allCases.map { component in
            Double(settlement.energies.reduce(0) { $0 + component.nanojoules(of: $1) }) * 1e-9
        }
        return totals
    }
}
