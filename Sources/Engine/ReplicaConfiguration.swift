//===----------------------------------------------------------------------===//
// How one replica serves: its stack's rules and its limits.
//===----------------------------------------------------------------------===//

/// Everything about a replica that the step table does not know: which requests share a step, and what memory they
/// have.
///
/// The defaults are vLLM V1's raw ones (0.33); a deployment overwrites what its hardware and stack change.
public struct ReplicaConfiguration: Sendable, Equatable {
    public enum Stack: Sendable, Equatable {
        /// vLLM V1: a token budget per step, running sequences first, prefill chunks beside decodes, preemption by
        /// recompute.
        case mixed(MixedRules)
        /// vLLM-neuron and NxD Inference: static shapes, prefill and decode never share a step, no preemption.
        case phased(PhasedRules)
        /// Sarathi-Serve as Vidur schedules it: decodes first, then unfinished prefills, then new requests, within a
        /// chunk.
        case sarathi(chunkTokens: Int32)
        /// vLLM before V1 as Vidur schedules it: a step is either whole prompts or decodes.
        case vllmV0
    }

    /// Which waiting request goes first, and which running one is preempted first.
    public enum QueueOrder: Sendable, Equatable {
        case firstComeFirstServed
        /// By `Request.priority` (lower first), then arrival, then number.
        case priority
    }

    /// What the replica remembers of earlier prompts.
    public enum PrefixCaching: Sendable, Equatable {
        case off
        /// By the source's chained block hashes; a request without hashes falls back to its session.
        case blocks
        /// By session and shared head only, which takes one entry for a whole conversation.
        case sessions
    }

    public var stack: Stack
    /// Sequences that may run at once (`max_num_seqs`).
    public var maxSequences: Int32
    /// Prompt plus output tokens of one sequence (`max_model_len`).
    public var maxModelTokens: Int32
    /// Tokens in one step (`max_num_batched_tokens`); a phased stack splits longer prompts into chunks of this.
    public var maxBatchedTokens: Int32
    /// KV blocks that sequences can use (vLLM's reserved null block is not counted here).
    public var kvBlocks: Int32
    public var kvBlockTokens: Int32
    /// Blocks that an admission must leave free while something runs.
    public var watermarkBlocks: Int32
    public var prefixCaching: PrefixCaching
    /// How long an unused prefix stays usable; nil keeps it until its memory is needed.
    public var prefixLifetimeNanoseconds: Int64?
    /// Blocks of host memory behind the KV cache; 0 for none.
    public var hostKVBlocks: Int32
    /// Time to bring one block back from host memory.
    public var hostTransferPicosecondsPerBlock: Int64
    public var queueOrder: QueueOrder
    /// Waiting requests beyond which a new one is rejected (`max_num_queued_reqs`).
    public var maxWaitingRequests: Int32
    /// Prompt tokens waiting beyond which a new request is rejected (`max_num_queued_tokens`).
    public var maxWaitingTokens: Int64
    public var adapters: AdapterRules?
    public var speculation: SpeculationRules?
    public var role: ReplicaRole

    public init(
        stack: Stack = .mixed(MixedRules()),
        maxSequences: Int32 = 128,
        maxModelTokens: Int32 = 8192,
        maxBatchedTokens: Int32 = 2048,
        kvBlocks: Int32,
        kvBlockTokens: Int32 = 16,
        watermarkBlocks: Int32 = 0,
        prefixCaching: PrefixCaching = .off,
        prefixLifetimeNanoseconds: Int64? = nil,
        hostKVBlocks: Int32 = 0,
        hostTransferPicosecondsPerBlock: Int64 = 0,
        queueOrder: QueueOrder = .firstComeFirstServed,
        maxWaitingRequests: Int32 = .max,
        maxWaitingTokens: Int64 = .max,
        adapters: AdapterRules? = nil,
        speculation: SpeculationRules? = nil,
        role: ReplicaRole = .whole
    ) {
        self.stack = stack
        self.maxSequences = maxSequences
        self.maxModelTokens = maxModelTokens
        self.maxBatchedTokens = maxBatchedTokens
        self.kvBlocks = kvBlocks
        self.kvBlockTokens = kvBlockTokens
        self.watermarkBlocks = watermarkBlocks
        self.prefixCaching = prefixCaching
        self.prefixLifetimeNanoseconds = prefixLifetimeNanoseconds
        self.hostKVBlocks = hostKVBlocks
        self.hostTransferPicosecondsPerBlock = hostTransferPicosecondsPerBlock
        self.queueOrder = queueOrder
        self.maxWaitingRequests = maxWaitingRequests
        self.maxWaitingTokens = maxWaitingTokens
        self.adapters = adapters
        self.speculation = speculation
        self.role = role
    }

    /// Blocks that hold `tokens` tokens.
    @inlinable public func blocks(forTokens tokens: Int32) -> Int32 {
        (tokens &+ kvBlockTokens &- 1) / kvBlockTokens
    }

    /// What makes this configuration impossible, or nil.
    public var problem: String? {
        if maxSequences < 1 { return "maxSequences is \(maxSequences); at least 1 sequence must fit" }
        if maxModelTokens < 2 { return "maxModelTokens is \(maxModelTokens); a prompt and an output token need 2" }
        if kvBlockTokens < 1 || kvBlockTokens > 1024 {
            return "kvBlockTokens is \(kvBlockTokens); 1 to 1024 are possible"
        }
        if kvBlocks < 1 { return "kvBlocks is \(kvBlocks); at least 1 is needed" }
        if maxBatchedTokens < 1 { return "maxBatchedTokens is \(maxBatchedTokens); at least 1 is needed" }
        if watermarkBlocks < 0 || watermarkBlocks >= kvBlocks {
            return "watermarkBlocks is \(watermarkBlocks); it must be at least 0 and below the \(kvBlocks) KV blocks"
        }
        switch stack {
        case .mixed(let rules):
            let perSequence = 1 + (speculation?.draftTokens ?? 0)
            if Int64(maxSequences) * Int64(perSequence) > Int64(maxBatchedTokens) {
                return
                    "maxBatchedTokens is \(maxBatchedTokens), below the \(perSequence) token(s) of each of \(maxSequences) sequences"
            }
            return rules.problem(in: self)
        case .phased(let rules): return rules.problem(in: self)
        case .sarathi(let chunkTokens):
            return chunkTokens < 1 ? "chunkTokens is \(chunkTokens); at least 1 is needed" : nil
        case .vllmV0: return nil
        }
    }
}
