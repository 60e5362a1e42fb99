//===----------------------------------------------------------------------===//
// A request: what a client asked for, as plain data.
//===----------------------------------------------------------------------===//

/// One inference request, as it travels from its source (a trace, a generator, an HTTP body) to a replica.
///
/// Plain data of fixed size without references, so that it crosses a ring between threads by being copied.
/// The lengths are what the request *will* need: a trace knows its output length, and the daemon decides it at
/// admission, so that every layer below works on certainties.
public struct Request: BitwiseCopyable, Sendable {
    /// Unique within a run; a reader numbers requests densely from 0 in arrival order.
    public var id: UInt64
    /// When the client sent it, in nanoseconds on the clock of the run (0 is the start of the run).
    public var arrivalNanoseconds: Int64
    /// Tokens of the prompt, at least 1.
    public var promptTokens: Int32
    /// Tokens that the model will produce before it stops, at least 1.
    public var outputTokens: Int32
    /// Tokens that the client allows (`max_tokens`); at least `outputTokens`. Worst-case admission reserves for these.
    public var maxOutputTokens: Int32
    /// Lower runs first, as in vLLM's `priority`; 0 is the default.
    public var priority: Int32
    /// Priority class, an index into the fleet's classes; 0 is the default class.
    public var priorityClass: UInt8
    public var flags: Flags
    /// Index into the fleet's tenants; 0 is the anonymous tenant.
    public var tenant: UInt16
    /// LoRA adapter, 0 for none.
    public var adapter: UInt16
    /// Where outcomes go back to: index of the front end that submitted it.
    public var frontEnd: UInt16
    /// Latency promises of this request in microseconds; 0 when it has none of its own.
    public var ttftTargetMicroseconds: UInt32
    public var tpotTargetMicroseconds: UInt32
    /// What earlier work its prompt shares.
    public var prefix: PrefixIdentity

    public struct Flags: OptionSet, BitwiseCopyable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Wants an outcome for each token as it is produced, not only one at the end.
        public static let streams = Flags(rawValue: 1 << 0)
    }

    public init(
        id: UInt64,
        arrivalNanoseconds: Int64,
        promptTokens: Int32,
        outputTokens: Int32,
        maxOutputTokens: Int32? = nil,
        prefix: PrefixIdentity = .none
    ) {
        self.id = id
        self.arrivalNanoseconds = arrivalNanoseconds
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
        self.maxOutputTokens = maxOutputTokens ?? outputTokens
        self.priority = 0
        self.priorityClass = 0
        self.flags = []
        self.tenant = 0
        self.adapter = 0
        self.frontEnd = 0
        self.ttftTargetMicroseconds = 0
        self.tpotTargetMicroseconds = 0
        self.prefix = prefix
    }
}

/// What of a prompt was seen before, in the two forms that sources have.
///
/// *Blocks*: the source knows a chained hash per block of tokens (Mooncake's `hash_ids`, or the daemon's hash of a
/// real prompt). Equal hashes mean equal prompts up to the end of that block. The hashes belong to the source, which
/// keeps them alive until the request has ended.
///
/// *Session*: the source only knows that the prompt repeats the first `sharedTokens` tokens of a named context:
/// a conversation's earlier turns (`session`), after a prompt head shared by many conversations (`sharedHead`).
public struct PrefixIdentity: BitwiseCopyable, Sendable {
    /// Chained block hashes, or nil. Only the source writes them, before it submits the request.
    public nonisolated(unsafe) var blockHashes: UnsafePointer<UInt64>?
    public var blockHashCount: Int32
    /// Tokens that one hash stands for (512 for Mooncake, 64 for kv-cache-tester, the KV block size for the daemon).
    public var tokensPerHash: Int32
    /// Conversation, 0 for none. Turns of one conversation share its number.
    public var session: UInt64
    /// Tokens at the start of the prompt that repeat what this session has already computed or produced.
    public var sessionTokens: Int32
    /// Tokens at the start of the prompt that are the head `sharedHead` (system prompt, tool definitions).
    public var sharedHeadTokens: Int32
    /// Which shared head, 0 for none.
    public var sharedHead: UInt32

    public static let none = PrefixIdentity(
        blockHashes: nil, blockHashCount: 0, tokensPerHash: 0, session: 0, sessionTokens: 0, sharedHeadTokens: 0,
        sharedHead: 0
    )

    public init(
        blockHashes: UnsafePointer<UInt64>?,
        blockHashCount: Int32,
        tokensPerHash: Int32,
        session: UInt64,
        sessionTokens: Int32,
        sharedHeadTokens: Int32,
        sharedHead: UInt32
    ) {
        self.blockHashes = blockHashes
        self.blockHashCount = blockHashCount
        self.tokensPerHash = tokensPerHash
        self.session = session
        self.sessionTokens = sessionTokens
        self.sharedHeadTokens = sharedHeadTokens
        self.sharedHead = sharedHead
    }
}
