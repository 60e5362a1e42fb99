//===----------------------------------------------------------------------===//
// vLLM V1: decodes and prefill chunks share a step under one token budget.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

extension ReplicaCore {
    mutating func scheduleMixed(_ rules: MixedRules, fromIdle: Bool) {
        var budget = configuration.maxBatchedTokens
        let mayPrefill = allowsPrefill(rules)
        if rules.longPrefillTokenThreshold > 0 { countUnseen(fromIdle: fromIdle) }
        let preempted: Bool
        if unfinishedCount == 0 && batch.count == 0 {
            preempted = false
        } else if scheduleNeedsWalk(rules) {
            preempted = walkRunning(rules, mayPrefill: mayPrefill, budget: &budget)
        } else {
            preempted = scheduleRunning(mayPrefill: mayPrefill, budget: &budget)
        }
        if !preempted && mayPrefill { admitWaiting(rules, fromIdle: fromIdle, budget: &budget) }
        if rules.prefillScheduleInterval > 1 && mayPrefill {
            prefillIsLeft = unfinishedCount > completingChunks || firstVisible(fromIdle: fromIdle) >= 0
        }
        let decodes = batch.count > 0
        guard decodes || !chunks.isEmpty else { return }
        startMixedFlight(rules, decodes: decodes, preempted: preempted)
    }

    @inline(__always) private mutating func startMixedFlight(_ rules: MixedRules, decodes: Bool, preempted: Bool) {
        var shape = shapeOfStep(decodes: decodes)
        if chunks.isEmpty && heldOut.isEmpty && !speculates {
            let run = table.run(of: shape)
            let waitsForPrefill = rules.prefillScheduleInterval > 1 && (unfinishedCount > 0 || !waiting.isEmpty)
            // Without a reservation of the whole sequence, losing a cached prefix can make a first chunk fit.
            let waitsForEviction = caches && !rules.reserveFullSequence && !waiting.isEmpty
            let mustLook = preempted || waitsForPrefill || waitsForEviction || somebodyIsUnseen
            let steps = mustLook ? 1 : stepsUnchanged(line: run.steps)
            startFlight(run, decodes: true, steps: steps, realTokens: batch.count, padding: 0)
            if caches { cutAtExpiry(mayAdmit: running.count < maxSequences) }
        } else {
            if !heldOut.isEmpty { leaveOutHeld(&shape) }
            let cost = speculativeCost(table.cost(of: shape), decodesOnly: chunks.isEmpty)
            startFlight(
                StepRun(first: cost, increment: StepCost(picoseconds: 0, nanojoules: 0), steps: 1), decodes: decodes,
                steps: 1, realTokens: shape.totalTokens + draftedTokens, padding: 0)
            draftedTokens = 0
        }
    }

    // MARK: Running first (rule 5)

    /// Without a long-prefill threshold only the last running sequence can be unfinished, so the decodes all get their
    /// token, and whoever is preempted comes from the end.
    @inline(__always) private mutating func scheduleRunning(mayPrefill: Bool, budget: inout Int32) -> Bool {
        var need = batch.blocksNeeded(steps: 1)
        var preempted = false
        if need > pool.available && !(dropSurplus() && need <= pool.available) {
            preempted = true
            preemptLast(&need)
        }
        pool.take(need)
        budget &-= batch.count
        guard unfinished >= 0 && mayPrefill else { return preempted }
        let sequence = slots.base + Int(unfinished)
        let computed = sequence.pointee.computedTokens
        let tokens = min(sequence.pointee.goalTokens &- computed, budget)
        guard tokens > 0 else { return preempted }
        let lack = blocks(forTokens: computed &+ tokens) &- blocks(forTokens: computed)
        if lack > pool.available && !(dropSurplus() && lack <= pool.available) {
            preempt(unfinished)
            return true
        }
        pool.take(lack)
        remember(unfinished, computedTokens: computed &+ tokens)
        addChunk(unfinished, tokens: tokens)
        budget &-= tokens
        return preempted
    }

    /// Rule 16: the last of the running goes until the others' blocks suffice. Those before it have taken what there
    /// was, in order, before anything ran short.
    private mutating func preemptLast(_ need: inout Int32) {
        while need > pool.available {
            if dropSurplus() { continue }
            let served = pool.available
            pool.take(served)
            need -= served
            let victim = running.last
            if slots[victim].state == .decoding && batch.needsBlockNow(slots.base + Int(victim)) { need -= 1 }
            preempt(victim)
        }
    }

