//===----------------------------------------------------------------------===//
// From a deployment to the step model's description of it and to the engine's rules.
//===----------------------------------------------------------------------===//

import Catalog
public import Engine
public import StepModel

extension DeploymentSpecification {
    /// What the step model compiles.
    public func deployment(on instance: String) -> Deployment {
        guard let serving = ServingStack(rawValue: stack.value) else {
            preconditionFailure("the reader let the stack '\(stack.value)' pass")
        }
        var deployment = Deployment(instance: instance, model: model.value, stack: serving)
        deployment.precision = Precision(rawValue: precision.value)
        if let format = kvPrecision.flatMap({ Precision(rawValue: $0.value) }) { deployment.keyValuePrecision = format }
        deployment.parallelism = parallelism.value
        deployment.release = software?.value
        if let maxSequences { deployment.maxSequences = maxSequences }
        if let maxModelTokens { deployment.maxModelTokens = maxModelTokens }
        deployment.maxBatchedTokens = maxBatchedTokens
        deployment.blockTokens = kvBlockTokens
        deployment.contextBuckets = contextBuckets
        deployment.prefillBuckets = prefillBuckets
        deployment.memoryFraction = gpuMemoryUtilization
        deployment.cacheFraction = kvMemoryFraction
        deployment.logicalCore = coresPerLogicalCore
        if let onDeviceSampling { deployment.samplesOnDevice = onDeviceSampling }
        deployment.schedulesAsynchronously = asyncScheduling
        deployment.chipPowerCapWatts = chipPowerCapWatts
        deployment.speculation = speculation.map {
            Deployment.Speculation(
                proposedTokens: $0.draftTokens, acceptedLength: $0.acceptedLength, draftModel: $0.draftModel)
        }
        return deployment
    }

    /// What the engine runs: the stack's rules with what the compiled deployment says of memory and shapes.
    public func replicaConfiguration(of compiled: CompiledDeployment) -> ReplicaConfiguration {
        // A phased stack steps its data-parallel ranks together, each with its own slots and blocks.
        let ranks = compiled.isPhased ? parallelism.value.data : 1
        let stack: ReplicaConfiguration.Stack
        if compiled.isPhased {
            stack = .phased(
                PhasedRules(
                    prefillBuckets: compiled.prefillBuckets.map(Int32.init),
                    batchBuckets: compiled.decodeBuckets.map(Int32.init),
                    contextBuckets: (contextBuckets ?? [compiled.maxModelTokens]).map(Int32.init),
                    admission: .wholeContext,
                    dataParallelRanks: Int32(ranks)))
        } else {
            stack = .mixed(
                MixedRules(
                    longPrefillTokenThreshold: Int32(longPrefillThresholdTokens ?? 0),
                    asyncScheduling: asyncScheduling ?? false))
        }
        return ReplicaConfiguration(
            stack: stack, maxSequences: Int32((compiled.maxSequences + ranks - 1) / ranks),
            maxModelTokens: Int32(compiled.maxModelTokens),
            maxBatchedTokens: Int32(compiled.maxBatchedTokens), kvBlocks: Int32(clamping: compiled.kvBlocks / ranks),
            kvBlockTokens: Int32(compiled.kvBlockTokens), prefixCaching: prefixCaching ?? true ? .blocks : .off,
            speculation: speculation.map {
                SpeculationRules(
                    draftTokens: Int32($0.draftTokens),
                    acceptanceShifted32: $0.acceptance.map { UInt32(clamping: Int64(($0 * 4_294_967_296).rounded())) },
                    draftPicoseconds: 0, draftNanojoules: 0, seed: 1,
                    // The compiled table prices one token that comes out; a step verifies all drafts.
                    stepScaleShifted16: Int64(($0.acceptedLength * 65_536).rounded()))
            })
    }
}
