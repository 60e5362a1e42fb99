/// One layer of a decoder: what mixes tokens, what transforms each token, and the norms between them.
///
/// Element counts are weights (not bytes), so that any precision can be applied to them.
public struct Layer: Sendable, Hashable, Encodable {
    /// Usually one. None in layers that are only a feed-forward block, two where attention and a state-space block run
    /// side by side.
    public var mixers: [Mixer]
    /// None in layers that are only a mixer.
    public var feedForward: FeedForward?
    /// Weights and biases of the norms.
    public var normElements: Int

    public init(mixers: [Mixer], feedForward: FeedForward?, normElements: Int) {
        self.mixers = mixers
        self.feedForward = feedForward
        self.normElements = normElements
    }
}

public enum Mixer: Sendable, Hashable {
    case attention(Attention)
    case latentAttention(LatentAttention)
    case linearAttention(LinearAttention)
    case stateSpace(StateSpace)
    /// A gated short convolution (LFM2) or a gated linear recurrence (RG-LRU).
    case recurrence(Recurrence)
}

/// Multi-head, grouped-query or multi-query attention.
public struct Attention: Sendable, Hashable, Encodable {
    public var heads: Int
    public var keyValueHeads: Int
    /// Of queries and keys.
    public var headDimension: Int
    /// Of values; nearly always `headDimension`.
    public var valueDimension: Int
    /// Tokens that a query sees, itself included; nil when it sees all before it.
    public var window: Int?
    /// Biases of the query, key and value projections.
    public var hasInputBias: Bool
    public var hasOutputBias: Bool
    /// Weights of the norms on queries and keys.
    public var normElements: Int
    /// The query projection also makes a gate of the same size (Qwen3-Next).
    public var hasOutputGate: Bool
    /// One learned sink per head (gpt-oss).
    public var hasSinks: Bool
    /// Reads the keys and values of an earlier layer and stores none (Gemma 3n and 4).
    public var sharesKeyValues: Bool
    /// Values are the keys, so there is no value projection (Gemma 4 full attention); both are cached.
    public var valuesAreKeys: Bool

    public init(
        heads: Int, keyValueHeads: Int, headDimension: Int, valueDimension: Int? = nil, window: Int? = nil,
        hasInputBias: Bool = false, hasOutputBias: Bool = false, normElements: Int = 0, hasOutputGate: Bool = false,
        hasSinks: Bool = false, sharesKeyValues: Bool = false, valuesAreKeys: Bool = false
    ) {
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headDimension = headDimension
        self.valueDimension = valueDimension ?? headDimension
        self.window = window
        self.hasInputBias = hasInputBias
        self.hasOutputBias = hasOutputBias
        self.normElements = normElements
        self.hasOutputGate = hasOutputGate
        self.hasSinks = hasSinks
        self.sharesKeyValues = sharesKeyValues
        self.valuesAreKeys = valuesAreKeys
    }

    func elements(hidden: Int) -> Int {
        let queries = heads * headDimension * (hasOutputGate ? 2 : 1)
        let keys = sharesKeyValues ? 0 : keyValueHeads * headDimension
        let values = sharesKeyValues || valuesAreKeys ? 0 : keyValueHeads * valueDimension
        var count = hidden * (queries + keys + values) + heads * valueDimension * hidden + normElements
        if hasInputBias { count += queries + keys + values }
        if hasOutputBias { count += hidden }
        if hasSinks { count += heads }
        return count
    }

    var keyValueElementsPerToken: Int { sharesKeyValues ? 0 : keyValueHeads * (headDimension + valueDimension) }
}

/// Multi-head latent attention (DeepSeek): keys and values are kept as one low-rank vector and one rotary key.
public struct LatentAttention: Sendable, Hashable, Encodable {
    public var heads: Int
    /// Nil when queries are projected directly.
    public var queryRank: Int?
    public var keyValueRank: Int
    /// Dimension of the rotary part of queries and keys.
    public var rotaryDimension: Int
    /// Dimension of the part without position.
    public var plainDimension: Int
    public var valueDimension: Int
    /// Picks the tokens to attend to (DeepSeek sparse attention); nil when attention is dense.
    public var indexer: Indexer?

    public struct Indexer: Sendable, Hashable, Encodable {
        public var heads: Int
        public var headDimension: Int
        /// Tokens that attention reads at most.
        public var selectedTokens: Int

        public init(heads: Int, headDimension: Int, selectedTokens: Int) {
            self.heads = heads
            self.headDimension = headDimension
            self.selectedTokens = selectedTokens
        }
    }

    public init(
        heads: Int, queryRank: Int?, keyValueRank: Int, rotaryDimension: Int, plainDimension: Int, valueDimension: Int,
        indexer: Indexer? = nil
    ) {
        self.heads = heads
        self.queryRank = queryRank
        self.keyValueRank = keyValueRank
        self.rotaryDimension = rotaryDimension
        self.plainDimension = plainDimension
        self.valueDimension = valueDimension
        self.indexer = indexer
    }

