import Engine
import Foundation
import Ledger
import Testing
import Workload
import Yard

@testable import Simulator

/// A pool of replicas that each run one request at a time, before which the others wait in the cell, is a queue of
/// theory: the waits that are simulated must be those that Erlang's formula gives.
@Suite struct QueueingTheoryTests {
    /// Mean service time is `meanTokens` steps of 1 µs; a table of 16 times the mean cuts off one request in 9 million.
    private static let meanTokens = 256.0
    private static let table = SimulationFixture.table(
        maxTokens: 4096, maxSequences: 1, perStep: 0, perToken: 1_000_000)

    private enum Service {
        case fixed, exponential, shortOrLong
    }

    /// Fifteen of sixteen requests are short and one is long; the mean is `meanTokens`.
    private static let shortTokens: Int32 = 64
    private static let longTokens: Int32 = 3136

    private func cell(servers: Int) -> CellConfiguration {
        var configuration = CellConfiguration(pools: [
            CellPool(
                name: "servers", table: Self.table,
                replica: ReplicaConfiguration(
                    maxSequences: 1, maxModelTokens: 8192, maxBatchedTokens: 4096, kvBlocks: 1024), replicas: servers)
        ])
        configuration.replicaQueueLimit = 0
        configuration.waitingRoom.maxWaitingRequests = .max
        return configuration
    }

    /// Mean wait in units of the mean service time, with its standard error from the means of 20 batches.
    private func simulatedWait(
        servers: Int, utilisation: Double, requests: Int, service: Service
    ) throws -> (mean: Double, error: Double, served: Int64) {
        let mean = service == .exponential ? 1 / (1 - exp(-1 / Self.meanTokens)) : Self.meanTokens
        let rate = utilisation * Double(servers) / (mean * 1e-6)
        let source = SeededSource(seed: 77, requestsPerSecond: rate, count: requests) { dice in
            switch service {
            case .fixed: (Int32(Self.meanTokens), 1)
            case .exponential: (Int32(min(4096, max(1, (dice.exponential() * Self.meanTokens).rounded(.up)))), 1)
            case .shortOrLong: (dice.next(below: 16) < 15 ? Self.shortTokens : Self.longTokens, 1)
            }
        }
        var options = SimulationOptions()
        options.keepsCompletions = true
        let result = try Simulation(cells: [cell(servers: servers)], sources: [source], options: options).run()
        let waits = result.tally.completions.sorted { $0.requestID < $1.requestID }
            .map { Double($0.scheduledNanoseconds - $0.arrivalNanoseconds) / (mean * 1e3) }
        let batch = waits.count / 20
        let means = (0..<20).map { waits[($0 * batch)..<(($0 + 1) * batch)].reduce(0, +) / Double(batch) }
        let overall = means.reduce(0, +) / 20
        let variance = means.reduce(0) { $0 + ($1 - overall) * ($1 - overall) } / 19
        return (overall, (variance / 20).squareRoot(), result.tally.finished)
    }

    /// Probability of waiting in M/M/k (Erlang C), by the recurrence of Erlang B.
    private func erlangC(servers: Int, load: Double) -> Double {
        var blocking = 1.0
        for server in 1...servers { blocking = load * blocking / (Double(server) + load * blocking) }
        let utilisation = load / Double(servers)
        return blocking / (1 - utilisation * (1 - blocking))
    }

    @Test(arguments: [
        (1, 0.3, 30_000), (1, 0.8, 60_000), (2, 0.5, 30_000), (4, 0.7, 40_000), (8, 0.9, 80_000), (4, 0.95, 120_000),
    ])
    func exponentialService(servers: Int, utilisation: Double, requests: Int) throws {
        let simulated = try simulatedWait(
            servers: servers, utilisation: utilisation, requests: requests, service: .exponential)
        let theory =
            erlangC(servers: servers, load: utilisation * Double(servers)) / (Double(servers) * (1 - utilisation))
        #expect(simulated.served == Int64(requests))
        #expect(
            abs(simulated.mean - theory) < 4 * simulated.error + 0.002 * theory,
            "M/M/\(servers) at \(utilisation): simulated \(simulated.mean) ± \(simulated.error), theory \(theory)")
        #expect(simulated.error < 0.25 * theory, "the run is too short to tell: \(simulated)")
    }

    /// M/G/1, by Pollaczek and Khinchine: the wait grows with the second moment of the service time, not with its mean.
    @Test(arguments: [(0.3, 60_000), (0.6, 100_000), (0.8, 200_000)])
    func mixedService(utilisation: Double, requests: Int) throws {
        let simulated = try simulatedWait(
            servers: 1, utilisation: utilisation, requests: requests, service: .shortOrLong)
        let (short, long) = (Double(Self.shortTokens), Double(Self.longTokens))
        #expect((15 * short + long) / 16 == Self.meanTokens)
        let secondMoment = (15 * short * short + long * long) / 16 / (Self.meanTokens * Self.meanTokens)
        let theory = utilisation * secondMoment / (2 * (1 - utilisation))
        #expect(
            abs(simulated.mean - theory) < 4 * simulated.error + 0.002 * theory,
            "M/G/1 at \(utilisation): simulated \(simulated.mean) ± \(simulated.error), theory \(theory)")
        #expect(simulated.error < 0.25 * theory, "the run is too short to tell: \(simulated)")
    }

    /// M/D/1: half of M/M/1's wait.
    @Test(arguments: [(0.3, 30_000), (0.5, 30_000), (0.9, 80_000), (0.95, 160_000)])
    func fixedService(utilisation: Double, requests: Int) throws {
        let simulated = try simulatedWait(servers: 1, utilisation: utilisation, requests: requests, service: .fixed)
        let theory = utilisation / (2 * (1 - utilisation))
        #expect(
            abs(simulated.mean - theory) < 4 * simulated.error + 0.002 * theory,
            "M/D/1 at \(utilisation): simulated \(simulated.mean) ± \(simulated.error), theory \(theory)")
    }
}
