//===----------------------------------------------------------------------===//
// Time: flights begin, are looked at, cut short, and end.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

extension ReplicaCore {
    mutating func advance<Sink: OutcomeSink>(until nowNanoseconds: Int64, into sink: inout Sink) {
        if !reports.isEmpty {
            var index = 0
            while index < reports.count {
                sink.completed(reports[index])
                index += 1
            }
            reports.removeAll(keepingCapacity: true)
        }
        if nowNanoseconds > advancedNanoseconds { advancedNanoseconds = nowNanoseconds }
        while true {
            if inFlight {
                if streamingCount > 0 {
                    guard advanceStreaming(until: nowNanoseconds, into: &sink) else { return }
                } else if flightEnd.nanoseconds > nowNanoseconds {
                    passSteps(until: nowNanoseconds, into: &sink)
                    return
                }
                endFlight(into: &sink)
                schedule(fromIdle: false)
            } else {
                guard !waiting.isEmpty, clock.nanoseconds <= nowNanoseconds else { return }
                schedule(fromIdle: true)
                precondition(inFlight, "a waiting request cannot start on an idle replica")
            }
        }
    }

    // MARK: Passing steps inside a flight

    /// Does the whole steps of the flight that end at or before a time. The last one is `endFlight`'s.
    @inline(__always)
    private mutating func passSteps<Sink: OutcomeSink>(until nowNanoseconds: Int64, into sink: inout Sink) {
        guard flightSteps > 1 else { return }
        let firstEnd = flightStart.adding(picoseconds: cost.picoseconds)
        if firstEnd.nanoseconds > nowNanoseconds { return }
        let steps = stepsUntilBoundary(after: nowNanoseconds) - 1
        pass(steps, into: &sink)
    }

    /// Passes steps one by one, with a token event for each streaming sequence.
    /// - Returns: whether the flight's last step is due.
    private mutating func advanceStreaming<Sink: OutcomeSink>(
        until nowNanoseconds: Int64, into sink: inout Sink
    ) -> Bool {
        while flightSteps > 1 {
            let end = flightStart.adding(picoseconds: cost.picoseconds)
            guard end.nanoseconds <= nowNanoseconds else { return false }
            pass(1, into: &sink)
            reportStreams(at: end, into: &sink)
        }
        return flightEnd.nanoseconds <= nowNanoseconds
    }

    private func reportStreams<Sink: OutcomeSink>(at end: Instant, into sink: inout Sink) {
        var slot = running.first
        while slot >= 0 {
            let sequence = slots.base + Int(slot)
            if sequence.pointee.request.flags.contains(.streams) {
                sink.produced(
                    TokenEvent(
                        requestID: sequence.pointee.request.id, atNanoseconds: end.nanoseconds,
                        outputTokens: batch.produced(of: sequence), newTokens: 1,
                        frontEnd: sequence.pointee.request.frontEnd))
            }
            slot = sequence.pointee.next
        }
    }

    /// Ends `steps` steps of a flight that goes on, and begins as many.
    private mutating func pass<Sink: OutcomeSink>(_ steps: Int32, into sink: inout Sink) {
        let duration = lineSum(cost.picoseconds, increment.picoseconds, steps)
        reportGaps(steps, into: &sink)
        beginFurther(steps)
        batch.advance(steps)
        flightStart = flightStart.adding(picoseconds: duration)
        lastDecodeEnd = flightStart
        cost.picoseconds += increment.picoseconds * Int64(steps)
        cost.nanojoules += increment.nanojoules * Int64(steps)
        flightSteps -= steps
    }

    /// Counts the work of the `steps` steps after the one now running.
    @inline(__always) private mutating func beginFurther(_ steps: Int32) {
        guard steps > 0 else { return }
        let count = Int64(steps)
        usage.busyPicoseconds &+= Int128(
            lineSum(cost.picoseconds &+ increment.picoseconds, increment.picoseconds, steps))
        usage.activeNanojoules &+= Int128(lineSum(cost.nanojoules &+ increment.nanojoules, increment.nanojoules, steps))
        usage.steps &+= count
        usage.decodeSteps &+= count
        usage.realTokens &+= count &* Int64(batch.count)
        usage.paddedTokens &+= count &* Int64(flightPadding)
        if growsBlocks {
            pool.take(batch.blocksNeeded(steps: steps, skipping: 1))
            pool.notePeak()
        }
    }

    /// first + (first + increment) + … over `steps` steps.
    @inline(__always) private func lineSum(_ first: Int64, _ increment: Int64, _ steps: Int32) -> Int64 {
        let count = Int64(steps)
        if count == 1 { return first }
        return first * count + increment * (count * (count - 1) / 2)
    }

    // MARK: Ending a flight

