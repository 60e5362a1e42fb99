//===----------------------------------------------------------------------===//
// What versions and deployments of the two serving stacks switch.
//===----------------------------------------------------------------------===//

/// vLLM V1's scheduler options (0.33). Numbers in brackets are the rules in the engine's tests.
public struct MixedRules: Sendable, Equatable {
    /// [4] Split prompts over steps; without it a prompt that exceeds the rest of the budget waits.
    public var chunkedPrefill: Bool
    /// [7] Most tokens of one prompt in a step while others are there; 0 for no limit.
    public var longPrefillTokenThreshold: Int32
    /// [7] Raise that threshold to the budget divided by the requests queued and running.
    public var longPrefillAdaptive: Bool
    /// [13] Admit a request only when blocks for all of its known tokens are free (`scheduler_reserve_full_isl`).
    public var reserveFullSequence: Bool
    /// [15] While sequences decode, prefill only in every n-th step.
    public var prefillScheduleInterval: Int32
    /// [3] Running sequences beyond which nothing more is admitted; nil for `maxSequences`.
    public var maxActiveSequences: Int32?
    /// [29] Step n + 1 is scheduled before step n's tokens return: a sequence that stops by itself, before its
    /// `maxOutputTokens`, has taken a place in one more step.
    public var asyncScheduling: Bool

    public init(
        chunkedPrefill: Bool = true,
        longPrefillTokenThreshold: Int32 = 0,
        longPrefillAdaptive: Bool = false,
        reserveFullSequence: Bool = true,
        prefillScheduleInterval: Int32 = 1,
        maxActiveSequences: Int32? = nil,
        asyncScheduling: Bool = false
    ) {
        self.chunkedPrefill = chunkedPrefill
        self.longPrefillTokenThreshold = longPrefillTokenThreshold
        self.longPrefillAdaptive = longPrefillAdaptive
        self.reserveFullSequence = reserveFullSequence
        self.prefillScheduleInterval = prefillScheduleInterval
        self.maxActiveSequences = maxActiveSequences
        self.asyncScheduling = asyncScheduling
    }

    func problem(in configuration: ReplicaConfiguration) -> String? {
        if !chunkedPrefill && configuration.maxBatchedTokens < configuration.maxModelTokens {
            return
                "without chunkedPrefill a step must hold a whole prompt: maxBatchedTokens is \(configuration.maxBatchedTokens), "
                + "below maxModelTokens \(configuration.maxModelTokens)"
        }
        if longPrefillTokenThreshold < 0 {
            return "longPrefillTokenThreshold is \(longPrefillTokenThreshold); 0 turns it off"
        }
        if prefillScheduleInterval < 1 {
            return "prefillScheduleInterval is \(prefillScheduleInterval); 1 is every step"
        }
        if let maxActiveSequences, maxActiveSequences < 1 {
            return "maxActiveSequences is \(maxActiveSequences); at least 1 is needed"
        }
        return nil
    }
}

/// The Neuron stacks' options. Empty bucket lists mean that the step table sees the true shape.
///
/// The engine pads the shape it hands to the table: a prefill chunk to the smallest prefill bucket that holds it, a
/// decode batch to the smallest batch bucket, and each sequence's context to the smallest context bucket that holds the
/// longest one. All lists ascend.
public struct PhasedRules: Sendable, Equatable {
    public enum Admission: BitwiseCopyable, Sendable, Equatable {
        /// Running sequences stay below KV tokens ÷ `maxModelTokens` (vLLM-neuron).
        case wholeContext
        /// Blocks for prompt plus `maxOutputTokens` are reserved at admission.
        case requestMaximum
    }
    /// Tokens of a compiled prefill; powers of two from 128 by default.
    public var prefillBuckets: [Int32]
    /// Sequences of a compiled decode step; NxD Inference has one, the full batch.
    public var batchBuckets: [Int32]
    /// KV tokens that a decode step reads per sequence; vLLM-neuron's default is one, `maxModelTokens`.
    public var contextBuckets: [Int32]
    public var admission: Admission
    /// Data-parallel ranks that step together, each with `maxSequences` slots and `kvBlocks` blocks of its own, at the
    /// largest bucket that any of them needs. The table's step describes one rank's time and all ranks' energy.
    public var dataParallelRanks: Int32

    public init(
        prefillBuckets: [Int32] = [],
        batchBuckets: [Int32] = [],
        contextBuckets: [Int32] = [],
        admission: Admission = .wholeContext,
        dataParallelRanks: Int32 = 1
    ) {
        self.prefillBuckets = prefillBuckets
        self.batchBuckets = batchBuckets
        self.contextBuckets = contextBuckets
        self.admission = admission
        self.dataParallelRanks = dataParallelRanks
    }