    func elements(hidden: Int) -> Int {
        let queries = heads * (plainDimension + rotaryDimension)
        var count = hidden * queries
        if let queryRank { count = hidden * queryRank + queryRank + queryRank * queries }
        count += hidden * (keyValueRank + rotaryDimension) + keyValueRank
        count += keyValueRank * heads * (plainDimension + valueDimension)
        count += heads * valueDimension * hidden
        if let indexer {
            count += (queryRank ?? hidden) * indexer.heads * indexer.headDimension
            count += hidden * indexer.headDimension + 2 * indexer.headDimension + hidden * indexer.heads
        }
        return count
    }

    /// The indexer's keys, where there are any, are cached besides.
    var keyValueElementsPerToken: Int { keyValueRank + rotaryDimension + (indexer?.headDimension ?? 0) }
}

/// Gated delta net (Qwen3-Next, Qwen3.5): a fixed state instead of a growing cache.
public struct LinearAttention: Sendable, Hashable, Encodable {
    public var keyHeads: Int
    public var valueHeads: Int
    public var keyDimension: Int
    public var valueDimension: Int
    public var convolutionKernel: Int

    public init(keyHeads: Int, valueHeads: Int, keyDimension: Int, valueDimension: Int, convolutionKernel: Int) {
        self.keyHeads = keyHeads
        self.valueHeads = valueHeads
        self.keyDimension = keyDimension
        self.valueDimension = valueDimension
        self.convolutionKernel = convolutionKernel
    }

    private var mixedWidth: Int { 2 * keyHeads * keyDimension + valueHeads * valueDimension }

    func elements(hidden: Int) -> Int {
        let values = valueHeads * valueDimension
        let projections = hidden * (mixedWidth + values) + hidden * 2 * valueHeads + values * hidden
        return projections + mixedWidth * convolutionKernel + 2 * valueHeads + valueDimension
    }

    var stateElements: Int { valueHeads * keyDimension * valueDimension + mixedWidth * (convolutionKernel - 1) }
}

/// A Mamba-2 block.
public struct StateSpace: Sendable, Hashable, Encodable {
    public var heads: Int
    public var headDimension: Int
    public var stateDimension: Int
    public var groups: Int
    public var convolutionKernel: Int
    public var hasNorm: Bool

    public init(
        heads: Int, headDimension: Int, stateDimension: Int, groups: Int, convolutionKernel: Int, hasNorm: Bool = true
    ) {
        self.heads = heads
        self.headDimension = headDimension
        self.stateDimension = stateDimension
        self.groups = groups
        self.convolutionKernel = convolutionKernel
        self.hasNorm = hasNorm
    }

    private var inner: Int { heads * headDimension }
    private var convolved: Int { inner + 2 * groups * stateDimension }

    func elements(hidden: Int) -> Int {
        let projections = hidden * (inner + convolved + heads) + inner * hidden
        return projections + convolved * (convolutionKernel + 1) + 3 * heads + (hasNorm ? inner : 0)
    }

    var stateElements: Int { inner * stateDimension + convolved * (convolutionKernel - 1) }
}

/// A mixer whose state is one vector and a short convolution.
public struct Recurrence: Sendable, Hashable, Encodable {
    /// Weights of the whole block.
    public var elements: Int
    /// What one sequence keeps.
    public var stateElements: Int

    public init(elements: Int, stateElements: Int) {
        self.elements = elements
        self.stateElements = stateElements
    }
}

public enum FeedForward: Sendable, Hashable {
    case dense(Dense)
    case mixture(Mixture)
}

public struct Dense: Sendable, Hashable, Encodable {
    public var intermediate: Int
    /// Gate and up projections instead of one (SwiGLU and kin).
    public var isGated: Bool
    public var hasBias: Bool

    public init(intermediate: Int, isGated: Bool = true, hasBias: Bool = false) {
        self.intermediate = intermediate
        self.isGated = isGated
        self.hasBias = hasBias
    }

    func elements(hidden: Int) -> Int {
        let inputs = isGated ? 2 : 1
        return (inputs + 1) * hidden * intermediate + (hasBias ? inputs * intermediate + hidden : 0)
    }
}

/// Routed experts, and shared ones that every token visits.
public struct Mixture: Sendable, Hashable, Encodable {
    public var experts: Int
    /// Routed experts that one token visits (top-k).
    public var activeExperts: Int
    public var expertIntermediate: Int
    /// Width of all shared experts together; 0 when there are none.
    public var sharedIntermediate: Int
    public var isGated: Bool
    public var hasBias: Bool
    /// A learned gate on the shared expert (Qwen).
    public var hasSharedGate: Bool
    /// A dense block beside the experts that every token visits as well, its width (Gemma 4); 0 when there is none.
    public var besideIntermediate: Int
    /// Experts work at this width, with projections down to it and up from it (Nemotron 3 Super); nil at full width.
    public var latentDimension: Int?

