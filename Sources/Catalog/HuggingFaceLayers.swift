/// The layers of an architecture: what is the same in all of them is read once.
extension HuggingFaceConfig {
    /// Layers of attention (or, where the configuration says so, linear attention) and a feed-forward block.
    func attentionLayers(_ traits: ArchitectureTraits) throws(CatalogError) -> [Layer] {
        // A configuration whose attention is latent after all (Mistral's larger mixtures) says so by its ranks.
        if has("kv_lora_rank") { return try latentAttentionLayers() }
        let windows = try attentionWindows(traits)
        let feedForwards = try feedForwards(traits)
        let norms = try normElements(traits, hidden: try hidden)
        let isLinear = try linearLayers()
        var attention = try attention(traits, window: nil)
        let linear: Mixer? = isLinear.contains(true) ? try linearMixer() : nil
        var layers: [Layer] = []
        layers.reserveCapacity(windows.count)
        let indexers = try blockIndexers()
        for (index, window) in windows.enumerated() {
            attention.window = window
            attention.indexer = indexers?[index]
            let mixer = isLinear[index] ? linear ?? .attention(attention) : .attention(attention)
            layers.append(Layer(mixers: [mixer], feedForward: feedForwards[index], normElements: norms))
        }
        return layers
    }

    /// For each layer whether its attention is linear.
    private func linearLayers() throws(CatalogError) -> [Bool] {
        let count = try layerCount
        if let types = try layerWords("layer_types") { return types.map { $0 == "linear_attention" } }
        // MiniMax-Text-01 as first published.
        if let listed = try layerCounts("attn_type_list") { return listed.map { $0 == 0 } }
        guard let every = try optional("full_attention_interval", least: 1) else {
            return Array(repeating: false, count: count)
        }
        return (0..<count).map { ($0 + 1) % every != 0 }
    }

    /// MiniMax M3: for each layer what picks the blocks of tokens it attends to; nil when no layer has one.
    private func blockIndexers() throws(CatalogError) -> [Indexer?]? {
        guard modelType.hasPrefix("minimax_m3") else { return nil }
        let own = group("sparse_attention_config")
        let source = own ?? self
        guard source.has("sparse_topk_blocks") || source.has("index_topk_blocks") else { return nil }
        let tokens = try source.count("sparse_block_size", "index_block_size")
        let blocks = try source.count("sparse_topk_blocks", "index_topk_blocks")
        let indexer = Indexer(
            heads: try source.count("sparse_num_index_heads", "index_n_heads"),
            headDimension: try source.count("sparse_index_dim", "index_head_dim"),
            selectedTokens: blocks * tokens)
        let count = try layerCount
        guard let marks = try own?.counts("sparse_attention_freq") else {
            guard let types = try layerWords("layer_types") else { return Array(repeating: indexer, count: count) }
            return types.map { $0.contains("sparse") ? indexer : nil }
        }
        guard marks.count >= count else {
            throw document.problem(at: text, "\"sparse_attention_freq\" has \(marks.count) entries for \(count) layers")
        }
        return marks.prefix(count).map { $0 == 0 ? nil : indexer }
    }

    private func normElements(_ traits: ArchitectureTraits, hidden: Int) throws(CatalogError) -> Int {
        var norms = traits.norms
        // Falcon's newer decoder norms attention and feed-forward apart.
        if modelType == "falcon" {
            let isNew = try flag("new_decoder_architecture", default: false)
            let isParallel = try flag("parallel_attn", default: true)
            norms = isNew || !isParallel ? 2 : 1
        }
        return norms * hidden * (traits.normBias ? 2 : 1)
    }

    func attention(_ traits: ArchitectureTraits, window: Int?) throws(CatalogError) -> Attention {
        let heads = try heads
        let dimension = try headDimension
        let pairs = try attentionKeyValueHeads
        guard heads % pairs == 0 else {
            throw document.problem(at: text, "\(heads) attention heads are no multiple of \(pairs) key-value heads")
        }
        var norms = 0
        switch traits.queryKeyNorm {
        case .none:
            // GLM-4 mixtures and others say it themselves.
            if try flag("use_qk_norm", default: false), modelType != "llama4_text" { norms = 2 * dimension }
        case .perHead: norms = 2 * dimension
        case .allHeads: norms = (heads + pairs) * dimension
        }
        let asked = try flag(
            "use_qkv_bias", default: try flag("add_qkv_bias", default: try flag("bias", default: traits.inputBias)))
        let inputBias = try flag("attention_bias", default: asked)
        return Attention(
            heads: heads, keyValueHeads: pairs, headDimension: dimension,
            valueDimension: try optional("v_head_dim", least: 1),
            window: window, hasInputBias: inputBias,
            hasOutputBias: try flag(
                "attention_out_bias", default: traits.outputBias || (modelType == "llama" && inputBias)),
            normElements: norms,
            hasOutputGate: traits.gate == .full, hasHeadGate: traits.gate == .perHead, hasSinks: traits.hasSinks,
            indexer: nil
        )
    }

