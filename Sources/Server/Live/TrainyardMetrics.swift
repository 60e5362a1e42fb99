//===----------------------------------------------------------------------===//
// The trainyard_ family: fleet and baseline, cost and energy, and the daemon itself. Clean under `promtool check
// metrics`.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Fleet
import Ledger
import NIOCore

/// Reads every figure that scrapes show. All of it is published by its writers; nothing here stops them.
struct MetricsView: Sendable {
    let yards: [LiveYard]
    let counters: [LoopCounters]
    let connections: ConnectionCount
    let version: String
    let startedSeconds: Int64
    let modelName: String
    /// The last second of both sides, which power is read from.
    var latest: (@Sendable () -> Sampler.Point?)?
    /// More families, of parts that not every daemon has.
    var extra: (@Sendable (inout Exposition) -> Void)?

    /// The admin listener's page.
    func trainyard(_ format: ExpositionFormat) -> ByteBuffer {
        var page = Exposition(format: format)
        writeBuild(&page)
        writeRequests(&page)
        writeLatencies(&page)
        writeGauges(&page)
        writeUsage(&page)
        writeShares(&page)
        writeBooks(&page)
        writePower(&page)
        writeRatios(&page)
        writeEmulator(&page)
        writeRings(&page)
        writeProcess(&page)
        extra?(&page)
        return page.finish()
    }

    // MARK: Reading

    static func name(_ side: Side) -> String { side == .fleet ? "fleet" : "baseline" }

    func labels(_ yard: LiveYard, _ pool: Int) -> Labels {
        [("side", Self.name(yard.side)), ("fleet", yard.plan.name), ("pool", yard.plan.pools[pool].name)]
    }

    func outcomes(_ yard: LiveYard, _ pool: Int) -> [OutcomeCounters] {
        counters.map { $0.outcomes[yard.side.rawValue][pool] }
    }

    func sum(_ yard: LiveYard, _ pool: Int, _ counter: OutcomeCounters.Counter) -> UInt64 {
        outcomes(yard, pool).reduce(0) { $0 + $1.read(counter) }
    }

    func sum(_ counter: LoopCounters.Counter) -> UInt64 { counters.reduce(0) { $0 + $1.read(counter) } }

    private func forEachPool(_ body: (LiveYard, Int) -> Void) {
        for yard in yards { for pool in yard.plan.pools.indices { body(yard, pool) } }
    }

    // MARK: Families

    private func writeBuild(_ page: inout Exposition) {
        page.family("trainyard_build_info", .gauge, help: "1, labelled with the version.")
        page.sample([("version", version)], 1)
        page.family("trainyard_start_time_seconds", .gauge, help: "Unix time at which the daemon started.")
        page.sample([], Double(startedSeconds))
        page.family("trainyard_modelled_time_seconds", .gauge, help: "Modelled time since the start.")
        for yard in yards { page.sample([("side", Self.name(yard.side))], Double(yard.clock.nowNanoseconds) * 1e-9) }
    }

    private func writeRequests(_ page: inout Exposition) {
        page.family("trainyard_requests_total", .counter, help: "Requests that ended, by outcome.")
        let kinds: [(OutcomeCounters.Counter, String)] = [
            (.finishedByLength, "length"), (.finishedByStop, "stop"), (.cancelled, "cancelled"), (.failed, "failed"),
            (.rejected, "rejected"),
        ]
        forEachPool { yard, pool in
            for (counter, name) in kinds {
                page.sample(labels(yard, pool) + [("outcome", name)], count: sum(yard, pool, counter))
            }
        }
        page.family(
            "trainyard_tokens_total", .counter,
            help: "Tokens of requests that ended: prompt, of these found in the prefix cache, output.")
        let tokens: [(OutcomeCounters.Counter, String)] = [
            (.promptTokens, "prompt"), (.cachedPromptTokens, "cached_prompt"), (.outputTokens, "output"),
        ]
        forEachPool { yard, pool in
            for (counter, name) in tokens {
                page.sample(labels(yard, pool) + [("kind", name)], count: sum(yard, pool, counter))
            }
        }
        page.family("trainyard_preemptions_total", .counter, help: "Preemptions of requests that ended.")
        forEachPool { yard, pool in page.sample(labels(yard, pool), count: sum(yard, pool, .preemptions)) }
    }

