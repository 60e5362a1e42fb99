//===----------------------------------------------------------------------===//
// The oracle: one replica that walks every sequence in every step.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

@testable import Engine

/// One replica: its queue, its running sequences, its KV blocks, and the step in flight.
///
/// It is told the time and never asks for it. `submit` and `cancel` come in the order of time; `advance(until:)` does
/// everything that happens at or before a time, in exact order, and reports it.
///
/// The scheduler sees a request at the first step boundary *after* the nanosecond it was submitted in; an idle replica
/// starts a step at that nanosecond, with everything submitted until it is advanced.
final class SteppingReplica {
    final class Sequence {
        let request: Request
        let submittedNanoseconds: Int64
        let targetTokens: Int32
        var goalTokens: Int32
        var computedTokens: Int32 = 0
        var producedTokens: Int32 = 0
        var blocks: [BlockPool.Block] = []
        var heldBlocks: Int32 { Int32(blocks.count) }
        var cachedTokens: Int32 = 0
        var decoding = false
        var scheduledNanoseconds: Int64 = -1
        var firstTokenNanoseconds: Int64 = -1
        var lastToken = Instant(nanoseconds: -1)
        var preemptions: Int32 = 0
        var dead = false
        var ghost = false
        var rank = 0

        init(_ request: Request, submittedNanoseconds: Int64, targetTokens: Int32) {
            self.request = request
            self.submittedNanoseconds = submittedNanoseconds
            self.targetTokens = targetTokens
            self.goalTokens = request.promptTokens
        }
    }

    let number: Int32
    let configuration: ReplicaConfiguration
    let table: StepTable
    var waiting: [Sequence] = []
    var running: [Sequence] = []
    /// The step in flight, in running order, and when it ends.
    var batch: [(sequence: Sequence, tokens: Int32)] = []
    var stepEnd = Instant.zero
    var inFlight = false
    /// Start of the next step when nothing is in flight.
    var clock = Instant.zero
    var advancedNanoseconds: Int64 = 0
    let pool: BlockPool
    var freeBlocks: Int32 { Int32(pool.free.count) }
    var reports: [Completion] = []
    var prefillIsLeft = false
    var loadingPicoseconds: Int64 = 0
    var shelf: [UInt16] = []
    var usage = ReplicaUsage()

    init(number: Int32, configuration: ReplicaConfiguration, table: StepTable) {
        if let problem = configuration.problem { preconditionFailure(problem) }
        self.number = number
        self.configuration = configuration
        self.table = table
        self.pool = BlockPool(configuration)
    }

    // MARK: Requests in

    /// Puts a request into the queue, or rejects it when it can never fit or the queue is full.
    func submit(_ request: Request, at nowNanoseconds: Int64) {
        precondition(
            request.promptTokens >= 1 && request.outputTokens >= 1, "a request has at least one token each way")
        let wanted = configuration.role == .prefillOnly ? 1 : request.outputTokens
        let target = min(wanted, configuration.maxModelTokens - request.promptTokens)
        let sequence = Sequence(request, submittedNanoseconds: nowNanoseconds, targetTokens: max(target, 1))
        guard target >= 1, fits(sequence), !queueIsFull else {
            reports.append(completion(of: sequence, status: .rejected))
            return
        }
        if !inFlight && waiting.isEmpty {
            clock = clock.nanoseconds < nowNanoseconds ? Instant(nanoseconds: nowNanoseconds) : clock
        }
        enqueue(sequence)
    }

    /// Takes a request out at once, wherever it is; its completion comes with the next `advance`.
    ///
    /// - Precondition: the replica has been advanced to `nowNanoseconds`.
    /// - Returns: whether the request was here.
    func cancel(requestID: UInt64, at nowNanoseconds: Int64) -> Bool {
        precondition(advancedNanoseconds == nowNanoseconds, "advance the replica to the time of a cancellation first")
        if let index = waiting.firstIndex(where: { $0.request.id == requestID }) {
            reports.append(completion(of: waiting.remove(at: index), status: .cancelled))
            return true
        }
        guard let index = running.firstIndex(where: { $0.request.id == requestID && !$0.ghost }) else { return false }
        let sequence = running.remove(at: index)
        sequence.dead = true
        pool.release(sequence, at: nowNanoseconds)
        reports.append(completion(of: sequence, status: .cancelled))
        return true
    }

