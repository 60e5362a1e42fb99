//===----------------------------------------------------------------------===//
// What a request would see on a replica, by the replica's own step table.
//===----------------------------------------------------------------------===//

import Engine
import StepModel
import Workload

/// What a request may expect of a replica, and what it would cost there.
struct Prediction {
    var ttftPicoseconds: Int64
    var tpotPicoseconds: Int64
    /// Busy time of the replica that is this request's: its prefill, and its share of the steps that it decodes in.
    var sharePicoseconds: Int64
    /// Energy that the replica's chips would burn more than without this request.
    var addedNanojoules: Int64

    /// By how much the promises are broken, relative to them; 0 when both are kept.
    func excess(over promise: Promise) -> Double {
        max(0, relative(ttftPicoseconds, promise.ttftMicroseconds) - 1)
            + max(0, relative(tpotPicoseconds, promise.tpotMicroseconds) - 1)
    }

    /// The larger share of a promise that is used up: below 1 both are kept.
    func tightness(of promise: Promise) -> Double {
        max(relative(ttftPicoseconds, promise.ttftMicroseconds), relative(tpotPicoseconds, promise.tpotMicroseconds))
    }

    private func relative(_ picoseconds: Int64, _ microseconds: UInt32) -> Double {
        microseconds == 0 ? 0 : Double(picoseconds) / (Double(microseconds) * 1e6)
    }

    /// A request's own targets, or the fleet's.
    struct Promise {
        var ttftMicroseconds: UInt32
        var tpotMicroseconds: UInt32

        init(of request: Request, otherwise choice: PlacementChoice) {
            ttftMicroseconds =
                request.ttftTargetMicroseconds > 0 ? request.ttftTargetMicroseconds : choice.ttftTargetMicroseconds
            tpotMicroseconds =
                request.tpotTargetMicroseconds > 0 ? request.tpotTargetMicroseconds : choice.tpotTargetMicroseconds
        }
    }
}

/// Predicts from a replica's counts and its step table, in a fixed number of steps.
///
/// The model: everything that waits is prefilled first, then this request; a request beyond the free slots waits for
/// sequences to end, which they do evenly. Decoding goes on in the batch as it would be with this request, at the mean
/// context of what the replica holds (each sequence at its full length, so that the prediction errs on the slow side).
struct PlacementPredictor {
    let table: StepTable
    let configuration: ReplicaConfiguration
    let idleMilliwatts: Int64

    init(pool: CellPool) {
        table = pool.table
        configuration = pool.replica
        idleMilliwatts = pool.idleMilliwatts
    }

    func predict(_ request: Request, load: ReplicaLoad, state: ReplicaState, cachedTokens: Int32) -> Prediction {
        let present = load.waitingRequests + load.runningRequests
        let slots = Int32(clamping: configuration.slots)
        let batch = min(present + 1, slots)
        let ownTokens = Int64(request.promptTokens) + Int64(request.outputTokens)
        let context = (state.tokens + ownTokens) / Int64(state.requests + 1)
        let step = decodeStep(sequences: batch, contextTokens: context)
        let nothing = StepCost(picoseconds: 0, nanojoules: 0)
        let takesOver = configuration.role == .decodeOnly
        let own =
            takesOver ? nothing : prefill(tokens: request.promptTokens - cachedTokens, contextTokens: cachedTokens)
        if configuration.role == .prefillOnly { return prefillOnly(own, load: load) }
        var ttft = takesOver ? step.picoseconds : own.picoseconds
        // What is left to do beyond all output of the present requests is prompts that are running now.
        let prompts = max(load.waitingPromptTokens, load.outstandingTokens - state.outputTokens)
        if prompts > 0 && !takesOver {
            let queued = Int32(clamping: prompts)
            ttft += prefill(tokens: queued, contextTokens: 0).picoseconds
        }
        // The step that is running now ends, on average, after half of it.
        if load.runningRequests > 0 {
            ttft += decodeStep(sequences: load.runningRequests, contextTokens: context).picoseconds / 2
        }
        if present >= slots {
            // Sequences end evenly over the steps that the present ones still need: one for each token of output, and
            // none for those of prompts, which are in the sum above.
            let outputs = min(max(0, load.outstandingTokens - load.waitingPromptTokens), state.outputTokens)
            let stepsLeft = outputs / Int64(max(present, 1))
            ttft += Int64(present - slots + 1) * stepsLeft * step.picoseconds / Int64(slots)
        }
        let without = present == 0 ? idle(for: step) : decodeStep(sequences: max(1, batch - 1), contextTokens: context)
        let outputs = Int64(request.outputTokens)
        return Prediction(
            ttftPicoseconds: ttft, tpotPicoseconds: step.picoseconds,
            sharePicoseconds: own.picoseconds + step.picoseconds / Int64(batch) * outputs,
            addedNanojoules: max(0, own.nanojoules - idle(for: own).nanojoules)
                + max(0, step.nanojoules - without.nanojoules) * outputs)
    }

