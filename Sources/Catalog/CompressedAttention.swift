/// Attention over a short window and over compressed entries that stand for several tokens each (DeepSeek V4).
///
/// One entry serves all heads and is key and value at once. Which entries are read is picked by an indexer where the
/// compression is light, and is all of them where it is heavy.
public struct CompressedAttention: Sendable, Hashable, Encodable {
    public var heads: Int
    public var queryRank: Int
    /// Elements of an entry, which is also the dimension of a query head.
    public var entryDimension: Int
    /// Tokens of the window that are kept one by one.
    public var window: Int
    /// Tokens that a compressed entry stands for; nil in layers that have only the window.
    public var tokensPerEntry: Int?
    /// Neighbouring compressed entries overlap, so their projections are twice as wide.
    public var entriesOverlap: Bool
    /// Picks compressed entries; its `selectedTokens` are those that the picked entries stand for.
    public var indexer: Indexer?
    /// The output projection goes through this many groups of heads, each to `outputRank` elements.
    public var outputGroups: Int
    public var outputRank: Int

    public init(
        heads: Int, queryRank: Int, entryDimension: Int, window: Int, tokensPerEntry: Int?, entriesOverlap: Bool,
        indexer: Indexer?, outputGroups: Int, outputRank: Int
    ) {
        self.heads = heads
        self.queryRank = queryRank
        self.entryDimension = entryDimension
        self.window = window
        self.tokensPerEntry = tokensPerEntry
        self.entriesOverlap = entriesOverlap
        self.indexer = indexer
        self.outputGroups = outputGroups
        self.outputRank = outputRank
    }

    func elements(hidden: Int) -> Int {
        var count = hidden * queryRank + queryRank + queryRank * heads * entryDimension
        count += hidden * entryDimension + entryDimension + heads
        count += outputRank * heads * entryDimension + hidden * outputGroups * outputRank
        count += compressorElements(width: entryDimension, hidden: hidden)
        if let indexer {
            count += compressorElements(width: indexer.headDimension, hidden: hidden)
            count += queryRank * indexer.heads * indexer.headDimension + hidden * indexer.heads
        }
        return count
    }

    /// Key and gate projections, positions inside an entry, and a norm.
    private func compressorElements(width: Int, hidden: Int) -> Int {
        guard let tokensPerEntry else { return 0 }
        let wide = width * (entriesOverlap ? 2 : 1)
        return 2 * hidden * wide + tokensPerEntry * wide + width
    }

    /// Elements of compressed entries and of the indexer's keys that one token adds.
    var compressedElementsPerToken: Int {
        guard let tokensPerEntry else { return 0 }
        return (entryDimension + (indexer?.keyElementsPerToken ?? 0)) / tokensPerEntry
    }

    func keyValueElements(contextTokens: Int) -> Int {
        entryDimension * Swift.min(contextTokens, window) + compressedElementsPerToken * contextTokens
    }
}
