//===----------------------------------------------------------------------===//
// What a measured row ran, and what it reports.
//===----------------------------------------------------------------------===//

import Catalog
public import StepModel

/// A measured row turned into something that can be predicted.
public struct Experiment: Sendable {
    /// What was measured. Times are seconds, rates per second, energy joules, power watts.
    public enum Quantity: String, Sendable, Hashable, CaseIterable {
        /// Mean time per output token after the first.
        case tpot
        /// A typical gap between tokens: one decode step.
        case interTokenLatency = "itl"
        case ttft
        /// Prompt processing alone, without a server around it.
        case prefill
        case endToEnd = "e2e"
        /// llmperf's latency per token, which counts TTFT and queueing.
        case latencyPerToken = "latency/token"
        /// Of all replicas.
        case outputThroughput = "output tok/s"
        /// Of one request: output tokens over its end-to-end time.
        case requestSpeed = "tok/s/request"
        case requestThroughput = "req/s"
        case totalThroughput = "total tok/s"
        case energyPerToken = "chip J/token"
        case energyPerRequest = "chip J/request"
        /// Of all chips of the run.
        case chipPower = "chip W"
        case wallPower = "wall W"
        case idleWallPower = "idle wall W"
    }

    /// How requests came.
    public enum Load: Sendable, Hashable {
        /// A fixed batch that prefills together and decodes in lockstep.
        case staticBatch(Int)
        /// Clients that each keep one request open, over all replicas.
        case closedLoop(Int)
        /// Requests per second over all replicas, for so many seconds.
        case rate(Double)
        /// One decode step with this many sequences (a mean over the run).
        case decodeOnly(Double)
        /// Nothing runs.
        case idle
        /// Every chip busy at its cap.
        case saturated
    }

    public var row: MeasuredRow
    public var quantity: Quantity
    public var measured: Double
    public var deployment: Deployment
    /// Replicas behind one balancer.
    public var replicas = 1
    public var load: Load
    public var promptTokens: Double
    public var outputTokens: Double
    /// Lengths are drawn uniformly from this fraction of the mean up to `2 − fraction`; 1 for fixed lengths.
    public var leastLengthFraction = 1.0
    /// What sent the requests.
    var generator = LoadGenerator.plain
    /// Tokens that the load generator counts for each token of the model, where it counts with another tokenizer.
    var countedTokensPerToken = 1.0
    /// Waiting requests per running one from which Text Generation Inference prefills (`waiting_served_ratio`).
    var routerWaitingRatio = 0.3
    /// Groups of rows that errors are summed up by.
    public var platform: String
    public var group: String
    /// Usable for fitting: not suspect, not a single-row source of low quality.
    public var isCalibration: Bool
    /// Output throughput is that of decoding: the time to the first token is not in it.
    public var countsDecodingOnly = false
    /// The source prints medians rather than means.
    public var reportsMedian = false
    /// Routed experts; recurrent layers (linear attention, state space).
    public var isMixture = false
    public var isRecurrent = false
    /// Traps that were met, in words.
    public var remarks: [String] = []
}

extension Experiment {
    /// More clients than compiled slots: what one request waits for is the length of others.
    var queues: Bool {
        guard case .closedLoop(let clients) = load, deployment.stack.isPhased else { return false }
        return clients > replicas * deployment.maxSequences
    }

    /// Notes what kind of model it is.
    mutating func describe(_ model: Model) {
        if generator == .llmperf, model.vocabulary > 100_000 {
            countedTokensPerToken = LoadGenerator.llamaTokensPerLargeVocabularyToken
            promptTokens /= countedTokensPerToken
            outputTokens *= LoadGenerator.llmperfFinishedFraction
            remarks.append("llmperf counts tokens with Llama 2's tokenizer, and answers end before their limit")
        }
        isMixture = model.isMixture
        isRecurrent = model.stateElements > 0
        // Graphs compiled for more visits than experts load them all, and the few that were measured took four times as
        // long as that explains: predicted, not fitted.
        for group in model.layerGroups where deployment.stack.isPhased {
            guard case .mixture(let mixture) = group.layer.feedForward else { continue }
            if deployment.maxSequences * mixture.activeExperts > mixture.experts { isCalibration = false }
        }
    }
}

/// A row that the model does not predict, and why.
public struct Refusal: Sendable, Hashable {
    public var row: MeasuredRow
    public var reason: String
}
