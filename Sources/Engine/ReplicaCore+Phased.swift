//===----------------------------------------------------------------------===//
// The Neuron stacks: one prefill at a time, which pauses every decode.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

extension ReplicaCore {
    mutating func schedulePhased(_ rules: PhasedRules, fromIdle: Bool) {
        if unfinished >= 0 {
            startPrefill(unfinished, rules)
            return
        }
        if !waiting.isEmpty && running.count < maxSequences {
            let slot = firstVisible(fromIdle: fromIdle)
            if slot >= 0 && admitPhased(slot, rules) {
                startPrefill(slot, rules)
                return
            }
        }
        if batch.count > 0 { startDecodes(rules) }
    }

    /// No preemption: a request is admitted only when its worst case fits beside the others'.
    private mutating func admitPhased(_ slot: SlotIndex, _ rules: PhasedRules) -> Bool {
        switch rules.admission {
        case .wholeContext:
            guard running.count < configuration.kvBlocks / blocks(forTokens: configuration.maxModelTokens) else { return false }
            let hit = lookUp(slot)
            admit(slot, cachedTokens: hit.blocks * blockTokens)
            if caches { takeHit(hit, for: slot) }
        case .requestMaximum:
            let hit = lookUp(slot)
            let worst = worstCaseBlocks(slots[slot].request)
            guard worst - hit.blocks <= pool.available - hit.idleBlocks else { return false }
            slots[slot].reservedBlocks = worst
            admit(slot, cachedTokens: hit.blocks * blockTokens)
            if caches { takeHit(hit, for: slot) }
            pool.take(worst - hit.blocks)
        }
        return true
    }

    /// A prompt longer than the step's tokens is computed in several steps, one after the other.
    private mutating func startPrefill(_ slot: SlotIndex, _ rules: PhasedRules) {
        let computed = slots[slot].computedTokens
        let tokens = min(slots[slot].goalTokens - computed, configuration.maxBatchedTokens)
        if growsBlocks { pool.take(blocks(forTokens: computed + tokens) - blocks(forTokens: computed)) }
        remember(slot, computedTokens: computed + tokens)
        addChunk(slot, tokens: tokens)
        let bucket = Self.bucket(in: rules.prefillBuckets, holding: tokens)
        var shape = StepShape()
        shape.addPrefill(
            chunkTokens: bucket, contextTokens: computed, completes: computed + tokens == slots[slot].goalTokens)
        let cost = table.cost(of: shape)
        startFlight(
            StepRun(first: cost, increment: StepCost(picoseconds: 0, nanojoules: 0), steps: 1), decodes: false, steps: 1,
            realTokens: tokens, padding: bucket - tokens)
    }

    private mutating func startDecodes(_ rules: PhasedRules) {
        if growsBlocks { pool.take(batch.blocksNeeded(steps: 1)) }
        var shape = shapeOfStep(decodes: true)
        let real = batch.count
        let run: StepRun
        if rules.contextBuckets.isEmpty {
            run = table.run(of: shape)
        } else {
            // Static shapes: every step costs the same until the longest context leaves its bucket.
            let longest = shape.longestDecodeContextTokens
            let context = Self.bucket(in: rules.contextBuckets, holding: longest + 1)
            shape.decodeSequences = Self.bucket(in: rules.batchBuckets, holding: real)
            shape.longestDecodeContextTokens = context
            shape.decodeContextTokens = Int64(context) * Int64(shape.decodeSequences)
            run = StepRun(
                first: table.cost(of: shape), increment: StepCost(picoseconds: 0, nanojoules: 0), steps: context - longest)
        }
        let mayAdmit = somebodyIsUnseen && running.count < maxSequences
        startFlight(
            run, decodes: true, steps: mayAdmit ? 1 : stepsUnchanged(line: run.steps), realTokens: real,
            padding: shape.decodeSequences - real)
    }

    /// The smallest bucket that holds `tokens`, or `tokens` when none is given.
    static func bucket(in buckets: [Int32], holding tokens: Int32) -> Int32 {
        guard !buckets.isEmpty else { return tokens }
        for bucket in buckets where bucket >= tokens { return bucket }
        preconditionFailure("no compiled bucket holds \(tokens) tokens: \(buckets)")
    }
}
