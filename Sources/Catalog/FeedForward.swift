/// What transforms each token by itself.
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