    private func writeLatencies(_ page: inout Exposition) {
        typealias Shelf = (OutcomeCounters) -> ExemplarShelf
        let families: [(String, String, (OutcomeCounters) -> HistogramShard, Shelf?)] = [
            (
                "trainyard_time_to_first_token_seconds", "Modelled time from arrival to the first token.",
                { $0.timeToFirstToken }, { $0.timeToFirstTokenExemplars }
            ),
            (
                "trainyard_time_per_output_token_seconds", "Modelled mean gap between tokens of one request.",
                { $0.timePerOutputToken }, nil
            ),
            (
                "trainyard_request_duration_seconds", "Modelled time from arrival to the last token.",
                { $0.endToEnd }, { $0.endToEndExemplars }
            ),
            ("trainyard_queue_time_seconds", "Modelled time from arrival to the first step.", { $0.queue }, nil),
        ]
        for (name, help, pick, shelf) in families {
            page.family(name, .histogram, help: help)
            forEachPool { yard, pool in
                let shards = outcomes(yard, pool).map(pick)
                let (counts, total) = merged(shards)
                let exemplars = shelf.map { shelf in ExemplarShelf.latest(outcomes(yard, pool).map(shelf)) } ?? []
                page.histogram(
                    labels(yard, pool), bounds: shards[0].bounds, counts: counts, sum: total, exemplars: exemplars)
            }
        }
    }

    private func writeGauges(_ page: inout Exposition) {
        let gauges = yards.map(\.gauges)
        let families: [(String, String, (PoolGauges) -> Double)] = [
            ("trainyard_requests_waiting", "Requests that wait in replicas.", { Double($0.waitingRequests) }),
            ("trainyard_requests_running", "Requests that run.", { Double($0.runningRequests) }),
            ("trainyard_kv_blocks", "KV blocks of all replicas.", { Double($0.totalKVBlocks) }),
            ("trainyard_kv_blocks_used", "KV blocks in use.", { Double($0.usedKVBlocks) }),
            ("trainyard_replicas", "Replicas.", { Double($0.replicas) }),
            ("trainyard_replicas_accepting", "Replicas that take requests.", { Double($0.acceptingReplicas) }),
            ("trainyard_replicas_busy", "Replicas that run at least one request.", { Double($0.busyReplicas) }),
        ]
        for (name, help, pick) in families {
            page.family(name, .gauge, help: help)
            for (yard, pools) in zip(yards, gauges) {
                for pool in pools.indices { page.sample(labels(yard, pool), pick(pools[pool])) }
            }
        }
        page.family("trainyard_room_requests", .gauge, help: "Requests that wait in front of the replicas.")
        for yard in yards {
            page.sample(
                [("side", Self.name(yard.side))], Double(yard.cells.reduce(0) { $0 + $1.lastGauges.roomRequests }))
        }
    }

    private func writeUsage(_ page: inout Exposition) {
        let gauges = yards.map(\.gauges)
        let families: [(String, String, (ReplicaUsage) -> Double)] = [
            ("trainyard_steps_total", "Steps of replicas.", { Double($0.steps) }),
            (
                "trainyard_busy_seconds_total", "Modelled time in steps, over replicas.",
                { Double($0.busyPicoseconds) * 1e-12 }
            ),
            ("trainyard_computed_tokens_total", "Tokens that steps computed for sequences.", { Double($0.realTokens) }),
            (
                "trainyard_padding_tokens_total", "Tokens that static shapes added to steps.",
                { Double($0.paddedTokens) }
            ),
            (
                "trainyard_prefix_query_tokens_total", "Prompt tokens looked up in prefix caches.",
                { Double($0.prefixQueryTokens) }
            ),
            (
                "trainyard_prefix_hit_tokens_total", "Prompt tokens found in prefix caches.",
                { Double($0.prefixHitTokens) }
            ),
        ]
        for (name, help, pick) in families {
            page.family(name, .counter, help: help)
            for (yard, pools) in zip(yards, gauges) {
                for pool in pools.indices { page.sample(labels(yard, pool), pick(pools[pool].usage)) }
            }
        }
    }

