//===----------------------------------------------------------------------===//
// What the dashboard shows, as JSON: the state now, and the last ten minutes.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Fleet
import Foundation
import Ledger

/// The dashboard's state at one instant. Figures that are not known are absent.
struct DashboardState: Encodable, Sendable {
    struct Node: Encodable, Sendable {
        var id: String
        var instance: String
        var state: String
        /// Running requests over slots of its replicas, 0...1.
        var occupancy: Double
        var running: Int
        var waiting: Int
    }

    struct SideState: Encodable, Sendable {
        var side: String
        var fleet: String
        var grade: String
        var priceBasis: String
        var now: Point?
        var nodes: [Node]
        var outputTokens: UInt64
        var finished: UInt64
        var refused: UInt64
        var usdPerHour: Double?
        var usdPerMillionOutputTokens: Double?
        var wallJoulesPerOutputToken: Double?
        var gramsPerMillionOutputTokens: Double?
    }

    struct Point: Encodable, Sendable {
        var tokensPerSecond: Double
        var requestsPerSecond: Double
        var waiting: Double
        var running: Double
        var ttftSeconds: Double?
        var tpotSeconds: Double?
        var chipWatts: Double
        var wallWatts: Double

        init(_ point: SidePoint) {
            tokensPerSecond = point.tokensPerSecond
            requestsPerSecond = point.requestsPerSecond
            waiting = point.waiting
            running = point.running
            ttftSeconds = point.ttftSeconds
            tpotSeconds = point.tpotSeconds
            chipWatts = point.chipWatts
            wallWatts = point.wallWatts
        }
    }

    struct HistoryPoint: Encodable, Sendable {
        var unixSeconds: Int64
        var sides: [Point]
    }

    var unixSeconds: Int64
    var model: String
    var modelledSeconds: Double
    var timeScale: String
    var sides: [SideState]

    init(view: MetricsView, sampler: Sampler) {
        let latest = sampler.latest
        unixSeconds = latest?.unixSeconds ?? view.startedSeconds
        model = view.modelName
        modelledSeconds = Double(view.yards[0].clock.nowNanoseconds) * 1e-9
        timeScale = view.yards[0].clock.scale.description
        sides = view.yards.enumerated().map { index, yard in
            Self.side(yard, view: view, point: latest?.sides[index])
        }
    }

    private static func side(_ yard: LiveYard, view: MetricsView, point: SidePoint?) -> SideState {
        func total(_ counters: [OutcomeCounters.Counter]) -> UInt64 {
            yard.plan.pools.indices.reduce(0) { sum, pool in
                sum + counters.reduce(0) { $0 + view.sum(yard, pool, $1) }
            }
        }
        let settlement = yard.settlement()
        let tokens = total([.outputTokens])
        func perToken(_ amount: Double?, scale: Double) -> Double? {
            guard let amount, tokens > 0 else { return nil }
            return amount * scale / Double(tokens)
        }
        return SideState(
            side: yard.side == .fleet ? "fleet" : "baseline", fleet: yard.plan.name, grade: yard.plan.grade.rawValue,
            priceBasis: yard.plan.priceBasis, now: point.map(Point.init), nodes: nodes(yard), outputTokens: tokens,
            finished: total([.finishedByLength, .finishedByStop]), refused: total([.rejected]),
            usdPerHour: yard.account.microDollarsPerHour.map { Double($0) * 1e-6 },
            usdPerMillionOutputTokens: perToken(settlement.microDollars.map { Double($0) * 1e-6 }, scale: 1e6),
            wallJoulesPerOutputToken: perToken(settlement.wallJoules, scale: 1),
            gramsPerMillionOutputTokens: perToken(settlement.gramsCO2e, scale: 1e6))
    }

    private static func nodes(_ yard: LiveYard) -> [Node] {
        var replicas: [Int32: ReplicaView] = [:]
        for cell in yard.cells { for replica in cell.lastGauges.replicas { replicas[replica.number] = replica } }
        return FleetControl.nodes(of: yard).map { node in
            let views = node.replicas.compactMap { replicas[$0] }
            let pool = yard.plan.pools[node.pool]
            let running = views.reduce(0) { $0 + Int($1.runningRequests) }
            let slots = max(1, views.count * Int(pool.configuration.maxSequences))
            return Node(
                id: node.id, instance: pool.instance.id, state: FleetControl.state(views.map(\.phase)),
                occupancy: Double(running) / Double(slots), running: running,
                waiting: views.reduce(0) { $0 + Int($1.waitingRequests) })
        }
    }

    /// The state as one line of JSON.
    func line() -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }

    /// The last ten minutes as JSON.
    static func history(_ points: [Sampler.Point]) -> String {
        let history = points.map { HistoryPoint(unixSeconds: $0.unixSeconds, sides: $0.sides.map(Point.init)) }
        guard let data = try? JSONEncoder().encode(history) else { return "[]" }
        return String(decoding: data, as: UTF8.self) + "\n"
    }
}
