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
        /// Latency ÷ tokens of each request.
        var perToken: [Double] = []
        /// Seconds between first and last tokens, and the gaps in them, over all requests.
        var decodeSeconds = 0.0
        var decodeGaps = 0.0
        /// From the first sending to the last token.
        var seconds = 0.0
        var chipJoules = 0.0

        mutating func add(_ completion: Completion, sent: Double) {
            let first = Double(completion.firstTokenNanoseconds) * 1e-9
            let last = Double(completion.lastTokenNanoseconds) * 1e-9
            let tokens = Double(completion.outputTokens)
            ttft.append(first - sent)
            endToEnd.append(last - sent)
            perToken.append((last - sent) / tokens)
            if completion.outputTokens > 1 {
                tpot.append((last - first) / (tokens - 1))
                decodeSeconds += last - first
                decodeGaps += tokens - 1
            }
            outputTokens += tokens
            promptTokens += Double(completion.promptTokens)
            seconds = max(seconds, last)
        }

        static func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }
        static func median(_ values: [Double]) -> Double {
            values.isEmpty ? 0 : ErrorSummary.quantile(values.sorted(), 0.5)
        }
    }

    let experiment: Experiment
    let replicas: [any ServedReplica]
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
    init(
        experiment: Experiment, compiled: CompiledDeployment, coefficients: Coefficients
    ) throws(MeasurementError) {
        self.experiment = experiment
        self.compiled = compiled
        requestSeconds = coefficients[.requestSeconds]
        if experiment.deployment.stack == .tgiNeuron {
            replicas = (0..<experiment.replicas).map {
                RoutedReplica(
                    number: Int32($0), compiled: compiled, waitingRatio: experiment.routerWaitingRatio,
                    coefficients: coefficients)
            }
            return
        }
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

    /// When clients send: the times at the start of a run, and those that follow from ends.
    private struct Schedule {
        var start: [Double] = []
        /// Requests that are sent when others end, and how many of them are left.
        var follows = false
        var left = 0
        /// Requests of one wave, all of which must end before the next is sent; 0 for none.
        var wave = 0
    }

    /// Clients that each keep one request open until `requests` were sent.
    mutating func closedLoop(clients: Int, requests: Int) -> Figures {
        let generator = experiment.generator
        let first = (0..<min(clients, requests)).map { generator.promptReady($0) }
        let wave = generator == .llmperf ? clients : 0
        return run(Schedule(start: first, follows: true, left: requests - first.count, wave: wave))
    }

    /// Arrivals at `rate` a second: Poisson, or evenly spaced where the load generator sends so.
    mutating func openLoop(rate: Double, requests: Int) -> Figures {
        var times: [Double] = []
        var time = 0.0
        for number in 0..<requests {
            if experiment.generator == .plain {
                time += -log(1 - generator.unit()) / rate
            } else {
                time = max(Double(number) / rate, experiment.generator.promptReady(number))
            }
            times.append(time)
        }
        return run(Schedule(start: times))
    }

    /// One request on its way.
    private struct Open {
        var sent: Double
        var promptTokens: Int32
        var outputTokens: Int32
        var hasEnded = false
    }

    /// What comes next: requests that reach the balancer, and open ones whose clients give up.
    private struct Agenda {
        var arrivals: [(time: Int64, id: Int)] = []
        var timeouts: [(time: Int64, id: Int, replica: Int)] = []

        mutating func add(_ time: Int64, _ id: Int) {
            let position = arrivals.firstIndex { ($0.time, $0.id) < (time, id) } ?? arrivals.count
            arrivals.insert((time, id), at: position)
        }
    }

    private static func nanoseconds(_ seconds: Double) -> Int64 { Int64((seconds * 1e9).rounded()) }

    /// Runs until every request has ended, or the load generator's time is over.
    private mutating func run(_ plan: Schedule) -> Figures {
        var schedule = plan
        var agenda = Agenda()
        var requests: [Open] = []
        var own = generator
        let client = experiment.generator
        func send(_ time: Double) {
            let id = requests.count
            requests.append(
                Open(
                    sent: time, promptTokens: draw(experiment.promptTokens, &own),
                    outputTokens: draw(experiment.outputTokens, &own)))
            agenda.add(Self.nanoseconds(time + requestSeconds), id)
        }
        for time in schedule.start { send(time) }
        let last = client.runSeconds.map(Self.nanoseconds) ?? .max
        var figures = Figures()
        var sink = CompletionCollector()
        var inWave = schedule.wave
        var target = 0
        var now: Int64 = 0
        while true {
            let event = replicas.map(\.nextEventNanoseconds).min()!
            let next = min(agenda.arrivals.last?.time ?? .max, event, agenda.timeouts.first?.time ?? .max)
            guard next < .max, next <= last else { break }
            now = max(now, next)
            for replica in replicas { replica.collect(until: now, into: &sink) }
            if let entry = agenda.timeouts.first, entry.time <= now {
                agenda.timeouts.removeFirst()
                if !requests[entry.id].hasEnded {
                    _ = replicas[entry.replica].cancel(requestID: UInt64(entry.id), at: now)
                }
            }
            if let entry = agenda.arrivals.last, entry.time <= now {
                agenda.arrivals.removeLast()
                target = chosen(after: target)
                let open = requests[entry.id]
                replicas[target].submit(
                    Request(
                        id: UInt64(entry.id), arrivalNanoseconds: now, promptTokens: open.promptTokens,
                        outputTokens: open.outputTokens),
                    at: now)
                if let timeout = client.timeoutSeconds {
                    agenda.timeouts.append((now + Self.nanoseconds(timeout), entry.id, target))
                }
            }
            for completion in sink.completions {
                let id = Int(completion.requestID)
                requests[id].hasEnded = true
                let ended = Double(max(completion.lastTokenNanoseconds, 0)) * 1e-9
                if completion.status == .finished { figures.add(completion, sent: requests[id].sent) }
                guard schedule.follows, schedule.left > 0 else { continue }
                if schedule.wave == 0 {
                    schedule.left -= 1
                    send(max(ended + client.pollSeconds, client.promptReady(requests.count)))
                } else {
                    inWave -= 1
                    guard inWave == 0 else { continue }
                    inWave = min(schedule.wave, schedule.left)
                    schedule.left -= inWave
                    for number in 0..<inWave { send(ended + client.promptReady(number)) }
                }
            }
            sink.completions.removeAll(keepingCapacity: true)
        }
        for replica in replicas { figures.chipJoules += replica.activeJoules }
        return figures
    }

    /// The replica that a request goes to: in turn where a plain proxy balances, else the one with the least work.
    private func chosen(after previous: Int) -> Int {
        if experiment.generator != .plain { return (previous + 1) % replicas.count }
        return replicas.indices.min { replicas[$0].outstandingTokens < replicas[$1].outstandingTokens }!
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
        _ experiment: Experiment, compiled: CompiledDeployment, coefficients: Coefficients
    ) throws(MeasurementError) -> Double? {
        var run = try ReplicaRun(experiment: experiment, compiled: compiled, coefficients: coefficients)
        let figures: Figures
        switch experiment.load {
        case .closedLoop(let clients):
            figures = run.closedLoop(clients: clients, requests: requests(experiment, clients: clients))
        // Load generators run for minutes, not until a queue settles: two minutes of arrivals.
        case .rate(let rate): figures = run.openLoop(rate: rate, requests: min(4096, max(24, Int(rate * 120))))
        case .staticBatch, .decodeOnly, .idle, .saturated: return nil
        }
        guard !figures.tpot.isEmpty else { return nil }
        let typical = experiment.reportsMedian ? Figures.median : Figures.mean
        switch experiment.quantity {
        case .tpot, .interTokenLatency:
            if case .guidellm = experiment.generator { return figures.decodeSeconds / figures.decodeGaps }
            return typical(figures.tpot)
        case .ttft, .prefill: return typical(figures.ttft)
        case .endToEnd: return typical(figures.endToEnd)
        case .outputThroughput:
            return figures.outputTokens * experiment.countedTokensPerToken / figures.seconds
        case .requestThroughput: return Double(figures.endToEnd.count) / figures.seconds
        case .totalThroughput: return (figures.outputTokens + figures.promptTokens) / figures.seconds
        case .requestSpeed: return experiment.outputTokens / typical(figures.endToEnd)
        case .latencyPerToken: return typical(figures.perToken) / experiment.countedTokensPerToken
        case .energyPerToken: return figures.chipJoules / figures.outputTokens
        case .energyPerRequest: return figures.chipJoules / Double(figures.endToEnd.count)
        case .chipPower: return figures.chipJoules / figures.seconds
        case .wallPower, .idleWallPower: return nil
        }
    }

    /// How many requests a closed loop sends: guidellm as many as its time allows, llmperf eight waves, InferenceX ten for
    /// each client.
    private static func requests(_ experiment: Experiment, clients: Int) -> Int {
        switch experiment.generator {
        case .plain: min(4096, max(24, clients * 10))
        case .guidellm: 4096
        case .llmperf: clients * 8
        }
    }
}