    /// Energy by where it goes, and money, from the start to now.
    private func writeBooks(_ page: inout Exposition) {
        let settlements = yards.map { $0.settlement() }
        page.family(
            "trainyard_energy_joules_total", .counter,
            help: "Modelled energy by component; all but the chips' add up to the wall with them.")
        for (yard, settlement) in zip(yards, settlements) {
            for (pool, energy) in settlement.energies.enumerated() {
                for component in EnergyComponent.allCases {
                    page.sample(
                        labels(yard, pool) + [("component", component.rawValue)],
                        Double(component.nanojoules(of: energy)) * 1e-9)
                }
            }
        }
        writeBoundaries(&page, settlements)
        page.family("trainyard_cost_dollars_total", .counter, help: "Price of the instances from the start to now.")
        for (yard, settlement) in zip(yards, settlements) {
            guard let costs = settlement.poolMicroDollars else { continue }
            for (pool, cost) in costs.enumerated() { page.sample(labels(yard, pool), Double(cost) * 1e-6) }
        }
        page.family("trainyard_carbon_grams_total", .counter, help: "Operational emissions in grams of CO2 equivalent.")
        for (yard, settlement) in zip(yards, settlements) {
            if let grams = settlement.gramsCO2e {
                page.sample([("side", Self.name(yard.side)), ("fleet", yard.plan.name)], grams)
            }
        }
    }

    private func writeBoundaries(_ page: inout Exposition, _ settlements: [Settlement]) {
        page.family(
            "trainyard_boundary_energy_joules_total", .counter,
            help: "Modelled energy up to a boundary: chip, wall, facility.")
        for (yard, settlement) in zip(yards, settlements) {
            let side: Labels = [("side", Self.name(yard.side)), ("fleet", yard.plan.name)]
            page.sample(side + [("boundary", "chip")], settlement.chipJoules)
            page.sample(side + [("boundary", "wall")], settlement.wallJoules)
            if let facility = settlement.facilityJoules { page.sample(side + [("boundary", "facility")], facility) }
        }
        page.family(
            "trainyard_grade_info", .gauge, help: "1, labelled with the weakest grade that the side's figures rest on.")
        for yard in yards {
            page.sample(
                [("side", Self.name(yard.side)), ("fleet", yard.plan.name), ("grade", yard.plan.grade.rawValue)], 1)
        }
    }

    private func writeEmulator(_ page: inout Exposition) {
        page.family(
            "trainyard_emission_lag_seconds", .histogram,
            help: "Tokens that left later than the modelled step ended, by how much.")
        let shards = counters.map(\.emissionLag)
        let (counts, total) = merged(shards)
        page.histogram([], bounds: shards[0].bounds, counts: counts, sum: total)
        page.family("trainyard_connections", .gauge, help: "Open connections of the serving listeners.")
        page.sample([], Double(connections.current))
        let families: [(String, String, LoopCounters.Counter)] = [
            ("trainyard_http_requests_total", "Generation requests that came in.", .requests),
            ("trainyard_http_streams_total", "Generation requests that stream.", .requestsStreamed),
            ("trainyard_http_refused_full_total", "Requests refused because something was full.", .requestsRefusedFull),
            (
                "trainyard_http_refused_invalid_total", "Requests refused because they were wrong.",
                .requestsRefusedInvalid
            ),
            (
                "trainyard_http_refused_unauthorised_total", "Requests without a known key.",
                .requestsRefusedUnauthorised
            ),
            (
                "trainyard_baseline_missed_total", "Requests that the baseline's ring had no room for; rejected there.",
                .requestsMissedByBaseline
            ),
            ("trainyard_http_disconnected_total", "Requests whose client went away.", .requestsDisconnected),
            ("trainyard_http_slow_readers_total", "Connections closed because the reader stalled.", .slowReadersClosed),
            (
                "trainyard_http_slow_senders_total", "Connections closed because the request did not arrive in time.",
                .slowSendersClosed
            ),
            ("trainyard_http_connections_refused_total", "Connections refused at the limit.", .connectionsRefused),
            ("trainyard_http_written_bytes_total", "Bytes of responses.", .bytesWritten),
            ("trainyard_http_writes_total", "Writes of responses; tokens of one tick share one.", .writes),
        ]
        for (name, help, counter) in families {
            page.family(name, .counter, help: help)
            page.sample([], count: sum(counter))
        }
        page.family(
            "trainyard_cell_silence_seconds", .gauge, help: "Longest time since a cell's thread last finished a turn.")
        for yard in yards {
            let silence = yard.cells.map { $0.silenceNanoseconds() }.max() ?? 0
            page.sample([("side", Self.name(yard.side))], Double(silence) * 1e-9)
        }
    }
}