    var queueIsFull: Bool {
        let load = self.load
        return load.waitingRequests >= configuration.maxWaitingRequests
            || load.waitingPromptTokens >= configuration.maxWaitingTokens
    }

    func fits(_ sequence: Sequence) -> Bool {
        let drafts = configuration.speculation?.draftTokens ?? 0
        let most = configuration.blocks(
            forTokens: min(
                sequence.request.promptTokens + sequence.targetTokens - 1 + drafts, configuration.maxModelTokens))
        switch configuration.stack {
        case .mixed: return most <= configuration.kvBlocks
        case .phased(let rules):
            return rules.admission == .wholeContext || reservedBlocks(sequence) <= configuration.kvBlocks
        case .sarathi, .vllmV0: return most + configuration.watermarkBlocks <= configuration.kvBlocks
        }
    }

    func reservedBlocks(_ sequence: Sequence) -> Int32 {
        let most = min(sequence.request.promptTokens + sequence.request.maxOutputTokens, configuration.maxModelTokens)
        return configuration.blocks(forTokens: most)
    }

    func enqueue(_ sequence: Sequence) {
        switch configuration.queueOrder {
        case .firstComeFirstServed: waiting.append(sequence)
        case .priority:
            let index = waiting.firstIndex { comesBefore(sequence.request, $0.request) } ?? waiting.endIndex
            waiting.insert(sequence, at: index)
        }
    }

    func comesBefore(_ left: Request, _ right: Request) -> Bool {
        (left.priority, left.arrivalNanoseconds, left.id) < (right.priority, right.arrivalNanoseconds, right.id)
    }

    // MARK: Time

    /// When something is next to report, or `.max`.
    var nextEventNanoseconds: Int64 {
        if !reports.isEmpty { return advancedNanoseconds }
        if inFlight { return stepEnd.nanoseconds }
        return waiting.isEmpty ? .max : clock.nanoseconds
    }

    /// Does everything that happens at or before a time.
    func advance<Sink: OutcomeSink>(until nowNanoseconds: Int64, into sink: inout Sink) {
        for report in reports { sink.completed(report) }
        reports.removeAll(keepingCapacity: true)
        advancedNanoseconds = max(advancedNanoseconds, nowNanoseconds)
        while true {
            if inFlight {
                guard stepEnd.nanoseconds <= nowNanoseconds else { return }
                clock = stepEnd
                inFlight = false
                finishStep(into: &sink)
                schedule(fromIdle: false)
            } else {
                guard !waiting.isEmpty, clock.nanoseconds <= nowNanoseconds else { return }
                schedule(fromIdle: true)
            }
            if !inFlight && waiting.isEmpty { return }
            if !inFlight {
                // Only requests of this very nanosecond wait: they start from idle.
                precondition(running.isEmpty, "a replica with running sequences has no step")
            }
        }
    }

    func finishStep<Sink: OutcomeSink>(into sink: inout Sink) {
        for (sequence, tokens) in batch where !sequence.dead {
            var accepted: Int32 = 0
            if sequence.decoding && !sequence.ghost, let speculation = configuration.speculation {
                accepted = min(
                    sequence.targetTokens - sequence.producedTokens - 1,
                    speculation.accepted(
                        of: tokens - 1, request: sequence.request.id, produced: sequence.producedTokens + 1))
                usage.acceptedDraftTokens += Int64(accepted)
            }
            sequence.computedTokens += sequence.decoding ? 1 + accepted : tokens
            if sequence.ghost {
                running.removeAll { $0 === sequence }
                pool.release(sequence, at: clock.nanoseconds)
                continue
            }
            guard sequence.computedTokens >= sequence.goalTokens else { continue }
            sequence.decoding = true
            sequence.goalTokens = sequence.computedTokens + 1
            if sequence.producedTokens > 0 {
                sink.gaps(
                    firstPicoseconds: clock.picoseconds(since: sequence.lastToken), incrementPicoseconds: 0, steps: 1,
                    count: 1)
            } else {
                sequence.firstTokenNanoseconds = clock.nanoseconds
            }
            if accepted > 0 { sink.gaps(firstPicoseconds: 0, incrementPicoseconds: 0, steps: accepted, count: 1) }
            sequence.producedTokens += 1 + accepted
            sequence.lastToken = clock
            if sequence.request.flags.contains(.streams) {
                sink.produced(
                    TokenEvent(
                        requestID: sequence.request.id, atNanoseconds: clock.nanoseconds,
                        outputTokens: sequence.producedTokens, newTokens: Int16(1 + accepted),
                        frontEnd: sequence.request.frontEnd))
            }
            if sequence.producedTokens == sequence.targetTokens {
                sink.completed(completion(of: sequence, status: .finished))
                if stopsLate(sequence) {
                    sequence.ghost = true
                } else {
                    running.removeAll { $0 === sequence }
                    pool.release(sequence, at: clock.nanoseconds)
                }
            }
        }
        batch.removeAll(keepingCapacity: true)
    }

