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
    /// One gate per head on the output (Laguna, Step 3.7).
    public var hasHeadGate: Bool
    /// One learned sink per head (gpt-oss).
    public var hasSinks: Bool
    /// Reads the keys and values of an earlier layer and stores none (Gemma 3n and 4).
    public var sharesKeyValues: Bool
    /// Values are the keys, so there is no value projection (Gemma 4 full attention); both are cached.
    public var valuesAreKeys: Bool
    /// Picks the blocks of tokens to attend to (MiniMax M3); nil when attention is dense.
    public var indexer: Indexer?

    public init(
        heads: Int, keyValueHeads: Int, headDimension: Int, valueDimension: Int? = nil, window: Int? = nil,
        hasInputBias: Bool = false, hasOutputBias: Bool = false, normElements: Int = 0, hasOutputGate: Bool = false,
        hasHeadGate: Bool = false, hasSinks: Bool = false, sharesKeyValues: Bool = false, valuesAreKeys: Bool = false,
        indexer: Indexer? = nil
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
        self.hasHeadGate = hasHeadGate
        self.hasSinks = hasSinks
        self.sharesKeyValues = sharesKeyValues
        self.valuesAreKeys = valuesAreKeys
        self.indexer = indexer
    }

    func elements(hidden: Int) -> Int {
        let queries = heads * headDimension * (hasOutputGate ? 2 : 1)
        let keys = sharesKeyValues ? 0 : keyValueHeads * headDimension
        let values = sharesKeyValues || valuesAreKeys ? 0 : keyValueHeads * valueDimension
        var count = hidden * (queries + keys + values) + heads * valueDimension * hidden + normElements
        if hasInputBias { count += queries + keys + values }
        if hasOutputBias { count += hidden }
        if hasHeadGate { count += hidden * heads }
        if hasSinks { count += heads }
        if let indexer, !indexer.isShared {
            count += hidden * (indexer.heads + 1) * indexer.headDimension + 2 * indexer.headDimension
        }
        return count
    }

    /// The indexer's keys, where there are any, are cached besides.
    var keyValueElementsPerToken: Int {
        let own = sharesKeyValues ? 0 : keyValueHeads * (headDimension + valueDimension)
        return own + (indexer?.keyElementsPerToken ?? 0)
    }
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

    /// Width of a gate on the output, computed from the hidden state; 0 when there is none (Kimi K3, Ling).
    public var gateWidth: Int

    public init(
        heads: Int, queryRank: Int?, keyValueRank: Int, rotaryDimension: Int, plainDimension: Int, valueDimension: Int,
        indexer: Indexer? = nil, gateWidth: Int = 0
    ) {
        self.heads = heads
        self.queryRank = queryRank
        self.keyValueRank = keyValueRank
        self.rotaryDimension = rotaryDimension
        self.plainDimension = plainDimension
        self.valueDimension = valueDimension
        self.indexer = indexer
        self.gateWidth = gateWidth
    }

    func elements(hidden: Int) -> Int {
        let queries = heads * (plainDimension + rotaryDimension)
        var count = hidden * queries
        if let queryRank { count = hidden * queryRank + queryRank + queryRank * queries }
        count += hidden * (keyValueRank + rotaryDimension) + keyValueRank
        count += keyValueRank * heads * (plainDimension + valueDimension)
        count += heads * valueDimension * hidden + hidden * gateWidth
        if let indexer, !indexer.isShared {
            count += (queryRank ?? hidden) * indexer.heads * indexer.headDimension
            count += hidden * indexer.headDimension + 2 * indexer.headDimension + hidden * indexer.heads
        }
        return count
    }

    /// The indexer's keys, where there are any, are cached besides.
    var keyValueElementsPerToken: Int { keyValueRank + rotaryDimension + (indexer?.keyElementsPerToken ?? 0) }
}

/// Scores all tokens before a query with a few small heads and picks those that attention reads.
public struct Indexer: Sendable, Hashable, Encodable {
    public var heads: Int
    public var headDimension: Int
    /// Tokens that attention reads at most.
    public var selectedTokens: Int
    /// Takes over what an earlier layer picked: no weights and no keys of its own (GLM 5.2).
    public var isShared: Bool

    public init(heads: Int, headDimension: Int, selectedTokens: Int, isShared: Bool = false) {
        self.heads = heads
        self.headDimension = headDimension
        self.selectedTokens = selectedTokens
        self.isShared = isShared
    }

    /// One key for all heads.
    public var keyElementsPerToken: Int { isShared ? 0 : headDimension }
}
