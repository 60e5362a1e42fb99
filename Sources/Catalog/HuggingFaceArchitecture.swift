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
    /// A gate on the output of attention.
    var gate = Gate.none
    /// One learned sink for each head.
    var hasSinks = false

    enum Gate: Sendable {
        case none
        /// One for each head.
        case perHead
        /// As wide as the queries.
        case full
    }

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
            "phi3", "yi", "baichuan", "exaone", "mistral4", "cwm", "hyperclovax", "iquestcoder", "granitemoeshared",
            "solar_open", "minicpm3", "youtu", "internlm2", "bailing_moe", "bailing_moe_v2", "dots1", "aquila",
            "deepseek", "phi4mm", "phi4_multimodal", "phi3_v", "aria_text", "orthus",
        ]
        for name in likeLlama { table[name] = llama }
        for name in ["qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen2_5_vl_text", "qwen2_5_omni_text"] {
            table[name] = ArchitectureTraits(inputBias: true)
        }
        for name in ["qwen3", "qwen3_moe", "qwen3_vl_text", "qwen3_vl_moe_text"] {
            table[name] = ArchitectureTraits(queryKeyNorm: .perHead)
        }
        for name in ["hunyuan_v1_dense", "hunyuan_v1_moe", "dots1", "exaone_moe", "hy_v3", "qwen3_omni_moe_text"] {
            table[name] = ArchitectureTraits(queryKeyNorm: .perHead)
        }
        for name in ["minimax_m3", "minimax_m3_vl_text", "minimax_m3_vl"] {
            table[name] = ArchitectureTraits(queryKeyNorm: .perHead)
        }
        table["minimax_text_01"] = llama
        table["minimax_m1"] = llama
        table["minimax"] = llama
        for name in ["qwen", "mimo", "chatglm"] { table[name] = ArchitectureTraits(inputBias: true) }
        for name in ["olmoe", "flex_olmo", "olmo_hybrid"] { table[name] = ArchitectureTraits(queryKeyNorm: .allHeads) }
        for name in ["granite_swa", "granitemoe_swa"] { table[name] = ArchitectureTraits(hasSinks: true) }
        table["afmoe"] = ArchitectureTraits(norms: 4, queryKeyNorm: .perHead, gate: .full)
        table["gpt_oss"] = ArchitectureTraits(inputBias: true, outputBias: true, hasSinks: true)
        table["glm"] = ArchitectureTraits(inputBias: true)
        table["glm4"] = ArchitectureTraits(inputBias: true, norms: 4)
        table["glm4v_text"] = ArchitectureTraits(inputBias: true, norms: 4)
        for name in ["glm4_moe", "glm4v_moe_text"] { table[name] = llama }
        table["minimax_m2"] = ArchitectureTraits(queryKeyNorm: .allHeads)
        table["gemma"] = ArchitectureTraits(tiesByDefault: true)
        table["gemma2"] = ArchitectureTraits(norms: 4, tiesByDefault: true, fullAttentionEvery: 2)
        // All of its layers attend to everything, whatever window it writes.
        table["vaultgemma"] = ArchitectureTraits(tiesByDefault: true, fullAttentionEvery: 1)
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
        for name in ["cohere", "cohere2", "cohere2_moe"] {
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
        for name in ["gpt2", "gpt_bigcode", "openai-gpt", "gpt-sw3"] {
            table[name] = classic
            table[name]?.learnedPositions = 0
        }
        for name in ["opt", "biogpt"] {
            table[name] = classic
            table[name]?.learnedPositions = 2
        }
        table["xglm"] = classic
        table["gpt_neo"] = classic
        table["gpt_neo"]?.inputBias = false
        table["gpt_neo"]?.learnedPositions = 0
        for name in ["gptj", "codegen"] {
            table[name] = ArchitectureTraits(isGated: false, feedForwardBias: true, norms: 1, normBias: true)
        }
        table["mpt"] = ArchitectureTraits(isGated: false, tiesByDefault: true)
        table["nanochat"] = ArchitectureTraits(isGated: false, norms: 0)
        table["falcon"] = ArchitectureTraits(isGated: false, norms: 1, normBias: true, tiesByDefault: true)
        return table
    }()

    /// Model types that code of their own reads.
    static let special = [
        "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4", "deepseek_ref", "kimi_k2", "kimi_linear",
        "bailing_hybrid", "longcat_flash", "glm4_moe_lite", "glm_moe_dsa", "axk1", "qwen3_next", "qwen3_5",
        "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text", "granitemoehybrid", "nemotron_h", "nemotron-nas", "deci",
        "falcon_h1", "falcon_mamba", "mamba", "mamba2", "bamba", "jamba", "lfm2", "lfm2_moe", "recurrent_gemma",
        "gemma3n_text", "gemma4", "gemma4_text", "gemma4_unified_text", "mimo_v2_flash", "step3p5", "step3p7",
        "laguna", "mllama_text_model", "zaya", "dbrx",
    ]

    /// Model types that have an encoder or generate no tokens one by one, which a decoder's step table cannot describe.
    static let withoutDecoder: Set<String> = [
        "albert", "bart", "bert", "blip", "blip-2", "clip", "clip_text_model", "deberta", "deberta-v2", "distilbert",
        "electra", "longt5", "m2m_100", "marian", "mbart", "modernbert", "mt5", "pegasus", "roberta", "siglip",
        "switch_transformers", "t5", "t5gemma", "umt5", "vit", "wav2vec2", "whisper", "xlm-roberta",
    ]
}

