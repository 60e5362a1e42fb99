/// Gemma 3n and 4, whose layers differ from one another in more than their window.
extension HuggingFaceConfig {
    /// Gemma 4: windowed layers and full ones with heads of their own size, shared caches in the last layers.
    func gemma4Layers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let traits = ArchitectureTraits(norms: 4, queryKeyNorm: .perHead, fullAttentionEvery: 6)
        let windows = try attentionWindows(traits)
        let sharing = try optional("num_kv_shared_layers") ?? 0
        let perLayer = try optional("hidden_size_per_layer_input") ?? 0
        let hasExperts = try flag("enable_moe_block", default: false)
        let hasWideShared = try flag("use_double_wide_mlp", default: false)
        let local = try attention(traits, window: nil)
        let dense = try count("intermediate_size")
        let experts = hasExperts ? try mixture() : nil
        let global = try gemma4Global(local)
        var layers: [Layer] = []
        for (index, window) in windows.enumerated() {
            var attention = window == nil ? global : local
            attention.window = window
            if let own = group("per_layer_config")?.group(index < 10 ? "0\(index)" : "\(index)"),
                let dimension = try own.optional("head_dim", least: 1)
            {
                attention.headDimension = dimension
                attention.valueDimension = dimension
            }
            attention.normElements = 2 * attention.headDimension
            attention.sharesKeyValues = index >= windows.count - sharing
            var width = dense
            if hasWideShared, attention.sharesKeyValues { width *= 2 }
            var norms = 4 * hidden + 1
            // The gate into, and the projection out of, the per-layer embedding, and its norm.
            if perLayer > 0 { norms += 2 * hidden * perLayer + hidden }
            var feedForward = FeedForward.dense(Dense(intermediate: width))
            if var mixture = experts {
                mixture.besideIntermediate = width
                norms += 3 * hidden
                feedForward = .mixture(mixture)
            }
            layers.append(Layer(mixers: [.attention(attention)], feedForward: feedForward, normElements: norms))
        }
        return layers
    }

    /// Attention to everything: heads of their own size and number, and values that are the keys where it says so.
    private func gemma4Global(_ local: Attention) throws(CatalogError) -> Attention {
        var attention = local
        if let dimension = try optional("global_head_dim", least: 1) {
            attention.headDimension = dimension
            attention.valueDimension = dimension
        }
        if try flag("attention_k_eq_v", default: false) {
            attention.valuesAreKeys = true
            if let pairs = try optional("num_global_key_value_heads", least: 1) { attention.keyValueHeads = pairs }
        }
        return attention
    }

    /// Gemma 3n: several copies of the residual stream, a low-rank shortcut beside attention, embeddings for each layer.
    func gemma3nLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let traits = ArchitectureTraits(norms: 4, queryKeyNorm: .perHead, fullAttentionEvery: 5)
        let windows = try attentionWindows(traits)
        let sharing = try optional("num_kv_shared_layers") ?? 0
        let perLayer = try optional("hidden_size_per_layer_input") ?? 0
        let copies = try optional("altup_num_inputs", least: 1) ?? 1
        let rank = try optional("laurel_rank") ?? 0
        var widths = Array(repeating: 0, count: windows.count)
        if case .array = node("intermediate_size")?.value, let listed = try layerCounts("intermediate_size") {
            widths = listed
        } else {
            widths = Array(repeating: try count("intermediate_size"), count: windows.count)
        }
        // Norms; prediction, correction and routing of the copies; the shortcut; the way in and out of the embedding.
        var norms = 4 * hidden + 2 * hidden + copies * hidden + copies * copies * (copies + 1)
        norms += 2 * rank * hidden + hidden + 2 * hidden * perLayer + hidden
        var layers: [Layer] = []
        for (index, window) in windows.enumerated() {
            var attention = try attention(traits, window: window)
            attention.sharesKeyValues = index >= windows.count - sharing
            if attention.sharesKeyValues { attention.normElements = attention.headDimension }
            layers.append(
                Layer(
                    mixers: [.attention(attention)], feedForward: .dense(Dense(intermediate: widths[index])),
                    normElements: norms))
        }
        return layers
    }
}
