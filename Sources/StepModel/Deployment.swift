//===----------------------------------------------------------------------===//
// What is deployed: hardware × model × parallelism × precision × stack.
//===----------------------------------------------------------------------===//

public import Catalog

/// One way to serve one model: everything that decides what a step of a replica costs.
///
/// Names are looked up in a catalogue by `compile(catalog:calibration:)`. Settings left nil take the stack's defaults.
public struct Deployment: Sendable, Hashable {
    /// An instance of the catalogue ("trn2.48xlarge"), which also decides links, host and wall power.
    public var instance: String
    /// A model of the catalogue, or the path of a Hugging Face `config.json`.
    public var model: String
    /// Of the weights; nil for what the model is published in. Routed experts keep their own published format where
    /// that is lower, unless `expertPrecision` says otherwise.
    public var precision: Precision?
    public var expertPrecision: Precision?
    /// Of KV entries.
    public var keyValuePrecision: Precision = .bf16
    public var parallelism = Parallelism()
    public var stack: ServingStack
    /// Software generation such as `neuron-2.29` or `vllm-0.11`; nil for the newest that is calibrated.
    public var release: String?
    /// `max_num_seqs`: most sequences that run at once; compiled slots on phased stacks.
    public var maxSequences = 256
    /// `max_model_len`: longest prompt plus output.
    public var maxModelTokens = 8192
    /// `max_num_batched_tokens`: token budget of a step, or the longest prefill bucket; nil for the stack's default.
    public var maxBatchedTokens: Int?
    /// Tokens of a KV block; nil for the stack's default.
    public var blockTokens: Int?
    /// KV context buckets of decode on phased stacks: nil reads the whole compiled length every step.
    public var contextBuckets: [Int]?
    /// Prefill buckets; nil for powers of two from 128.
    public var prefillBuckets: [Int]?
    /// Share of memory that weights and KV cache may take; nil for 0.9, the default of vLLM and of vLLM-neuron.
    public var memoryFraction: Double?
    /// Most of that share that the KV cache may take; nil for 0.30 on vLLM-neuron and none elsewhere.
    public var cacheFraction: Double?
    /// Physical NeuronCores in a logical one; nil for the accelerator's default.
    public var logicalCore: Int?
    /// Sampling on the device; false copies logits to the host.
    public var samplesOnDevice = true
    /// The host prepares a step while the device works on the one before; nil for the stack's default.
    public var schedulesAsynchronously: Bool?
    public var speculation: Speculation?
    /// GPUs capped below their thermal design power, watts per chip; nil for none.
    public var chipPowerCapWatts: Double?

    public init(instance: String, model: String, stack: ServingStack) {
        self.instance = instance
        self.model = model
        self.stack = stack
    }

    /// Speculative decoding by a draft that proposes tokens and a verification of all of them in one step.
    public struct Speculation: Sendable, Hashable, Codable {
        /// Tokens proposed a step.
        public var proposedTokens: Int
        /// Mean tokens that a verification yields, the bonus token included: 1...proposedTokens + 1.
        public var acceptedLength: Double
        /// Draft model of the catalogue; nil for a head (EAGLE, Medusa) of one layer of the target.
        public var draftModel: String?

        public init(proposedTokens: Int, acceptedLength: Double, draftModel: String? = nil) {
            self.proposedTokens = proposedTokens
            self.acceptedLength = acceptedLength
            self.draftModel = draftModel
        }
    }
}

/// What a deployment compiles to: the step table, and what the fleet must know about one replica.
public struct CompiledDeployment: Sendable {
    public var deployment: Deployment
    public var table: StepTable
    /// Blocks of the KV pool of one replica, and the tokens of each.
    public var kvBlocks: Int
    public var kvBlockTokens: Int
    /// Weights on one chip.
    public var weightBytesPerChip: Double
    /// `max_num_seqs` as it can run, which memory may have lowered (see `assumptions`).
    public var maxSequences: Int
    public var maxModelTokens: Int
    public var maxBatchedTokens: Int
    public var isPhased: Bool
    /// Decode-slot buckets of a phased stack, ascending; empty for mixed stacks.
    public var decodeBuckets: [Int]
    public var prefillBuckets: [Int]
    /// Compiled context lengths of decode, ascending, `max_model_len` last; empty for mixed stacks.
    public var contextBuckets: [Int]
    public var chipsPerReplica: Int
    /// The same in fractions: less than 1 where replicas share a chip. `power` and the table's energies are for this
    /// share.
    public var chipShare: Double
    /// Replicas that one instance holds; 0 when a replica spans instances.
    public var replicasPerInstance: Int
    /// Instances that one replica spans.
    public var instancesPerReplica: Int
    public var power: PowerEnvelope
    /// Seconds to compile the graphs without a cache, and to load weights and compiled graphs.
    public var compileSeconds: Double
    public var loadSeconds: Double
    public var uncertainty: Uncertainty
    /// The weakest grade among the figures and coefficients that the table rests on.
    public var grade: Grade
    /// What was assumed, in words.
    public var assumptions: [String]

    public var idleChipWatts: Double { power.idleChipWatts }
    public var maxChipWatts: Double { power.maxChipWatts }
}
