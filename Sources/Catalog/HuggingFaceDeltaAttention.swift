/// Kimi Linear, Kimi K3 and Ling 2.5: layers of delta attention, which keeps a fixed state, with latent attention between.
extension HuggingFaceConfig {
    func deltaAttentionLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let latent = Mixer.latentAttention(try latentAttention())
        let delta = Mixer.recurrence(try deltaAttention(hidden: hidden))
        var layers: [Layer] = []
        for (isLatent, feedForward) in zip(try latentPlaces(), try feedForwards(ArchitectureTraits())) {
            layers.append(
                Layer(mixers: [isLatent ? latent : delta], feedForward: feedForward, normElements: 2 * hidden))
        }
        return layers
    }

    /// For each layer whether its attention is latent.
    private func latentPlaces() throws(CatalogError) -> [Bool] {
        if let types = try layerWords("layer_types") { return types.map { $0 != "linear_attention" } }
        let count = try layerCount
        // Kimi counts its layers from one.
        if let listed = try group("linear_attn_config")?.counts("full_attn_layers") {
            return (1...count).map { listed.contains($0) }
        }
        guard let size = try optional("layer_group_size", least: 1) else {
            throw document.problem(at: text, "the key \"layer_types\" is missing, which \(architecture) needs")
        }
        // The last layer of each group, and those that make up no group.
        return (0..<count).map { ($0 + 1) % size == 0 || $0 >= count / size * size }
    }

    /// Queries, keys and values with a short convolution each, a forget gate for every element, and an output gate.
    private func deltaAttention(hidden: Int) throws(CatalogError) -> Recurrence {
        let own = group("linear_attn_config") ?? self
        let heads = try own.count("linear_num_heads", "num_heads")
        let dimension = try own.count("linear_head_dim", "head_dim")
        let kernel = try own.count("linear_conv_kernel_dim", "short_conv_kernel_size")
        let width = heads * dimension
        let lowRank = hidden * dimension + dimension * width
        let isFull = modelType == "bailing_hybrid"
        let forgetGate = isFull ? hidden * width : lowRank
        let outputGate = try own.flag("use_full_rank_gate", default: isFull) ? hidden * width : lowRank
        let elements =
            4 * hidden * width + 3 * width * kernel + forgetGate + width + heads + hidden * heads + outputGate
            + dimension
        return Recurrence(
            elements: elements, stateElements: width * dimension + 3 * width * (kernel - 1))
    }
}