    /// Whether the order inside the running list matters: some chunks are limited, or a victim is chosen by priority.
    @inline(__always) private mutating func scheduleNeedsWalk(_ rules: MixedRules) -> Bool {
        if speculates || (rules.longPrefillTokenThreshold > 0 && unfinishedCount > 0) { return true }
        guard byPriority else { return false }
        var need = batch.blocksNeeded(steps: 1)
        if unfinished >= 0 {
            let computed = slots[unfinished].computedTokens
            let tokens = min(slots[unfinished].goalTokens - computed, configuration.maxBatchedTokens - batch.count)
            need += blocks(forTokens: computed + max(tokens, 0)) - blocks(forTokens: computed)
        }
        return need > pool.available
    }

    // MARK: Waiting next (rules 8 to 14)

    @inline(__always)
    private mutating func admitWaiting(_ rules: MixedRules, fromIdle: Bool, budget: inout Int32) {
        guard !waiting.isEmpty else { return }
        let cap = min(maxSequences, rules.maxActiveSequences ?? Int32.max)
        while budget > 0 && running.count < cap {
            let slot = nextToAdmit(fromIdle: fromIdle)
            guard slot >= 0 else { return }
            let goal = slots[slot].goalTokens
            let watermark = running.isEmpty ? 0 : configuration.watermarkBlocks
            if isTransferred(slot) {
                guard blocks(forTokens: goal) + watermark <= pool.available else { return }
                admitTransferred(slot)
                budget -= 1
                continue
            }
            let hit = lookUp(slot)
            let cached = (hit.blocks &+ hit.hostBlocks) &* blockTokens
            var tokens = limited(goal &- cached, rules)
            if !rules.chunkedPrefill && tokens > budget { return }
            tokens = min(tokens, budget)
            let whole = blocks(forTokens: rules.reserveFullSequence ? goal : cached &+ tokens)
            guard whole &- hit.blocks &+ watermark <= pool.available &- hit.idleBlocks else { return }
            admit(slot, cachedTokens: cached)
            if caches { takeHit(hit, for: slot) }
            if speculates { slots[slot].reservedBlocks = hit.blocks }
            grow(slot, by: blocks(forTokens: cached &+ tokens) &- hit.blocks)
            if hit.hostBlocks > 0 { bringBack(hit.hostBlocks) }
            remember(slot, computedTokens: cached &+ tokens)
            addChunk(slot, tokens: tokens)
            budget &-= tokens
        }
    }

    /// Rule 7: the long-prefill threshold, ignored when a request is alone.
    @inline(__always) private func limited(_ tokens: Int32, _ rules: MixedRules) -> Int32 {
        guard rules.longPrefillTokenThreshold > 0 else { return tokens }
        let requests = waiting.count - unseenRequests + running.count
        guard requests > 1 else { return tokens }
        var threshold = rules.longPrefillTokenThreshold
        if rules.longPrefillAdaptive { threshold = max(threshold, configuration.maxBatchedTokens / requests) }
        return min(tokens, threshold)
    }

    private mutating func countUnseen(fromIdle: Bool) {
        unseenRequests = 0
        guard somebodyIsUnseen else { return }
        var slot = waiting.first
        while slot >= 0 {
            if !isVisible(slot, fromIdle: fromIdle) { unseenRequests += 1 }
            slot = slots[slot].next
        }
    }

    /// Rule 15.
    @inline(__always) private mutating func allowsPrefill(_ rules: MixedRules) -> Bool {
        guard rules.prefillScheduleInterval > 1 && batch.count > 0 && !prefillIsLeft else { return true }
        return usage.steps % Int64(rules.prefillScheduleInterval) == 0
    }

    private var completingChunks: Int32 {
        var completing: Int32 = 0
        var index: Int32 = 0
        while index < chunks.count {
            let sequence = slots.base + Int(chunks[index])
            index += 1
            if sequence.pointee.computedTokens + sequence.pointee.chunkTokens == sequence.pointee.goalTokens {
                completing += 1
            }
        }
        return completing
    }

    // MARK: One by one

