//===----------------------------------------------------------------------===//
// Single predictions, without building a table.
//===----------------------------------------------------------------------===//

public import Catalog
import Foundation

/// Predicts single steps of a deployment straight from its operators: what calibration fits and validation checks.
///
/// It follows the same rules as the table (compiled slots, padded prefill, speculation) but takes real-valued batches
/// and contexts, such as the means of a run.
public struct StepPredictor: Sendable {
    private var blueprint: Blueprint
    private let tables: TableBuilder
    /// Scopes of the deployment's calibrated values, most specific first.
    public var scopes: [String] { blueprint.scopes }
    public var deployment: Deployment { blueprint.deployment }

    /// Time and chip energy, over all chips of the replica.
    public struct Prediction: Sendable, Hashable {
        public var seconds: Double
        public var joules: Double
        /// What the arithmetic alone takes at peak: no measurement can be faster.
        public var computeSeconds: Double
        public init(seconds: Double, joules: Double, computeSeconds: Double) {
            self.seconds = seconds
            self.joules = joules
            self.computeSeconds = computeSeconds
        }
    }

    public init(
        _ deployment: Deployment, catalog: Catalog = .builtIn, calibration: Calibration = .builtIn
    ) throws(DeploymentError) {
        blueprint = try Blueprint(deployment, catalog: catalog, calibration: calibration)
        tables = TableBuilder(blueprint: blueprint)
    }

    /// The values in force; setting one moves every later prediction.
    public var coefficients: Coefficients {
        get { blueprint.operators.coefficients }
        set { blueprint.operators.coefficients = newValue }
    }

    public var maxBatchedTokens: Int { tables.maxBatchedTokens }
    public var maxSequences: Int { blueprint.memory.maxSequences }
    /// KV tokens that the replica holds.
    public var cacheTokens: Int { blueprint.memory.blocks * blueprint.memory.blockTokens }
    public var parameters: Double { Double(blueprint.model.parameters) }
    public var isPhased: Bool { blueprint.deployment.stack.isPhased }
    public var chips: Int { blueprint.chips }
    /// Design power of the replica's chips, watts.
    public var thermalDesignWatts: Double { blueprint.hardware.thermalDesignWatts * Double(blueprint.chips) }

    private var accepted: Double { deployment.speculation?.acceptedLength ?? 1 }
    private var proposed: Double { Double(deployment.speculation?.proposedTokens ?? 0) }

    /// One decode step of `sequences` with `context` tokens each; with speculation, per token that comes out.
    /// On phased stacks the batch is rounded up to its slot bucket and the context to its compiled length.
    public func decodeStep(sequences: Double, context: Double) -> Prediction {
        let operators = blueprint.operators
        var batch = sequences
        var length = context
        if isPhased {
            batch = Double(tables.decodeBuckets.first { Double($0) >= sequences } ?? tables.decodeBuckets.last!)
            length = Double(tables.contextBuckets.first { Double($0) >= context } ?? tables.contextBuckets.last!)
        }
        var work =
            operators.decodeAttentionWork(sequences: batch, context: length)
            + operators.logitsWork(rows: batch * (1 + proposed))
        if deployment.speculation == nil {
            work = work + operators.tokenWork(batch, prefillTokens: 0)
        } else {
            work = work + tables.speculativeTokenWork(sequences: batch) * accepted
        }
        let seconds = (work.seconds + operators.hostSeconds(rows: isPhased ? batch : sequences)) / accepted
        return priced(work * (1 / accepted), seconds: seconds)
    }

    /// One step that decodes `sequences` and prefills `chunkTokens` of a prompt that already has `chunkContext` tokens
    /// in the cache (mixed stacks), or the padded prefill alone (phased stacks, `sequences` = 0).
    public func mixedStep(
        sequences: Double, context: Double, chunkTokens: Double, chunkContext: Double, completing: Double
    ) -> Prediction {
        let operators = blueprint.operators
        var chunk = chunkTokens
        if isPhased {
            chunk = Double(tables.prefillBuckets.first { Double($0) >= chunkTokens } ?? tables.prefillBuckets.last!)
        }
        var work = operators.tokenWork(sequences + chunk, prefillTokens: isPhased ? chunk : 0)
        if sequences > 0 { work = work + operators.decodeAttentionWork(sequences: sequences, context: context) }
        let pairs = chunk * chunkContext + chunk * (chunk + 1) / 2
        work = work + operators.prefillAttentionWork(pairs: pairs, tokens: chunk, context: chunkContext)
        work = work + operators.logitsWork(rows: max(sequences + completing, isPhased ? 1 : 0))
        let host =
            operators.hostSeconds(rows: isPhased ? 0 : sequences + completing)
            + operators.coefficients[.prefillSeconds]
        return priced(work, seconds: work.seconds + host)
    }

    /// Prefill of a whole prompt in chunks, nothing else running.
    public func prefill(tokens: Double, cachedTokens: Double = 0) -> Prediction {
        var total = Prediction(seconds: 0, joules: 0, computeSeconds: 0)
        var done = cachedTokens
        while done < tokens {
            let chunk = min(tokens - done, Double(maxBatchedTokens))
            let last = done + chunk >= tokens
            let step = mixedStep(
                sequences: 0, context: 0, chunkTokens: chunk, chunkContext: done, completing: last ? 1 : 0)
            total.seconds += step.seconds
            total.joules += step.joules
            total.computeSeconds += step.computeSeconds
            done += chunk
        }
        return total
    }

    /// Prefill of `sequences` prompts of `tokens` each in one pass, as static batches do.
    public func batchPrefill(sequences: Double, tokens: Double) -> Prediction {
        let operators = blueprint.operators
        var length = tokens
        if isPhased {
            length = Double(tables.prefillBuckets.first { Double($0) >= tokens } ?? tables.prefillBuckets.last!)
        }
        let work =
            operators.tokenWork(sequences * length, prefillTokens: sequences * length)
            + operators.prefillAttentionWork(
                pairs: sequences * length * (length + 1) / 2, tokens: sequences * length, context: 0)
            + operators.logitsWork(rows: sequences)
        let host =
            operators.hostSeconds(rows: isPhased ? 0 : sequences)
            + operators.coefficients[.prefillSeconds]
        return priced(work, seconds: work.seconds + host)
    }

    /// Watts of all chips of the replica when idle, and at the cap of the power model.
    public var chipWatts: (idle: Double, cap: Double) {
        (blueprint.hardware.idleWatts * Double(chips), blueprint.powerCap * thermalDesignWatts)
    }

    /// Wall watts of the whole instance when its chips draw `chipWatts` each.
    public func instanceWallWatts(chipWatts: Double) -> Double {
        let envelope = blueprint.powerEnvelope()
        let instances = Double(blueprint.instance.acceleratorCount.value)
        return envelope.hostBaseWatts * instances / Double(chips) + envelope.wallWattsPerChipWatt * chipWatts
            * instances
    }

    private func priced(_ work: Work, seconds: Double) -> Prediction {
        Prediction(
            seconds: seconds, joules: blueprint.nanojoules(work, seconds: seconds) * 1e-9,
            computeSeconds: work.computeSeconds)
    }
}
