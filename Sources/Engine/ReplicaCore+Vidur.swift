//===----------------------------------------------------------------------===//
// Two older schedulers, as the simulator Vidur models them.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

/// Kept for comparison with Vidur's own runs, request by request (`trainyard conformance`), so they follow it to the
/// letter and walk every sequence in every step: a decoding sequence needs a free block even when it does not take one,
/// blocks for the whole prompt are taken at admission, and a context counts the token just produced.
extension ReplicaCore {
    private func canTake(_ slot: SlotIndex) -> Bool {
        slots[slot].reservedBlocks == 0
            ? pool.available - blocks(forTokens: slots[slot].goalTokens) >= configuration.watermarkBlocks
            : pool.available >= 1
    }

    private mutating func take(for slot: SlotIndex) {
        let sequence = slots.base + Int(slot)
        let wanted = blocks(
            forTokens: sequence.pointee.reservedBlocks == 0
                ? sequence.pointee.goalTokens : sequence.pointee.computedTokens + 1)
        let lack = max(0, wanted - sequence.pointee.reservedBlocks)
        sequence.pointee.reservedBlocks += lack
        pool.take(lack)
    }

    /// The sequence starts again later, with what it produced as part of its prompt, in front of the queue.
    private mutating func restart(_ slot: SlotIndex) {
        members.remove(slot)
        pool.give(back: slots[slot].reservedBlocks)
        slots[slot].reservedBlocks = 0
        unfinishedTokens -= memberTokensLeft(slot)
        if slots[slot].request.flags.contains(.streams) { streamingCount -= 1 }
        makeWaitAgain(slot)
    }

    private func memberTokensLeft(_ slot: SlotIndex) -> Int64 {
        let sequence = slots.base + Int(slot)
        let prefill =
            sequence.pointee.state == .decoding ? 0 : sequence.pointee.goalTokens - sequence.pointee.computedTokens
        return Int64(prefill) + Int64(sequence.pointee.targetTokens - sequence.pointee.producedTokens)
    }

    private mutating func admitMember(_ slot: SlotIndex) {
        dequeue(slot)
        take(for: slot)
        slots[slot].state = .prefilling
        if slots[slot].scheduledNanoseconds < 0 { slots[slot].scheduledNanoseconds = clock.nanoseconds }
        members.append(slot)
        unfinishedTokens += memberTokensLeft(slot)
        if slots[slot].request.flags.contains(.streams) { streamingCount += 1 }
    }

    /// Gives each decoding sequence of `left` its token, in order; without a free block the last of `left` restarts.
    /// - Returns: those with unfinished prompts; `left` keeps what the batch has no room for.
    private mutating func decodePart(_ left: inout ArraySlice<SlotIndex>) -> [SlotIndex] {
        var unfinished: [SlotIndex] = []
        while chunks.count < maxSequences, let slot = left.popFirst() {
            if slots[slot].state != .decoding {
                unfinished.append(slot)
                continue
            }
            var lostItself = false
            while !lostItself && !canTake(slot) {
                let victim = left.popLast() ?? slot
                lostItself = victim == slot
                restart(victim)
            }
            if lostItself { continue }
            take(for: slot)
            addChunk(slot, tokens: 1)
        }
        return unfinished
    }

    mutating func scheduleSarathi(_ chunkTokens: Int32, fromIdle: Bool) {
        var left = memberList[...]
        let unfinished = decodePart(&left)
        var tokens = chunks.count
        var skipped: [SlotIndex] = []
        for slot in unfinished {
            let chunk = min(slots[slot].goalTokens - slots[slot].computedTokens, chunkTokens - tokens)
            if chunk <= 0 {
                skipped.append(slot)
                continue
            }
            tokens += chunk
            addChunk(slot, tokens: chunk)
        }
        let idle = inOrderOfArrival(skipped + left)
        while let slot = nextVisible(fromIdle) {
            if members.count == maxSequences || chunks.count == maxSequences || !canTake(slot) { break }
            let chunk = min(slots[slot].goalTokens, chunkTokens - tokens)
            if chunk <= 0 { break }
            admitMember(slot)
            tokens += chunk
            addChunk(slot, tokens: chunk)
        }
        startVidurStep(idle: idle)
    }

    mutating func scheduleV0(fromIdle: Bool) {
        var longest: Int32 = 0
        while let slot = nextVisible(fromIdle) {
            longest = max(longest, slots[slot].goalTokens)
            if !canTake(slot) || Int64(chunks.count + 1) * Int64(longest) > Int64(configuration.maxBatchedTokens)
                || members.count == maxSequences || chunks.count == maxSequences
            {
                break
            }
            admitMember(slot)
            addChunk(slot, tokens: slots[slot].goalTokens)
        }
        if !chunks.isEmpty {
            var idle: [SlotIndex] = []
            for slot in memberList where slots[slot].chunkTokens == 0 { idle.append(slot) }
            return startVidurStep(idle: idle)
        }
        var left = inOrderOfArrival(memberList)[...]
        _ = decodePart(&left)
        startVidurStep(idle: Array(left))
    }

