//===----------------------------------------------------------------------===//
// Requests into and out of a replica.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

extension ReplicaCore {
    mutating func submit(_ request: Request, at nowNanoseconds: Int64) {
        precondition(
            request.promptTokens >= 1 && request.outputTokens >= 1, "a request has at least one token each way")
        let room = configuration.maxModelTokens &- request.promptTokens
        let wanted = role == .prefillOnly ? 1 : request.outputTokens
        let target = max(1, min(wanted, room))
        guard room >= 1, fits(request, targetTokens: target), waiting.count < configuration.maxWaitingRequests,
            waitingPromptTokens < configuration.maxWaitingTokens
        else {
            let sequence = SequenceSlot(
                request: request, submittedNanoseconds: nowNanoseconds, targetTokens: target)
            reports.append(withUnsafePointer(to: sequence) { completion(of: $0, status: .rejected) })
            advancedNanoseconds = max(advancedNanoseconds, nowNanoseconds)
            return
        }
        let wasEmpty = waiting.isEmpty
        if !inFlight && wasEmpty && clock.nanoseconds < nowNanoseconds { clock = Instant(nanoseconds: nowNanoseconds) }
        let slot = slots.take()
        (slots.base + Int(slot)).initialize(
            to: SequenceSlot(request: request, submittedNanoseconds: nowNanoseconds, targetTokens: target))
        lastSubmitNanoseconds = nowNanoseconds
        let isFirst = enqueue(slot) || wasEmpty
        // Whoever already waits could not be admitted, so only a new first one can change the coming steps.
        if inFlight && flightSteps > 1 && (everyArrivalCounts || (isFirst && runningCount < maxSequences &* ranks)) {
            cutFlight(after: nowNanoseconds)
        }
    }

    /// Whether an idle replica could run a request to its end.
    private func fits(_ request: Request, targetTokens: Int32) -> Bool {
        let drafts = configuration.speculation?.draftTokens ?? 0
        let most = configuration.blocks(
            forTokens: min(request.promptTokens &+ targetTokens &- 1 &+ drafts, configuration.maxModelTokens))
        if let phased {
            return phased.admission == .wholeContext || worstCaseBlocks(request) <= configuration.kvBlocks
        }
        switch configuration.stack {
        case .mixed, .phased: return most <= configuration.kvBlocks
        case .sarathi, .vllmV0: return most + configuration.watermarkBlocks <= configuration.kvBlocks
        }
    }

    /// Blocks for all that a request may ever hold.
    func worstCaseBlocks(_ request: Request) -> Int32 {
        let most = min(
            Int64(request.promptTokens) + Int64(request.maxOutputTokens), Int64(configuration.maxModelTokens))
        return configuration.blocks(forTokens: Int32(most))
    }

    /// Puts a slot into the waiting list.
    /// - Returns: whether it goes in front of requests that were there.
    @inline(__always) mutating func enqueue(_ slot: SlotIndex) -> Bool {
        countWaiting(slot, 1)
        guard byPriority else {
            waiting.append(slot, in: slots.base)
            return false
        }
        var successor: SlotIndex = -1
        var candidate = waiting.last
        while candidate >= 0, comesBefore(slot, candidate) {
            successor = candidate
            candidate = slots[candidate].previous
        }
        waiting.insert(slot, before: successor, in: slots.base)
        return candidate < 0
    }

    @inline(__always) mutating func countWaiting(_ slot: SlotIndex, _ sign: Int64) {
        waitingPromptTokens &+= sign &* Int64(slots[slot].goalTokens)
        waitingOutputTokens &+= sign &* Int64(slots[slot].targetTokens &- slots[slot].producedTokens)
    }

