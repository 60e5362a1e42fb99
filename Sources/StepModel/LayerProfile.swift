//===----------------------------------------------------------------------===//
// A layer reduced to the numbers that its cost depends on.
//===----------------------------------------------------------------------===//

import Catalog

/// Identical layers of a model, as counts of weights (values, not bytes), cache entries and heads.
struct LayerProfile: Sendable, Hashable {
    var count: Int
    /// Weights of the projections of all mixers, split over tensor ranks.
    var mixerElements: Double = 0
    /// Attention blocks of the layer (two where kinds run side by side count once each).
    var attentions: [AttentionProfile] = []
    /// Values of fixed state that a step reads and writes for each sequence.
    var stateElements: Double = 0
    /// Weights of the feed-forward part that every token passes, split over tensor ranks.
    var commonElements: Double = 0
    /// Routed experts; 0 for none.
    var experts: Int = 0
    var activeExperts: Int = 0
    /// Weights of one routed expert.
    var expertElements: Double = 0
    /// Blocks that end in an all-reduce over tensor ranks: one a mixer layer, one a feed-forward.
    var reductions: Int = 0

    /// What one attention block reads and multiplies.
    struct AttentionProfile: Sendable, Hashable {
        /// Query heads that work on the entries.
        var queryHeads: Double
        /// Heads that entries can be split by over ranks; 1 for latent attention, whose entry is shared.
        var entryHeads: Int
        /// Values per token and entry head.
        var valuesPerEntryHead: Double
        /// Multiply–adds per query–key pair and query head, in values: key dimension + value dimension.
        var workPerPair: Double
        /// Tokens that a query sees at most.
        var window: Int?
        /// The block stores no entries of its own.
        var sharesEntries: Bool
        /// Tokens that one entry stands for.
        var tokensPerEntry: Double = 1
        /// What a query does not see stays in the cache: tokens are picked, they do not slide out of a window.
        var keepsUnseen = false
    }

    init(_ group: LayerGroup, hidden: Int) {
        count = group.count
        let layer = group.layer
        for mixer in layer.mixers {
            mixerElements += Double(mixer.elements(hidden: hidden))
            stateElements += Double(mixer.stateElements)
            attentions += Self.indexers(of: mixer)
            switch mixer {
            case .attention(let shape):
                attentions.append(
                    AttentionProfile(
                        queryHeads: Double(shape.heads),
                        entryHeads: max(1, shape.keyValueHeads),
                        valuesPerEntryHead: Double(shape.headDimension + shape.valueDimension),
                        workPerPair: Double(shape.headDimension + shape.valueDimension),
                        window: shape.indexer?.selectedTokens ?? shape.window,
                        sharesEntries: shape.sharesKeyValues,
                        keepsUnseen: shape.indexer != nil
                    )
                )
            case .latentAttention(let shape):
                // Decoding in the absorbed form multiplies every head with the shared entry itself.
                let entry = Double(shape.keyValueRank + shape.rotaryDimension)
                attentions.append(
                    AttentionProfile(
                        queryHeads: Double(shape.heads),
                        entryHeads: 1,
                        valuesPerEntryHead: entry,
                        workPerPair: Double(shape.plainDimension + shape.rotaryDimension + shape.valueDimension),
                        window: shape.indexer?.selectedTokens,
                        sharesEntries: false,
                        keepsUnseen: shape.indexer != nil
                    )
                )
            case .compressedAttention(let shape): attentions += Self.parts(of: shape)
            case .linearAttention, .stateSpace, .recurrence: break
            }
        }
        if !layer.mixers.isEmpty { reductions += 1 }
        switch layer.feedForward {
        case .dense(let dense):
            commonElements = Double(
                Layer(mixers: [], feedForward: .dense(dense), normElements: 0).activeElements(hidden: hidden))
            reductions += 1
        case .mixture(let mixture):
            commonElements = Double(mixture.commonElements(hidden: hidden))
            experts = mixture.experts
            activeExperts = mixture.activeExperts
            expertElements = Double(mixture.expertElements(hidden: hidden))
            reductions += 1
        case nil: break
        }
    }

    /// The window of single tokens and, beside it, the compressed entries.
    private static func parts(of shape: CompressedAttention) -> [AttentionProfile] {
        let local = AttentionProfile(
            queryHeads: Double(shape.heads), entryHeads: 1, valuesPerEntryHead: Double(shape.entryDimension),
            workPerPair: 2 * Double(shape.entryDimension), window: shape.window, sharesEntries: false)
        guard let tokensPerEntry = shape.tokensPerEntry else { return [local] }
        var compressed = local
        compressed.window = shape.indexer?.selectedTokens
        compressed.tokensPerEntry = Double(tokensPerEntry)
        compressed.keepsUnseen = true
        return [local, compressed]
    }

    /// An indexer scores every key before it reads any value.
    private static func indexers(of mixer: Mixer) -> [AttentionProfile] {
        var tokensPerEntry = 1.0
        let indexer: Indexer?
        switch mixer {
        case .attention(let shape): indexer = shape.indexer
        case .latentAttention(let shape): indexer = shape.indexer
        case .compressedAttention(let shape):
            indexer = shape.indexer
            tokensPerEntry = Double(shape.tokensPerEntry ?? 1)
        case .linearAttention, .stateSpace, .recurrence: indexer = nil
        }
        guard let indexer, !indexer.isShared else { return [] }
        let dimension = Double(indexer.headDimension)
        return [
            AttentionProfile(
                queryHeads: Double(indexer.heads), entryHeads: 1, valuesPerEntryHead: dimension,
                workPerPair: dimension, window: nil, sharesEntries: false, tokensPerEntry: tokensPerEntry)
        ]
    }
}