    private func nextVisible(_ fromIdle: Bool) -> SlotIndex? {
        let slot = waiting.first
        return slot >= 0 && isVisible(slot, fromIdle: fromIdle) ? slot : nil
    }

    private var memberList: [SlotIndex] {
        var list: [SlotIndex] = []
        for index in 0..<members.count { list.append(members[index]) }
        return list
    }

    private func inOrderOfArrival(_ list: [SlotIndex]) -> [SlotIndex] {
        let base = slots.base
        return list.sorted { left, right in
            let a = base[Int(left)].request
            let b = base[Int(right)].request
            return (a.arrivalNanoseconds, a.id) < (b.arrivalNanoseconds, b.id)
        }
    }

    /// Starts the step of `chunks`; the next one finds the idle sequences first, then these in this order.
    private mutating func startVidurStep(idle: [SlotIndex]) {
        guard !chunks.isEmpty else { return }
        members.removeAll()
        for slot in idle { members.append(slot) }
        var shape = StepShape()
        for index in 0..<chunks.count {
            let slot = chunks[index]
            members.append(slot)
            let sequence = slots.base + Int(slot)
            if sequence.pointee.state == .decoding {
                shape.addDecode(contextTokens: sequence.pointee.computedTokens + 1)
            } else {
                let chunk = sequence.pointee.chunkTokens
                shape.addPrefill(
                    chunkTokens: chunk, contextTokens: sequence.pointee.computedTokens,
                    completes: sequence.pointee.computedTokens + chunk == sequence.pointee.goalTokens)
            }
        }
        let cost = table.cost(of: shape)
        startFlight(
            StepRun(first: cost, increment: StepCost(picoseconds: 0, nanojoules: 0), steps: 1), decodes: false,
            steps: 1,
            realTokens: shape.totalTokens, padding: 0)
        if shape.prefillSequences == 0 { usage.decodeSteps += 1 }
    }

    mutating func endVidurStep<Sink: OutcomeSink>(into sink: inout Sink) {
        for index in 0..<chunks.count {
            let slot = chunks[index]
            let sequence = slots.base + Int(slot)
            let before = memberTokensLeft(slot)
            sequence.pointee.computedTokens += sequence.pointee.chunkTokens
            sequence.pointee.chunkTokens = 0
            if sequence.pointee.state != .decoding && sequence.pointee.computedTokens < sequence.pointee.goalTokens {
                unfinishedTokens += memberTokensLeft(slot) - before
                continue
            }
            sequence.pointee.state = .decoding
            if sequence.pointee.producedTokens > 0 {
                let gap = clock.picoseconds(since: sequence.pointee.lastToken)
                sink.gaps(firstPicoseconds: gap, incrementPicoseconds: 0, steps: 1, count: 1)
            } else {
                sequence.pointee.firstTokenNanoseconds = clock.nanoseconds
            }
            sequence.pointee.producedTokens += 1
            sequence.pointee.lastToken = clock
            unfinishedTokens += memberTokensLeft(slot) - before
            if sequence.pointee.request.flags.contains(.streams) {
                sink.produced(
                    TokenEvent(
                        requestID: sequence.pointee.request.id, atNanoseconds: clock.nanoseconds,
                        outputTokens: sequence.pointee.producedTokens, newTokens: 1,
                        frontEnd: sequence.pointee.request.frontEnd))
            }
            if sequence.pointee.producedTokens == sequence.pointee.targetTokens {
                leaveMembers(slot)
                sink.completed(completion(of: sequence, status: .finished))
                slots.give(back: slot)
            }
        }
        chunks.removeAll()
    }

    private mutating func leaveMembers(_ slot: SlotIndex) {
        members.remove(slot)
        pool.give(back: slots[slot].reservedBlocks)
        if slots[slot].request.flags.contains(.streams) { streamingCount -= 1 }
    }

    mutating func cancelMember(_ requestID: UInt64) -> Bool {
        for index in 0..<members.count where slots[members[index]].request.id == requestID {
            let slot = members[index]
            unfinishedTokens -= memberTokensLeft(slot)
            if slots[slot].chunkTokens > 0 { chunks.remove(slot) }
            leaveMembers(slot)
            reports.append(completion(of: slots.base + Int(slot), status: .cancelled))
            slots.give(back: slot)
            return true
        }
        return false
    }
}
