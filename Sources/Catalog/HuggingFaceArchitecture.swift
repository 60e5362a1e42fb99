import Spelling

/// What the layers of one architecture have in common, where it differs from the Llama pattern: grouped-query
/// attention without biases, a gated feed-forward block, two norms a layer.
struct ArchitectureTraits: Sendable {
    /// Query, key and value biases where the configuration does not say.
    var inputBias = false
    var outputBias = false
    /// Two matrices in the feed-forward block instead of three.
    var isGated = true
    var feedForwardBias = false
    /// Norms of the hidden width in a layer.
    var norms = 2
    /// Norms have biases too.
    var normBias = false
    var queryKeyNorm = QueryKeyNorm.none
    var tiesByDefault = false
    /// Learned absolute positions, and how many rows more than `max_position_embeddings` they have.
    var learnedPositions: Int?
    /// Every how many layers one attends to everything, when the configuration does not list them.
    var fullAttentionEvery: Int?

    enum QueryKeyNorm: Sendable {
        case none
        /// One weight for each element of a head, shared by the heads.
        case perHead
        /// One weight for each element of all heads.
        case allHeads
    }

    /// Model types whose layers are attention and a feed-forward block. Others are read by code of their own.
    static let byModelType: [String: ArchitectureTraits] = {
        let llama = ArchitectureTraits()
        var table: [String: ArchitectureTraits] = [:]
        let likeLlama = [
            "llama", "mistral", "ministral", "ministral3", "mixtral", "seed_oss", "smollm3", "granite", "granitemoe",
            "internlm3", "minicpm", "ernie4_5", "ernie4_5_moe", "hunyuan_v1_dense", "helium", "llama4_text", "llama4",
            "phi3", "yi", "baichuan", "exaone", "mistral4",
        ]
        for name in likeLlama { table[name] = llama }
        for name in ["qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen2_5_vl_text", "qwen2_5_omni_text"] {
            table[name] = ArchitectureTraits(inputBias: true)
        }
        for name in ["qwen3", "qwen3_moe", "qwen3_vl_text", "qwen3_vl_moe_text"] {
            table[name] = ArchitectureTraits(queryKeyNorm: .perHead)
        }
        table["hunyuan_v1_dense"] = ArchitectureTraits(queryKeyNorm: .perHead)
        table["gpt_oss"] = ArchitectureTraits(inputBias: true, outputBias: true)
        table["glm"] = ArchitectureTraits(inputBias: true)
        table["glm4"] = ArchitectureTraits(inputBias: true, norms: 4)
        table["glm4_moe"] = ArchitectureTraits()
        table["minimax_m2"] = ArchitectureTraits(queryKeyNorm: .allHeads)
        table["gemma"] = ArchitectureTraits(tiesByDefault: true)
        for name in ["gemma2", "vaultgemma"] {
            table[name] = ArchitectureTraits(norms: 4, tiesByDefault: true, fullAttentionEvery: 2)
        }
        table["vaultgemma"] = ArchitectureTraits(norms: 2, tiesByDefault: true, fullAttentionEvery: 2)
        for name in ["gemma3", "gemma3_text"] {
            table[name] = ArchitectureTraits(
                norms: 4, queryKeyNorm: .perHead, tiesByDefault: true, fullAttentionEvery: 6
            )
        }
        table["olmo"] = ArchitectureTraits(norms: 0)
        for name in ["olmo2", "olmo3"] { table[name] = ArchitectureTraits(queryKeyNorm: .allHeads) }
        table["nemotron"] = ArchitectureTraits(isGated: false, normBias: true)
        table["arcee"] = ArchitectureTraits(isGated: false)
        table["apertus"] = ArchitectureTraits(isGated: false, queryKeyNorm: .perHead)
        table["exaone4"] = ArchitectureTraits(queryKeyNorm: .perHead, fullAttentionEvery: 4)
        for name in ["cohere", "cohere2"] {
            table[name] = ArchitectureTraits(norms: 1, tiesByDefault: true, fullAttentionEvery: 4)
        }
        table["phimoe"] = ArchitectureTraits(inputBias: true, outputBias: true, normBias: true)
        table["phi"] = ArchitectureTraits(
            inputBias: true, outputBias: true, isGated: false, feedForwardBias: true, norms: 1, normBias: true
        )
        table["starcoder2"] = ArchitectureTraits(
            inputBias: true, outputBias: true, isGated: false, feedForwardBias: true, normBias: true,
            tiesByDefault: true
        )
        table["stablelm"] = ArchitectureTraits(normBias: true)
        table["orion"] = ArchitectureTraits(normBias: true)
        table["persimmon"] = ArchitectureTraits(
            inputBias: true, outputBias: true, isGated: false, feedForwardBias: true, normBias: true,
            queryKeyNorm: .perHead
        )
        let classic = ArchitectureTraits(
            inputBias: true, outputBias: true, isGated: false, feedForwardBias: true, normBias: true,
            tiesByDefault: true
        )
        table["bloom"] = classic
        table["gpt_neox"] = ArchitectureTraits(
            inputBias: true, outputBias: true, isGated: false, feedForwardBias: true, normBias: true
        )
        for name in ["gpt2", "gpt_bigcode"] {
            table[name] = classic
            table[name]?.learnedPositions = 0
        }
        for name in ["opt", "biogpt"] {
            table[name] = classic
            table[name]?.learnedPositions = 2
        }
        table["gptj"] = ArchitectureTraits(isGated: false, feedForwardBias: true, norms: 1, normBias: true)
        table["falcon"] = ArchitectureTraits(isGated: false, norms: 1, normBias: true, tiesByDefault: true)
        return table
    }()

