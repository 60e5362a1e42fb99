//===----------------------------------------------------------------------===//
// Replaying a reference pack and measuring the difference.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import Workload

/// The largest differences between a run of the pack and ours, over all requests.
public struct ConformanceResult: Codable, Equatable, Sendable {
    public var run: String
    public var requests: Int
    public var scheduler: String
    public var router: String
    public var replicas: Int
    public var scheduledDifferenceSeconds: Double
    public var firstTokenDifferenceSeconds: Double
    public var completedDifferenceSeconds: Double
    public var iterations: Int
    public var referenceIterations: Int
    public var restarts: Int
    public var referenceRestarts: Int
    /// Requests that restarted another number of times, or ran on another replica, than in the reference.
    public var requestsWithOtherRestarts: Int
    public var requestsOnOtherReplicas: Int

    /// 10 µs in every time, and equal in every count.
    public static let toleranceSeconds = 10e-6

    public var agrees: Bool {
        max(scheduledDifferenceSeconds, firstTokenDifferenceSeconds, completedDifferenceSeconds)
            <= Self.toleranceSeconds
            && iterations == referenceIterations && requestsWithOtherRestarts == 0 && requestsOnOtherReplicas == 0
    }
}

public enum Conformance {
    /// Replays every run of a pack.
    /// - Parameter folder: holds `table/` and `runs/`.
    public static func check(folder: String) throws -> [ConformanceResult] {
        let runsFolder = "\(folder)/runs"
        let ending = ".requests.csv.gz"
        let files: [String]
        do { files = try FileManager.default.contentsOfDirectory(atPath: runsFolder) } catch {
            throw ConformanceError(place: runsFolder, message: "cannot be listed; a pack has table/ and runs/")
        }
        let names = files.filter { $0.hasSuffix(ending) }.map { String($0.dropLast(ending.count)) }.sorted()
        guard !names.isEmpty else { throw ConformanceError(place: runsFolder, message: "has no NAME\(ending)") }
        let table = try VidurTable(folder: "\(folder)/table")
        return try names.map { try replay(ReferenceRun(path: "\(runsFolder)/\($0)", table: table), table: table) }
    }

    /// Runs one run's requests through our replicas, under the run's rules and the pack's step table.
    static func replay(_ run: ReferenceRun, table: VidurTable) -> ConformanceResult {
        let replicas = (0..<run.replicas).map {
            Replica(number: Int32($0), configuration: run.configuration, table: table.steps)
        }
        var sink = CompletionSink(count: run.arrivalSeconds.count)
        for index in run.arrivalSeconds.indices.sorted(by: {
            (run.arrivalSeconds[$0], $0) < (run.arrivalSeconds[$1], $1)
        }) {
            let arrival = Int64((run.arrivalSeconds[index] * 1e9).rounded())
            for replica in replicas { replica.advance(until: arrival, into: &sink) }
            let request = Request(
                id: UInt64(index), arrivalNanoseconds: arrival, promptTokens: Int32(run.promptTokens[index]),
                outputTokens: Int32(run.outputTokens[index]))
            replicas[route(index, run, replicas)].submit(request, at: arrival)
        }
        for replica in replicas { replica.advance(until: .max - 1, into: &sink) }
        return compare(run, sink.completions, iterations: replicas.reduce(0) { $0 + Int($1.usage.steps) })
    }

    /// Vidur's routers. `lor` counts only waiting requests, as Vidur does, and the lowest number wins a tie. `random`
    /// draws from Python's generator in the middle of its stream, so its placement is taken from the pack.
    private static func route(_ index: Int, _ run: ReferenceRun, _ replicas: [Replica]) -> Int {
        switch run.router {
        case .roundRobin: return index % replicas.count
        case .random: return run.replica[index]
        case .leastOutstanding:
            var best = 0
            for candidate in replicas.indices
            where replicas[candidate].load.waitingRequests < replicas[best].load.waitingRequests {
                best = candidate
            }
            return best
        }
    }

    private static func compare(_ run: ReferenceRun, _ completions: [Completion?], iterations: Int) -> ConformanceResult
    {
        var result = ConformanceResult(
            run: run.name, requests: run.arrivalSeconds.count, scheduler: "\(run.configuration.stack)",
            router: run.router.rawValue, replicas: run.replicas, scheduledDifferenceSeconds: 0,
            firstTokenDifferenceSeconds: 0, completedDifferenceSeconds: 0, iterations: iterations,
            referenceIterations: run.iterations, restarts: 0, referenceRestarts: run.restarts.reduce(0, +),
            requestsWithOtherRestarts: 0, requestsOnOtherReplicas: 0)
        for (index, completion) in completions.enumerated() {
            guard let completion, completion.status == .finished else {
                preconditionFailure("request \(index) of \(run.name) did not finish")
            }
            func difference(_ nanoseconds: Int64, _ seconds: Double) -> Double {
                abs(Double(nanoseconds) * 1e-9 - seconds)
            }
            result.scheduledDifferenceSeconds = max(
                result.scheduledDifferenceSeconds,
                difference(completion.scheduledNanoseconds, run.scheduledSeconds[index]))
            result.firstTokenDifferenceSeconds = max(
                result.firstTokenDifferenceSeconds,
                difference(completion.firstTokenNanoseconds, run.firstTokenSeconds[index]))
            result.completedDifferenceSeconds = max(
                result.completedDifferenceSeconds,
                difference(completion.lastTokenNanoseconds, run.completedSeconds[index]))
            result.restarts += Int(completion.preemptions)
            if Int(completion.preemptions) != run.restarts[index] { result.requestsWithOtherRestarts += 1 }
            if Int(completion.replica) != run.replica[index] { result.requestsOnOtherReplicas += 1 }
        }
        return result
    }
}

/// Keeps completions by request number.
private struct CompletionSink: OutcomeSink {
    var completions: [Completion?]

    init(count: Int) { completions = [Completion?](repeating: nil, count: count) }

    mutating func completed(_ completion: Completion) { completions[Int(completion.requestID)] = completion }
    mutating func produced(_ token: TokenEvent) {}
    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
}
