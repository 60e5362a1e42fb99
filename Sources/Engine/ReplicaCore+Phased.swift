//===----------------------------------------------------------------------===//
// The Neuron stacks: one prefill at a time, which pauses every decode.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

extension ReplicaCore {
    mutating func schedulePhased(_ rules: PhasedProgram, fromIdle: Bool) {
        if ranks > 1 {
            continuePrompts()
        } else if unfinished >= 0 {
            addPrompt(unfinished)
        }
        if chunks.isEmpty || ranks > 1 { admitPrompts(rules, fromIdle: fromIdle) }
        if !chunks.isEmpty {
            startPrefill(rules)
        } else if batch.count > 0 {
            startDecodes(rules)
        }
    }

    /// Every rank goes on with the prompt that it has begun.
    private mutating func continuePrompts() {
        rankStates.beginStep()
        var rank: Int32 = 0
        while rank < ranks {
            if rankStates.prefilling(rank) >= 0 { addPrompt(rankStates.prefilling(rank)) }
            rank += 1
        }
    }

    /// One prompt a step and rank, first come, first served; the rest is held back. Sequences that come with their KV
    /// need no prefill, so all that fit go in.
    private mutating func admitPrompts(_ rules: PhasedProgram, fromIdle: Bool) {
        while !waiting.isEmpty && running.count < maxSequences * ranks {
            let slot = nextToAdmit(fromIdle: fromIdle)
            guard slot >= 0 && findRoom(slot, rules) else { return }
            if isTransferred(slot) {
                admitTransferred(slot)
                continue
            }
            let hit = lookUp(slot)
            let cached = (hit.blocks + hit.hostBlocks) * blockTokens
            if rules.admission == .requestMaximum {
                guard slots[slot].reservedBlocks - hit.blocks <= pool.available - hit.idleBlocks else { return }
            }
            admit(slot, cachedTokens: cached)
            if caches { takeHit(hit, for: slot) }
            if rules.admission == .requestMaximum {
                pool.take(slots[slot].reservedBlocks - hit.blocks)
            } else {
                if speculates { slots[slot].reservedBlocks = hit.blocks }
                grow(slot, by: blocks(forTokens: cached) - hit.blocks)
            }
            if hit.hostBlocks > 0 { bringBack(hit.hostBlocks) }
            if ranks > 1 { rankStates.setPrefilling(slots[slot].rank, slot) }
            addPrompt(slot)
            if ranks == 1 { return }
        }
    }

    /// No preemption: a request is admitted only when its worst case fits beside the others'.
    private mutating func findRoom(_ slot: SlotIndex, _ rules: PhasedProgram) -> Bool {
        var limit = maxSequences
        switch rules.admission {
        case .wholeContext: limit = min(limit, configuration.kvBlocks / blocks(forTokens: configuration.maxModelTokens))
        case .requestMaximum:
            slots[slot].reservedBlocks = worstCaseBlocks(slots[slot].request)
            if isTransferred(slot) && slots[slot].reservedBlocks > pool.available { return false }
        }
        if ranks == 1 { return running.count < limit }
        let rank = rankStates.emptiest(below: limit)
        if rank >= 0 { slots[slot].rank = UInt8(rank) }
        return rank >= 0
    }

    /// Gives a sequence the next chunk of its prompt; one longer than the step's tokens takes several steps in a row.
    private mutating func addPrompt(_ slot: SlotIndex) {
        let computed = slots[slot].computedTokens
        let tokens = min(slots[slot].goalTokens - computed, configuration.maxBatchedTokens)
        if growsBlocks || speculates { grow(slot, by: lack(slot, tokens: computed + tokens)) }
        remember(slot, computedTokens: computed + tokens)
        addChunk(slot, tokens: tokens)
        if ranks > 1 { rankStates.setHasChunk(slots[slot].rank) }
    }

    /// A prefill step, of the largest bucket and the longest context that a rank needs.
    private mutating func startPrefill(_ rules: PhasedProgram) {
        var real: Int32 = 0
        var longest: Int32 = 0
        var context: Int32 = 0
        var completes = false
        var index: Int32 = 0
        while index < chunks.count {
            let sequence = slots.base + Int(chunks[index])
            index += 1
            let tokens = sequence.pointee.chunkTokens
            real += tokens
            longest = max(longest, tokens)
            context = max(context, sequence.pointee.computedTokens)
            if sequence.pointee.computedTokens + tokens == sequence.pointee.goalTokens { completes = true }
        }
        let bucket = rules.prefillBuckets.bucket(holding: longest)
        var shape = StepShape()
        shape.addPrefill(chunkTokens: bucket, contextTokens: context, completes: completes)
        let cost = table.cost(of: shape)
        if chunks.count > 1 { needsRunningOrder = true }
        startFlight(
            StepRun(first: cost, increment: StepCost(picoseconds: 0, nanojoules: 0), steps: 1), decodes: false,
            steps: 1,
            realTokens: real, padding: bucket * ranks - real)
    }

    private mutating func startDecodes(_ rules: PhasedProgram) {
        if growsBlocks {
            let need = batch.blocksNeeded(steps: 1)
            if need > pool.available { _ = dropSurplus() }
            pool.take(need)
        }
        if speculates { giveDrafts() }
        var shape = shapeOfStep(decodes: true)
        let real = batch.count
        var run: StepRun
        if rules.contextBuckets.isEmpty {
            run = table.run(of: shape)
        } else {
            // Static shapes: every step costs the same until the longest context leaves its bucket.
            let longest = shape.longestDecodeContextTokens
            let drafts = configuration.speculation?.draftTokens ?? 0
            let context = rules.contextBuckets.bucket(
                holding: min(longest + 1 + drafts, configuration.maxModelTokens))
            let fullest = ranks > 1 ? rankStates.mostRunning : real
            shape.decodeSequences = rules.batchBuckets.bucket(holding: fullest)
            shape.longestDecodeContextTokens = context
            shape.decodeContextTokens = Int64(context) * Int64(shape.decodeSequences)
            run = StepRun(
                first: table.cost(of: shape), increment: StepCost(picoseconds: 0, nanojoules: 0),
                steps: context - longest)
        }
        if speculates {
            let cost = speculativeCost(run.first, decodesOnly: true)
            run = StepRun(first: cost, increment: StepCost(picoseconds: 0, nanojoules: 0), steps: 1)
        }
        let mayAdmit = somebodyIsUnseen && running.count < maxSequences * ranks
        startFlight(
            run, decodes: true, steps: mayAdmit ? 1 : stepsUnchanged(line: run.steps),
            realTokens: real + draftedTokens, padding: shape.decodeSequences * ranks - real)
        draftedTokens = 0
        if caches { cutAtExpiry(mayAdmit: running.count < maxSequences * ranks) }
    }

    /// Every decoding sequence verifies its drafts, with blocks for all of them.
    private mutating func giveDrafts() {
        var slot = running.first
        while slot >= 0 {
            let context = batch.context(of: slots.base + Int(slot))
            let tokens = tokensToVerify(slot, context: context)
            grow(slot, by: max(0, blocks(forTokens: context + tokens) - slots[slot].reservedBlocks))
            slots[slot].chunkTokens = tokens
            draftedTokens += tokens - 1
            usage.draftTokens += Int64(tokens - 1)
            slot = slots[slot].next
        }
    }
}