    /// Multi-query models say it by a flag.
    private var attentionKeyValueHeads: Int {
        get throws(CatalogError) {
            if modelType == "falcon" {
                if try flag("new_decoder_architecture", default: false) {
                    return try count("num_kv_heads", "num_attention_heads")
                }
                return try flag("multi_query", default: true) ? 1 : heads
            }
            if modelType == "gpt_bigcode" { return try flag("multi_query", default: true) ? 1 : heads }
            if modelType == "chatglm" {
                return try flag("multi_query_attention", default: false) ? count("multi_query_group_num") : heads
            }
            return try keyValueHeads
        }
    }

    /// Gated delta nets, or MiniMax's lightning attention, which says nothing of its own and is as wide as the other.
    private func linearMixer() throws(CatalogError) -> Mixer {
        if modelType.hasPrefix("minimax") {
            let hidden = try hidden
            let dimension = try headDimension
            let width = try heads * dimension
            return .recurrence(
                Recurrence(elements: 5 * hidden * width + width, stateElements: width * dimension))
        }
        return .linearAttention(
            LinearAttention(
                keyHeads: try count("linear_num_key_heads"), valueHeads: try count("linear_num_value_heads"),
                keyDimension: try count("linear_key_head_dim"), valueDimension: try count("linear_value_head_dim"),
                convolutionKernel: try count("linear_conv_kernel_dim")
            ))
    }

    /// For each layer the window of its attention, nil where it sees everything.
    func attentionWindows(_ traits: ArchitectureTraits) throws(CatalogError) -> [Int?] {
        let count = try layerCount
        if let types = try layerWords("layer_types") {
            var windows: [Int?] = []
            for type in types {
                switch type {
                case "sliding_attention": windows.append(try self.count("sliding_window"))
                case "chunked_attention": windows.append(try self.count("attention_chunk_size"))
                default: windows.append(nil)
                }
            }
            return windows
        }
        if modelType.hasPrefix("llama4") {
            // Layers with rotary positions see one chunk; those without see everything.
            let chunk = try optional("attention_chunk_size", least: 1)
            let every = try optional("no_rope_layer_interval", least: 1) ?? 4
            return (0..<count).map { ($0 + 1) % every == 0 ? nil : chunk }
        }
        guard let window = try optional("sliding_window", "attention_window_size", least: 1) else {
            return Array(repeating: nil, count: count)
        }
        if let every = try optional("sliding_window_pattern", "_sliding_window_pattern", least: 1)
            ?? traits.fullAttentionEvery
        {
            return (0..<count).map { ($0 + 1) % every == 0 ? nil : window }
        }
        // Qwen writes a window that it does not use unless told to, and then only above some layer.
        if modelType.hasPrefix("qwen") {
            guard try flag("use_sliding_window", default: false) else { return Array(repeating: nil, count: count) }
            let first = try optional("max_window_layers") ?? 0
            return (0..<count).map { $0 < first ? nil : window }
        }
        return Array(repeating: window, count: count)
    }

    /// The feed-forward block of each layer.
    func feedForwards(_ traits: ArchitectureTraits) throws(CatalogError) -> [FeedForward] {
        let count = try layerCount
        guard let mixture = try mixture() else {
            return Array(repeating: .dense(try dense(traits)), count: count)
        }
        let isMixture = try mixtureLayers(count)
        let rest: FeedForward = isMixture.contains(false) ? .dense(try dense(traits)) : .mixture(mixture)
        return isMixture.map { $0 ? .mixture(mixture) : rest }
    }

