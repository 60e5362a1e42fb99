/// Architectures whose layers are not simply attention and a feed-forward block.
extension HuggingFaceConfig {
    /// DeepSeek V2 and V3, Kimi K2, GLM-5: latent attention, a few dense layers, then experts.
    func latentAttentionLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        var indexer: LatentAttention.Indexer?
        if has("index_topk") {
            indexer = LatentAttention.Indexer(
                heads: try count("index_n_heads"), headDimension: try count("index_head_dim"),
                selectedTokens: try count("index_topk")
            )
        }
        let attention = LatentAttention(
            heads: try heads, queryRank: try optional("q_lora_rank", least: 1), keyValueRank: try count("kv_lora_rank"),
            rotaryDimension: try count("qk_rope_head_dim"), plainDimension: try count("qk_nope_head_dim"),
            valueDimension: try count("v_head_dim"), indexer: indexer
        )
        return try feedForwards(ArchitectureTraits()).map { feedForward in
            Layer(mixers: [.latentAttention(attention)], feedForward: feedForward, normElements: 2 * hidden)
        }
    }

    /// Nemotron-H: a pattern of letters, each layer one block and one norm. `M` state space, `*` attention, `-` dense,
    /// `E` experts.
    func nemotronHybridLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let pattern = try nemotronPattern()
        var known: [Character: Layer] = [:]
        var layers: [Layer] = []
        for letter in pattern {
            if known[letter] == nil { known[letter] = try nemotronLayer(letter, hidden: hidden) }
            layers.append(known[letter]!)
        }
        return layers
    }

    /// The pattern as letters; newer configurations write it as a list of words and leave out the number of layers.
    private func nemotronPattern() throws(CatalogError) -> String {
        if let types = try words("layers_block_type") {
            guard types.count <= 1024 else {
                throw document.problem(
                    at: text, "\"layers_block_type\" has \(types.count) entries; expected 1024 at most")
            }
            let letters: [String: Character] = ["mamba": "M", "attention": "*", "moe": "E", "mlp": "-"]
            var pattern = ""
            for type in types {
                guard let letter = letters[type] else {
                    throw document.problem(
                        at: text, "\"\(type)\" in \"layers_block_type\" is none of mamba, attention, moe and mlp")
                }
                pattern.append(letter)
            }
            return pattern
        }
        guard let pattern = try word("hybrid_override_pattern") else {
            throw document.problem(
                at: text, "the key \"hybrid_override_pattern\" is missing, which \(architecture) needs")
        }
        guard pattern.utf8.count == (try layerCount) else {
            throw document.problem(
                at: text, "\"hybrid_override_pattern\" has \(pattern.utf8.count) letters for \(try layerCount) layers")
        }
        return pattern
    }

    private func nemotronLayer(_ letter: Character, hidden: Int) throws(CatalogError) -> Layer {
        switch letter {
        case "M": return Layer(mixers: [.stateSpace(try stateSpace())], feedForward: nil, normElements: hidden)
        case "*":
            let attention = try attention(ArchitectureTraits(), window: nil)
            return Layer(mixers: [.attention(attention)], feedForward: nil, normElements: hidden)
        case "-":
            let dense = Dense(intermediate: try count("intermediate_size"), isGated: false)
            return Layer(mixers: [], feedForward: .dense(dense), normElements: hidden)
        case "E":
            guard let mixture = try mixture() else {
                throw document.problem(at: text, "the key \"n_routed_experts\" is missing, which the pattern's E needs")
            }
            return Layer(mixers: [], feedForward: .mixture(mixture), normElements: hidden)
        default:
            throw document.problem(at: text, "'\(letter)' in \"hybrid_override_pattern\" is none of M, *, - and E")
        }
    }

    private func stateSpace() throws(CatalogError) -> StateSpace {
        let heads = try count("mamba_num_heads", "mamba_n_heads")
        // "auto" (Granite) means the inner width over the heads.
        let dimension: Int
        if let node = node("mamba_head_dim", "mamba_d_head"), case .number = node.value {
            dimension = try count("mamba_head_dim", "mamba_d_head")
        } else {
            dimension = try count("mamba_expand") * (try hidden) / heads
        }
        return StateSpace(
            heads: heads, headDimension: dimension, stateDimension: try count("ssm_state_size", "mamba_d_state"),
            groups: try count("n_groups", "mamba_n_groups"),
            convolutionKernel: try count("conv_kernel", "mamba_d_conv"),
            hasNorm: try flag("mamba_rms_norm", default: true)
        )
    }

    /// Falcon-H1: attention and a state-space block side by side in every layer.
    func falconHybridLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let traits = ArchitectureTraits()
        let layer = Layer(
            mixers: [.attention(try attention(traits, window: nil)), .stateSpace(try stateSpace())],
            feedForward: try feedForwards(traits)[0], normElements: 2 * hidden
        )
        return Array(repeating: layer, count: try layerCount)
    }

    /// Granite 4: state-space and attention layers, each with experts and a shared block.
    func graniteHybridLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        guard let types = try words("layer_types", "layers_block_type") else {
            throw document.problem(at: text, "the key \"layer_types\" is missing, which \(architecture) needs")
        }
        guard types.count == (try layerCount) else {
            throw document.problem(
                at: text, "\"layer_types\" has \(types.count) entries for \(try layerCount) layers")
        }
        let feedForward: FeedForward =
            if let experts = try mixture() {
                .mixture(experts)
            } else {
                .dense(Dense(intermediate: try count("shared_intermediate_size")))
            }
        let mamba: Mixer? = types.contains("mamba") ? .stateSpace(try stateSpace()) : nil
        let attention: Mixer? =
            types.contains("attention") ? .attention(try attention(ArchitectureTraits(), window: nil)) : nil
        var layers: [Layer] = []
        for type in types {
            guard let mixer = type == "mamba" ? mamba : type == "attention" ? attention : nil else {
                throw document.problem(at: text, "\"\(type)\" in \"layer_types\" is neither mamba nor attention")
            }
            layers.append(Layer(mixers: [mixer], feedForward: feedForward, normElements: 2 * hidden))
        }
        return layers
    }

    /// LFM2: short gated convolutions with attention in between.
    func shortConvolutionLayers(_ traits: ArchitectureTraits) throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let count = try layerCount
        let isAttention: [Bool]
        if let types = try words("layer_types") {
            isAttention = types.map { $0 == "full_attention" }
        } else if let listed = try counts("full_attn_idxs") {
            isAttention = (0..<count).map { listed.contains($0) }
        } else {
            throw document.problem(at: text, "the key \"layer_types\" is missing, which \(architecture) needs")
        }
        guard isAttention.count == count else {
            throw document.problem(at: text, "\"layer_types\" has \(isAttention.count) entries for \(count) layers")
        }
        // The width that is written is shrunk to two thirds and rounded up, as for Llama 1, unless told not to.
        var width = try self.count("block_ff_dim", "intermediate_size")
        if try flag("block_auto_adjust_ff_dim", default: true) {
            let multiple = try optional("block_multiple_of", least: 1) ?? 256
            width = Int(Double(width * 2 / 3) * (try number("block_ffn_dim_multiplier") ?? 1))
            width = (width + multiple - 1) / multiple * multiple
        }
        let kernel = try self.count("conv_L_cache")
        let convolution = Recurrence(
            elements: 4 * hidden * hidden + hidden * kernel, stateElements: hidden * (kernel - 1))
        var layers: [Layer] = []
        for attends in isAttention {
            let mixer: Mixer = attends ? .attention(try attention(traits, window: nil)) : .recurrence(convolution)
            layers.append(
                Layer(mixers: [mixer], feedForward: .dense(Dense(intermediate: width)), normElements: 2 * hidden))
        }
        return layers
    }

    /// RecurrentGemma: two gated linear recurrences, then local attention, over and over.
    func recurrentLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let width = try optional("lru_width", least: 1) ?? hidden
        let heads = try heads
        let kernel = try count("conv1d_width")
        let window = try count("attention_window_size")
        let types = try words("block_types", "_block_types") ?? ["recurrent", "recurrent", "attention"]
        guard !types.isEmpty else { throw document.problem(at: text, "\"block_types\" is empty") }
        // Two gates of heads blocks, each (width / heads) squared, with biases, and the decay.
        let gates = 2 * (width * width / heads + width) + width
        let recurrence = Recurrence(
            elements: 3 * hidden * width + 2 * width + hidden + width * (kernel + 1) + gates,
            stateElements: width * kernel
        )
        var layers: [Layer] = []
        // intermediate_size counts gate and up together.
        let feedForward = FeedForward.dense(Dense(intermediate: try count("intermediate_size") / 2, hasBias: true))
        for index in 0..<(try layerCount) {
            let mixer: Mixer =
                types[index % types.count] == "attention"
                ? .attention(try attention(ArchitectureTraits(outputBias: true), window: window))
                : .recurrence(recurrence)
            layers.append(Layer(mixers: [mixer], feedForward: feedForward, normElements: 2 * hidden))
        }
        return layers
    }

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

    /// Weights outside the layers that only some architectures have.
    func otherElements(hidden: Int, layers: Int) throws(CatalogError) -> Int {
        switch modelType {
        case "gemma4", "gemma4_text", "gemma3n_text":
            guard let width = try optional("hidden_size_per_layer_input"), width > 0 else { return 0 }
            let table = try count("vocab_size_per_layer_input", "vocab_size")
            return layers * width * (table + hidden) + width
        // Word embeddings pass a norm first.
        case "bloom": return 2 * hidden
        // The head has a bias.
        case "gptj", "phi": return try count("vocab_size")
        default: return 0
        }
    }
}
