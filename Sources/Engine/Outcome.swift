//===----------------------------------------------------------------------===//
// What a replica says happened.
//===----------------------------------------------------------------------===//

/// The end of one request, once for each request that was accepted.
///
/// Times are nanoseconds on the clock of the run; a time that never came is -1.
public struct Completion: BitwiseCopyable, Sendable, Equatable {
    public enum Status: UInt8, BitwiseCopyable, Sendable { case finished, cancelled, failed, rejected }
    public var requestID: UInt64
    public var arrivalNanoseconds: Int64
    /// When a replica first gave it tokens in a step.
    public var scheduledNanoseconds: Int64
    public var firstTokenNanoseconds: Int64
    public var lastTokenNanoseconds: Int64
    public var promptTokens: Int32
    /// Prompt tokens found in the prefix cache at its first admission.
    public var cachedPromptTokens: Int32
    /// Tokens produced. When `status` is `finished`, those asked for, or as many as the model's length
    /// (`maxModelTokens`) leaves behind the prompt, if these are fewer.
    public var outputTokens: Int32
    public var preemptions: Int32
    /// The replica, as the fleet numbers them.
    public var replica: Int32
    public var session: UInt64
    public var tenant: UInt16
    public var frontEnd: UInt16
    public var priorityClass: UInt8
    public var status: Status

    public init(
        requestID: UInt64, arrivalNanoseconds: Int64, scheduledNanoseconds: Int64, firstTokenNanoseconds: Int64,
        lastTokenNanoseconds: Int64, promptTokens: Int32, cachedPromptTokens: Int32, outputTokens: Int32,
        preemptions: Int32, replica: Int32, session: UInt64, tenant: UInt16, frontEnd: UInt16, priorityClass: UInt8,
        status: Status
    ) {
        self.requestID = requestID
        self.arrivalNanoseconds = arrivalNanoseconds
        self.scheduledNanoseconds = scheduledNanoseconds
        self.firstTokenNanoseconds = firstTokenNanoseconds
        self.lastTokenNanoseconds = lastTokenNanoseconds
        self.promptTokens = promptTokens
        self.cachedPromptTokens = cachedPromptTokens
        self.outputTokens = outputTokens
        self.preemptions = preemptions
        self.replica = replica
        self.session = session
        self.tenant = tenant
        self.frontEnd = frontEnd
        self.priorityClass = priorityClass
        self.status = status
    }
}

/// One token (or, after a step with accepted drafts, several) of a request whose client streams.
public struct TokenEvent: BitwiseCopyable, Sendable, Equatable {
    public var requestID: UInt64
    /// End of the step that produced it.
    public var atNanoseconds: Int64
    /// Tokens produced so far, including these.
    public var outputTokens: Int32
    public var newTokens: Int16
    public var frontEnd: UInt16

    @inlinable public init(
        requestID: UInt64, atNanoseconds: Int64, outputTokens: Int32, newTokens: Int16, frontEnd: UInt16
    ) {
        self.requestID = requestID
        self.atNanoseconds = atNanoseconds
        self.outputTokens = outputTokens
        self.newTokens = newTokens
        self.frontEnd = frontEnd
    }
}

/// Receives what replicas of one cell report while they advance. Calls come in the order of time of one replica;
/// the receiver must not call back into the replica.
public protocol OutcomeSink {
    /// A request ended.
    mutating func completed(_ completion: Completion)
    /// A streaming request produced a token.
    mutating func produced(_ token: TokenEvent)
    /// `count` sequences each saw `steps` gaps between consecutive tokens; gap `i` lasted
    /// `firstPicoseconds + i × incrementPicoseconds`.
    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32)
}
