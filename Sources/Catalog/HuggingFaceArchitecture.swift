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
}
