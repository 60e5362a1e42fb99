//===----------------------------------------------------------------------===//
// What a cell tells front ends about itself: one word.
//===----------------------------------------------------------------------===//

public import WaitFree

/// A cell's state as front ends see it, packed into one word of the load board. Counts are rounded down by less than
/// one part in 2⁷ (waiting), 2⁸ (places), 2⁹ (rate) and 2¹² (tokens).
public struct PublishedLoad: PackedInWord, Sendable, Equatable {
    /// Tokens waiting or placed and not ended.
    public var outstandingTokens: Int64
    public var waitingRequests: Int64
    /// Requests that replicas would still take.
    public var freePlaces: Int64
    /// Tokens of requests that ended, per second, lately; 0 before the first has.
    public var tokensPerSecond: Int64
    /// Counts the posts, modulo 256, so that a reader sees whether there was a new one.
    public var generation: UInt8

    public init(
        outstandingTokens: Int64 = 0, waitingRequests: Int64 = 0, freePlaces: Int64 = 0, tokensPerSecond: Int64 = 0,
        generation: UInt8 = 0
    ) {
        self.outstandingTokens = outstandingTokens
        self.waitingRequests = waitingRequests
        self.freePlaces = freePlaces
        self.tokensPerSecond = tokensPerSecond
        self.generation = generation
    }

    private static let tokens = FloatingCount(bits: 17, mantissaBits: 12)
    private static let waiting = FloatingCount(bits: 12, mantissaBits: 7)
    private static let places = FloatingCount(bits: 13, mantissaBits: 8)
    private static let rate = FloatingCount(bits: 14, mantissaBits: 9)

    public init(packed: UInt64) {
        generation = UInt8(truncatingIfNeeded: packed)
        tokensPerSecond = Self.rate.count(packed >> 8 & 0x3FFF)
        freePlaces = Self.places.count(packed >> 22 & 0x1FFF)
        waitingRequests = Self.waiting.count(packed >> 35 & 0xFFF)
        outstandingTokens = Self.tokens.count(packed >> 47)
    }

    public var packed: UInt64 {
        Self.tokens.code(outstandingTokens) << 47 | Self.waiting.code(waitingRequests) << 35
            | Self.places.code(freePlaces) << 22 | Self.rate.code(tokensPerSecond) << 8 | UInt64(generation)
    }

    /// How long a client should wait before it tries again: until what waits has drained at the present rate, between 1
    /// and 60 seconds.
    public var retryAfterNanoseconds: Int64 {
        guard tokensPerSecond > 0 else { return 1_000_000_000 }
        let seconds = outstandingTokens / tokensPerSecond
        return min(max(seconds, 1), 60) * 1_000_000_000
    }
}

/// Makes a cell's posts: what the cell knows, and how fast it has been ending work.
public struct LoadPublisher: Sendable {
    /// The rate is measured over stretches of at least this long.
    private static let stretchNanoseconds: Int64 = 1_000_000_000
    private var generation: UInt8 = 0
    private var sinceNanoseconds: Int64 = 0
    private var endedTokens: UInt64 = 0
    private var tokensPerSecond: Int64 = 0

    public init() {}

    /// The post for now.
    public mutating func post(of cell: Cell, at nowNanoseconds: Int64) -> PublishedLoad {
        let load = cell.load
        let elapsed = nowNanoseconds - sinceNanoseconds
        if elapsed >= Self.stretchNanoseconds {
            let ended = cell.counters.endedTokens - endedTokens
            tokensPerSecond = Int64(clamping: Int128(ended) * 1_000_000_000 / Int128(elapsed))
            endedTokens = cell.counters.endedTokens
            sinceNanoseconds = nowNanoseconds
        }
        generation &+= 1
        return PublishedLoad(
            outstandingTokens: load.outstandingTokens, waitingRequests: Int64(load.waitingRequests),
            freePlaces: Int64(load.freePlaces), tokensPerSecond: tokensPerSecond, generation: generation
        )
    }
}
