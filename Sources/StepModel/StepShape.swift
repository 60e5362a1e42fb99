//===----------------------------------------------------------------------===//
// What the engine asks a step table, and what it gets back.
//===----------------------------------------------------------------------===//

/// One step's work, reduced to the sums that every cost surface needs.
///
/// The engine keeps these sums up to date in O(1) per changed sequence, so asking for a step's cost never walks the
/// batch.
/// "Context" is what lies in the KV cache *before* the step.
public struct StepShape: BitwiseCopyable, Sendable {
    /// Sequences that produce one token each from their whole context.
    public var decodeSequences: Int32 = 0
    /// Longest context among them, in tokens.
    public var longestDecodeContextTokens: Int32 = 0
    /// Sum of their contexts, in tokens.
    public var decodeContextTokens: Int64 = 0
    /// Sequences with a prefill chunk in this step, and the sum of the chunks.
    public var prefillSequences: Int32 = 0
    public var prefillTokens: Int32 = 0
    /// Of these, the sequences whose prompt is complete after this step: they need logits and yield a token.
    public var completingSequences: Int32 = 0
    /// Σ context of the prefilling sequences (earlier chunks and prefix-cache hits).
    public var prefillContextTokens: Int64 = 0
    /// The same sum with each context rounded up to a multiple of 64 (Vidur's table is keyed by it).
    public var prefillContextTokensBy64: Int64 = 0
    /// Σ chunk², in tokens².
    public var prefillChunkSquares: Int64 = 0
    /// Σ chunk × context + chunk × (chunk + 1) / 2: query–key pairs under a causal mask.
    public var prefillPairs: Int64 = 0

    @inlinable public init() {}

    @inlinable public var totalTokens: Int32 { decodeSequences &+ prefillTokens }

    /// Adds the chunk of one prefilling sequence.
    @inlinable public mutating func addPrefill(chunkTokens: Int32, contextTokens: Int32, completes: Bool) {
        let chunk = Int64(chunkTokens)
        let context = Int64(contextTokens)
        prefillSequences &+= 1
        prefillTokens &+= chunkTokens
        if completes { completingSequences &+= 1 }
        prefillContextTokens &+= context
        prefillContextTokensBy64 &+= (context &+ 63) & ~63
        prefillChunkSquares &+= chunk &* chunk
        prefillPairs &+= chunk &* context &+ (chunk &* (chunk &+ 1)) / 2
    }

    /// Adds one decoding sequence.
    @inlinable public mutating func addDecode(contextTokens: Int32) {
        decodeSequences &+= 1
        decodeContextTokens &+= Int64(contextTokens)
        if contextTokens > longestDecodeContextTokens { longestDecodeContextTokens = contextTokens }
    }
}

/// Duration and chip energy of one step. Picoseconds, so that a per-token slope of a few nanoseconds keeps its
/// precision; nanojoules over all chips of the replica.
public struct StepCost: BitwiseCopyable, Sendable, Equatable {
    public var picoseconds: Int64
    public var nanojoules: Int64
    @inlinable public init(picoseconds: Int64, nanojoules: Int64) {
        self.picoseconds = picoseconds
        self.nanojoules = nanojoules
    }
}

/// A stretch of decode-only steps with an unchanged batch, whose cost is a straight line in the step's number.
///
/// Step `i` (0 ≤ i < `steps`) costs exactly `first + i × increment`. The engine sums the line in closed form,
/// which is why skipping ahead equals stepping bit for bit: both read the same integers.
public struct StepRun: BitwiseCopyable, Sendable, Equatable {
    public var first: StepCost
    public var increment: StepCost
    /// For how many steps the line holds; at least 1, `Int32.max` when it never ends.
    public var steps: Int32
    @inlinable public init(first: StepCost, increment: StepCost, steps: Int32) {
        self.first = first
        self.increment = increment
        self.steps = steps
    }
}
