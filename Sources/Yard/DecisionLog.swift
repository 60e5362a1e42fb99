//===----------------------------------------------------------------------===//
// What a cell was told and what it decided, in order.
//===----------------------------------------------------------------------===//

public import Workload

/// One line of a cell's decision log: a message that it took or a decision that it made, with what it saw.
public struct DecisionRecord: BitwiseCopyable, Sendable, Equatable {
    public enum Kind: UInt8, BitwiseCopyable, Sendable, Equatable, CaseIterable {
        // messages
        case submitted, cancelled, ordered, closed
        // decisions
        case placed, queued, refused

        public var isMessage: Bool { rawValue <= Kind.closed.rawValue }
    }
    public var kind: Kind
    /// `Refusal.rawValue` of a refusal, the order's code of an order.
    public var detail: UInt8
    public var cell: UInt16
    /// Chosen or ordered replica, as the cell numbers them; -1 for none.
    public var replica: Int32
    public var atNanoseconds: Int64
    public var requestID: UInt64
    /// What was placed on the chosen replica before this request; for other decisions, what waited.
    public var tokens: Int64
    public var requests: Int32
    /// Replicas that accepted.
    public var accepting: Int32

    public init(
        kind: Kind, detail: UInt8 = 0, cell: UInt16, replica: Int32 = -1, atNanoseconds: Int64, requestID: UInt64 = 0,
        tokens: Int64 = 0, requests: Int32 = 0, accepting: Int32 = 0
    ) {
        self.kind = kind
        self.detail = detail
        self.cell = cell
        self.replica = replica
        self.atNanoseconds = atNanoseconds
        self.requestID = requestID
        self.tokens = tokens
        self.requests = requests
        self.accepting = accepting
    }
}

/// A stretch of a decision log. The k-th `submitted` record is about `requests[k]`.
public struct DecisionLog: Sendable {
    public var records: [DecisionRecord] = []
    public var requests: [Request] = []
    /// Block hashes of the requests that have them, one after the other; the requests' own pointers are nil.
    public var blockHashes: [UInt64] = []

    public init() {}
}

/// Collects a cell's decision log until its owner takes it.
///
/// A cell with a recorder does everything that it does without one. The buffer is bounded: what does not fit is counted
/// as lost, and a log with losses cannot be replayed.
public final class DecisionRecorder {
    public let capacity: Int
    private let cell: UInt16
    private var log = DecisionLog()
    public private(set) var lost = 0

    /// - Parameter capacity: records kept until `take()`.
    public init(cell: Int, capacity: Int) {
        precondition(capacity > 0)
        self.cell = UInt16(cell)
        self.capacity = capacity
    }

    /// Hands over what was recorded since the last call.
    public func take() -> DecisionLog {
        defer { log = DecisionLog() }
        return log
    }

    private func append(_ record: DecisionRecord) {
        if log.records.count < capacity { log.records.append(record) } else { lost += 1 }
    }

    func record(submitted request: Request, at now: Int64) {
        if log.records.count >= capacity {
            lost += 1
            return
        }
        append(DecisionRecord(kind: .submitted, cell: cell, atNanoseconds: now, requestID: request.id))
        var copy = request
        if let hashes = request.prefix.blockHashes {
            log.blockHashes.append(
                contentsOf: UnsafeBufferPointer(start: hashes, count: Int(request.prefix.blockHashCount)))
            copy.prefix.blockHashes = nil
        }
        log.requests.append(copy)
    }

    func record(cancelled requestID: UInt64, at now: Int64) {
        append(DecisionRecord(kind: .cancelled, cell: cell, atNanoseconds: now, requestID: requestID))
    }

    func record(_ order: ReplicaOrder, replica: Int, at now: Int64) {
        append(
            DecisionRecord(kind: .ordered, detail: order.code, cell: cell, replica: Int32(replica), atNanoseconds: now))
    }

    func recordClosed(at now: Int64) { append(DecisionRecord(kind: .closed, cell: cell, atNanoseconds: now)) }

    func record(placed requestID: UInt64, on replica: Int, state: ReplicaState, accepting: Int32, at now: Int64) {
        append(
            DecisionRecord(
                kind: .placed, cell: cell, replica: Int32(replica), atNanoseconds: now, requestID: requestID,
                tokens: state.tokens, requests: state.requests, accepting: accepting
            )
        )
    }

    func record(queued requestID: UInt64, load: CellLoad, at now: Int64) {
        append(
            DecisionRecord(
                kind: .queued, cell: cell, atNanoseconds: now, requestID: requestID, tokens: load.waitingTokens,
                requests: load.waitingRequests, accepting: load.acceptingReplicas
            )
        )
    }

    func record(refused requestID: UInt64, _ refusal: Refusal, load: CellLoad, at now: Int64) {
        append(
            DecisionRecord(
                kind: .refused, detail: refusal.rawValue, cell: cell, atNanoseconds: now, requestID: requestID,
                tokens: load.waitingTokens, requests: load.waitingRequests, accepting: load.acceptingReplicas
            )
        )
    }
}

extension ReplicaOrder {
    /// The order as one byte of a log.
    public var code: UInt8 {
        switch self {
        case .drain: 0
        case .fail(.fail): 1
        case .fail(.requeue): 2
        case .restore: 3
        }
    }

    public init?(code: UInt8) {
        switch code {
        case 0: self = .drain
        case 1: self = .fail(.fail)
        case 2: self = .fail(.requeue)
        case 3: self = .restore
        default: return nil
        }
    }
}