    public init(
        experts: Int, activeExperts: Int, expertIntermediate: Int, sharedIntermediate: Int = 0, isGated: Bool = true,
        hasBias: Bool = false, hasSharedGate: Bool = false, besideIntermediate: Int = 0, latentDimension: Int? = nil
    ) {
        self.experts = experts
        self.activeExperts = activeExperts
        self.expertIntermediate = expertIntermediate
        self.sharedIntermediate = sharedIntermediate
        self.isGated = isGated
        self.hasBias = hasBias
        self.hasSharedGate = hasSharedGate
        self.besideIntermediate = besideIntermediate
        self.latentDimension = latentDimension
    }

    /// Weights of one routed expert.
    public func expertElements(hidden: Int) -> Int {
        Dense(intermediate: expertIntermediate, isGated: isGated, hasBias: hasBias)
            .elements(hidden: latentDimension ?? hidden)
    }

    /// Weights that every token uses: router, shared experts and what stands beside them.
    public func commonElements(hidden: Int) -> Int {
        var count = hidden * experts + (hasBias ? experts : 0)
        if sharedIntermediate > 0 {
            count += Dense(intermediate: sharedIntermediate, isGated: isGated).elements(hidden: hidden)
        }
        if hasSharedGate { count += hidden }
        if besideIntermediate > 0 { count += Dense(intermediate: besideIntermediate).elements(hidden: hidden) }
        if let latentDimension { count += 2 * hidden * latentDimension }
        return count
    }
}

extension Mixer {
    /// Weights of the block.
    public func elements(hidden: Int) -> Int {
        switch self {
        case .attention(let attention): attention.elements(hidden: hidden)
        case .latentAttention(let attention): attention.elements(hidden: hidden)
        case .linearAttention(let attention): attention.elements(hidden: hidden)
        case .stateSpace(let block): block.elements(hidden: hidden)
        case .recurrence(let block): block.elements
        }
    }

    /// Cache elements that one more token adds, while no window is full; 0 for fixed states.
    public var keyValueElementsPerToken: Int {
        switch self {
        case .attention(let attention): attention.keyValueElementsPerToken
        case .latentAttention(let attention): attention.keyValueElementsPerToken
        case .linearAttention, .stateSpace, .recurrence: 0
        }
    }

    /// State elements that a sequence keeps whatever its length.
    public var stateElements: Int {
        switch self {
        case .attention, .latentAttention: 0
        case .linearAttention(let attention): attention.stateElements
        case .stateSpace(let block): block.stateElements
        case .recurrence(let block): block.stateElements
        }
    }

    /// Tokens that a query sees at most; nil when it sees all.
    public var window: Int? {
        if case .attention(let attention) = self { attention.window } else { nil }
    }
}

extension Layer {
    /// All weights of the layer, every expert included.
    public func elements(hidden: Int) -> Int {
        activeElements(hidden: hidden) + idleExpertElements(hidden: hidden)
    }

    /// Weights that one token uses.
    public func activeElements(hidden: Int) -> Int {
        var count = normElements + mixers.reduce(0) { $0 + $1.elements(hidden: hidden) }
        switch feedForward {
        case .dense(let dense): count += dense.elements(hidden: hidden)
        case .mixture(let mixture):
            count +=
                mixture.commonElements(hidden: hidden) + mixture.activeExperts * mixture.expertElements(hidden: hidden)
        case nil: break
        }
        return count
    }

    /// Weights of the experts that one token does not visit.
    private func idleExpertElements(hidden: Int) -> Int {
        guard case .mixture(let mixture) = feedForward else { return 0 }
        return (mixture.experts - mixture.activeExperts) * mixture.expertElements(hidden: hidden)
    }

    /// Weights of all routed experts.
    public func routedElements(hidden: Int) -> Int {
        guard case .mixture(let mixture) = feedForward else { return 0 }
        return mixture.experts * mixture.expertElements(hidden: hidden)
    }
}

extension Mixer: Encodable {
    private enum CodingKeys: String, CodingKey { case kind, shape }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .attention(let shape):
            try container.encode("attention", forKey: .kind)
            try container.encode(shape, forKey: .shape)
        case .latentAttention(let shape):
            try container.encode("latentAttention", forKey: .kind)
            try container.encode(shape, forKey: .shape)
        case .linearAttention(let shape):
            try container.encode("linearAttention", forKey: .kind)
            try container.encode(shape, forKey: .shape)
        case .stateSpace(let shape):
            try container.encode("stateSpace", forKey: .kind)
            try container.encode(shape, forKey: .shape)
        case .recurrence(let shape):
            try container.encode("recurrence", forKey: .kind)
            try container.encode(shape, forKey: .shape)
        }
    }
}

extension FeedForward: Encodable {
    private enum CodingKeys: String, CodingKey { case kind, shape }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .dense(let shape):
            try container.encode("dense", forKey: .kind)
            try container.encode(shape, forKey: .shape)
        case .mixture(let shape):
            try container.encode("mixture", forKey: .kind)
            try container.encode(shape, forKey: .shape)
        }
    }
}