    private mutating func endFlight<Sink: OutcomeSink>(into sink: inout Sink) {
        let last = flightSteps
        if flightDecodes {
            if last > 1 { beginFurther(last - 1) }
            reportGaps(last, into: &sink)
            batch.advance(last)
            lastDecodeEnd = flightEnd
            if speculates { acceptDrafts(into: &sink) }
        }
        clock = flightEnd
        inFlight = false
        if isVidur { return endVidurStep(into: &sink) }
        if streamingCount > 0 || needsRunningOrder || speculates {
            endStepInOrder(into: &sink)
        } else {
            while batch.count > 0 && batch.stepsToFinish == 0 { finishDecoding(batch.finish.first.slot, into: &sink) }
            var index: Int32 = 0
            while index < chunks.count {
                endChunk(chunks[index], into: &sink)
                index &+= 1
            }
        }
        chunks.removeAll()
    }

    /// The same in running order across decodes and chunks, with token events.
    private mutating func endStepInOrder<Sink: OutcomeSink>(into sink: inout Sink) {
        var slot = running.first
        while slot >= 0 {
            let sequence = slots.base + Int(slot)
            let next = sequence.pointee.next
            if sequence.pointee.chunkTokens > 0 {
                endChunk(slot, into: &sink)
            } else if sequence.pointee.state == .decoding && flightDecodes && !sequence.pointee.isHeldOut {
                if sequence.pointee.request.flags.contains(.streams) {
                    reportToken(
                        slot, produced: batch.produced(of: sequence), newTokens: 1 + sequence.pointee.acceptedDrafts,
                        into: &sink)
                }
                if sequence.pointee.finishEpoch == batch.epoch { finishDecoding(slot, into: &sink) }
            }
            slot = next
        }
        var index: Int32 = 0
        while index < heldOut.count {
            slots[heldOut[index]].isHeldOut = false
            index += 1
        }
        heldOut.removeAll()
        needsRunningOrder = false
    }

    private func reportToken<Sink: OutcomeSink>(
        _ slot: SlotIndex, produced: Int32, newTokens: Int32 = 1, into sink: inout Sink
    ) {
        sink.produced(
            TokenEvent(
                requestID: slots[slot].request.id, atNanoseconds: clock.nanoseconds, outputTokens: produced,
                newTokens: Int16(truncatingIfNeeded: newTokens), frontEnd: slots[slot].request.frontEnd))
    }

    @inline(__always)
    private mutating func finishDecoding<Sink: OutcomeSink>(_ slot: SlotIndex, into sink: inout Sink) {
        leaveBatch(slot)
        if slots[slot].isGhost {
            ghostCount &-= 1
            leaveRunning(slot)
            free(slot)
            return
        }
        slots[slot].lastToken = clock
        finish(slot, into: &sink)
    }

    /// Adds a chunk to what its sequence has computed; the last one yields a token.
    @inline(__always)
    private mutating func endChunk<Sink: OutcomeSink>(_ slot: SlotIndex, into sink: inout Sink) {
        let sequence = slots.base + Int(slot)
        let tokens = sequence.pointee.chunkTokens
        sequence.pointee.chunkTokens = 0
        sequence.pointee.computedTokens &+= tokens
        unfinishedTokens &-= Int64(tokens)
        guard sequence.pointee.computedTokens == sequence.pointee.goalTokens else { return }
        leaveUnfinished(slot)
        if sequence.pointee.producedTokens > 0 {
            let gap = clock.picoseconds(since: sequence.pointee.lastToken)
            sink.gaps(firstPicoseconds: gap, incrementPicoseconds: 0, steps: 1, count: 1)
        } else {
            sequence.pointee.firstTokenNanoseconds = clock.nanoseconds
        }
        sequence.pointee.producedTokens &+= 1
        sequence.pointee.lastToken = clock
        if sequence.pointee.request.flags.contains(.streams) {
            reportToken(slot, produced: sequence.pointee.producedTokens, into: &sink)
        }
        if sequence.pointee.producedTokens == sequence.pointee.targetTokens {
            finish(slot, into: &sink)
        } else {
            batch.insert(slot, slots: slots.base)
            if batch.count == 1 { lastDecodeEnd = clock }
            if lastDecodeEnd != clock { becomeLate(slot) }
        }
    }

    @inline(__always)
    private mutating func finish<Sink: OutcomeSink>(_ slot: SlotIndex, into sink: inout Sink) {
        sink.completed(completion(of: slots.base + Int(slot), status: .finished))
        if stopsLate && stopsByItself(slot) { return becomeGhost(slot) }
        leaveRunning(slot)
        free(slot)
    }

    @inline(__always) private mutating func free(_ slot: SlotIndex) {
        freeKV(
            slot, held: heldBlocks(slot, extraTokens: 0), computedTokens: rememberedTokens(slot, extraTokens: 0),
            keepsOutput: false, at: clock.nanoseconds)
        slots.give(back: slot)
    }

    /// Whether the scheduler could not know that this token was the last: the model stopped before any limit did.
    private func stopsByItself(_ slot: SlotIndex) -> Bool {
        let room = configuration.maxModelTokens - slots[slot].request.promptTokens
        return role != .prefillOnly && slots[slot].targetTokens < min(slots[slot].request.maxOutputTokens, room)
    }

