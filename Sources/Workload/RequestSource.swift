//===----------------------------------------------------------------------===//
// What everything that produces requests has in common.
//===----------------------------------------------------------------------===//

/// Requests in arrival order, one at a time.
///
/// A source owns the block hashes that its requests point to (`PrefixIdentity.blockHashes`), so it must stay alive
/// until the last of its requests has ended. A source is used by one thread at a time and goes through its requests
/// once; `Workload.makeSource()` makes another that yields the same ones.
public protocol RequestSource: AnyObject {
    /// The next request, or nil at the end. Arrival times do not decrease and ids count up from 0.
    ///
    /// Throws on a malformed row, naming file and line; the source must not be used after that.
    func next() throws(WorkloadError) -> Request?

    /// What the source met while reading so far.
    var reading: ReadingCounts { get }
}

/// What a reader met in its input so far.
public struct ReadingCounts: Equatable, Sendable {
    /// Rows (or requests of a session) that became requests.
    public var accepted = 0
    /// Malformed rows that were left out, because bad rows were to be skipped.
    public var skipped = 0
    /// Requests whose trace says 0 prompt or 0 output tokens (cut or filtered calls), which are taken as 1: a served
    /// request costs at least one prompt token and one step.
    public var raisedToOneToken = 0
    /// Requests that were shortened to `max-prompt`, `max-output` or `max-total`.
    public var shortened = 0
    /// The error of the first skipped row.
    public var firstSkipped: WorkloadError?

    public init() {}

    /// Sentences for a report, empty when there is nothing to say.
    public var notes: [String] {
        var notes: [String] = []
        if skipped > 0 {
            notes.append("\(skipped) malformed rows skipped" + (firstSkipped.map { ", first: \($0)" } ?? ""))
        }
        if raisedToOneToken > 0 { notes.append("\(raisedToOneToken) requests with 0 tokens taken as 1 token") }
        if shortened > 0 { notes.append("\(shortened) requests shortened to the token limits") }
        return notes
    }
}

/// How far the figures of a workload can be trusted, in the words that the catalogue uses; ordered from best to
/// weakest.
public enum WorkloadGrade: String, Comparable, Sendable, CaseIterable {
    /// Recorded from a service in production.
    case measured
    /// Printed by those who measured it.
    case published
    /// Computed from published figures.
    case derived
    /// Chosen by us, for want of any figure.
    case assumed

    public static func < (first: WorkloadGrade, second: WorkloadGrade) -> Bool {
        allCases.firstIndex(of: first)! < allCases.firstIndex(of: second)!
    }
}

/// Where a workload's figures come from. Reports print it.
public struct WorkloadProvenance: Equatable, Sendable {
    public var grade: WorkloadGrade
    /// Source of the figures, in one line.
    public var source: String
    /// What was assumed on top, one sentence each.
    public var assumptions: [String]

    public init(grade: WorkloadGrade, source: String, assumptions: [String] = []) {
        self.grade = grade
        self.source = source
        self.assumptions = assumptions
    }
}

/// A fixed number of clients, each of which sends its next request when the last one ended and it has thought for a
/// while.
///
/// Whoever runs the workload owns the clock: it takes `concurrency` requests at the start and one more for every
/// request that ends, setting the arrival time of each to the moment that it becomes due (`end + thinkSeconds`).
public struct ClosedLoop: Equatable, Sendable {
    /// Clients.
    public var concurrency: Int
    /// Mean time between the end of a request and the client's next one, in seconds; 0 for none.
    public var thinkSeconds: Double
    /// Whether think times are exponential (true) or all the same.
    public var thinkVaries: Bool

    public init(concurrency: Int, thinkSeconds: Double = 0, thinkVaries: Bool = false) {
        self.concurrency = concurrency
        self.thinkSeconds = thinkSeconds
        self.thinkVaries = thinkVaries
    }

    /// The think time after one request, in nanoseconds.
    public func drawThinkNanoseconds(_ random: inout RandomStream) -> Int64 {
        nanoseconds(thinkVaries ? thinkSeconds * random.exponential() : thinkSeconds)
    }
}
