//===----------------------------------------------------------------------===//
// Queueing truth: a replica that serves one request at a time is a single-server queue.
//===----------------------------------------------------------------------===//

import Engine
import Testing
import Workload

@Suite struct QueueingTests {
    /// Mean waiting time of Poisson arrivals at one server, and its standard error from batch means, in milliseconds.
    private struct Waits: OutcomeSink {
        var waits: [Double] = []
        mutating func completed(_ completion: Completion) {
            waits.append(Double(completion.scheduledNanoseconds - completion.arrivalNanoseconds) / 1e6)
        }
        mutating func produced(_ token: TokenEvent) {}
        mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}

        func mean(batches: Int) -> (mean: Double, standardError: Double) {
            let size = waits.count / batches
            let means = (0..<batches).map { batch in
                waits[batch * size..<(batch + 1) * size].reduce(0, +) / Double(size)
            }
            let mean = means.reduce(0, +) / Double(batches)
            let variance = means.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(batches - 1)
            return (mean, (variance / Double(batches)).squareRoot())
        }
    }

    /// One sequence at a time, 10 µs a prompt token, one output token: the service time is the prompt's.
    private func simulate(
        utilisation: Double, requests: Int, seed: UInt64, prompt: (inout SplitMix64) -> Int32, meanPrompt: Double
    ) -> Waits {
        let configuration = ReplicaConfiguration(
            maxSequences: 1, maxModelTokens: 4000, maxBatchedTokens: 4000, kvBlocks: 1000)
        let replica = Replica(
            number: 0, configuration: configuration, table: simpleTable(step: 1, perToken: 10_000_000, maxTokens: 4000))
        var sink = Waits()
        var random = SplitMix64(seed: seed)
        let meanService = meanPrompt * 10_000
        var now = 0.0
        for id in 0..<requests {
            now += random.exponential() * meanService / utilisation
            let request = Request(
                id: UInt64(id), arrivalNanoseconds: Int64(now), promptTokens: prompt(&random), outputTokens: 1)
            if replica.nextEventNanoseconds < request.arrivalNanoseconds {
                replica.advance(until: request.arrivalNanoseconds - 1, into: &sink)
            }
            replica.submit(request, at: request.arrivalNanoseconds)
        }
        replica.advance(until: .max - 1, into: &sink)
        return sink
    }

    /// W = ρ s / (2 (1 − ρ)).
    @Test(arguments: [0.3, 0.6, 0.8, 0.95])
    func deterministicServiceIsMD1(utilisation: Double) {
        let waits = simulate(
            utilisation: utilisation, requests: 100_000, seed: 11, prompt: { _ in 100 }, meanPrompt: 100)
        let (mean, error) = waits.mean(batches: 20)
        let expected = utilisation / (2 * (1 - utilisation))
        #expect(abs(mean - expected) < 4 * error, "\(mean) ± \(error) ms, \(expected) expected")
        #expect(error < 0.15 * expected)
    }

    /// Pollaczek and Khinchine: W = λ E[S²] / (2 (1 − ρ)), here with 20 or 260 tokens, one in three of them long.
    @Test(arguments: [0.3, 0.6, 0.8, 0.95])
    func mixedServiceIsMG1(utilisation: Double) {
        let waits = simulate(
            utilisation: utilisation, requests: 100_000, seed: 12, prompt: { $0.next() % 3 == 0 ? 260 : 20 },
            meanPrompt: 100)
        let (mean, error) = waits.mean(batches: 20)
        let secondMoment = (2.6 * 2.6 + 2 * 0.2 * 0.2) / 3
        let expected = utilisation * secondMoment / (2 * (1 - utilisation))
        #expect(abs(mean - expected) < 4 * error, "\(mean) ± \(error) ms, \(expected) expected")
        #expect(error < 0.15 * expected)
    }

    /// Far more requests than the blocks hold: all end, and nobody is preempted again and again.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func underPressureEveryRequestEnds(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let configuration = ReplicaConfiguration(
            maxSequences: 64, maxModelTokens: 4096, maxBatchedTokens: 512, kvBlocks: 600,
            prefixCaching: seed % 2 == 0 ? .off : .blocks)
        let replica = Replica(number: 0, configuration: configuration, table: simpleTable(maxTokens: 4096))
        var sink = RecordingSink()
        for id in 0..<600 as Range<UInt64> {
            replica.submit(
                Request(
                    id: id, arrivalNanoseconds: Int64(id) * 1000, promptTokens: random.int32(1...1500),
                    outputTokens: random.int32(1...600)), at: Int64(id) * 1000)
        }
        replica.advance(until: .max - 1, into: &sink)
        #expect(sink.completions.count == 600)
        #expect(sink.completions.allSatisfy { $0.status == .finished })
        #expect(replica.usage.preemptions > 10, "the pool is not under pressure")
        let most = sink.completions.map(\.preemptions).max() ?? 0
        #expect(most <= 6, "a request was preempted \(most) times")
        #expect(replica.load.freeKVBlocks == 600)
        let output = sink.completions.reduce(0) { $0 + Int($1.outputTokens) }
        #expect(sink.gapTotal == output - 600)
    }
}
