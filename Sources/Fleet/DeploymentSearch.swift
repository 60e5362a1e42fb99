//===----------------------------------------------------------------------===//
// Which deployments of a model on an instance are worth trying.
//===----------------------------------------------------------------------===//

public import Catalog
public import StepModel

/// The space that `plan` searches.
public struct DeploymentSearch: Sendable {
    public var model: String
    /// Longest prompt plus output that must be served.
    public var maxModelTokens: Int
    /// Nil for BF16, FP8 and, where a model's weights or its experts' are published in four bits, as they are.
    public var precisions: [Precision]?
    public var region: String
    public var price: PriceSpecification?

    public init(
        model: String, maxModelTokens: Int, precisions: [Precision]?, region: String, price: PriceSpecification?
    ) {
        self.model = model
        self.maxModelTokens = maxModelTokens
        self.precisions = precisions
        self.region = region
        self.price = price
    }

    /// Deployments of one instance type that were turned down, and why.
    public struct Refusal: Sendable, Equatable {
        public var name: String
        public var reason: String
    }

    /// One fleet of one instance for every deployment that can be: each power of two of ranks, each precision, and a
    /// few settings of the stack. Deployments that memory turns into an earlier one (fewer slots fit than were asked
    /// for) are left out.
    ///
    /// - Throws: when the instance or the model is unknown, or the model's configuration cannot be read.
    public func candidates(
        on instanceName: String, catalog: Catalog, calibration: Calibration
    ) throws(CatalogError) -> (plans: [FleetPlan], refusals: [Refusal]) {
        let instance = try catalog.instance(instanceName)
        let accelerator = try catalog.accelerator(of: instance)
        let shape = try catalog.model(nameOrPath: model)
        let isNeuron = accelerator.family == .neuron
        let ranks =
            try instance.acceleratorCount.value * (isNeuron ? accelerator.logicalCoreMode().logicalCores.value : 1)
        var plans: [FleetPlan] = []
        var refusals: [Refusal] = []
        var seen: Set<String> = []
        for precision in precisions?.map(\.rawValue) ?? Self.usualPrecisions(of: shape) {
            let stored = Precision(rawValue: precision) ?? shape.nativeExpertPrecision ?? shape.nativePrecision
            if let reason = Self.refusal(of: stored, on: accelerator) {
                refusals.append(Refusal(name: "\(instance.id) \(precision)", reason: reason))
                continue
            }
            for tensor in Self.powersOfTwo(upTo: ranks) {
                for settings in isNeuron ? neuronSettings : gpuSettings {
                    var deployment = DeploymentSpecification(
                        model: Located(model), precision: Located(precision),
                        parallelism: Located(Parallelism(tensor: tensor)),
                        stack: Located((isNeuron ? ServingStack.vllmNeuron : .vllm).rawValue))
                    deployment.maxModelTokens = maxModelTokens
                    // Published checkpoints leave the cache in 16 bits.
                    let narrow = precision != nativePrecision && stored.bitsPerElement < 16
                    deployment.kvPrecision = Located((narrow ? Precision.fp8 : .bf16).rawValue)
                    settings.apply(to: &deployment)
                    let label = "\(instance.id) \(precision) TP\(tensor)"
                    do {
                        let plan = try plan(
                            deployment, on: instance.id, name: label, catalog: catalog, calibration: calibration)
                        if seen.insert("\(label) \(plan.pools[0].configuration)").inserted { plans.append(plan) }
                    } catch {
                        let refusal = Refusal(name: label, reason: "\(error)")
                        if !refusals.contains(refusal) { refusals.append(refusal) }
                        // The other settings change slots and buckets, not the weights that did not fit.
                        break
                    }
                }
            }
        }
        return (plans, refusals)
    }

    private func plan(
        _ deployment: DeploymentSpecification, on instance: String, name: String, catalog: Catalog,
        calibration: Calibration
    ) throws -> FleetPlan {
        let pool = PoolSpecification(name: "pool", instance: Located(instance), instances: 1, deployment: deployment)
        var specification = FleetSpecification(name: name, region: Located(region), pools: [pool])
        specification.price = price
        do { return try specification.plan(catalog: catalog, calibration: calibration) } catch {
            // A price that is not known says nothing against the deployment; its cost is then not reported.
            guard price != nil else { throw error }
            specification.price = nil
            return try specification.plan(catalog: catalog, calibration: calibration)
        }
    }

    private static func usualPrecisions(of model: Model) -> [String] {
        let usual = [Precision.bf16, .fp8].map(\.rawValue)
        let published = model.nativeExpertPrecision ?? model.nativePrecision
        return published.bitsPerElement < 8 ? usual + [nativePrecision] : usual
    }

    /// Why weights in that format cannot be served there; nil when they can. GPUs widen packed weights of four bits as
    /// they read them; compiled graphs multiply in the format that they load.
    private static func refusal(of precision: Precision, on accelerator: Accelerator) -> String? {
        if accelerator.peakFlopsPerSecond[precision] != nil { return nil }
        if accelerator.family != .neuron, precision.bitsPerElement < 8 { return nil }
        let known = accelerator.peakFlopsPerSecond.keys.map(\.rawValue).sorted().joined(separator: ", ")
        return "\(accelerator.id) has no \(precision.rawValue) arithmetic; it has \(known)"
    }

    private static func powersOfTwo(upTo most: Int) -> [Int] {
        var sizes: [Int] = []
        var size = 1
        while size <= most {
            sizes.append(size)
            size *= 2
        }
        return sizes
    }

    /// What varies besides ranks and precision.
    private struct Settings {
        var maxSequences: Int
        var maxBatchedTokens: Int?
        var contextBuckets: [Int]?

        func apply(to deployment: inout DeploymentSpecification) {
            deployment.maxSequences = maxSequences
            deployment.maxBatchedTokens = maxBatchedTokens
            deployment.contextBuckets = contextBuckets
        }
    }

    /// Slots decide what a step costs, context buckets what it reads.
    private var neuronSettings: [Settings] {
        var buckets: [Int] = []
        var bucket = min(1024, maxModelTokens)
        while bucket < maxModelTokens {
            buckets.append(bucket)
            bucket *= 2
        }
        buckets.append(maxModelTokens)
        return [8, 16, 32, 64].map { Settings(maxSequences: $0, maxBatchedTokens: nil, contextBuckets: buckets) }
    }

    /// The token budget trades TTFT for TPOT.
    private var gpuSettings: [Settings] {
        [(64, 2048), (256, 2048), (256, 8192)].map {
            Settings(maxSequences: $0, maxBatchedTokens: $1, contextBuckets: nil)
        }
    }
}