    func stopsLate(_ sequence: Sequence) -> Bool {
        guard case .mixed(let rules) = configuration.stack, rules.asyncScheduling, configuration.role != .prefillOnly
        else { return false }
        let room = configuration.maxModelTokens - sequence.request.promptTokens
        return sequence.targetTokens < min(sequence.request.maxOutputTokens, room)
    }

    func schedule(fromIdle: Bool) {
        switch configuration.stack {
        case .mixed(let rules): scheduleMixed(rules, fromIdle: fromIdle)
        case .phased(let rules): schedulePhased(rules, fromIdle: fromIdle)
        case .sarathi(let chunkTokens): scheduleSarathi(chunkTokens, fromIdle: fromIdle)
        case .vllmV0: scheduleV0(fromIdle: fromIdle)
        }
        guard !batch.isEmpty else { return }
        startStep()
    }

    func startStep() {
        var shape = StepShape()
        var real: Int32 = 0
        var drafted: Int32 = 0
        // Vidur counts the token just produced as context already.
        let ahead: Int32
        switch configuration.stack {
        case .sarathi, .vllmV0: ahead = 1
        case .mixed, .phased: ahead = 0
        }
        for (sequence, tokens) in batch {
            real += tokens
            if sequence.scheduledNanoseconds < 0 { sequence.scheduledNanoseconds = clock.nanoseconds }
            if sequence.decoding {
                shape.addDecode(contextTokens: sequence.computedTokens + ahead)
                drafted += tokens - 1
            } else {
                shape.addPrefill(
                    chunkTokens: tokens, contextTokens: sequence.computedTokens,
                    completes: sequence.computedTokens + tokens == sequence.goalTokens)
            }
        }
        var ranks: Int32 = 1
        if case .phased(let rules) = configuration.stack {
            ranks = rules.dataParallelRanks
            shape = padded(rules, shape)
        }
        var cost = table.cost(of: shape)
        if let speculation = configuration.speculation, shape.decodeSequences > 0 || isMixed {
            let scale = Int128(shape.prefillSequences == 0 ? speculation.stepScaleShifted16 : 65536)
            cost.picoseconds = Int64((Int128(cost.picoseconds) * scale) >> 16) + speculation.draftPicoseconds
            cost.nanojoules = Int64((Int128(cost.nanojoules) * scale) >> 16) + speculation.draftNanojoules
        }
        usage.draftTokens += Int64(drafted)
        cost.picoseconds += loadingPicoseconds
        loadingPicoseconds = 0
        stepEnd = clock.adding(picoseconds: cost.picoseconds)
        inFlight = true
        usage.busyPicoseconds += Int128(cost.picoseconds)
        usage.activeNanojoules += Int128(cost.nanojoules)
        usage.steps += 1
        if shape.prefillSequences == 0 { usage.decodeSteps += 1 }
        usage.realTokens += Int64(real)
        usage.paddedTokens += Int64(shape.totalTokens * ranks - (real - drafted))
        usage.peakKVBlocks = max(usage.peakKVBlocks, configuration.kvBlocks * ranks - freeBlocks)
    }

