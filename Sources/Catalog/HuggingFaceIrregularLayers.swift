/// Architectures whose layers of attention differ from one another in their heads, or that leave blocks out.
extension HuggingFaceConfig {
    /// MiMo V2: full layers and windowed ones with key-value heads of their own, and sinks in the windowed ones.
    func twoKindsOfHeads() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let traits = ArchitectureTraits()
        let full = try attention(traits, window: nil)
        var local = full
        local.heads = try optional("swa_num_attention_heads", least: 1) ?? full.heads
        // Where nothing is said, as many again as the full layers have.
        local.keyValueHeads = try optional("swa_num_key_value_heads", least: 1) ?? 2 * full.keyValueHeads
        local.headDimension = try optional("swa_head_dim", least: 1) ?? full.headDimension
        local.valueDimension = try optional("swa_v_head_dim", least: 1) ?? full.valueDimension
        local.hasSinks = try flag("add_swa_attention_sink_bias", default: true)
        local.window = try count("sliding_window", "sliding_window_size")
        let isLocal: [Bool]
        if let types = try layerWords("layer_types") {
            isLocal = types.map { $0 == "sliding_attention" }
        } else if let pattern = try layerCounts("hybrid_layer_pattern") {
            isLocal = pattern.map { $0 == 1 }
        } else {
            throw document.problem(at: text, "the key \"hybrid_layer_pattern\" is missing, which \(architecture) needs")
        }
        return zip(isLocal, try feedForwards(traits)).map { isLocal, feedForward in
            Layer(mixers: [.attention(isLocal ? local : full)], feedForward: feedForward, normElements: 2 * hidden)
        }
    }

    /// Step 3.5 and 3.7, Laguna: more query heads in some layers, and a gate for each head.
    func headsByLayer(_ traits: ArchitectureTraits) throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let windows = try attentionWindows(traits)
        let base = try attention(traits, window: nil)
        let listed = try layerCounts("num_attention_heads_per_layer")
        var sliding = try optional("num_sliding_attention_heads", least: 1)
        if let other = group("attention_other_setting") {
            sliding = try other.optional("num_attention_heads", least: 1)
        }
        let pairs = try optional("num_attention_groups", least: 1) ?? base.keyValueHeads
        var layers: [Layer] = []
        for (index, feedForward) in try feedForwards(traits).enumerated() {
            var attention = base
            attention.window = windows[index]
            attention.keyValueHeads = pairs
            attention.heads = listed?[index] ?? (windows[index] == nil ? nil : sliding) ?? base.heads
            guard attention.heads > 0, attention.heads % pairs == 0 else {
                throw document.problem(
                    at: text, "\(attention.heads) attention heads are no multiple of \(pairs) key-value heads")
            }
            layers.append(
                Layer(mixers: [.attention(attention)], feedForward: feedForward, normElements: 2 * hidden))
        }
        return layers
    }

    /// Nemotron's searched models: each layer says what is left of it.
    func searchedLayers() throws(CatalogError) -> [Layer] {
        guard let blocks = node("block_configs") else {
            throw document.problem(at: text, "the key \"block_configs\" is missing, which \(architecture) needs")
        }
        let entries = try document.array(blocks)
        guard entries.count == (try layerCount) else {
            throw document.problem(
                at: blocks, "\"block_configs\" has \(entries.count) entries for \(try layerCount) layers")
        }
        let hidden = try hidden
        let heads = try heads
        let dimension = try headDimension
        let bias = try flag("attention_bias", default: false)
        var layers: [Layer] = []
        for entry in entries {
            let block = HuggingFaceConfig(part: entry, of: self)
            guard let mixing = block.group("attention"), let transforming = block.group("ffn") else {
                throw document.problem(at: entry, "a block of \"block_configs\" needs \"attention\" and \"ffn\"")
            }
            var layer = Layer(mixers: [], feedForward: nil, normElements: 0)
            if try !mixing.flag("no_op", default: false) {
                layer.normElements += hidden
                if try mixing.flag("replace_with_linear", default: false) {
                    layer.mixers = [.recurrence(Recurrence(elements: hidden * hidden, stateElements: 0))]
                } else {
                    let group = try mixing.count("n_heads_in_group")
                    guard heads % group == 0 else {
                        throw document.problem(
                            at: entry, "\(heads) attention heads are no multiple of a group of \(group)")
                    }
                    layer.mixers = [
                        .attention(
                            Attention(
                                heads: heads, keyValueHeads: heads / group, headDimension: dimension,
                                window: try mixing.optional("window_length", least: 1), hasInputBias: bias,
                                hasOutputBias: bias))
                    ]
                }
            }
            if try !transforming.flag("no_op", default: false) {
                layer.normElements += hidden
                layer.feedForward = .dense(try searchedWidth(transforming, hidden: hidden))
            }
            layers.append(layer)
        }
        return layers
    }

    private func searchedWidth(_ block: HuggingFaceConfig, hidden: Int) throws(CatalogError) -> Dense {
        // One matrix counts as a block without a gate whose two matrices are half as wide.
        if try block.flag("replace_with_linear", default: false) {
            return Dense(intermediate: hidden / 2, isGated: false)
        }
        if let width = try block.optional("intermediate_size", least: 1) { return Dense(intermediate: width) }
        guard let multiple = try block.number("ffn_mult"), multiple > 0, multiple < 64 else {
            throw document.problem(
                at: block.text, "\"ffn\" needs \"ffn_mult\" between 0 and 64, or \"intermediate_size\"")
        }
        let width = Int(2 * multiple * Double(hidden) / 3)
        return Dense(intermediate: (width + 255) / 256 * 256)
    }

    /// Llama 3.2 vision: some layers attend to the image and not to the text before them.
    func crossAttentionLayers(_ traits: ArchitectureTraits) throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let crossing = try counts("cross_attention_layers") ?? []
        let own = try attention(traits, window: nil)
        // Text neither writes nor reads a cache there. Norms on queries and keys, and two gates, come on top.
        let weights = own.elements(hidden: hidden) + 2 * own.headDimension + 2
        let cross = Mixer.recurrence(Recurrence(elements: weights, stateElements: 0))
        return try feedForwards(traits).enumerated().map { index, feedForward in
            Layer(
                mixers: [crossing.contains(index) ? cross : .attention(own)], feedForward: feedForward,
                normElements: 2 * hidden)
        }
    }

    /// ZAYA1: convolutions over queries and keys, a router of several layers, scales on both sides of every block.
    func convolvedAttentionLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let attention = try attention(ArchitectureTraits(), window: nil)
        // As first published, blocks are counted one by one, and the experts' width counts gate and up together.
        let isFirstForm = !has("moe_intermediate_size")
        guard var mixture = try mixture() else {
            throw document.problem(at: text, "the key \"num_experts\" is missing, which \(architecture) needs")
        }
        if isFirstForm { mixture.expertIntermediate /= 2 }
        let router = try optional("router_hidden_size", "zaya_mlp_expansion", least: 1) ?? 256
        let mixed = (attention.heads + attention.keyValueHeads) * attention.headDimension
        let first = try optional("cca_time0", least: 1) ?? 2
        let second = try optional("cca_time1", least: 1) ?? 2
        let convolutions =
            mixed * (first + 1) + mixed * (attention.headDimension * second + 1) + attention.keyValueHeads
        // One exit of the router goes past the experts. The plain router that a mixture counts is taken off.
        let routing =
            hidden * router + router + 2 * (router * router + router) + (mixture.experts + 1) * router + 2 * router
        let layer = Layer(
            mixers: [.attention(attention)], feedForward: .mixture(mixture),
            normElements: 2 * hidden + 8 * hidden + convolutions + routing - hidden * mixture.experts)
        return Array(repeating: layer, count: isFirstForm ? try layerCount / 2 : try layerCount)
    }

    /// DBRX keeps the sizes of attention and experts in groups of their own.
    func databricksLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        guard let mixing = group("attn_config"), let transforming = group("ffn_config") else {
            throw document.problem(
                at: text, "the keys \"attn_config\" and \"ffn_config\" are missing, which \(architecture) needs")
        }
        let attention = Attention(
            heads: try heads, keyValueHeads: try mixing.count("kv_n_heads"), headDimension: try headDimension)
        guard let mixture = try transforming.mixture() else {
            throw document.problem(at: transforming.text, "\"ffn_config\" names no \"moe_num_experts\"")
        }
        let layer = Layer(
            mixers: [.attention(attention)], feedForward: .mixture(mixture), normElements: 2 * hidden)
        return Array(repeating: layer, count: try layerCount)
    }
}
