//===----------------------------------------------------------------------===//
// How a replica is spread over accelerators.
//===----------------------------------------------------------------------===//

/// Ways in which one replica is split. A rank is what a tensor-parallel process runs on: a GPU, or a logical
/// NeuronCore.
public struct Parallelism: Sendable, Hashable, Codable {
    /// Ranks that share each attention and MLP matrix.
    public var tensor: Int
    /// Groups of `tensor` ranks that split the batch; they share the routed experts (attention data parallelism).
    public var data: Int
    /// Ways in which whole experts are dealt to ranks; the rest of `tensor × data` splits each expert's matrices.
    public var expert: Int
    /// Ranks that split a sequence's prefill and KV cache.
    public var context: Int
    /// Stages of layers.
    public var pipeline: Int

    public init(tensor: Int = 1, data: Int = 1, expert: Int = 1, context: Int = 1, pipeline: Int = 1) {
        self.tensor = tensor
        self.data = data
        self.expert = expert
        self.context = context
        self.pipeline = pipeline
    }

    public var ranks: Int { tensor * data * context * pipeline }

    /// "TP8", "TP8 DP2 EP16", …
    public var label: String {
        var parts = ["TP\(tensor)"]
        if data > 1 { parts.append("DP\(data)") }
        if expert > 1 { parts.append("EP\(expert)") }
        if context > 1 { parts.append("CP\(context)") }
        if pipeline > 1 { parts.append("PP\(pipeline)") }
        return parts.joined(separator: " ")
    }
}
