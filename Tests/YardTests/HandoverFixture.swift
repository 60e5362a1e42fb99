//===----------------------------------------------------------------------===//
// Cells whose prefill and decode are apart, and a slow obvious one to compare them with.
//===----------------------------------------------------------------------===//

import Engine
import StepModel
import Workload

@testable import Yard

enum HandoverFixture {
    static let table = YardFixture.table(perStep: 1_000_000_000, perToken: 3_000_000)

    static func replica(_ role: ReplicaRole, phased: Bool = false) -> ReplicaConfiguration {
        ReplicaConfiguration(
            stack: phased ? .phased(PhasedRules()) : .mixed(MixedRules()), maxSequences: 4, maxModelTokens: 2048,
            maxBatchedTokens: 2048, kvBlocks: 600, role: role)
    }

    /// - Parameter rate: bytes per second of a replica, with 1,000 bytes a token.
    static func configuration(
        prefill: Int, decode: Int, mode: KVTransferLink.Mode = .read, rate: (Int64, Int64) = (100_000_000, 100_000_000),
        policy: String = "least-loaded", queueLimit: Int32 = 2, phased: Bool = false, seed: UInt64 = 1
    ) -> CellConfiguration {
        var configuration = CellConfiguration(pools: [
            CellPool(
                name: "prefill", table: table, replica: replica(.prefillOnly, phased: phased), replicas: prefill,
                transferBytesPerSecond: rate.0),
            CellPool(
                name: "decode", table: table, replica: replica(.decodeOnly, phased: phased), replicas: decode,
                firstReplicaNumber: Int32(prefill), transferBytesPerSecond: rate.1),
        ])
        configuration.placement.policy = policy
        configuration.replicaQueueLimit = queueLimit
        configuration.seed = seed
        configuration.keepsRequests = false
        configuration.transfer = KVTransferRules(mode: mode, bytesPerToken: 1000, latencyNanoseconds: 15_000)
        return configuration
    }

    /// Requests at random times; no two at the same nanosecond.
    static func requests(seed: UInt64, count: Int, meanGapNanoseconds: Int) -> [Request] {
        var dice = SeededChoice(seed: seed)
        var now: Int64 = 0
        return (0..<UInt64(count)).map { id in
            now += Int64(1 + dice.next(below: 2 * meanGapNanoseconds))
            var request = Request(
                id: id, arrivalNanoseconds: now, promptTokens: Int32(1 + dice.next(below: 900)),
                outputTokens: Int32(1 + dice.next(below: 60)))
            if dice.next(below: 3) == 0 { request.flags = [.streams] }
            return request
        }
    }
}

/// What a cell with two sides and least-loaded placement does, found by looking at everything all the time: no
/// indexes, no event queue, one list of requests.
final class NaiveDisaggregation {
    private enum Stage: Equatable { case queued, prefilling, done, crossing, decoding, ended }
    private struct Flow {
        var request: Request
        var stage = Stage.queued
        var prefill = -1
        var decode = -1
        var scheduled: Int64 = -1
        var ready: Int64 = -1
        var arrives: Int64 = -1
    }
    private let configuration: CellConfiguration
    private let replicas: [Replica]
    private let prefills: Int
    private var flows: [Flow] = []
    /// When each replica was last chosen; before that, the turns that the cell deals.
    private var turns: [UInt32]
    private var chosen: UInt32
    private var portFree: [Int64]
    private var order: [Int] = []
    private(set) var sink = CollectingSink()

    init(like cell: Cell) {
        configuration = cell.configuration
        prefills = configuration.pools[0].replicas
        replicas = configuration.pools.flatMap { pool in
            (0..<pool.replicas).map {
                Replica(number: pool.firstReplicaNumber + Int32($0), configuration: pool.replica, table: pool.table)
            }
        }
        turns = (0..<replicas.count).map { cell.states[$0].lastPlacement }
        chosen = UInt32(replicas.count)
        portFree = Array(repeating: 0, count: replicas.count)
    }

