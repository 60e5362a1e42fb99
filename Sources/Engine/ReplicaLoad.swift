//===----------------------------------------------------------------------===//
// What placement and the ledger read of a replica.
//===----------------------------------------------------------------------===//

/// A replica's state as of its last `advance`, for placement. O(1) to take.
public struct ReplicaLoad: BitwiseCopyable, Sendable, Equatable {
    public var waitingRequests: Int32 = 0
    public var runningRequests: Int32 = 0
    /// Prompt tokens of waiting requests (and earlier output of preempted ones, which is computed again).
    public var waitingPromptTokens: Int64 = 0
    /// Work left: tokens still to prefill plus tokens still to produce, over waiting and running requests.
    public var outstandingTokens: Int64 = 0
    /// Blocks that an allocation could take: never used ones, and cached ones that nothing refers to.
    public var freeKVBlocks: Int32 = 0
    public var totalKVBlocks: Int32 = 0

    public init() {}
}

/// Counters of a replica that only grow.
public struct ReplicaUsage: BitwiseCopyable, Sendable, Equatable {
    /// Time in which a step ran.
    public var busyPicoseconds: Int128 = 0
    /// Energy of all chips of the replica in those steps; idle power is the caller's to add for the rest of the time.
    public var activeNanojoules: Int128 = 0
    public var steps: Int64 = 0
    /// Steps without any prefill.
    public var decodeSteps: Int64 = 0
    public var preemptions: Int64 = 0
    public var peakKVBlocks: Int32 = 0
    /// Tokens that steps computed for sequences, and the padding that static shapes added.
    public var realTokens: Int64 = 0
    public var paddedTokens: Int64 = 0
    /// Tokens that went through prefix lookup at admission, and those found.
    public var prefixQueryTokens: Int64 = 0
    public var prefixHitTokens: Int64 = 0
    /// Of the hits, tokens brought back from host memory.
    public var prefixHostHitTokens: Int64 = 0
    public var adapterLoads: Int64 = 0
    public var draftTokens: Int64 = 0
    public var acceptedDraftTokens: Int64 = 0

    public init() {}
}