    /// Model types that code of their own reads.
    static let special = [
        "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm4_moe_lite", "glm_moe_dsa", "qwen3_next",
        "qwen3_5",
        "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text", "granitemoehybrid", "nemotron_h", "falcon_h1", "lfm2",
        "recurrent_gemma", "gemma4", "gemma4_text", "minimax",
    ]
}

extension HuggingFaceConfig {
    /// The model that this configuration describes. Throws when the architecture is unknown.
    func model(id: String, source: String, grade: Grade, date: CalendarDay?) throws(CatalogError) -> Model {
        let traits = try traits
        let hidden = try hidden
        let layers = try layers(traits)
        let storage = try storage
        let positions = try maximumPositions
        var other = hidden * (traits.normBias ? 2 : 1)
        if traits.norms == 0 { other = 0 }
        if let extra = traits.learnedPositions {
            guard let positions else {
                throw document.problem(
                    at: text, "the key \"max_position_embeddings\" is missing, which learned positions need")
            }
            other += (positions + extra) * hidden
        }
        other += try otherElements(hidden: hidden, layers: layers.count)
        let tied = try flag(
            "tie_word_embeddings", default: Self.flag(document.root, "tie_word_embeddings") ?? traits.tiesByDefault)
        return Model(
            id: id, architecture: architecture, source: source, grade: grade, date: date, hidden: hidden,
            vocabulary: try count("vocab_size"), hasTiedEmbeddings: tied, maximumPositions: positions,
            otherElements: other, layers: layers,
            predictionLayers: try optional("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules") ?? 0,
            nativePrecision: storage.all, nativeExpertPrecision: storage.experts
        )
    }

    private static func flag(_ node: JSONNode, _ key: String) -> Bool? {
        if case .boolean(let flag) = node[key: key]?.value { flag } else { nil }
    }

    private var traits: ArchitectureTraits {
        get throws(CatalogError) {
            if let found = ArchitectureTraits.byModelType[modelType] { return found }
            switch modelType {
            case "gemma4", "gemma4_text":
                return ArchitectureTraits(norms: 4, queryKeyNorm: .perHead, tiesByDefault: true, fullAttentionEvery: 6)
            case "recurrent_gemma": return ArchitectureTraits(tiesByDefault: true)
            case "lfm2": return ArchitectureTraits(queryKeyNorm: .perHead, tiesByDefault: true)
            case "qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text":
                return ArchitectureTraits(queryKeyNorm: .perHead)
            case let type where ArchitectureTraits.special.contains(type): return ArchitectureTraits()
            default:
                let known = Array(ArchitectureTraits.byModelType.keys).sorted() + ArchitectureTraits.special
                let hint = suggestion(for: modelType, among: known)
                throw CatalogError(
                    .unsupportedArchitecture,
                    "\(document.file):\((text[key: "model_type"] ?? text).line): unknown architecture: \"model_type\" is "
                        + "\"\(modelType)\" (\(architecture))\(hint)"
                )
            }
        }
    }

    private func layers(_ traits: ArchitectureTraits) throws(CatalogError) -> [Layer] {
        switch modelType {
        case "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm4_moe_lite", "glm_moe_dsa":
            return try latentAttentionLayers()
        case "nemotron_h": return try nemotronHybridLayers()
        case "falcon_h1": return try falconHybridLayers()
        case "lfm2": return try shortConvolutionLayers(traits)
        case "recurrent_gemma": return try recurrentLayers()
        case "granitemoehybrid": return try graniteHybridLayers()
        case "gemma4", "gemma4_text": return try gemma4Layers()
        default: return try attentionLayers(traits)
        }
    }