    /// One rank's static shape: the largest bucket that any rank needs.
    func padded(_ rules: PhasedRules, _ shape: StepShape) -> StepShape {
        var padded = StepShape()
        if shape.prefillSequences > 0 {
            let longest = batch.map(\.tokens).max()!
            padded.addPrefill(
                chunkTokens: rules.prefillBuckets.first { $0 >= longest } ?? longest,
                contextTokens: batch.map(\.sequence.computedTokens).max()!,
                completes: batch.contains { $0.sequence.computedTokens + $0.tokens == $0.sequence.goalTokens })
            return padded
        }
        padded = shape
        guard
            let context = rules.contextBuckets.first(where: {
                $0
                    >= min(
                        shape.longestDecodeContextTokens + 1 + (configuration.speculation?.draftTokens ?? 0),
                        configuration.maxModelTokens)
            }) ?? rules.contextBuckets.last
        else { return padded }
        let fullest = Int32((0..<Int(rules.dataParallelRanks)).map { rank in running.count { $0.rank == rank } }.max()!)
        padded.decodeSequences = rules.batchBuckets.first { $0 >= fullest } ?? fullest
        padded.longestDecodeContextTokens = context
        padded.decodeContextTokens = Int64(context) * Int64(padded.decodeSequences)
        return padded
    }

    // MARK: Blocks

    /// Blocks that a sequence lacks to hold `tokens` tokens.
    func lack(_ sequence: Sequence, tokens: Int32) -> Int32 {
        max(0, configuration.blocks(forTokens: tokens) - sequence.heldBlocks)
    }

    func take(_ blocks: Int32, for sequence: Sequence) {
        pool.take(blocks, for: sequence)
    }

    func preempt(_ victim: Sequence) {
        running.removeAll { $0 === victim }
        batch.removeAll { $0.sequence === victim }
        pool.release(victim, at: clock.nanoseconds)
        if victim.ghost { return }
        victim.computedTokens = 0
        victim.goalTokens = victim.request.promptTokens + victim.producedTokens
        victim.decoding = false
        victim.preemptions += 1
        usage.preemptions += 1
        switch configuration.queueOrder {
        case .firstComeFirstServed: waiting.insert(victim, at: 0)
        case .priority: enqueue(victim)
        }
    }

    func isVisible(_ sequence: Sequence, fromIdle: Bool) -> Bool {
        fromIdle || sequence.preemptions > 0 || sequence.submittedNanoseconds < clock.nanoseconds
    }

    // MARK: Reports

    var load: ReplicaLoad {
        var load = ReplicaLoad()
        load.waitingRequests = Int32(waiting.count)
        load.runningRequests = Int32(running.count { !$0.ghost })
        load.freeKVBlocks = freeBlocks
        load.totalKVBlocks = configuration.kvBlocks
        if case .phased(let rules) = configuration.stack { load.totalKVBlocks *= rules.dataParallelRanks }
        for sequence in waiting {
            load.waitingPromptTokens += Int64(sequence.goalTokens)
            load.outstandingTokens += Int64(sequence.goalTokens + sequence.targetTokens - sequence.producedTokens)
        }
        for sequence in running where !sequence.ghost {
            if !sequence.decoding { load.outstandingTokens += Int64(sequence.goalTokens - sequence.computedTokens) }
            load.outstandingTokens += Int64(sequence.targetTokens - sequence.producedTokens)
        }
        return load
    }

    /// Tokens at the start of the prompt that this replica would not have to compute now.
    func cachedPromptTokens(of request: Request) -> Int32 {
        let probe = Sequence(request, submittedNanoseconds: 0, targetTokens: 1)
        let hits = pool.hits(probe, at: advancedNanoseconds, probing: true)
        return (Int32(hits.count) + pool.hostHits(probe, found: hits.count, at: advancedNanoseconds))
            * configuration.kvBlockTokens
    }

    func completion(of sequence: Sequence, status: Completion.Status) -> Completion {
        Completion(
            requestID: sequence.request.id, arrivalNanoseconds: sequence.request.arrivalNanoseconds,
            scheduledNanoseconds: sequence.scheduledNanoseconds, firstTokenNanoseconds: sequence.firstTokenNanoseconds,
            lastTokenNanoseconds: sequence.lastToken.nanoseconds, promptTokens: sequence.request.promptTokens,
            cachedPromptTokens: sequence.cachedTokens, outputTokens: sequence.producedTokens,
            preemptions: sequence.preemptions,
            replica: number, session: sequence.request.prefix.session, tenant: sequence.request.tenant,
            frontEnd: sequence.request.frontEnd, priorityClass: sequence.request.priorityClass, status: status)
    }
}
