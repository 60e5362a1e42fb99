/// Architectures with state-space layers: Nemotron-H, Falcon-H1, Granite 4, Bamba, Jamba and Mamba itself.
extension HuggingFaceConfig {
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
            let letters: [String: Character] = [
                "mamba": "M", "linear_attention": "M", "attention": "*", "full_attention": "*", "moe": "E", "mlp": "-",
            ]
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
        let heads = try count("mamba_num_heads", "mamba_n_heads", "num_heads")
        // "auto" (Granite) means the inner width over the heads.
        let dimension: Int
        if let node = node("mamba_head_dim", "mamba_d_head", "head_dim"), case .number = node.value {
            dimension = try count("mamba_head_dim", "mamba_d_head", "head_dim")
        } else {
            dimension = try count("mamba_expand") * (try hidden) / heads
        }
        return StateSpace(
            heads: heads, headDimension: dimension,
            stateDimension: try count("ssm_state_size", "mamba_d_state", "state_size"),
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
        let key = has("layer_types") ? "layer_types" : "layers_block_type"
        guard let types = try layerWords(key) else {
            throw document.problem(at: text, "the key \"layer_types\" is missing, which \(architecture) needs")
        }
        let feedForward: FeedForward =
            if let experts = try mixture() {
                .mixture(experts)
            } else {
                .dense(Dense(intermediate: try count("shared_intermediate_size")))
            }
        let kinds = ["mamba": true, "linear_attention": true, "attention": false, "full_attention": false]
        let isMamba = types.map { kinds[$0] }
        let mamba: Mixer? = isMamba.contains(true) ? .stateSpace(try stateSpace()) : nil
        let attention: Mixer? =
            isMamba.contains(false) ? .attention(try attention(ArchitectureTraits(), window: nil)) : nil
        var layers: [Layer] = []
        for (type, isMamba) in zip(types, isMamba) {
            guard let isMamba, let mixer = isMamba ? mamba : attention else {
                throw document.problem(at: text, "\"\(type)\" in \"layer_types\" is neither mamba nor attention")
            }
            layers.append(Layer(mixers: [mixer], feedForward: feedForward, normElements: 2 * hidden))
        }
        return layers
    }

    /// Bamba and Jamba: state space, and attention in listed layers or at a fixed distance.
    func periodicHybridLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let count = try layerCount
        let attends: [Bool]
        if let types = try layerWords("layer_types") {
            attends = types.map { $0 == "full_attention" || $0 == "attention" }
        } else if let period = try optional("attn_layer_period", least: 1) {
            let offset = try optional("attn_layer_offset") ?? 0
            attends = (0..<count).map { $0 % period == offset }
        } else {
            let listed = try counts("attn_layer_indices") ?? []
            attends = (0..<count).map { listed.contains($0) }
        }
        let attention = Mixer.attention(try attention(ArchitectureTraits(), window: nil))
        let state: Mixer =
            modelType == "jamba" ? .recurrence(try selectiveState(hasNorms: true)) : .stateSpace(try stateSpace())
        let feedForwards = try feedForwards(ArchitectureTraits())
        return zip(attends, feedForwards).map { attends, feedForward in
            Layer(mixers: [attends ? attention : state], feedForward: feedForward, normElements: 2 * hidden)
        }
    }

    /// Mamba and Mamba-2: nothing but state space.
    func stateSpaceLayers() throws(CatalogError) -> [Layer] {
        let hidden = try hidden
        let mixer: Mixer =
            modelType == "mamba2" ? .stateSpace(try stateSpace()) : .recurrence(try selectiveState(hasNorms: false))
        let layer = Layer(mixers: [mixer], feedForward: nil, normElements: hidden)
        return Array(repeating: layer, count: try layerCount)
    }

    /// The first Mamba: a state for every channel, whose step comes through a low rank.
    private func selectiveState(hasNorms: Bool) throws(CatalogError) -> Recurrence {
        let hidden = try hidden
        let inner = try optional("mamba_expand", "expand", least: 1) ?? 2
        let width = inner * hidden
        let state = try count("mamba_d_state", "state_size")
        let kernel = try count("mamba_d_conv", "conv_kernel")
        // "auto" means a sixteenth of the hidden width.
        var rank = (hidden + 15) / 16
        if let node = node("mamba_dt_rank", "time_step_rank"), case .number = node.value {
            rank = try count("mamba_dt_rank", "time_step_rank")
        }
        var elements = 3 * hidden * width + width * (kernel + 1) + width * (rank + 2 * state)
        elements += rank * width + width + width * state + width
        if hasNorms { elements += rank + 2 * state }
        return Recurrence(elements: elements, stateElements: width * state + width * (kernel - 1))
    }
}
