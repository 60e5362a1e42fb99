//===----------------------------------------------------------------------===//
// A step boundary: who gets tokens next, and what that costs.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

extension ReplicaCore {
    /// The longest flight, so that sums over a flight stay within 64 bits.
    static var longestFlight: Int32 { 1 << 16 }

    var isVidur: Bool {
        @inline(__always) get {
            switch configuration.stack {
            case .sarathi, .vllmV0: true
            case .mixed, .phased: false
            }
        }
    }

    /// Forms the next step at `clock`. Leaves nothing in flight when nothing runs and nothing can be admitted.
    @inline(__always) mutating func schedule(fromIdle: Bool) {
        if let phased { return schedulePhased(phased, fromIdle: fromIdle) }
        switch configuration.stack {
        case .mixed(let rules): scheduleMixed(rules, fromIdle: fromIdle)
        case .phased: preconditionFailure("a phased stack without its program")
        case .sarathi(let chunkTokens): scheduleSarathi(chunkTokens, fromIdle: fromIdle)
        case .vllmV0: scheduleV0(fromIdle: fromIdle)
        }
    }

    // MARK: Moving sequences

    /// Puts a waiting sequence at the end of the running ones (rule 14), with the first `cachedTokens` of what it has
    /// to compute in the cache.
    @inline(__always) mutating func admit(_ slot: SlotIndex, cachedTokens: Int32) {
        let isFirst = slots[slot].scheduledNanoseconds < 0
        enterRunning(slot, computedTokens: cachedTokens)
        // Rule 26.
        guard caches && isFirst else { return }
        slots[slot].cachedPromptTokens = cachedTokens
        usage.prefixQueryTokens &+= Int64(slots[slot].goalTokens)
        usage.prefixHitTokens &+= Int64(cachedTokens)
    }

    @inline(__always) private mutating func enterRunning(_ slot: SlotIndex, computedTokens: Int32) {
        dequeue(slot)
        let sequence = slots.base + Int(slot)
        sequence.pointee.state = .prefilling
        sequence.pointee.computedTokens = computedTokens
        sequence.pointee.order = nextOrder
        nextOrder &+= 1
        if sequence.pointee.scheduledNanoseconds < 0 { sequence.pointee.scheduledNanoseconds = clock.nanoseconds }
        running.append(slot, in: slots.base)
        unfinished = slot
        unfinishedCount &+= 1
        unfinishedTokens &+= tokensLeft(sequence)
        if sequence.pointee.request.flags.contains(.streams) { streamingCount &+= 1 }
        if sequence.pointee.request.adapter != 0 && adapters.use(sequence.pointee.request.adapter) {
            loadingPicoseconds += adapters.loadPicoseconds
            usage.adapterLoads += 1
        }
        if ranks > 1 { rankStates.enter(sequence.pointee.rank) }
    }

    /// Puts a sequence whose prompt was computed elsewhere among the decoding ones. Its first step computes the last
    /// prompt token once more and yields the first output token.
    mutating func admitTransferred(_ slot: SlotIndex) {
        let prompt = slots[slot].goalTokens
        enterRunning(slot, computedTokens: prompt - 1)
        leaveUnfinished(slot)
        // A mixed step has given the batch its blocks before it admits; a phased one does so after.
        if speculates {
            grow(slot, by: blocks(forTokens: prompt))
        } else {
            pool.take(growsBlocks ? blocks(forTokens: neverPreempts ? prompt - 1 : prompt) : slots[slot].reservedBlocks)
        }
        batch.insert(slot, slots: slots.base)
        remember(slot, computedTokens: prompt)
        becomeLate(slot)
    }

    /// Whether a waiting request comes with its KV, from a prefill replica.
    @inline(__always) func isTransferred(_ slot: SlotIndex) -> Bool {
        role == .decodeOnly && slots[slot].preemptions == 0
    }

    /// Takes a sequence out of the running list, with what it holds besides KV.
    @inline(__always) mutating func leaveRunning(_ slot: SlotIndex) {
        running.remove(slot, in: slots.base)
        let sequence = slots.base + Int(slot)
        if sequence.pointee.request.flags.contains(.streams) { streamingCount &-= 1 }
        if sequence.pointee.request.adapter != 0 { adapters.release(sequence.pointee.request.adapter) }
        if ranks > 1 { rankStates.leave(sequence.pointee.rank) }
    }

    @inline(__always) private func tokensLeft(_ sequence: UnsafeMutablePointer<SequenceSlot>) -> Int64 {
        Int64(sequence.pointee.goalTokens &- sequence.pointee.computedTokens)
            &+ Int64(sequence.pointee.targetTokens &- sequence.pointee.producedTokens)
    }

    /// Takes a sequence out of those with unfinished prompts; it stays in the running list.
    @inline(__always) mutating func leaveUnfinished(_ slot: SlotIndex) {
        unfinishedTokens &-= tokensLeft(slots.base + Int(slot))
        unfinishedCount &-= 1
        if unfinished == slot { unfinished = -1 }
        if ranks > 1 { rankStates.setPrefilling(slots[slot].rank, -1) }
    }

    /// Takes a sequence out of the batch; it stays in the running list.
    @inline(__always) mutating func leaveBatch(_ slot: SlotIndex) {
        batch.remove(slot, slots: slots.base)
        if slots[slot].isLate {
            slots[slot].isLate = false
            late.remove(slot)
        }
    }

