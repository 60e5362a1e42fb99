//===----------------------------------------------------------------------===//
// What became of one request of the load.
//===----------------------------------------------------------------------===//

/// How a request ended.
public enum RequestStatus: UInt8, CaseIterable, BitwiseCopyable, Sendable {
    /// A complete answer with a plausible token count.
    case completed
    /// The connection could not be made.
    case refused
    /// The connection could not be made in time.
    case connectTimedOut
    /// The connection ended before a response began.
    case closed
    /// The connection or the stream ended in the middle of an answer.
    case truncated
    /// What came is not HTTP, not an event stream or not JSON.
    case garbage
    /// A whole answer where a stream was asked for: its tokens have no times.
    case notStreamed
    /// An HTTP status other than 200.
    case httpError
    /// An error inside a stream that had begun.
    case streamError
    /// The answer is complete but its `usage` cannot be right.
    case wrongUsage
    /// A complete answer without any output.
    case empty
    /// No complete answer in time.
    case timedOut
    /// Cut by the client on purpose.
    case cancelled
    /// Still running, or never sent, when the run was stopped.
    case unfinished

    /// The name in JSON and CSV.
    public var name: String { String(describing: self) }

    /// Whether it counts against the server.
    var isFailure: Bool { self != .completed && self != .cancelled && self != .unfinished }
}

/// The times and counts of one request. Times are nanoseconds since the run began; -1 for what did not happen.
public struct RequestRecord: BitwiseCopyable, Sendable {
    public var id: UInt64 = 0
    /// When the schedule wanted it sent.
    public var intended: Int64 = 0
    /// When the client began to send it (for the first time, if it was retried).
    public var dispatched: Int64 = -1
    /// First event with output that is not empty.
    public var firstToken: Int64 = -1
    /// Last event with output.
    public var lastToken: Int64 = -1
    /// Last event before `[DONE]`, or the end of an answer that was not streamed; for failures, when they were known.
    public var ended: Int64 = -1
    public var largestGap: Int64 = 0
    /// As asked for, and as the server counted them (`usage`); without a `usage`, outputs are the chunks with output.
    public var askedPromptTokens: Int32 = 0
    public var askedOutputTokens: Int32 = 0
    public var promptTokens: Int32 = 0
    public var cachedTokens: Int32 = 0
    public var outputTokens: Int32 = 0
    public var chunks: Int32 = 0
    public var session: UInt64 = 0
    public var status = RequestStatus.unfinished
    public var httpStatus: UInt16 = 0
    public var attempts: UInt8 = 0
    public var priorityClass: UInt8 = 0
    public var tenant: UInt16 = 0
    public var hasUsage = false

    public init() {}

    /// Time to first token, from the send and from the intended time.
    public var ttft: Int64 { firstToken - dispatched }
    public var ttftFromIntended: Int64 { firstToken - intended }
    public var e2e: Int64 { ended - dispatched }
    public var e2eFromIntended: Int64 { ended - intended }
    /// How late the client was.
    public var lag: Int64 { dispatched - intended }
    /// (E2E - TTFT) / (output tokens - 1), as vLLM's benchmark has it; nil for a single token.
    public var tpot: Int64? {
        outputTokens > 1 && firstToken >= 0 ? (ended - firstToken) / Int64(outputTokens - 1) : nil
    }
    /// E2E per output token.
    public var ntpot: Int64? { outputTokens > 0 ? e2e / Int64(outputTokens) : nil }

    /// Whether a completed request kept `promise`. A promise on a figure that the request does not have is kept.
    public func keeps(_ promise: RequestPromise) -> Bool {
        if let limit = promise.ttft, firstToken >= 0, ttftFromIntended > limit { return false }
        if let limit = promise.tpot, let tpot, tpot > limit { return false }
        if let limit = promise.itl, largestGap > limit { return false }
        if let limit = promise.e2e, e2eFromIntended > limit { return false }
        return true
    }
}
