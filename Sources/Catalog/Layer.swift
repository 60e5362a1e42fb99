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
    case compressedAttention(CompressedAttention)
    case linearAttention(LinearAttention)
    case stateSpace(StateSpace)
    /// Any other block with a fixed state: short convolutions, gated recurrences, delta attention, Mamba.
    case recurrence(Recurrence)
}

extension Mixer {
    /// Weights of the block.
    public func elements(hidden: Int) -> Int {
        switch self {
        case .attention(let attention): attention.elements(hidden: hidden)
        case .latentAttention(let attention): attention.elements(hidden: hidden)
        case .compressedAttention(let attention): attention.elements(hidden: hidden)
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
        case .compressedAttention(let attention): attention.keyValueElements(contextTokens: 1)
        case .linearAttention, .stateSpace, .recurrence: 0
        }
    }

    /// Cache elements of a sequence of `contextTokens`, windows counted up to their size.
    public func keyValueElements(contextTokens: Int) -> Int {
        if case .compressedAttention(let attention) = self {
            return attention.keyValueElements(contextTokens: contextTokens)
        }
        return keyValueElementsPerToken * Swift.min(contextTokens, window ?? contextTokens)
    }

    /// State elements that a sequence keeps whatever its length.
    public var stateElements: Int {
        switch self {
        case .attention, .latentAttention, .compressedAttention: 0
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
        case .compressedAttention(let shape):
            try container.encode("compressedAttention", forKey: .kind)
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
