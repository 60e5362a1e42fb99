//===----------------------------------------------------------------------===//
// Replaying a reference pack and measuring the difference.
//===----------------------------------------------------------------------===//

import Dispatch
import Engine
import Foundation
import Synchronization
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
    /// Of the random router: requests that our generator puts elsewhere than the pack. Where there are any, the pack's
    /// placement is taken, and only the replicas' schedules are compared.
    public var requestsDrawnElsewhere = 0

    /// 10 µs in every time, and equal in every count.
    public static let toleranceSeconds = 10e-6

    public var agrees: Bool {
        max(scheduledDifferenceSeconds, firstTokenDifferenceSeconds, completedDifferenceSeconds)
            <= Self.toleranceSeconds
            && iterations == referenceIterations && requestsWithOtherRestarts == 0 && requestsOnOtherReplicas == 0
    }
}

public enum Conformance {
    private static let endings = [".requests.csv.gz", ".requests.csv"]

    /// Replays every run of a pack, in the order of names.
    /// - Parameters:
    ///   - folder: holds `table/` and `runs/`.
    ///   - seed: of the random router, for runs whose command line names none.
    ///   - threads: runs that are replayed at a time; the results do not depend on it.
    public static func check(folder: String, seed: UInt64 = 42, threads: Int = 1) throws -> [ConformanceResult] {
        let runsFolder = "\(folder)/runs"
        let files: [String]
        do { files = try FileManager.default.contentsOfDirectory(atPath: runsFolder) } catch {
            throw ConformanceError(place: runsFolder, message: "cannot be listed; a pack has table/ and runs/")
        }
        let names = Set(
            files.compactMap { file in
                endings.first { file.hasSuffix($0) }.map { String(file.dropLast($0.count)) }
            }
        ).sorted()
        guard !names.isEmpty else { throw ConformanceError(place: runsFolder, message: "has no NAME\(endings[0])") }
        let table = try VidurTable(folder: "\(folder)/table")
        let runs = try names.map { try ReferenceRun(path: "\(runsFolder)/\($0)", table: table, seed: seed) }
        let results = Mutex([Int: Result<ConformanceResult, any Error>]())
        let next = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: min(max(1, threads), runs.count)) { _ in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < runs.count else { return }
                let result = Result { try replay(runs[index], table: table) }
                results.withLock { $0[index] = result }
            }
        }
        let found = results.withLock { $0 }
        return try runs.indices.compactMap { try found[$0]?.get() }
    }

    /// Runs one run's requests through our replicas, under the run's rules and the pack's step table.
    static func replay(_ run: ReferenceRun, table: VidurTable) throws -> ConformanceResult {
        let replicas = (0..<run.replicas).map {
            Replica(number: Int32($0), configuration: run.configuration, table: table.steps)
        }
        var sink = CompletionSink(count: run.arrivalSeconds.count)
        let order = run.arrivalSeconds.indices.sorted { (run.arrivalSeconds[$0], $0) < (run.arrivalSeconds[$1], $1) }
        var routing = ReferenceRouting(run, order: order)
        for index in order {
            let arrival = Int64((run.arrivalSeconds[index] * 1e9).rounded())
            for replica in replicas { replica.advance(until: arrival, into: &sink) }
            let request = Request(
                id: UInt64(index), arrivalNanoseconds: arrival, promptTokens: Int32(run.promptTokens[index]),
                outputTokens: Int32(run.outputTokens[index]))
            replicas[routing.replica(among: replicas)].submit(request, at: arrival)
        }
        for replica in replicas { replica.advance(until: .max - 1, into: &sink) }
        var result = try compare(
            run, sink.completions, iterations: replicas.reduce(0) { $0 + Int($1.usage.steps) })
        result.requestsDrawnElsewhere = routing.drawnElsewhere
        return result
    }

    private static func compare(
        _ run: ReferenceRun, _ completions: [Completion?], iterations: Int
    ) throws(ConformanceError)
        -> ConformanceResult
    {
        var result = ConformanceResult(
            run: run.name, requests: run.arrivalSeconds.count, scheduler: "\(run.configuration.stack)",
            router: run.router.rawValue, replicas: run.replicas, scheduledDifferenceSeconds: 0,
            firstTokenDifferenceSeconds: 0, completedDifferenceSeconds: 0, iterations: iterations,
            referenceIterations: run.iterations, restarts: 0, referenceRestarts: run.restarts.reduce(0, +),
            requestsWithOtherRestarts: 0, requestsOnOtherReplicas: 0)
        for (index, completion) in completions.enumerated() {
            guard let completion, completion.status == .finished else {
                throw ConformanceError(place: run.name, message: "request \(index) never ended")
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