    /// Goes through the running sequences in order, when that order matters: long-prefill limits leave several prompts
    /// unfinished, and under priorities the victim may already have been given tokens.
    /// - Returns: whether something was preempted.
    private mutating func walkRunning(_ rules: MixedRules, mayPrefill: Bool, budget: inout Int32) -> Bool {
        needsRunningOrder = true
        var preempted = false
        walked.removeAll()
        var slot = running.first
        while slot >= 0 && budget > 0 {
            let decoding = slots[slot].state == .decoding
            if !decoding && !mayPrefill {
                slot = slots[slot].next
                continue
            }
            let computed = decoding ? batch.context(of: slots.base + Int(slot)) : slots[slot].computedTokens
            let left = decoding ? tokensToVerify(slot, context: computed) : slots[slot].goalTokens - computed
            let tokens = min(limited(left, rules), budget)
            let held = growsBlocks ? blocks(forTokens: computed) : slots[slot].reservedBlocks
            let lack = max(0, blocks(forTokens: computed + tokens) - held)
            let outcome = makeRoom(lack, for: slot, budget: &budget)
            preempted = preempted || outcome.preempted
            if outcome.lostItself {
                // First come, first served: it was the last one, so nobody is left to serve.
                slot = byPriority ? outcome.next : -1
                continue
            }
            grow(slot, by: lack)
            if !decoding { remember(slot, computedTokens: computed + tokens) }
            walked.append(slot)
            slots[slot].chunkTokens = tokens
            budget -= tokens
            slot = slots[slot].next
        }
        settleWalk(from: slot)
        return preempted
    }

    /// Preempts until `lack` blocks are free, or the sequence itself has gone.
    private mutating func makeRoom(
        _ lack: Int32, for slot: SlotIndex, budget: inout Int32
    ) -> (preempted: Bool, lostItself: Bool, next: SlotIndex) {
        var preempted = false
        while lack > pool.available {
            if dropSurplus() { continue }
            preempted = true
            let victim = byPriority ? lastByPriority() : running.last
            let given = slots[victim].chunkTokens
            if given > 0 {
                budget += given
                slots[victim].chunkTokens = 0
                walked.remove(victim)
            }
            let next = slots[victim].next
            preempt(victim, extraTokens: slots[victim].state == .decoding ? min(given, 1) : given)
            if victim == slot { return (true, true, next) }
        }
        return (preempted, false, -1)
    }

    /// Turns what the walk gave into chunks, and holds out the decodes that it did not reach.
    private mutating func settleWalk(from unreached: SlotIndex) {
        var index: Int32 = 0
        while index < walked.count {
            let slot = walked[index]
            index += 1
            if slots[slot].state == .prefilling {
                chunks.append(slot)
            } else if speculates {
                draftedTokens += slots[slot].chunkTokens - 1
                usage.draftTokens += Int64(slots[slot].chunkTokens - 1)
            } else {
                slots[slot].chunkTokens = 0
            }
        }
        var slot = unreached
        while slot >= 0 {
            if slots[slot].state == .decoding {
                if !slots[slot].isLate {
                    slots[slot].lastToken = lastDecodeEnd
                    becomeLate(slot)
                }
                batch.hold(slot, slots: slots.base)
                slots[slot].isHeldOut = true
                heldOut.append(slot)
            }
            slot = slots[slot].next
        }
    }

    private func lastByPriority() -> SlotIndex {
        var victim = running.first
        var slot = slots[victim].next
        while slot >= 0 {
            if comesBefore(victim, slot) { victim = slot }
            slot = slots[slot].next
        }
        return victim
    }

    /// Takes the sequences that sit this step out from its shape.
    private mutating func leaveOutHeld(_ shape: inout StepShape) {
        var index: Int32 = 0
        while index < heldOut.count {
            shape.decodeSequences -= 1
            shape.decodeContextTokens -= Int64(batch.context(of: slots.base + Int(heldOut[index])))
            index += 1
        }
        shape.longestDecodeContextTokens = 0
        var slot = running.first
        while slot >= 0 {
            if slots[slot].state == .decoding && !slots[slot].isHeldOut {
                let context = batch.context(of: slots.base + Int(slot))
                shape.longestDecodeContextTokens = max(shape.longestDecodeContextTokens, context)
            }
            slot = slots[slot].next
        }
        if shape.decodeSequences == 0 { shape.decodeContextTokens = 0 }
    }
}