    func dense(_ traits: ArchitectureTraits) throws(CatalogError) -> Dense {
        let width: Int
        if modelType.hasPrefix("llama4"), let dense = try optional("intermediate_size_mlp", least: 1) {
            width = dense
        } else if let dense = try optional("dense_intermediate_size", "prefix_dense_intermediate_size", least: 1) {
            width = dense
        } else if let given = try optional(
            "intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "ffn_intermediate_size", least: 1)
        {
            // Qwen 1 counts gate and up together.
            width = modelType == "qwen" ? given / 2 : given
        } else {
            // These mean four times the hidden width when they say nothing.
            let fourfold = ["gpt2", "gpt_bigcode", "falcon", "bloom", "gptj", "gpt_neox", "gpt_neo", "codegen", "mpt"]
            guard fourfold.contains(modelType) || modelType == "openai-gpt" else {
                throw document.problem(
                    at: text, "the key \"intermediate_size\" is missing, which \(architecture) needs")
            }
            width = (try optional("expansion_ratio", least: 1) ?? 4) * (try hidden)
        }
        let bias = try flag("mlp_bias", default: try flag("use_bias", default: traits.feedForwardBias))
        return Dense(intermediate: width, isGated: traits.isGated, hasBias: bias)
    }

    /// The routed experts of those layers that have them; nil when none has.
    func mixture() throws(CatalogError) -> Mixture? {
        let found = try optional("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts")
        // Families write 0 (Granite 4) or 1 (Hunyuan) into their dense models.
        guard let experts = found, experts > 1 else { return nil }
        let active = try count(
            "num_experts_per_tok", "experts_per_token", "num_experts_per_token", "moe_k", "top_k_experts", "moe_topk",
            "moe_top_k", "moe_router_topk")
        guard active <= experts else {
            throw document.problem(at: text, "a token visits \(active) experts of \(experts)")
        }
        let width = try count(
            "moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size", "ffn_hidden_size")
        var shared = try optional("shared_expert_intermediate_size", "shared_intermediate_size") ?? 0
        if let count = try optional(
            "n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")
        {
            shared = count * width
        }
        if let given = try optional("moe_shared_expert_intermediate_size") {
            shared = given * (try optional("n_shared_experts") ?? 1)
        }
        if let given = try optional("share_expert_dim", "share_expert_dims") { shared = given }
        if modelType.hasPrefix("llama4") { shared = width }
        return Mixture(
            experts: experts, activeExperts: active, expertIntermediate: width, sharedIntermediate: shared,
            isGated: modelType != "nemotron_h", hasBias: modelType == "gpt_oss",
            hasSharedGate: shared > 0 && modelType.hasPrefix("qwen"),
            latentDimension: try optional("moe_latent_size", "routed_expert_hidden_size", least: 1)
        )
    }

    /// For each layer whether it has routed experts.
    private func mixtureLayers(_ count: Int) throws(CatalogError) -> [Bool] {
        if let types = try layerWords("mlp_layer_types") { return types.map { $0 != "dense" } }
        if let listed = try listedMixtureLayers() { return (0..<count).map { listed.contains($0) } }
        if case .array = node("moe_layer_freq")?.value, let marks = try layerCounts("moe_layer_freq") {
            return marks.map { $0 != 0 }
        }
        if let period = try optional("expert_layer_period", least: 1) {
            let offset = try optional("expert_layer_offset") ?? 0
            return (0..<count).map { $0 % period == offset }
        }
        let firstSparse = try optional("first_k_dense_replace", "moe_layer_start_index", "num_dense_layers") ?? 0
        let lastSparse = try optional("moe_layer_end_index") ?? count
        let dense = try counts("mlp_only_layers") ?? []
        let step = try optional("interleave_moe_layer_step", "decoder_sparse_step", "moe_layer_interval", least: 1) ?? 1
        let frequency = try optional("moe_layer_freq", least: 1) ?? 1
        return (0..<count).map { layer in
            layer >= firstSparse && layer <= lastSparse && (layer + 1) % step == 0 && layer % frequency == 0
                && !dense.contains(layer)
        }
    }

    /// Positions of the layers with experts where they are listed, as numbers or as numbers in a text.
    private func listedMixtureLayers() throws(CatalogError) -> [Int]? {
        if let listed = try counts("moe_layers") { return listed }
        guard let node = node("moe_layers_enum") else { return nil }
        guard case .string(let list) = node.value else { return try counts("moe_layers_enum") }
        var numbers: [Int] = []
        for word in list.split(separator: ",") {
            guard let number = Int(word.filter { $0 != " " }) else {
                throw document.problem(at: node, "\"\(word)\" in \"moe_layers_enum\" is no layer's number")
            }
            numbers.append(number)
        }
        return numbers
    }
}
