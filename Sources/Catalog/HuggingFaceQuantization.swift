import Spelling

/// What a configuration says of the precision that its weights are stored in.
extension HuggingFaceConfig {
    typealias Storage = (all: Precision, experts: Precision?)

    /// Weights' precision, and the routed experts' where that differs. A method that is not understood is an error,
    /// as the size of the weights hangs on it.
    func storage(hasExperts: Bool) throws(CatalogError) -> Storage {
        let plain = try plainPrecision()
        var storage: Storage = (plain, nil)
        // NVIDIA's toolkit writes a file of its own beside the configuration.
        if let beside = quantizationBeside, let inner = beside.root[key: "quantization"] {
            storage = try QuantizationReader(document: beside, node: inner).modelOptimizer(plain: plain)
        }
        let found = text[key: "quantization_config"] ?? document.root[key: "quantization_config"]
        if let quantization = found, quantization.value != .null {
            storage = try QuantizationReader(document: document, node: quantization).storage(plain: plain)
        }
        // DeepSeek V4 says of its experts alone that they are in four bits.
        if let experts = try word("expert_dtype") {
            guard let precision = ["fp4": Precision.mxfp4, "mxfp4": .mxfp4, "nvfp4": .nvfp4, "fp8": .fp8][experts]
            else {
                throw document.problem(
                    at: node("expert_dtype") ?? text, "experts in \"\(experts)\" are not understood; fp4 and fp8 are")
            }
            storage.experts = precision
        }
        // Where only experts are packed and there are none, what is packed is the rest.
        if !hasExperts { return (storage.experts ?? storage.all, nil) }
        return storage.experts == storage.all ? (storage.all, nil) : storage
    }

    private func plainPrecision() throws(CatalogError) -> Precision {
        switch try word("dtype", "torch_dtype") ?? "bfloat16" {
        case "float16", "half", "torch.float16": .fp16
        case "float32", "float", "torch.float32": .fp32
        default: .bf16
        }
    }
}

/// Reads one description of quantised weights.
private struct QuantizationReader {
    let document: JSONDocument
    let node: JSONNode

    private static let methods = [
        "auto-round", "awq", "bitsandbytes", "compressed-tensors", "fbgemm_fp8", "fp8", "gptq", "modelopt", "mxfp4",
        "mxfp8", "nvfp4", "quark",
    ]

    func storage(plain: Precision) throws(CatalogError) -> HuggingFaceConfig.Storage {
        guard let method = node[key: "quant_method"] ?? node[key: "quant_algo"] else {
            throw document.problem(at: node, "\"quantization_config\" names no \"quant_method\"")
        }
        switch try document.string(method).lowercased() {
        case "mxfp4": return (plain, .mxfp4)
        case "mxfp8": return (.mxfp8, nil)
        case "fp8", "fbgemm_fp8": return (.fp8, nil)
        case "nvfp4": return (.nvfp4, nil)
        case "awq", "gptq", "auto-round", "intel/auto-round": return (try wholeBits(), nil)
        case "bitsandbytes": return (try flag("load_in_4bit") ? .int4 : .int8, nil)
        case "modelopt", "modelopt_fp4": return try modelOptimizer(plain: plain)
        case "compressed-tensors":
            let packed = try compressed(method)
            // Kimi K2.5 leaves attention and shared experts as they are: only the routed experts are packed.
            return try leavesAttention ? (plain, packed) : (packed, nil)
        case "quark": return (try quark(method), nil)
        case let name:
            throw document.problem(
                at: method, "quantisation \"\(name)\" is not understood\(suggestion(for: name, among: Self.methods))")
        }
    }

    /// NVIDIA's toolkit: one algorithm, or one for each matrix.
    func modelOptimizer(plain: Precision) throws(CatalogError) -> HuggingFaceConfig.Storage {
        guard let algorithm = node[key: "quant_algo"] else {
            throw document.problem(at: node, "weights of the \"modelopt\" kind without a \"quant_algo\"")
        }
        if try document.string(algorithm).lowercased() == "mixed_precision" { return try mixed(plain: plain) }
        let packed = try precision(algorithm)
        return try leavesAttention ? (plain, packed) : (packed, nil)
    }

