//===----------------------------------------------------------------------===//
// Does it fit, and how many KV blocks are left.
//===----------------------------------------------------------------------===//

import Catalog

/// The memory of one rank, divided.
struct MemoryPlan: Sendable, Hashable {
    var weightBytesPerRank: Double
    /// Blocks of the replica's pool, over all data-parallel groups and context ranks.
    var blocks: Int
    var blockTokens: Int
    var maxSequences: Int
    var assumptions: [String] = []

    /// Activations, graphs and the framework's own allocations on a GPU rank: what vLLM 0.19 left of 0.9 × 23.5 GiB
    /// beside 15 GiB of weights and 5.05 GiB of KV cache was 1.1 GiB; larger budgets take more.
    static let overheadGiB = 1.5
    static let gibibyte = 1_073_741_824.0

    init(deployment: Deployment, model: Model, operators: OperatorModel) throws(DeploymentError) {
        let parallelism = deployment.parallelism
        let memory = operators.device.memoryBytes
        let gibibyte = Self.gibibyte
        let weights = Self.weightBytesPerRank(model: model, operators: operators)
        weightBytesPerRank = weights

        // KV bytes of one sequence of the longest length on one rank, windows and fixed states at their size.
        let longest = Double(deployment.maxModelTokens)
        let perSequence =
            Self.entryBytes(model: model, operators: operators, tokens: longest) / Double(parallelism.context)
        let states = Double(model.stateElements) / Double(parallelism.tensor) * 2
        let stateBytes = states * Double(deployment.maxSequences) / Double(parallelism.data)

        let share = deployment.memoryFraction ?? 0.9
        var budget = memory * share - weights - stateBytes
        if !deployment.stack.isPhased { budget -= Self.overheadGiB * gibibyte }
        if let cap = deployment.cacheFraction ?? (deployment.stack == .vllmNeuron ? 0.30 : nil) {
            // vLLM-neuron: min(HBM × 0.9 − weights, 0.30 × HBM × 0.9), but not below 1 GiB where that is there.
            budget = min(budget, max(cap * memory * share, min(gibibyte, budget)))
        }
        let tokens = deployment.blockTokens ?? deployment.stack.defaultBlockTokens
        blockTokens = tokens
        maxSequences = deployment.maxSequences

        let need =
            deployment.stack.hasContiguousCache
            ? perSequence * Double((deployment.maxSequences + parallelism.data - 1) / parallelism.data) : perSequence
        if budget < need {
            let missing = (need - budget) / gibibyte
            throw .doesNotFit(
                .init(
                    deployment: "\(deployment.model) on \(deployment.instance) with \(parallelism.label)",
                    missingGiBPerRank: missing,
                    weightGiBPerRank: weights / gibibyte,
                    memoryGiBPerRank: memory / gibibyte,
                    advice: Self.advice(deployment: deployment, weights: weights, need: need, usable: memory * share)
                )
            )
        }
        if deployment.stack.hasContiguousCache {
            // Every slot has its own stretch of the compiled length.
            blocks = deployment.maxSequences * ((deployment.maxModelTokens + tokens - 1) / tokens)
        } else if perSequence > 0 {
            let perToken = perSequence / longest
            let groups = Double(parallelism.data)
            blocks = Int(min(budget / perToken / Double(tokens) * groups, 1e9))
        } else {
            blocks = deployment.maxSequences * ((deployment.maxModelTokens + tokens - 1) / tokens)
        }
    }

    /// Weights on one rank: layers over tensor ranks, experts over all, embedding and output projection over tensor
    /// ranks in 16 bit.
    static func weightBytesPerRank(model: Model, operators: OperatorModel) -> Double {
        let parallelism = operators.parallelism
        let tensor = Double(parallelism.tensor)
        let expertRanks = Double(parallelism.tensor * parallelism.data)
        let split = operators.layers.reduce(0.0) {
            $0 + Double($1.count) * ($1.mixerElements + $1.commonElements) / tensor
        }
        let experts = operators.layers.reduce(0.0) {
            $0 + Double($1.count * $1.experts) * $1.expertElements / expertRanks
        }
        let ends = Double(
            model.embeddingElements + (model.hasTiedEmbeddings ? 0 : model.headElements) + model.otherElements)
        return (split * operators.weightPrecision.bytesPerElement + experts * operators.expertPrecision.bytesPerElement)
            / Double(parallelism.pipeline) + ends / tensor * 2
    }

    /// KV bytes of one sequence of `tokens` on one rank; heads that do not divide are replicated.
    static func entryBytes(model: Model, operators: OperatorModel, tokens: Double) -> Double {
        var values = 0.0
        for layer in operators.layers {
            for attention in layer.attentions where !attention.sharesEntries {
                let heads = Double(
                    (attention.entryHeads + operators.parallelism.tensor - 1) / operators.parallelism.tensor)
                let kept = attention.keepsUnseen ? tokens : min(tokens, Double(attention.window ?? .max))
                values += Double(layer.count) * heads * attention.valuesPerEntryHead * kept / attention.tokensPerEntry
            }
        }
        return values * operators.keyValuePrecision.bytesPerElement / Double(operators.parallelism.pipeline)
    }

    private static func advice(deployment: Deployment, weights: Double, need: Double, usable: Double) -> String {
        let total = weights + need
        var factor = 2
        while factor < 64 && total / Double(factor) + overheadGiB * gibibyte > usable { factor *= 2 }
        let ranks = deployment.parallelism.tensor * factor
        var options = ["tensor: \(ranks)"]
        if need > usable - weights && weights < usable {
            options.append(
                "a max_model_len or max_num_seqs \(deployment.stack.hasContiguousCache ? "" : "(of \(deployment.maxModelTokens) tokens) ")that is smaller"
            )
        }
        if (deployment.precision ?? .bf16).bitsPerElement > 8 { options.append("8-bit weights") }
        return "try " + options.joined(separator: ", or ")
    }
}
