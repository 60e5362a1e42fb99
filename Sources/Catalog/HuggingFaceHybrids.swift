/// Architectures with short convolutions or gated recurrences: LFM2 and RecurrentGemma.
extension HuggingFaceConfig {
    /// LFM2: short gated convolutions with attention in between.
    func shortConvolutionLayers(_ traits: ArchitectureTraits) throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let count = try layerCount
        let isAttention: [Bool]
        if let types = try layerWords("layer_types") {
            isAttention = types.map { $0 == "full_attention" }
        } else if let listed = try counts("full_attn_idxs") {
            isAttention = (0..<count).map { listed.contains($0) }
        } else {
            throw document.problem(at: text, "the key \"layer_types\" is missing, which \(architecture) needs")
        }
        guard isAttention.count == count else {
            throw document.problem(at: text, "\"layer_types\" has \(isAttention.count) entries for \(count) layers")
        }
        let convolution = try shortConvolution(hidden: hidden)
        let feedForwards: [FeedForward] =
            modelType == "lfm2_moe"
            ? try feedForwards(traits)
            : Array(repeating: .dense(Dense(intermediate: try shrunkWidth())), count: count)
        var layers: [Layer] = []
        for (attends, feedForward) in zip(isAttention, feedForwards) {
            let mixer: Mixer = attends ? .attention(try attention(traits, window: nil)) : .recurrence(convolution)
            layers.append(Layer(mixers: [mixer], feedForward: feedForward, normElements: 2 * hidden))
        }
        return layers
    }

    private func shortConvolution(hidden: Int) throws(CatalogError) -> Recurrence {
        let kernel = try count("conv_L_cache")
        return Recurrence(elements: 4 * hidden * hidden + hidden * kernel, stateElements: hidden * (kernel - 1))
    }

    /// LFM2's width of the feed-forward block.
    private func shrunkWidth() throws(CatalogError) -> Int {
        // The width that is written is shrunk to two thirds and rounded up, as for Llama 1, unless told not to.
        var width = try count("block_ff_dim", "intermediate_size")
        if try flag("block_auto_adjust_ff_dim", default: true) {
            let multiple = try optional("block_multiple_of", least: 1) ?? 256
            width = Int(Double(width * 2 / 3) * (try number("block_ffn_dim_multiplier") ?? 1))
            width = (width + multiple - 1) / multiple * multiple
        }
        return width
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

    /// Weights outside the layers that only some architectures have.
    func otherElements(hidden: Int, layers: Int) throws(CatalogError) -> Int {
        switch modelType {
        case "gemma4", "gemma4_text", "gemma4_unified_text", "gemma3n_text":
            // Gemma 3n runs several copies of the residual stream, each with matrices in and out.
            let copies = try optional("altup_num_inputs", least: 1) ?? 1
            let streams = 2 * (copies - 1) * hidden * hidden
            guard let width = try optional("hidden_size_per_layer_input"), width > 0 else { return streams }
            let table = try count("vocab_size_per_layer_input", "vocab_size")
            return layers * width * (table + hidden) + width + streams
        // Hyper-connections are put together again before the head.
        case "deepseek_v4", "deepseek_ref":
            let streams = try optional("hc_mult", least: 1) ?? 1
            return streams * streams * hidden + streams + 1
        // Word embeddings pass a norm first.
        case "bloom": return 2 * hidden
        // The head has a bias.
        case "gptj", "codegen", "phi": return try count("vocab_size")
        default: return 0
        }
    }
}