    /// Powers of two from `first` up to `last`, and `last` itself.
    public static func powersOfTwo(from first: Int32, to last: Int32) -> [Int32] {
        precondition(first > 0 && last > 0)
        var buckets: [Int32] = []
        var bucket = first
        while bucket < last {
            buckets.append(bucket)
            bucket *= 2
        }
        buckets.append(last)
        return buckets
    }

    func problem(in configuration: ReplicaConfiguration) -> String? {
        for (name, buckets, largest) in [
            ("prefillBuckets", prefillBuckets, min(configuration.maxBatchedTokens, configuration.maxModelTokens)),
            ("batchBuckets", batchBuckets, configuration.maxSequences),
            ("contextBuckets", contextBuckets, configuration.maxModelTokens),
        ] {
            guard let last = buckets.last else { continue }
            if zip(buckets, buckets.dropFirst()).contains(where: { $0 >= $1 }) || buckets[0] < 1 {
                return "\(name) must ascend from at least 1: \(buckets)"
            }
            if last < largest { return "\(name) end at \(last), below the \(largest) that a step can need" }
        }
        if !batchBuckets.isEmpty && contextBuckets.isEmpty {
            return "batchBuckets need contextBuckets beside them: a compiled decode step has both dimensions"
        }
        if dataParallelRanks < 1 || dataParallelRanks > 256 {
            return "dataParallelRanks is \(dataParallelRanks); 1 to 256 are possible"
        }
        if configuration.speculation != nil && admission != .wholeContext {
            return "speculation needs wholeContext admission: a request's own maximum leaves no room for drafts"
        }
        if dataParallelRanks > 1 && (contextBuckets.isEmpty || admission != .wholeContext) {
            return "\(dataParallelRanks) ranks that step together need contextBuckets and wholeContext admission"
        }
        if admission == .wholeContext,
            configuration.kvBlocks < configuration.blocks(forTokens: configuration.maxModelTokens)
        {
            return
                "\(configuration.kvBlocks) KV blocks of \(configuration.kvBlockTokens) tokens hold less than one sequence "
                + "of maxModelTokens \(configuration.maxModelTokens)"
        }
        return nil
    }
}

/// LoRA adapters that a replica holds.
public struct AdapterRules: Sendable, Equatable {
    /// Different adapters in one step (`max_loras`); a request beyond them is passed over, not blocked behind.
    public var maxResident: Int32
    /// Added to the step in which an adapter that is not resident is brought in.
    public var loadPicoseconds: Int64

    public init(maxResident: Int32, loadPicoseconds: Int64) {
        precondition(maxResident > 0 && loadPicoseconds >= 0)
        self.maxResident = maxResident
        self.loadPicoseconds = loadPicoseconds
    }
}

/// Speculative decoding by an acceptance profile.
public struct SpeculationRules: Sendable, Equatable {
    /// Draft tokens that each decoding sequence verifies in a step.
    public var draftTokens: Int32
    /// Chance, in units of 2⁻³², that draft i + 1 is accepted when draft i was; as many as `draftTokens`.
    public var acceptanceShifted32: [UInt32]
    /// What a step that only decodes costs, in units of 2⁻¹⁶ of the table's: 65,536 when the table prices the
    /// verification of all drafts, the mean accepted length (the bonus token included) when it prices one token that
    /// comes out.
    public var stepScaleShifted16: Int64
    /// Time that drafting adds to a decode step.
    public var draftPicoseconds: Int64
    /// Chip energy that drafting adds to a decode step.
    public var draftNanojoules: Int64
    public var seed: UInt64

    public init(
        draftTokens: Int32, acceptanceShifted32: [UInt32], draftPicoseconds: Int64, draftNanojoules: Int64,
        seed: UInt64,
        stepScaleShifted16: Int64 = 1 << 16
    ) {
        precondition(draftTokens > 0 && acceptanceShifted32.count == Int(draftTokens))
        precondition(draftPicoseconds >= 0 && draftNanojoules >= 0 && stepScaleShifted16 > 0)
        self.draftTokens = draftTokens
        self.acceptanceShifted32 = acceptanceShifted32
        self.draftPicoseconds = draftPicoseconds
        self.draftNanojoules = draftNanojoules
        self.seed = seed
        self.stepScaleShifted16 = stepScaleShifted16
    }
}

/// The part that a replica plays when prefill and decode run on separate replicas.
public enum ReplicaRole: Sendable, Equatable {
    case whole
    /// Ends each request after its prompt: the completion carries one output token, and the caller hands the
    /// request on to a decode replica.
    case prefillOnly
    /// Takes requests whose KV was computed elsewhere: nothing is prefilled, the first step decodes.
    case decodeOnly
}