extension HuggingFaceConfig {
    /// The model that this configuration describes. Throws when the architecture is unknown.
    func model(id: String, source: String, grade: Grade, date: CalendarDay?) throws(CatalogError) -> Model {
        let traits = try traits
        let hidden = try hidden
        let layers = try layers(traits)
        let hasExperts = layers.contains { if case .mixture = $0.feedForward { true } else { false } }
        let storage = try storage(hasExperts: hasExperts)
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
        if modelType == "openai-gpt" { other -= 2 * hidden }
        other += try otherElements(hidden: hidden, layers: layers.count)
        let tied = try flag(
            "tie_word_embeddings", default: Self.flag(document.root, "tie_word_embeddings") ?? traits.tiesByDefault)
        return Model(
            id: id, architecture: architecture, source: source, grade: grade, date: date, hidden: hidden,
            vocabulary: try count("vocab_size", "padded_vocab_size"), hasTiedEmbeddings: tied,
            maximumPositions: positions,
            otherElements: other, layers: layers,
            predictionLayers: try optional("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules") ?? 0,
            nativePrecision: storage.all, nativeExpertPrecision: storage.experts, note: noteOnDefaults
        )
    }

    private static func flag(_ node: JSONNode, _ key: String) -> Bool? {
        if case .boolean(let flag) = node[key: key]?.value { flag } else { nil }
    }

    private var traits: ArchitectureTraits {
        get throws(CatalogError) {
            if let found = ArchitectureTraits.byModelType[modelType] { return found }
            switch modelType {
            case "gemma4", "gemma4_text", "gemma4_unified_text", "gemma3n_text":
                return ArchitectureTraits(norms: 4, queryKeyNorm: .perHead, tiesByDefault: true, fullAttentionEvery: 6)
            case "recurrent_gemma", "mamba", "falcon_mamba": return ArchitectureTraits(tiesByDefault: true)
            case "lfm2", "lfm2_moe": return ArchitectureTraits(queryKeyNorm: .perHead, tiesByDefault: true)
            case "qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text":
                return ArchitectureTraits(queryKeyNorm: .perHead, gate: .full)
            case "step3p5", "step3p7", "laguna": return ArchitectureTraits(queryKeyNorm: .perHead, gate: .perHead)
            case "zaya": return ArchitectureTraits(tiesByDefault: true)
            case let type where ArchitectureTraits.withoutDecoder.contains(type):
                throw unsupported(
                    "is not the configuration of a decoder; only language models that make one token after another are served"
                )
            case let type where ArchitectureTraits.special.contains(type): return ArchitectureTraits()
            default:
                // The nearest known type, where one is near; all of them would be a page.
                let known = Array(ArchitectureTraits.byModelType.keys).sorted() + ArchitectureTraits.special
                let hint = nearestName(to: modelType, among: known).map { "; did you mean '\($0)'?" } ?? ""
                throw unsupported("is an architecture that is not known\(hint)")
            }
        }
    }

    private func unsupported(_ what: String) -> CatalogError {
        let line = (text[key: "model_type"] ?? text).line
        return CatalogError(
            .unsupportedArchitecture,
            "\(document.file):\(line): \"model_type\" \"\(modelType)\" (\(architecture)) \(what)")
    }

    private func layers(_ traits: ArchitectureTraits) throws(CatalogError) -> [Layer] {
        switch modelType {
        case "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm4_moe_lite", "glm_moe_dsa", "axk1":
            return try latentAttentionLayers()
        case "deepseek_v4", "deepseek_ref": return try compressedAttentionLayers()
        case "kimi_linear", "bailing_hybrid": return try deltaAttentionLayers()
        case "longcat_flash": return try doubleLayers()
        case "nemotron_h": return try nemotronHybridLayers()
        case "nemotron-nas", "deci": return try searchedLayers()
        case "falcon_h1": return try falconHybridLayers()
        case "bamba", "jamba": return try periodicHybridLayers()
        case "mamba", "falcon_mamba", "mamba2": return try stateSpaceLayers()
        case "lfm2", "lfm2_moe": return try shortConvolutionLayers(traits)
        case "recurrent_gemma": return try recurrentLayers()
        case "granitemoehybrid": return try graniteHybridLayers()
        case "gemma4", "gemma4_text", "gemma4_unified_text": return try gemma4Layers()
        case "gemma3n_text": return try gemma3nLayers()
        case "mimo_v2_flash": return try twoKindsOfHeads()
        case "step3p5", "step3p7", "laguna": return try headsByLayer(traits)
        case "mllama_text_model": return try crossAttentionLayers(traits)
        case "zaya": return try convolvedAttentionLayers()
        case "dbrx": return try databricksLayers()
        default: return try attentionLayers(traits)
        }
    }
}