    /// Rule 29: the next step was scheduled with this sequence before its last token was known.
    private mutating func becomeGhost(_ slot: SlotIndex) {
        if slots[slot].request.flags.contains(.streams) {
            slots[slot].request.flags.remove(.streams)
            streamingCount -= 1
        }
        slots[slot].isGhost = true
        slots[slot].targetTokens = slots[slot].producedTokens + 1
        ghostCount += 1
        batch.insert(slot, slots: slots.base)
    }

    // MARK: Gaps

    /// Reports the gaps of the coming `steps` steps of the flight. All members of the batch share one last token, the
    /// end of the last decode step, but for the late ones.
    @inline(__always)
    private mutating func reportGaps<Sink: OutcomeSink>(_ steps: Int32, into sink: inout Sink) {
        if batch.count == ghostCount { return }
        if late.isEmpty && heldOut.isEmpty && lastDecodeEnd == flightStart {
            sink.gaps(
                firstPicoseconds: cost.picoseconds, incrementPicoseconds: increment.picoseconds, steps: steps,
                count: batch.count &- ghostCount)
        } else {
            reportUnevenGaps(steps, into: &sink)
        }
    }

    private mutating func reportUnevenGaps<Sink: OutcomeSink>(_ steps: Int32, into sink: inout Sink) {
        let even = batch.count - late.count - evenGhosts
        if even > 0 {
            let pause = flightStart.picoseconds(since: lastDecodeEnd)
            sink.gaps(firstPicoseconds: cost.picoseconds + pause, incrementPicoseconds: 0, steps: 1, count: even)
        }
        var kept: Int32 = 0
        var index: Int32 = 0
        while index < late.count {
            let slot = late[index]
            index += 1
            if slots[slot].isHeldOut {
                late[kept] = slot
                kept += 1
                continue
            }
            slots[slot].isLate = false
            if slots[slot].isGhost { continue }
            if slots[slot].firstTokenNanoseconds < 0 {
                slots[slot].firstTokenNanoseconds = flightStart.adding(picoseconds: cost.picoseconds).nanoseconds
                continue
            }
            let pause = flightStart.picoseconds(since: slots[slot].lastToken)
            sink.gaps(firstPicoseconds: cost.picoseconds + pause, incrementPicoseconds: 0, steps: 1, count: 1)
        }
        late.truncate(to: kept)
        if steps > 1 {
            sink.gaps(
                firstPicoseconds: cost.picoseconds + increment.picoseconds, incrementPicoseconds: increment.picoseconds,
                steps: steps - 1, count: batch.count - ghostCount)
        }
    }

    /// Ghosts that are not late; a late one was held out of its only step.
    private var evenGhosts: Int32 {
        guard ghostCount > 0 else { return 0 }
        var count = ghostCount
        var index: Int32 = 0
        while index < late.count {
            if slots[late[index]].isGhost { count -= 1 }
            index += 1
        }
        return count
    }

    mutating func becomeLate(_ slot: SlotIndex) {
        slots[slot].isLate = true
        late.append(slot)
    }

    /// The last token of a decoding sequence that is at a boundary.
    func lastToken(of slot: SlotIndex) -> Instant { slots[slot].isLate ? slots[slot].lastToken : lastDecodeEnd }

    // MARK: Cutting a flight short

    /// Ends the flight at its first boundary after a nanosecond, so that the scheduler can act there.
    mutating func cutFlight(after nanoseconds: Int64) {
        guard flightSteps > 1 else { return }
        let steps = stepsUntilBoundary(after: nanoseconds)
        guard steps < flightSteps else { return }
        flightSteps = steps
        flightEnd = flightStart.adding(picoseconds: lineSum(cost.picoseconds, increment.picoseconds, steps))
    }

    /// The least number of the flight's steps whose end lies in a later nanosecond; the flight's length if none does.
    private func stepsUntilBoundary(after nanoseconds: Int64) -> Int32 {
        let reach = (nanoseconds + 1 - flightStart.nanoseconds) * 1000 - flightStart.picoseconds
        return Self.steps(
            reaching: reach, first: cost.picoseconds, increment: increment.picoseconds, limit: flightSteps)
    }

    /// The least `k` in 1...limit with first·k + increment·k(k−1)/2 ≥ reach, or the limit.
    ///
    /// Guesses by the quadratic formula in floating point and corrects in integers.
    static func steps(reaching reach: Int64, first: Int64, increment: Int64, limit: Int32) -> Int32 {
        func sum(_ k: Int64) -> Int64 { first * k + increment * (k * (k - 1) / 2) }
        let last = Int64(limit)
        if reach <= first || last <= 1 { return 1 }
        if sum(last) < reach { return limit }
        var guess: Int64
        if increment == 0 {
            guess = (reach + first - 1) / first
        } else {
            let a = Double(increment) / 2
            let b = Double(first) - a
            guess = Int64(((b * b + 4 * a * Double(reach)).squareRoot() - b) / (2 * a))
        }
        guess = min(max(guess, 1), last)
        while guess > 1 && sum(guess - 1) >= reach { guess -= 1 }
        while sum(guess) < reach { guess += 1 }
        return Int32(guess)
    }
}
