//===----------------------------------------------------------------------===//
// Replicas under clients: the runs that closed forms cannot follow.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import StepModel
import Workload

/// Simulates clients before one or more replicas, request by request, and keeps what a load generator would print.
struct ReplicaRun {
    /// What came out of a run.
    struct Figures {
        var ttft: [Double] = []
        var tpot: [Double] = []
        var endToEnd: [Double] = []
        var outputTokens = 0.0
        var promptTokens = 0.0
        /// From the first arrival to the last token.
        var seconds = 0.0
        var chipJoules = 0.0
        var busySeconds = 0.0

        static func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }
        static func median(_ values: [Double]) -> Double {
            values.isEmpty ? 0 : ErrorSummary.quantile(values.sorted(), 0.5)
        }
    }

    private struct Collector: OutcomeSink {
        var completions: [Completion] = []
        mutating func completed(_ completion: Completion) { completions.append(completion) }
        mutating func produced(_ token: TokenEvent) {}
        mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
    }

    let experiment: Experiment
    let replicas: [Replica]
    let compiled: CompiledDeployment
    /// Added between a client and a replica's queue.
    let requestSeconds: Double
    private var generator = SplitMix(state: 0x5EED)

    /// The generator of lengths and arrivals: seeded, so that a run repeats to the bit.
    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
        mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
    }

    /// - Throws: what makes the replica's configuration impossible.
    init(experiment: Experiment, compiled: CompiledDeployment, requestSeconds: Double) throws(MeasurementError) {
        self.experiment = experiment
        self.compiled = compiled
        self.requestSeconds = requestSeconds
        let configuration = Self.configuration(compiled)
        if let problem = configuration.problem { throw MeasurementError(problem) }
        replicas = (0..<experiment.replicas).map {
            Replica(number: Int32($0), configuration: configuration, table: compiled.table)
        }
    }

    /// Replica settings of a compiled deployment, as the measured servers ran: no prefix cache, first come first
    /// served.
    static func configuration(_ compiled: CompiledDeployment) -> ReplicaConfiguration {
        let stack: ReplicaConfiguration.Stack
        if compiled.isPhased {
            stack = .phased(
                PhasedRules(
                    prefillBuckets: compiled.prefillBuckets.map(Int32.init),
                    batchBuckets: compiled.decodeBuckets.map(Int32.init),
                    contextBuckets: compiled.contextBuckets.map(Int32.init),
                    admission: .requestMaximum
                )
            )
        } else {
            stack = .mixed(MixedRules())
        }
        return ReplicaConfiguration(
            stack: stack,
            maxSequences: Int32(compiled.maxSequences),
            maxModelTokens: Int32(compiled.maxModelTokens),
            maxBatchedTokens: Int32(compiled.maxBatchedTokens),
            kvBlocks: Int32(clamping: compiled.kvBlocks),
            kvBlockTokens: Int32(compiled.kvBlockTokens)
        )
    }

    /// Clients that each keep one request open until `requests` were sent.
    mutating func closedLoop(clients: Int, requests: Int) -> Figures {
        var arrivals = (0..<min(clients, requests)).map { _ in 0.0 }
        var sent = arrivals.count
        var sequence = 0
        return run(total: requests) { completed in
            if let completed {
                guard sent < requests else { return [] }
                sent += 1
                return [completed]
            }
            defer { sequence += 1 }
            guard sequence == 0 else { return [] }
            let first = arrivals
            arrivals = []
            return first
        }
    }

    /// Poisson arrivals at `rate` a second.
    mutating func openLoop(rate: Double, requests: Int) -> Figures {
        var times: [Double] = []
        var time = 0.0
        for _ in 0..<requests {
            time += -log(1 - generator.unit()) / rate
            times.append(time)
        }
        var given = false
        return run(total: requests) { completed in
            guard completed == nil, !given else { return [] }
            given = true
            return times
        }
    }

    /// Runs until `total` requests have ended.
    /// - Parameter arrivals: called once with nil at the start, and then with each request's end, seconds; gives the
    ///   times at which clients send.
    private mutating func run(total: Int, arrivals: (Double?) -> [Double]) -> Figures {
        var pending: [(time: Int64, id: Int)] = []
        var sendTimes: [Double] = []
        var lengths: [(prompt: Int32, output: Int32)] = []
        func nanoseconds(_ seconds: Double) -> Int64 { Int64((seconds * 1e9).rounded()) }
        func enqueue(_ times: [Double], _ generator: inout SplitMix) {
            for time in times {
                let id = sendTimes.count
                sendTimes.append(time)
                lengths.append(
                    (draw(experiment.promptTokens, &generator), draw(experiment.outputTokens, &generator)))
                pending.append((nanoseconds(time + requestSeconds), id))
            }
            pending.sort { ($0.time, $0.id) > ($1.time, $1.id) }
        }
        var own = generator
        enqueue(arrivals(nil), &own)
        var figures = Figures()
        var sink = Collector()
        var ended = 0
        var now: Int64 = 0
        // Every event moves a request forward, so a run ends within a number of events that its requests bound.
        while ended < total {
            let arrival = pending.last?.time ?? .max
            let event = replicas.map(\.nextEventNanoseconds).min()!
            let next = min(arrival, event)
            guard next < .max else { break }
            now = max(now, next)
            if arrival <= event {
                let entry = pending.removeLast()
                let target = replicas.min { left, right in
                    (left.load.outstandingTokens, left.number) < (right.load.outstandingTokens, right.number)
                }!
                for replica in replicas { replica.advance(until: now, into: &sink) }
                let length = lengths[entry.id]
                target.submit(
                    Request(
                        id: UInt64(entry.id), arrivalNanoseconds: now, promptTokens: length.prompt,
                        outputTokens: length.output),
                    at: now)
            } else {
                for replica in replicas { replica.advance(until: now, into: &sink) }
            }
            for completion in sink.completions {
                ended += 1
                let id = Int(completion.requestID)
                guard completion.status == .finished else { continue }
                let sent = sendTimes[id]
                let first = Double(completion.firstTokenNanoseconds) * 1e-9
                let last = Double(completion.lastTokenNanoseconds) * 1e-9
                figures.ttft.append(first - sent)
                figures.endToEnd.append(last - sent)
                if completion.outputTokens > 1 {
                    figures.tpot.append((last - first) / Double(completion.outputTokens - 1))
                }
                figures.outputTokens += Double(completion.outputTokens)
                figures.promptTokens += Double(completion.promptTokens)
                figures.seconds = max(figures.seconds, last)
                enqueue(arrivals(last), &own)
            }
            sink.completions.removeAll(keepingCapacity: true)
        }
        for replica in replicas {
            figures.chipJoules += Double(replica.usage.activeNanojoules) * 1e-9
            figures.busySeconds += Double(replica.usage.busyPicoseconds) * 1e-12
        }
        return figures
    }

    /// A length about `mean`, uniform within the experiment's fraction.
    private func draw(_ mean: Double, _ generator: inout SplitMix) -> Int32 {
        let spread = 1 - experiment.leastLengthFraction
        let value = mean * (1 - spread + 2 * spread * generator.unit())
        return Int32(min(max(1, value.rounded()), Double(compiled.maxModelTokens - 1)))
    }

    // MARK: Experiments

    /// Whether requests meet each other in this experiment, so that a simulation says more than a closed form.
    static func applies(to experiment: Experiment) -> Bool {
        switch experiment.load {
        case .closedLoop(let clients): clients > 1
        case .rate: true
        case .staticBatch, .decodeOnly, .idle, .saturated: false
        }
    }

    /// The quantity that `experiment` reports, simulated.
    static func predict(
        _ experiment: Experiment, compiled: CompiledDeployment, requestSeconds: Double
    ) throws(MeasurementError) -> Double? {
        var run = try ReplicaRun(experiment: experiment, compiled: compiled, requestSeconds: requestSeconds)
        let figures: Figures
        switch experiment.load {
        case .closedLoop(let clients):
            figures = run.closedLoop(clients: clients, requests: min(4096, max(24, clients * 5)))
        // Load generators run for minutes, not until a queue settles: two minutes of arrivals.
        case .rate(let rate): figures = run.openLoop(rate: rate, requests: min(4096, max(24, Int(rate * 120))))
        case .staticBatch, .decodeOnly, .idle, .saturated: return nil
        }
        guard !figures.tpot.isEmpty else { return nil }
        let typical = experiment.reportsMedian ? Figures.median : Figures.mean
        switch experiment.quantity {
        case .tpot, .interTokenLatency: return typical(figures.tpot)
        case .ttft, .prefill: return typical(figures.ttft)
        case .endToEnd: return typical(figures.endToEnd)
        case .outputThroughput: return figures.outputTokens / figures.seconds
        case .requestThroughput: return Double(figures.endToEnd.count) / figures.seconds
        case .totalThroughput: return (figures.outputTokens + figures.promptTokens) / figures.seconds
        case .requestSpeed: return experiment.outputTokens / typical(figures.endToEnd)
        case .latencyPerToken: return typical(figures.endToEnd) / experiment.outputTokens
        case .energyPerToken: return figures.chipJoules / figures.outputTokens
        case .energyPerRequest: return figures.chipJoules / Double(figures.endToEnd.count)
        case .chipPower: return figures.chipJoules / figures.seconds
        case .wallPower, .idleWallPower: return nil
        }
    }
}
