//===----------------------------------------------------------------------===//
// The same messages to the same cell again: does it decide the same?
//===----------------------------------------------------------------------===//

public import Engine
import Workload

/// Replays one cell's decision log.
public struct DecisionReplay: Sendable {
    /// What a replay found.
    public struct Outcome: Sendable {
        /// Decisions in the log, and how many came out the same.
        public var decisions = 0
        public var agreed = 0
        /// The first one that did not, as it was and as it is now.
        public var firstDifference: (was: DecisionRecord, now: DecisionRecord?)?
        /// Every outcome of the replayed requests, by request number.
        public var completions: [Completion] = []
        /// Each placement against another policy's, when one was asked for.
        public var audited: [AuditedDecision] = []

        public var isFaithful: Bool { firstDifference == nil && agreed == decisions }
    }

    private let log: DecisionLog

    public init(_ log: DecisionLog) { self.log = log }

    /// Gives a new cell the log's messages at their times and compares its decisions with the log's.
    ///
    /// With the configuration that the log was made with, all agree. With another placement policy, the completions
    /// tell what it would have made of the same requests (`PlacementRegret`).
    ///
    /// - Parameters:
    ///   - other: a policy that is asked at every decision what it would do, and not followed.
    ///   - moved: replicas for single placements, by number from 0: everything after them goes its own way.
    public func run(
        on configuration: CellConfiguration, auditing other: String? = nil, moved: [Int: Int] = [:]
    ) throws -> Outcome {
        let cell = try Cell(configuration: configuration)
        let recorder = DecisionRecorder(cell: configuration.number, capacity: max(1, 2 * log.records.count))
        cell.recorder = recorder
        let audit = other == nil && moved.isEmpty ? nil : DecisionAudit(policy: other, moved: moved)
        cell.audit = audit
        var sink = ReplaySink()
        var outcome = Outcome()
        // The requests point into this copy for as long as the cell may look at them.
        let copy = UnsafeMutablePointer<UInt64>.allocate(capacity: max(1, log.blockHashes.count))
        copy.initialize(from: log.blockHashes, count: log.blockHashes.count)
        defer { copy.deallocate() }
        var nextRequest = 0
        var nextHash = 0
        for record in log.records where record.kind.isMessage {
            cell.advance(until: record.atNanoseconds - 1, into: &sink)
            switch record.kind {
            case .submitted:
                var request = log.requests[nextRequest]
                nextRequest += 1
                if request.prefix.blockHashCount > 0 {
                    request.prefix.blockHashes = UnsafePointer(copy + nextHash)
                    nextHash += Int(request.prefix.blockHashCount)
                }
                cell.submit(request, at: record.atNanoseconds)
            case .cancelled: cell.cancel(requestID: record.requestID, at: record.atNanoseconds)
            case .ordered:
                guard let order = ReplicaOrder(code: record.detail) else {
                    throw DecisionLogError(description: "no order has the code \(record.detail)")
                }
                cell.order(order, replica: Int(record.replica), at: record.atNanoseconds)
            case .closed: cell.close(at: record.atNanoseconds)
            case .placed, .queued, .refused: break
            }
        }
        while cell.nextEventNanoseconds != .max { cell.advance(until: cell.nextEventNanoseconds, into: &sink) }
        compare(recorder.take().records, into: &outcome)
        outcome.audited = audit?.decisions ?? []
        outcome.completions = sink.completions.sorted { $0.requestID < $1.requestID }
        return outcome
    }

    /// Decisions are compared one by one in their order; a log may end before the replay does, because it was taken
    /// while requests were waiting.
    private func compare(_ replayed: [DecisionRecord], into outcome: inout Outcome) {
        let was = log.records.filter { !$0.kind.isMessage }
        let now = replayed.filter { !$0.kind.isMessage }
        outcome.decisions = was.count
        for (index, decision) in was.enumerated() {
            if index < now.count, now[index] == decision {
                outcome.agreed += 1
            } else if outcome.firstDifference == nil {
                outcome.firstDifference = (decision, index < now.count ? now[index] : nil)
            }
        }
    }
}

/// What another policy would have made of each request: positive where the one that was used did worse.
public struct PlacementRegret: Sendable, Equatable {
    /// Requests that both finished, how many of them would have been faster to their first token, and how many slower.
    public var requests = 0
    public var fasterElsewhere = 0
    public var slowerElsewhere = 0
    /// Sum and largest value of TTFT as it was minus as it would have been; the sum of the same for the end-to-end
    /// time.
    public var ttftNanoseconds: Int64 = 0
    public var largestTTFTNanoseconds: Int64 = 0
    public var largestRequestID: UInt64 = 0
    public var e2eNanoseconds: Int64 = 0

    public init() {}

    /// Adds the regret of other requests.
    public mutating func add(_ other: PlacementRegret) {
        requests += other.requests
        fasterElsewhere += other.fasterElsewhere
        slowerElsewhere += other.slowerElsewhere
        ttftNanoseconds += other.ttftNanoseconds
        e2eNanoseconds += other.e2eNanoseconds
        if other.largestTTFTNanoseconds > largestTTFTNanoseconds {
            largestTTFTNanoseconds = other.largestTTFTNanoseconds
            largestRequestID = other.largestRequestID
        }
    }

    /// - Parameters: outcomes under the policy that was used and under the other one, each by request number.
    public init(was: [Completion], other: [Completion]) {
        var index = 0
        for completion in was where completion.status == .finished {
            while index < other.count, other[index].requestID < completion.requestID { index += 1 }
            guard index < other.count, other[index].requestID == completion.requestID, other[index].status == .finished
            else { continue }
            let ttft = completion.firstTokenNanoseconds - other[index].firstTokenNanoseconds
            requests += 1
            if ttft > 0 { fasterElsewhere += 1 }
            if ttft < 0 { slowerElsewhere += 1 }
            ttftNanoseconds += ttft
            e2eNanoseconds += completion.lastTokenNanoseconds - other[index].lastTokenNanoseconds
            if ttft > largestTTFTNanoseconds {
                largestTTFTNanoseconds = ttft
                largestRequestID = completion.requestID
            }
        }
    }
}

private struct ReplaySink: OutcomeSink {
    var completions: [Completion] = []
    mutating func completed(_ completion: Completion) { completions.append(completion) }
    mutating func produced(_ token: TokenEvent) {}
    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
}
