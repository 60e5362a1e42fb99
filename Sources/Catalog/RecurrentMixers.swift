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

/// Any other mixer with a fixed state, known by its weights and by what it keeps.
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