    /// On a replica that only prefills, a request waits for the prompts ahead of it (half of one may be done).
    private func prefillOnly(_ own: StepCost, load: ReplicaLoad) -> Prediction {
        let ahead = Int32(clamping: max(load.waitingPromptTokens, load.outstandingTokens))
        let queued = ahead > 0 ? prefill(tokens: ahead, contextTokens: 0).picoseconds : 0
        return Prediction(
            ttftPicoseconds: own.picoseconds + queued, tpotPicoseconds: 0, sharePicoseconds: own.picoseconds,
            addedNanojoules: max(0, own.nanojoules - idle(for: own).nanojoules))
    }

    /// What the chips draw anyway while a step would run.
    private func idle(for step: StepCost) -> StepCost {
        // 1 mW × 1 ps = 10⁻⁶ nJ.
        StepCost(
            picoseconds: step.picoseconds,
            nanojoules: Int64(Int128(step.picoseconds) * Int128(idleMilliwatts) / 1_000_000))
    }

    /// Prefill of so many tokens, in steps of at most the token budget, padded as the stack pads it.
    private func prefill(tokens: Int32, contextTokens: Int32) -> StepCost {
        let tokens = max(tokens, 1)
        let most = min(configuration.maxBatchedTokens, table.maxTokens)
        var total = StepCost(picoseconds: 0, nanojoules: 0)
        let full = tokens / most
        if full > 0 {
            let step = prefillStep(tokens: most, contextTokens: contextTokens)
            total = StepCost(picoseconds: step.picoseconds * Int64(full), nanojoules: step.nanojoules * Int64(full))
        }
        if tokens % most > 0 {
            let step = prefillStep(tokens: tokens % most, contextTokens: contextTokens)
            total.picoseconds += step.picoseconds
            total.nanojoules += step.nanojoules
        }
        return total
    }

    private func prefillStep(tokens: Int32, contextTokens: Int32) -> StepCost {
        var padded = tokens
        if case .phased(let rules) = configuration.stack,
            let bucket = rules.prefillBuckets.first(where: { $0 >= tokens })
        {
            padded = min(bucket, table.maxTokens)
        }
        var shape = StepShape()
        shape.addPrefill(chunkTokens: padded, contextTokens: contextTokens, completes: true)
        return table.cost(of: shape)
    }

    private func decodeStep(sequences: Int32, contextTokens: Int64) -> StepCost {
        var shape = StepShape()
        shape.decodeSequences = min(sequences, table.maxSequences)
        shape.longestDecodeContextTokens = Int32(clamping: contextTokens)
        if case .phased(let rules) = configuration.stack {
            if let bucket = rules.batchBuckets.first(where: { $0 >= sequences }) {
                shape.decodeSequences = min(bucket, table.maxSequences)
            }
            if let bucket = rules.contextBuckets.first(where: { Int64($0) > contextTokens })
                ?? rules.contextBuckets.last
            {
                shape.longestDecodeContextTokens = bucket
            }
        }
        shape.decodeContextTokens = Int64(shape.longestDecodeContextTokens) * Int64(shape.decodeSequences)
        return table.cost(of: shape)
    }
}