    func run(_ requests: [Request]) -> CollectingSink {
        var next = 0
        while true {
            let event = replicas.map(\.nextEventNanoseconds).min() ?? .max
            let arrival = flows.filter { $0.stage == .crossing }.map(\.arrives).min() ?? .max
            let message = next < requests.count ? requests[next].arrivalNanoseconds : .max
            let now = min(event, arrival, message)
            if now == .max { break }
            if message == now {
                flows.append(Flow(request: requests[next]))
                next += 1
            } else if event == now {
                step(replicas.firstIndex { $0.nextEventNanoseconds == now } ?? 0, at: now)
            } else {
                arrive(at: now)
            }
            send(at: now)
            place(at: now)
        }
        return sink
    }

    private func step(_ index: Int, at now: Int64) {
        var out = CollectingSink()
        replicas[index].advance(until: now, into: &out)
        for completion in out.completions {
            let flow = flows.firstIndex { $0.request.id == completion.requestID } ?? 0
            if index < prefills {
                flows[flow].stage = .done
                flows[flow].scheduled = completion.scheduledNanoseconds
                flows[flow].ready = completion.lastTokenNanoseconds
                order.append(flow)
            } else {
                flows[flow].stage = .ended
                var merged = completion
                merged.scheduledNanoseconds = flows[flow].scheduled
                sink.completions.append(merged)
            }
        }
        guard index >= prefills else { return }
        sink.tokens += out.tokens
        sink.gapCount += out.gapCount
        sink.gapPicoseconds += out.gapPicoseconds
    }

    private func arrive(at now: Int64) {
        let due = flows.indices.filter { flows[$0].stage == .crossing && flows[$0].arrives == now }
        for flow in due.sorted(by: { flows[$0].request.id < flows[$1].request.id }) {
            flows[flow].stage = .decoding
            replicas[flows[flow].decode].submit(flows[flow].request, at: now)
        }
    }

    private func limit(_ replica: Int) -> Int {
        Int(replicas[replica].configuration.maxSequences) + Int(configuration.replicaQueueLimit)
    }

    /// Requests that a replica holds: a prompt stays on the prefill side until it has arrived, and has a place on the
    /// decode side from when it is sent.
    private func held(_ replica: Int) -> [Flow] {
        flows.filter {
            replica < prefills
                ? $0.prefill == replica && [.prefilling, .done, .crossing].contains($0.stage)
                : $0.decode == replica && [.crossing, .decoding].contains($0.stage)
        }
    }

    private func leastLoaded(_ candidates: Range<Int>) -> Int? {
        func tokens(_ replica: Int) -> Int {
            held(replica).reduce(0) {
                $0 + Int($1.request.promptTokens) + (replica < prefills ? 0 : Int($1.request.outputTokens))
            }
        }
        let open = candidates.filter { held($0).count < limit($0) }
        guard let best = open.min(by: { (tokens($0), turns[$0]) < (tokens($1), turns[$1]) }) else { return nil }
        chosen += 1
        turns[best] = chosen
        return best
    }

    private func send(at now: Int64) {
        while let flow = order.first, let decode = leastLoaded(prefills..<replicas.count) {
            order.removeFirst()
            let source = flows[flow].prefill
            let rates = configuration.pools.map(\.transferBytesPerSecond)
            var wire = KVTransferLink(
                mode: configuration.transfer?.mode ?? .read, bytesPerSecond: min(rates[0], rates[1]),
                latencyNanoseconds: 15_000, bytesPerToken: 1000)
            // Brings the wire to the time when both ports are free.
            let free = max(portFree[source], portFree[decode])
            while wire.freeNanoseconds < free {
                _ = wire.transfer(tokens: 0, startNanoseconds: free, endNanoseconds: free)
            }
            let start = flows[flow].ready == now ? flows[flow].scheduled : now
            flows[flow].arrives = wire.transfer(
                tokens: flows[flow].request.promptTokens, startNanoseconds: start, endNanoseconds: now)
            portFree[source] = wire.freeNanoseconds
            portFree[decode] = wire.freeNanoseconds
            flows[flow].decode = decode
            flows[flow].stage = .crossing
        }
    }

    private func place(at now: Int64) {
        while let flow = flows.firstIndex(where: { $0.stage == .queued }), let prefill = leastLoaded(0..<prefills) {
            flows[flow].stage = .prefilling
            flows[flow].prefill = prefill
            replicas[prefill].submit(flows[flow].request, at: now)
        }
    }
}
