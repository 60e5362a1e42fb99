import Spelling

/// What a configuration says of the precision that its weights are stored in.
extension HuggingFaceConfig {
    /// Weights' precision, and the routed experts' where that differs. A method that is not understood is an error,
    /// as the size of the weights hangs on it.
    var storage: (all: Precision, experts: Precision?) {
        get throws(CatalogError) {
            let plain: Precision =
                switch try word("dtype", "torch_dtype") ?? "bfloat16" {
                case "float16", "half", "torch.float16": .fp16
                case "float32", "float", "torch.float32": .fp32
                default: .bf16
                }
            let found = text[key: "quantization_config"] ?? document.root[key: "quantization_config"]
            guard let quantization = found, quantization.value != .null else { return (plain, nil) }
            guard let method = quantization[key: "quant_method"] ?? quantization[key: "quant_algo"] else {
                throw document.problem(at: quantization, "\"quantization_config\" names no \"quant_method\"")
            }
            switch try document.string(method).lowercased() {
            case "mxfp4": return (plain, .mxfp4)
            case "fp8", "fbgemm_fp8": return (.fp8, nil)
            case "nvfp4": return (.nvfp4, nil)
            case "awq", "gptq": return (try wholeBits(quantization), nil)
            case "modelopt":
                guard let algorithm = quantization[key: "quant_algo"] else { throw notUnderstood(method, "modelopt") }
                switch try document.string(algorithm).lowercased() {
                case "fp8": return (.fp8, nil)
                case "nvfp4": return (.nvfp4, nil)
                case let name: throw notUnderstood(algorithm, name)
                }
            case "compressed-tensors":
                let packed = try compressed(quantization, method)
                // Kimi K2.5 leaves attention and shared experts as they are: only the routed experts are packed.
                let leavesAttention = try quantization[key: "ignore"].map(mentionsAttention) ?? false
                return leavesAttention ? (plain, packed) : (packed, nil)
            case let name: throw notUnderstood(method, name)
            }
        }
    }

    private func wholeBits(_ quantization: JSONNode) throws(CatalogError) -> Precision {
        guard let bits = quantization[key: "bits"] ?? quantization[key: "w_bit"] else { return .int4 }
        switch try document.integer(bits) {
        case 4: return .int4
        case 8: return .int8
        case let count: throw document.problem(at: bits, "weights of \(count) bits are not understood; 4 and 8 are")
        }
    }

    /// The format of the first group of weights.
    private func compressed(_ quantization: JSONNode, _ method: JSONNode) throws(CatalogError) -> Precision {
        guard let groups = quantization[key: "config_groups"], case .object(let members) = groups.value,
            let weights = members.first?.node[key: "weights"], let bits = weights[key: "num_bits"],
            let type = weights[key: "type"]
        else { throw document.problem(at: method, "\"compressed-tensors\" without weights in \"config_groups\"") }
        let group = try weights[key: "group_size"].flatMap { $0.value == .null ? nil : $0 }.map(document.integer)
        switch (try document.integer(bits), try document.string(type)) {
        case (4, "int"): return .int4
        case (8, "int"): return .int8
        case (8, "float"): return .fp8
        case (4, "float"): return group == 16 ? .nvfp4 : .mxfp4
        case (let count, let name):
            throw document.problem(at: bits, "weights of \(count) bits of \(name) are not understood")
        }
    }

    private func mentionsAttention(_ list: JSONNode) throws(CatalogError) -> Bool {
        for entry in try document.array(list) where try document.string(entry).contains("self_attn") { return true }
        return false
    }

    private func notUnderstood(_ node: JSONNode, _ name: String) -> CatalogError {
        let known = ["mxfp4", "fp8", "fbgemm_fp8", "nvfp4", "awq", "gptq", "modelopt", "compressed-tensors"]
        return document.problem(
            at: node, "quantisation \"\(name)\" is not understood\(suggestion(for: name, among: known))")
    }
}
