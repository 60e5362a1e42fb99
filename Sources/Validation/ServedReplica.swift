//===----------------------------------------------------------------------===//
// Something that serves requests in simulated time.
//===----------------------------------------------------------------------===//

import Engine
import Workload

/// Keeps the completions that replicas report.
struct CompletionCollector: OutcomeSink {
    var completions: [Completion] = []
    mutating func completed(_ completion: Completion) { completions.append(completion) }
    mutating func produced(_ token: TokenEvent) {}
    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
}

/// The part of a replica that a run of clients needs: the engine's replicas have it, and servers with a router of their
/// own.
protocol ServedReplica: AnyObject {
    func submit(_ request: Request, at nowNanoseconds: Int64)
    func cancel(requestID: UInt64, at nowNanoseconds: Int64) -> Bool
    var nextEventNanoseconds: Int64 { get }
    func collect(until nowNanoseconds: Int64, into sink: inout CompletionCollector)
    /// Tokens that its requests have left.
    var outstandingTokens: Int64 { get }
    var activeJoules: Double { get }
}

extension Replica: ServedReplica {
    func collect(until nowNanoseconds: Int64, into sink: inout CompletionCollector) {
        advance(until: nowNanoseconds, into: &sink)
    }
    var outstandingTokens: Int64 { Int64(load.outstandingTokens) }
    var activeJoules: Double { Double(usage.activeNanojoules) * 1e-9 }
}