    /// Experts, and of the other matrices the kind that most of them are, feed-forward blocks before attention: the
    /// greater part of a dense model's weights is there.
    private func mixed(plain: Precision) throws(CatalogError) -> HuggingFaceConfig.Storage {
        guard case .object(let entries) = node[key: "quantized_layers"]?.value else {
            throw document.problem(at: node, "\"MIXED_PRECISION\" without \"quantized_layers\"")
        }
        var experts: Precision?
        var counts: [Precision: Int] = [:]
        for entry in entries {
            guard let algorithm = entry.node[key: "quant_algo"] else { continue }
            let precision = try precision(algorithm)
            if entry.key.contains("experts") && !entry.key.contains("shared_expert") {
                experts = precision
            } else if !entry.key.contains("shared_expert") {
                counts[precision, default: 0] += entry.key.contains("mlp") ? 3 : 1
            }
        }
        // Of equals the wider, so that the order of a dictionary does not decide.
        let most = counts.max { ($0.value, $0.key.bitsPerElement) < ($1.value, $1.key.bitsPerElement) }
        return (most?.key ?? plain, experts)
    }

    private func precision(_ algorithm: JSONNode) throws(CatalogError) -> Precision {
        switch try document.string(algorithm).lowercased() {
        case "fp8", "fp8_pb_wo", "fp8_block_scales", "fp8_per_channel_per_token", "w8a8_fp8": return .fp8
        case "nvfp4", "w4a16_nvfp4", "nvfp4_awq", "w4a4_nvfp4": return .nvfp4
        case "mxfp8": return .mxfp8
        case "mxfp4", "w4a8_mxfp4_fp8": return .mxfp4
        case "int8_sq", "int8", "w8a16": return .int8
        case "w4a16", "w4a16_awq", "w4a8_awq", "int4_awq": return .int4
        case let name:
            let known = ["fp8", "nvfp4", "w4a16_nvfp4", "mxfp8", "mxfp4", "int8", "w4a16_awq", "mixed_precision"]
            throw document.problem(
                at: algorithm, "quantisation \"\(name)\" is not understood\(suggestion(for: name, among: known))")
        }
    }

    private func wholeBits() throws(CatalogError) -> Precision {
        guard let bits = node[key: "bits"] ?? node[key: "w_bit"] else { return .int4 }
        switch try document.integer(bits) {
        case 4: return .int4
        case 8: return .int8
        case let count: throw document.problem(at: bits, "weights of \(count) bits are not understood; 4 and 8 are")
        }
    }

    /// The format of the first group of weights.
    private func compressed(_ method: JSONNode) throws(CatalogError) -> Precision {
        guard let groups = node[key: "config_groups"], case .object(let members) = groups.value,
            let weights = members.first?.node[key: "weights"], let bits = weights[key: "num_bits"],
            let type = weights[key: "type"]
        else { throw document.problem(at: method, "\"compressed-tensors\" without weights in \"config_groups\"") }
        let group = try weights[key: "group_size"].flatMap { $0.value == .null ? nil : $0 }.map(document.integer)
        switch (try document.integer(bits), try document.string(type)) {
        case (4, "int"): return .int4
        case (8, "int"): return .int8
        case (8, "float"): return group == 32 ? .mxfp8 : .fp8
        case (4, "float"): return group == 16 ? .nvfp4 : .mxfp4
        case (let count, let name):
            throw document.problem(at: bits, "weights of \(count) bits of \(name) are not understood")
        }
    }

    /// AMD's toolkit names the type of the weights.
    private func quark(_ method: JSONNode) throws(CatalogError) -> Precision {
        guard let weight = node[key: "global_quant_config"]?[key: "weight"], let type = weight[key: "dtype"] else {
            throw document.problem(at: method, "\"quark\" without a weight's dtype in \"global_quant_config\"")
        }
        switch try document.string(type).lowercased() {
        case "fp8_e4m3": return .fp8
        case "fp4": return .mxfp4
        case "int8": return .int8
        case "int4": return .int4
        case let name: throw document.problem(at: type, "weights in \"\(name)\" are not understood")
        }
    }

    private func flag(_ key: String) throws(CatalogError) -> Bool {
        guard let found = node[key: key] else { return false }
        return try document.boolean(found)
    }

    /// The lists of what is not quantised name attention.
    private var leavesAttention: Bool {
        get throws(CatalogError) {
            for key in ["ignore", "exclude_modules", "modules_to_not_convert"] {
                guard let list = node[key: key], list.value != .null else { continue }
                for entry in try document.array(list) where try document.string(entry).contains("self_attn") {
                    return true
                }
            }
            return false
        }
    }
}
