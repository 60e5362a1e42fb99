//===----------------------------------------------------------------------===//
// Serving software: which batching rules, defaults and calibrated host costs apply.
//===----------------------------------------------------------------------===//

/// A serving stack and its generation, as deployments name them.
public enum ServingStack: String, Sendable, Hashable, Codable, CaseIterable {
    case vllm
    case trtllm
    case sglang
    /// vLLM on Neuron (SDK 2.26 and later): block KV, powers-of-two decode slots.
    case vllmNeuron = "vllm-neuron"
    /// NxD Inference: contiguous KV, one compiled batch.
    case nxdi
    /// Transformers NeuronX, the stack of SDK 2.10 to 2.19: contiguous KV, one compiled batch.
    case tnx
    /// Text Generation Inference on Neuron (optimum-neuron, 2024): transformers-neuronx below, continuous batching
    /// above.
    case tgiNeuron = "tgi-neuron"

    /// Static shapes, prefill and decode in separate steps.
    public var isPhased: Bool {
        switch self {
        case .vllm, .trtllm, .sglang: false
        case .vllmNeuron, .nxdi, .tnx, .tgiNeuron: true
        }
    }

    /// Every decode step runs all compiled slots; else powers of two up to `max_num_seqs`.
    public var hasSingleDecodeBucket: Bool { self == .nxdi || self == .tnx || self == .tgiNeuron }

    /// KV is one contiguous stretch of `max_model_len` per slot.
    public var hasContiguousCache: Bool { hasSingleDecodeBucket }

    /// Tokens of a KV block: vLLM 16; vLLM-neuron 32; TensorRT-LLM 32 (1.0 and later); contiguous stacks have whole
    /// slots.
    public var defaultBlockTokens: Int {
        switch self {
        case .vllm: 16
        case .trtllm: 32
        case .sglang: 1
        case .vllmNeuron: 32
        case .nxdi, .tnx, .tgiNeuron: 32
        }
    }
}
