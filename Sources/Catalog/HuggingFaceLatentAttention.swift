/// Architectures with latent attention: DeepSeek V2 and V3, Kimi K2, GLM-5, LongCat; and DeepSeek V4's compressed kind.
extension HuggingFaceConfig {
    /// A few dense layers, then experts; attention is the same in all of them but for indexers that are shared.
    func latentAttentionLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let attention = try latentAttention()
        let indexerTypes = try layerWords("indexer_types")
        var layers: [Layer] = []
        for (index, feedForward) in try feedForwards(ArchitectureTraits()).enumerated() {
            var own = attention
            own.indexer?.isShared = indexerTypes?[index] == "shared"
            layers.append(Layer(mixers: [.latentAttention(own)], feedForward: feedForward, normElements: 2 * hidden))
        }
        return layers
    }

    func latentAttention() throws(CatalogError) -> LatentAttention {
        var indexer: Indexer?
        if has("index_topk") {
            indexer = Indexer(
                heads: try count("index_n_heads"), headDimension: try count("index_head_dim"),
                selectedTokens: try count("index_topk")
            )
        }
        let heads = try heads
        let values = try count("v_head_dim")
        var gate = modelType == "bailing_hybrid" ? heads : 0
        if try flag("mla_use_output_gate", default: false) { gate = heads * values }
        return LatentAttention(
            heads: heads, queryRank: try optional("q_lora_rank", least: 1), keyValueRank: try count("kv_lora_rank"),
            rotaryDimension: try count("qk_rope_head_dim"), plainDimension: try count("qk_nope_head_dim"),
            valueDimension: values, indexer: indexer, gateWidth: gate
        )
    }

    /// LongCat-Flash: a layer is two attention blocks and two dense ones, with experts beside the second; some experts
    /// are the identity, so that a token visits fewer real ones on average.
    func doubleLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let attention = Mixer.latentAttention(try latentAttention())
        let width = try count("ffn_hidden_size")
        guard var mixture = try mixture() else {
            throw document.problem(at: text, "the key \"n_routed_experts\" is missing, which \(architecture) needs")
        }
        let identities = try optional("zero_expert_num") ?? 0
        mixture.activeExperts = max(1, mixture.activeExperts * mixture.experts / (mixture.experts + identities))
        mixture.besideIntermediate = width
        let plain = Layer(
            mixers: [attention], feedForward: .dense(Dense(intermediate: width)), normElements: 2 * hidden)
        let routed = Layer(
            mixers: [attention], feedForward: .mixture(mixture), normElements: 2 * hidden + identities * hidden)
        var layers: [Layer] = []
        for _ in 0..<(try layerCount) { layers += [plain, routed] }
        return layers
    }

    /// DeepSeek V4: a window in every layer, and in most of them compressed entries, lightly with an indexer or heavily
    /// without one.
    func compressedAttentionLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let entry = try headDimension
        let window = try count("sliding_window")
        let streams = try optional("hc_mult", least: 1) ?? 1
        // Each of the two blocks of a layer mixes the copies of the residual stream.
        let mixing = streams * (streams + 2)
        let norms = 2 * hidden + (streams > 1 ? 2 * (mixing * streams * hidden + mixing + 3) : 0)
        var layers: [Layer] = []
        for (ratio, feedForward) in zip(try compressionRatios(), try feedForwards(ArchitectureTraits())) {
            // Only the light compression has overlapping entries and an indexer.
            let isLight = ratio > 0 && ratio < 64
            let indexer =
                isLight
                ? Indexer(
                    heads: try count("index_n_heads"), headDimension: try count("index_head_dim"),
                    selectedTokens: try count("index_topk") * ratio) : nil
            let attention = CompressedAttention(
                heads: try heads, queryRank: try count("q_lora_rank"), entryDimension: entry, window: window,
                tokensPerEntry: ratio > 0 ? ratio : nil, entriesOverlap: isLight, indexer: indexer,
                outputGroups: try count("o_groups"), outputRank: try count("o_lora_rank")
            )
            layers.append(
                Layer(mixers: [.compressedAttention(attention)], feedForward: feedForward, normElements: norms))
        }
        return layers
    }

    /// For each layer the tokens of a compressed entry; 0 where there is only the window.
    private func compressionRatios() throws(CatalogError) -> [Int] {
        if let ratios = try layerCounts("compress_ratios") { return ratios }
        guard let types = try layerWords("layer_types") else {
            throw document.problem(at: text, "the key \"compress_ratios\" is missing, which \(architecture) needs")
        }
        let rates = group("compress_rates")
        var ratios: [Int] = []
        for type in types {
            switch type {
            case "compressed_sparse_attention": ratios.append(try rates?.optional(type, least: 1) ?? 4)
            case "heavily_compressed_attention": ratios.append(try rates?.optional(type, least: 1) ?? 128)
            case "sliding_attention": ratios.append(0)
            default:
                throw document.problem(
                    at: node("layer_types") ?? text, "\"\(type)\" in \"layer_types\" is no kind of compressed attention"
                )
            }
        }
        return ratios
    }
}