    /// Rule 17: a running sequence loses its KV and waits again, in front of all others.
    /// - Parameter extraTokens: tokens of the step being formed that it was given already.
    mutating func preempt(_ slot: SlotIndex, extraTokens: Int32 = 0) {
        if slots[slot].state == .decoding {
            slots[slot].lastToken = lastToken(of: slot)
            leaveBatch(slot)
        } else {
            leaveUnfinished(slot)
        }
        leaveRunning(slot)
        freeKV(
            slot, held: heldBlocks(slot, extraTokens: extraTokens),
            computedTokens: rememberedTokens(slot, extraTokens: extraTokens), keepsOutput: true, at: clock.nanoseconds)
        if slots[slot].isGhost {
            ghostCount -= 1
            slots.give(back: slot)
        } else {
            makeWaitAgain(slot)
        }
    }

    mutating func makeWaitAgain(_ slot: SlotIndex) {
        slots[slot].state = .waiting
        slots[slot].computedTokens = 0
        slots[slot].reservedBlocks = 0
        slots[slot].acceptedDrafts = 0
        slots[slot].goalTokens = slots[slot].request.promptTokens + slots[slot].producedTokens
        slots[slot].preemptions += 1
        usage.preemptions += 1
        if byPriority {
            _ = enqueue(slot)
        } else {
            countWaiting(slot, 1)
            waiting.insert(slot, before: waiting.first, in: slots.base)
        }
    }

    @inline(__always) mutating func addChunk(_ slot: SlotIndex, tokens: Int32) {
        slots[slot].chunkTokens = tokens
        chunks.append(slot)
    }

    // MARK: Starting

    /// The work of the step being formed: the batch, if it decodes, and the chunks.
    @inline(__always) mutating func shapeOfStep(decodes: Bool) -> StepShape {
        var shape = StepShape()
        if decodes {
            shape.decodeSequences = batch.count
            shape.decodeContextTokens = batch.contextTokens
            shape.longestDecodeContextTokens = batch.longestContext(slots.base)
        }
        var index: Int32 = 0
        while index < chunks.count {
            let sequence = slots.base + Int(chunks[index])
            let tokens = sequence.pointee.chunkTokens
            let context = sequence.pointee.computedTokens
            shape.addPrefill(
                chunkTokens: tokens, contextTokens: context, completes: context &+ tokens == sequence.pointee.goalTokens
            )
            index &+= 1
        }
        return shape
    }

    /// Starts a flight whose first step has taken its blocks.
    ///
    /// - Parameters:
    ///   - run: cost of the first step and of those after it.
    ///   - steps: how many may pass before the scheduler has something to decide.
    ///   - realTokens: tokens that the first step computes.
    @inline(__always)
    mutating func startFlight(_ run: StepRun, decodes: Bool, steps: Int32, realTokens: Int32, padding: Int32) {
        precondition(run.first.picoseconds > 0, "a step table gives a step no time")
        if loadingPicoseconds > 0 {
            return startLoadingFlight(run, decodes: decodes, realTokens: realTokens, padding: padding)
        }
        flightStart = clock
        flightDecodes = decodes
        cost = run.first
        increment = run.increment
        flightSteps = increment.picoseconds < 0 ? 1 : max(1, min(steps, Self.longestFlight))
        flightPadding = padding
        inFlight = true
        usage.busyPicoseconds &+= Int128(cost.picoseconds)
        usage.activeNanojoules &+= Int128(cost.nanojoules)
        usage.steps &+= 1
        if chunks.isEmpty { usage.decodeSteps &+= 1 }
        usage.realTokens &+= Int64(realTokens)
        usage.paddedTokens &+= Int64(padding)
        pool.notePeak()
        let count = Int64(flightSteps)
        flightEnd = clock.adding(
            picoseconds: count == 1
                ? cost.picoseconds : cost.picoseconds * count + increment.picoseconds * (count * (count - 1) / 2))
    }

    /// A step that has to wait for adapters or KV: nothing else about it is different.
    private mutating func startLoadingFlight(_ run: StepRun, decodes: Bool, realTokens: Int32, padding: Int32) {
        var first = run.first
        first.picoseconds += loadingPicoseconds
        loadingPicoseconds = 0
        let slow = StepRun(first: first, increment: StepCost(picoseconds: 0, nanojoules: 0), steps: 1)
        startFlight(slow, decodes: decodes, steps: 1, realTokens: realTokens, padding: padding)
    }

    /// Steps of an unchanged batch until something is to be decided: a sequence finishes, the line of costs bends, or
    /// blocks run short. The coming step has its blocks.
    @inline(__always) func stepsUnchanged(line: Int32) -> Int32 {
        var steps = Int32(clamping: min(Int64(min(line, Self.longestFlight)), batch.stepsToFinish))
        if growsBlocks && steps > 1 {
            steps = 1 &+ batch.furtherStepsWithin(available: pool.available, limit: steps &- 1)
        }
        return steps
    }

    /// Whether a waiting request became visible only after the boundary at `clock`.
    @inline(__always) var somebodyIsUnseen: Bool { !waiting.isEmpty && lastSubmitNanoseconds >= clock.nanoseconds }
}