    /// Rule 19: priority, then arrival, then number.
    func comesBefore(_ left: SlotIndex, _ right: SlotIndex) -> Bool {
        let a = slots.base + Int(left)
        let b = slots.base + Int(right)
        if a.pointee.request.priority != b.pointee.request.priority {
            return a.pointee.request.priority < b.pointee.request.priority
        }
        if a.pointee.request.arrivalNanoseconds != b.pointee.request.arrivalNanoseconds {
            return a.pointee.request.arrivalNanoseconds < b.pointee.request.arrivalNanoseconds
        }
        return a.pointee.request.id < b.pointee.request.id
    }

    /// The first waiting request that the boundary at `clock` sees.
    @inline(__always) func firstVisible(fromIdle: Bool) -> SlotIndex {
        var slot = waiting.first
        while slot >= 0, !isVisible(slot, fromIdle: fromIdle) { slot = slots[slot].next }
        return slot
    }

    /// The first one that may be admitted next: rule 10 passes over those whose adapter has no place, and leaves them
    /// where they are.
    @inline(__always) func nextToAdmit(fromIdle: Bool) -> SlotIndex {
        var slot = waiting.first
        while slot >= 0,
            !isVisible(slot, fromIdle: fromIdle)
                || (slots[slot].request.adapter != 0 && !adapters.hasPlace(for: slots[slot].request.adapter))
        {
            slot = slots[slot].next
        }
        return slot
    }

    @inline(__always) func isVisible(_ slot: SlotIndex, fromIdle: Bool) -> Bool {
        fromIdle || slots[slot].submittedNanoseconds < clock.nanoseconds || slots[slot].preemptions > 0
    }

    @inline(__always) mutating func dequeue(_ slot: SlotIndex) {
        waiting.remove(slot, in: slots.base)
        countWaiting(slot, -1)
    }

    // MARK: Cancelling

    mutating func cancel(requestID: UInt64, at nowNanoseconds: Int64) -> Bool {
        precondition(advancedNanoseconds == nowNanoseconds, "advance the replica to the time of a cancellation first")
        var slot = waiting.first
        while slot >= 0 {
            if slots[slot].request.id == requestID {
                dequeue(slot)
                reports.append(completion(of: slots.base + Int(slot), status: .cancelled))
                slots.give(back: slot)
                // The one behind it may be admitted at the next boundary.
                if inFlight { cutFlight(after: nowNanoseconds) }
                return true
            }
            slot = slots[slot].next
        }
        if isVidur { return cancelMember(requestID) }
        slot = running.first
        while slot >= 0 {
            if slots[slot].request.id == requestID && !slots[slot].isGhost {
                cancelRunning(slot, at: nowNanoseconds)
                return true
            }
            slot = slots[slot].next
        }
        return false
    }

    /// The step in flight goes on without the sequence; what it held is free at once (rule 32).
    private mutating func cancelRunning(_ slot: SlotIndex, at nowNanoseconds: Int64) {
        let extra: Int32
        let wasHeldOut = slots[slot].isHeldOut
        if slots[slot].state == .decoding {
            slots[slot].lastToken = lastToken(of: slot)
            let inStep = inFlight && flightDecodes
            leaveBatch(slot)
            if slots[slot].isHeldOut {
                slots[slot].producedTokens += 1
                heldOut.remove(slot)
            }
            extra = inStep ? 1 : 0
        } else {
            extra = slots[slot].chunkTokens
            leaveUnfinished(slot)
            if slots[slot].chunkTokens > 0 { chunks.remove(slot) }
        }
        leaveRunning(slot)
        freeKV(
            slot, held: heldBlocks(slot, extraTokens: extra),
            computedTokens: rememberedTokens(slot, extraTokens: wasHeldOut ? 0 : extra) + (wasHeldOut ? 1 : 0),
            keepsOutput: false, at: nowNanoseconds)
        reports.append(completion(of: slots.base + Int(slot), status: .cancelled))
        slots.give(back: slot)
        if inFlight && flightSteps > 1 {
            flightSteps = 1
            flightEnd = flightStart.adding(picoseconds: cost.picoseconds)
        }
    }
}