    /// Layers of attention (or, where the configuration says so, linear attention) and a feed-forward block.
    private func attentionLayers(_ traits: ArchitectureTraits) throws(CatalogError) -> [Layer] {
        // A configuration whose attention is latent after all (Mistral's larger mixtures) says so by its ranks.
        if has("kv_lora_rank") { return try latentAttentionLayers() }
        let hidden = try hidden
        let windows = try attentionWindows(traits)
        let norms = try normElements(traits, hidden: hidden)
        let types = try words("layer_types")
        let every = try optional("full_attention_interval", least: 1)
        var layers: [Layer] = []
        for index in 0..<(try layerCount) {
            let isLinear = types.map { $0[index] == "linear_attention" } ?? every.map { (index + 1) % $0 != 0 } ?? false
            let mixer: Mixer =
                isLinear
                ? .linearAttention(try linearAttention) : .attention(try attention(traits, window: windows[index]))
            layers.append(
                Layer(mixers: [mixer], feedForward: try feedForward(traits, layer: index), normElements: norms))
        }
        return layers
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
        let heads = try attentionHeads
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
        let inputBias = try flag(
            "attention_bias", default: try flag("use_qkv_bias", default: try flag("bias", default: traits.inputBias)))
        return Attention(
            heads: heads, keyValueHeads: pairs, headDimension: dimension,
            valueDimension: try optional("v_head_dim", least: 1),
            window: window, hasInputBias: inputBias,
            hasOutputBias: try flag(
                "attention_out_bias", default: traits.outputBias || (modelType == "llama" && inputBias)),
            normElements: norms,
            hasOutputGate: modelType == "qwen3_next" || modelType.hasPrefix("qwen3_5"), hasSinks: modelType == "gpt_oss"
        )
    }

    private var attentionHeads: Int { get throws(CatalogError) { try heads } }

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
            return try keyValueHeads
        }
    }

    private var linearAttention: LinearAttention {
        get throws(CatalogError) {
            LinearAttention(
                keyHeads: try count("linear_num_key_heads"), valueHeads: try count("linear_num_value_heads"),
                keyDimension: try count("linear_key_head_dim"), valueDimension: try count("linear_value_head_dim"),
                convolutionKernel: try count("linear_conv_kernel_dim")
            )
        }
    }

    /// For each layer the window of its attention, nil where it sees everything.
    func attentionWindows(_ traits: ArchitectureTraits) throws(CatalogError) -> [Int?] {
        let count = try layerCount
        if let types = try words("layer_types") {
            guard types.count == count else {
                throw document.problem(at: text, "\"layer_types\" has \(types.count) entries for \(count) layers")
            }
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

    func feedForward(_ traits: ArchitectureTraits, layer: Int) throws(CatalogError) -> FeedForward {
        if let mixture = try mixture(layer: layer) { return .mixture(mixture) }
        let width: Int
        if modelType.hasPrefix("llama4"), let dense = try optional("intermediate_size_mlp", least: 1) {
            width = dense
        } else if let given = try optional("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", least: 1) {
            width = given
        } else {
            // GPT-2, Falcon and Bloom mean four times the hidden width when they say nothing.
            guard ["gpt2", "gpt_bigcode", "falcon", "bloom", "gptj", "gpt_neox"].contains(modelType) else {
                throw document.problem(
                    at: text, "the key \"intermediate_size\" is missing, which \(architecture) needs")
            }
            width = 4 * (try hidden)
        }
        let bias = try flag("mlp_bias", default: try flag("use_bias", default: traits.feedForwardBias))
        return .dense(Dense(intermediate: width, isGated: traits.isGated, hasBias: bias))
    }

    /// The routed experts of a layer; nil where the layer is dense.
    func mixture(layer: Int) throws(CatalogError) -> Mixture? {
        guard
            let experts = try optional(
                "num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", least: 1),
            try isMixture(layer: layer)
        else { return nil }
        let active = try count("num_experts_per_tok", "experts_per_token", "moe_k", "top_k_experts")
        guard active <= experts else {
            throw document.problem(at: text, "a token visits \(active) experts of \(experts)")
        }
        let width = try count("moe_intermediate_size", "intermediate_size")
        var shared = try optional("shared_expert_intermediate_size", "shared_intermediate_size") ?? 0
        if let count = try optional("n_shared_experts", "num_shared_experts", "moe_num_shared_experts") {
            shared = count * width
        }
        if let given = try optional("moe_shared_expert_intermediate_size") {
            shared = given * (try optional("n_shared_experts") ?? 1)
        }
        if modelType.hasPrefix("llama4") { shared = width }
        return Mixture(
            experts: experts, activeExperts: active, expertIntermediate: width, sharedIntermediate: shared,
            isGated: modelType != "nemotron_h", hasBias: modelType == "gpt_oss",
            hasSharedGate: shared > 0 && modelType.hasPrefix("qwen"),
            latentDimension: try optional("moe_latent_size", least: 1)
        )
    }

    private func isMixture(layer: Int) throws(CatalogError) -> Bool {
        if let dense = try optional("first_k_dense_replace"), layer < dense { return false }
        if let types = try words("mlp_layer_types") { return layer < types.count && types[layer] == "sparse" }
        if try counts("mlp_only_layers")?.contains(layer) == true { return false }
        if let listed = try counts("moe_layers") { return listed.contains(layer) }
        if let first = try optional("moe_layer_start_index"), layer < first { return false }
        if let last = try optional("moe_layer_end_index"), layer > last { return false }
        let step = try optional("interleave_moe_layer_step", "decoder_sparse_step", "moe_layer_interval", least: 1) ?? 1
        let frequency = try optional("moe_layer_freq", least: 1) ?? 1
        return (layer + 1) % step == 0 && layer % frequency == 0
    }
}
