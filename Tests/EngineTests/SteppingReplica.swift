//===----------------------------------------------------------------------===//
// The oracle: one replica that walks every sequence in every step.
//===----------------------------------------------------------------------===//

@testable import Engine

import StepModel
import Workload

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
    private(set) var usage = ReplicaUsage()

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
        precondition(request.promptTokens >= 1 && request.outputTokens >= 1, "a request has at least one token each way")
        let target = min(request.outputTokens, configuration.maxModelTokens - request.promptTokens)
        let sequence = Sequence(request, submittedNanoseconds: nowNanoseconds, targetTokens: max(target, 1))
        guard target >= 1, fits(sequence), !queueIsFull else {
            reports.append(completion(of: sequence, status: .rejected))
            return
        }
        if !inFlight && waiting.isEmpty { clock = clock.nanoseconds < nowNanoseconds ? Instant(nanoseconds: nowNanoseconds) : clock }
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
        guard let index = running.firstIndex(where: { $0.request.id == requestID }) else { return false }
        let sequence = running.remove(at: index)
        sequence.dead = true
        pool.release(sequence, at: nowNanoseconds)
        reports.append(completion(of: sequence, status: .cancelled))
        return true
    }

    private var queueIsFull: Bool {
        let load = self.load
        return load.waitingRequests >= configuration.maxWaitingRequests
            || load.waitingPromptTokens >= configuration.maxWaitingTokens
    }

    private func fits(_ sequence: Sequence) -> Bool {
        let most = configuration.blocks(forTokens: sequence.request.promptTokens + sequence.targetTokens - 1)
        switch configuration.stack {
        case .mixed: return most <= configuration.kvBlocks
        case .phased(let rules):
            return rules.admission == .wholeContext || reservedBlocks(sequence) <= configuration.kvBlocks
        case .sarathi, .vllmV0: return most + configuration.watermarkBlocks <= configuration.kvBlocks
        }
    }

    private func reservedBlocks(_ sequence: Sequence) -> Int32 {
        let most = min(sequence.request.promptTokens + sequence.request.maxOutputTokens, configuration.maxModelTokens)
        return configuration.blocks(forTokens: most)
    }

    private func enqueue(_ sequence: Sequence) {
        switch configuration.queueOrder {
        case .firstComeFirstServed: waiting.append(sequence)
        case .priority:
            let index = waiting.firstIndex { comesBefore(sequence.request, $0.request) } ?? waiting.endIndex
            waiting.insert(sequence, at: index)
        }
    }

    private func comesBefore(_ left: Request, _ right: Request) -> Bool {
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

    private func finishStep<Sink: OutcomeSink>(into sink: inout Sink) {
        for (sequence, tokens) in batch where !sequence.dead {
            sequence.computedTokens += tokens
            guard sequence.computedTokens >= sequence.goalTokens else { continue }
            sequence.decoding = true
            sequence.goalTokens = sequence.computedTokens + 1
            if sequence.producedTokens > 0 {
                sink.gaps(
                    firstPicoseconds: clock.picoseconds(since: sequence.lastToken), incrementPicoseconds: 0, steps: 1, count: 1)
            } else {
                sequence.firstTokenNanoseconds = clock.nanoseconds
            }
            sequence.producedTokens += 1
            sequence.lastToken = clock
            if sequence.request.flags.contains(.streams) {
                sink.produced(
                    TokenEvent(
                        requestID: sequence.request.id, atNanoseconds: clock.nanoseconds,
                        outputTokens: sequence.producedTokens, newTokens: 1, frontEnd: sequence.request.frontEnd))
            }
            if sequence.producedTokens == sequence.targetTokens {
                running.removeAll { $0 === sequence }
                pool.release(sequence, at: clock.nanoseconds)
                sink.completed(completion(of: sequence, status: .finished))
            }
        }
        batch.removeAll(keepingCapacity: true)
    }

    private func schedule(fromIdle: Bool) {
        switch configuration.stack {
        case .mixed(let rules): scheduleMixed(rules, fromIdle: fromIdle)
        case .phased(let rules): schedulePhased(rules, fromIdle: fromIdle)
        case .sarathi(let chunkTokens): scheduleSarathi(chunkTokens, fromIdle: fromIdle)
        case .vllmV0: scheduleV0(fromIdle: fromIdle)
        }
        guard !batch.isEmpty else { return }
        startStep()
    }

    private func startStep() {
        var shape = StepShape()
        var real: Int32 = 0
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
            } else {
                shape.addPrefill(
                    chunkTokens: padded(tokens), contextTokens: sequence.computedTokens,
                    completes: sequence.computedTokens + tokens == sequence.goalTokens)
            }
        }
        pad(&shape)
        let cost = table.cost(of: shape)
        stepEnd = clock.adding(picoseconds: cost.picoseconds)
        inFlight = true
        usage.busyPicoseconds += Int128(cost.picoseconds)
        usage.activeNanojoules += Int128(cost.nanojoules)
        usage.steps += 1
        if shape.prefillSequences == 0 { usage.decodeSteps += 1 }
        usage.realTokens += Int64(real)
        usage.paddedTokens += Int64(shape.totalTokens - real)
        usage.peakKVBlocks = max(usage.peakKVBlocks, configuration.kvBlocks - freeBlocks)
    }

    private func padded(_ chunk: Int32) -> Int32 {
        guard case .phased(let rules) = configuration.stack else { return chunk }
        return rules.prefillBuckets.first { $0 >= chunk } ?? chunk
    }

    private func pad(_ shape: inout StepShape) {
        guard case .phased(let rules) = configuration.stack, shape.decodeSequences > 0 else { return }
        if let bucket = rules.batchBuckets.first(where: { $0 >= shape.decodeSequences }) { shape.decodeSequences = bucket }
        if let bucket = rules.contextBuckets.first(where: { $0 > shape.longestDecodeContextTokens }) ?? rules.contextBuckets.last {
            shape.longestDecodeContextTokens = bucket
            shape.decodeContextTokens = Int64(bucket) * Int64(shape.decodeSequences)
        }
    }

    // MARK: Blocks

    /// Blocks that a sequence lacks to hold `tokens` tokens.
    private func lack(_ sequence: Sequence, tokens: Int32) -> Int32 {
        max(0, configuration.blocks(forTokens: tokens) - sequence.heldBlocks)
    }

    private func take(_ blocks: Int32, for sequence: Sequence) {
        pool.take(blocks, for: sequence)
    }

    private func preempt(_ victim: Sequence) {
        running.removeAll { $0 === victim }
        batch.removeAll { $0.sequence === victim }
        pool.release(victim, at: clock.nanoseconds)
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

    private func isVisible(_ sequence: Sequence, fromIdle: Bool) -> Bool {
        fromIdle || sequence.preemptions > 0 || sequence.submittedNanoseconds < clock.nanoseconds
    }

    // MARK: Mixed

    private func scheduleMixed(_ rules: MixedRules, fromIdle: Bool) {
        var budget = configuration.maxBatchedTokens
        var preempted = false
        var position = 0
        let interval = Int64(rules.prefillScheduleInterval)
        let mayPrefill = interval == 1 || prefillIsLeft || usage.steps % interval == 0 || !running.contains { $0.decoding }
        defer {
            if interval > 1 && mayPrefill {
                let given = Dictionary(uniqueKeysWithValues: batch.map { ($0.sequence.request.id, $0.tokens) })
                prefillIsLeft =
                    running.contains {
                        !$0.decoding && $0.computedTokens + given[$0.request.id, default: 0] < $0.goalTokens
                    } || waiting.contains { isVisible($0, fromIdle: fromIdle) }
            }
        }
        while position < running.count && budget > 0 {
            let sequence = running[position]
            if !sequence.decoding && !mayPrefill {
                position += 1
                continue
            }
            var tokens = sequence.goalTokens - sequence.computedTokens
            tokens = min(limitedPrefill(tokens, rules, fromIdle: fromIdle), budget)
            if tokens <= 0 {
                position += 1
                continue
            }
            var stop = false
            while lack(sequence, tokens: sequence.computedTokens + tokens) > freeBlocks {
                preempted = true
                let victim = victim()
                if let index = running.firstIndex(where: { $0 === victim }), index < position { position -= 1 }
                if let scheduled = batch.first(where: { $0.sequence === victim }) { budget += scheduled.tokens }
                preempt(victim)
                if victim === sequence {
                    stop = true
                    break
                }
            }
            if stop {
                if configuration.queueOrder == .firstComeFirstServed { break }
                continue
            }
            take(lack(sequence, tokens: sequence.computedTokens + tokens), for: sequence)
            pool.remember(sequence, tokens: sequence.computedTokens + tokens)
            batch.append((sequence, tokens))
            budget -= tokens
            position += 1
        }
        guard !preempted && mayPrefill else { return }
        let cap = min(configuration.maxSequences, rules.maxActiveSequences ?? .max)
        while budget > 0, running.count < cap {
            guard let index = waiting.firstIndex(where: { isVisible($0, fromIdle: fromIdle) }) else { break }
            let sequence = waiting[index]
            let hits = pool.hits(sequence, at: clock.nanoseconds)
            let cached = Int32(hits.count) * configuration.kvBlockTokens
            var tokens = limitedPrefill(sequence.goalTokens - cached, rules, fromIdle: fromIdle)
            if !rules.chunkedPrefill && tokens > budget { break }
            tokens = min(tokens, budget)
            let whole = configuration.blocks(forTokens: rules.reserveFullSequence ? sequence.goalTokens : cached + tokens)
            let reserve = running.isEmpty ? 0 : configuration.watermarkBlocks
            if whole - Int32(hits.count) + reserve > freeBlocks - Int32(hits.count { $0.references == 0 }) { break }
            waiting.remove(at: index)
            admit(sequence, hits)
            take(lack(sequence, tokens: cached + tokens), for: sequence)
            pool.remember(sequence, tokens: cached + tokens)
            running.append(sequence)
            batch.append((sequence, tokens))
            budget -= tokens
        }
    }

    private func admit(_ sequence: Sequence, _ hits: [BlockPool.Block]) {
        pool.touch(hits, for: sequence)
        sequence.computedTokens = Int32(hits.count) * configuration.kvBlockTokens
        guard sequence.scheduledNanoseconds < 0 else { return }
        sequence.cachedTokens = sequence.computedTokens
        usage.prefixHitTokens += Int64(sequence.computedTokens)
        if configuration.prefixCaching != .off { usage.prefixQueryTokens += Int64(sequence.goalTokens) }
    }

    private func limitedPrefill(_ tokens: Int32, _ rules: MixedRules, fromIdle: Bool) -> Int32 {
        var threshold = rules.longPrefillTokenThreshold
        let requests = waiting.count { isVisible($0, fromIdle: fromIdle) } + running.count
        guard threshold > 0, requests > 1 else { return tokens }
        if rules.longPrefillAdaptive { threshold = max(threshold, configuration.maxBatchedTokens / Int32(requests)) }
        return min(tokens, threshold)
    }

    private func victim() -> Sequence {
        switch configuration.queueOrder {
        case .firstComeFirstServed: return running[running.count - 1]
        case .priority: return running.max { comesBefore($0.request, $1.request) }!
        }
    }

    // MARK: Phased

    private func schedulePhased(_ rules: PhasedRules, fromIdle: Bool) {
        if let unfinished = running.first(where: { !$0.decoding }) {
            appendPrefill(unfinished)
            return
        }
        if let index = waiting.firstIndex(where: { isVisible($0, fromIdle: fromIdle) }), admits(waiting[index], rules) {
            let sequence = waiting.remove(at: index)
            admit(sequence, pool.hits(sequence, at: clock.nanoseconds))
            if rules.admission == .requestMaximum {
                take(reservedBlocks(sequence) - sequence.heldBlocks, for: sequence)
            }
            running.append(sequence)
            appendPrefill(sequence)
            return
        }
        for sequence in running {
            take(lack(sequence, tokens: sequence.computedTokens + 1), for: sequence)
            pool.remember(sequence, tokens: sequence.computedTokens + 1)
            batch.append((sequence, 1))
        }
    }

    private func admits(_ sequence: Sequence, _ rules: PhasedRules) -> Bool {
        guard running.count < configuration.maxSequences else { return false }
        switch rules.admission {
        case .wholeContext:
            return running.count < configuration.kvBlocks / configuration.blocks(forTokens: configuration.maxModelTokens)
        case .requestMaximum:
            let hits = pool.hits(sequence, at: clock.nanoseconds)
            return reservedBlocks(sequence) - Int32(hits.count) <= freeBlocks - Int32(hits.count { $0.references == 0 })
        }
    }

    private func appendPrefill(_ sequence: Sequence) {
        let tokens = min(sequence.goalTokens - sequence.computedTokens, configuration.maxBatchedTokens)
        take(lack(sequence, tokens: sequence.computedTokens + tokens), for: sequence)
        pool.remember(sequence, tokens: sequence.computedTokens + tokens)
        batch.append((sequence, tokens))
    }

    // MARK: Sarathi and vLLM before V1, as Vidur schedules them

    private func canTake(_ sequence: Sequence) -> Bool {
        sequence.heldBlocks == 0
            ? freeBlocks - configuration.blocks(forTokens: sequence.goalTokens) >= configuration.watermarkBlocks
            : freeBlocks >= 1
    }

    private func take(for sequence: Sequence) {
        take(
            sequence.heldBlocks == 0
                ? configuration.blocks(forTokens: sequence.goalTokens)
                : lack(sequence, tokens: sequence.computedTokens + 1), for: sequence)
    }

    /// Gives each decoding sequence its token, evicting from the end of `left` when no block is free.
    private func decodePart(_ left: inout [Sequence], unfinished: inout [Sequence]) {
        while !left.isEmpty, batch.count < configuration.maxSequences {
            let sequence = left.removeFirst()
            if !sequence.decoding {
                unfinished.append(sequence)
                continue
            }
            var evicted = false
            while !evicted && !canTake(sequence) {
                let victim = left.popLast() ?? sequence
                evicted = victim === sequence
                preempt(victim)
            }
            if evicted { continue }
            take(for: sequence)
            batch.append((sequence, 1))
        }
    }

    private func scheduleSarathi(_ chunkTokens: Int32, fromIdle: Bool) {
        var left = running
        var unfinished: [Sequence] = []
        decodePart(&left, unfinished: &unfinished)
        var tokens = Int32(batch.count)
        var skipped: [Sequence] = []
        for sequence in unfinished {
            let chunk = max(0, min(sequence.goalTokens - sequence.computedTokens, chunkTokens - tokens))
            if chunk == 0 {
                skipped.append(sequence)
                continue
            }
            tokens += chunk
            batch.append((sequence, chunk))
        }
        let idle = (skipped + left).sorted { ($0.request.arrivalNanoseconds, $0.request.id) < ($1.request.arrivalNanoseconds, $1.request.id) }
        var allocated = running.count
        while let sequence = waiting.first, isVisible(sequence, fromIdle: fromIdle) {
            if allocated == configuration.maxSequences || batch.count == configuration.maxSequences || !canTake(sequence) { break }
            let chunk = max(0, min(sequence.goalTokens, chunkTokens - tokens))
            if chunk == 0 { break }
            waiting.removeFirst()
            take(for: sequence)
            allocated += 1
            tokens += chunk
            batch.append((sequence, chunk))
        }
        running = idle + batch.map(\.sequence)
    }

    private func scheduleV0(fromIdle: Bool) {
        var longest: Int32 = 0
        while let sequence = waiting.first, isVisible(sequence, fromIdle: fromIdle) {
            longest = max(longest, sequence.goalTokens)
            if !canTake(sequence) || Int64(batch.count + 1) * Int64(longest) > Int64(configuration.maxBatchedTokens)
                || running.count == configuration.maxSequences || batch.count == configuration.maxSequences
            {
                break
            }
            waiting.removeFirst()
            take(for: sequence)
            running.append(sequence)
            batch.append((sequence, sequence.goalTokens))
        }
        guard batch.isEmpty else { return }
        var left = running.sorted { ($0.request.arrivalNanoseconds, $0.request.id) < ($1.request.arrivalNanoseconds, $1.request.id) }
        var unfinished: [Sequence] = []
        decodePart(&left, unfinished: &unfinished)
        running = left + batch.map(\.sequence)
    }

    // MARK: Reports

    var load: ReplicaLoad {
        var load = ReplicaLoad()
        load.waitingRequests = Int32(waiting.count)
        load.runningRequests = Int32(running.count)
        load.freeKVBlocks = freeBlocks
        load.totalKVBlocks = configuration.kvBlocks
        for sequence in waiting {
            load.waitingPromptTokens += Int64(sequence.goalTokens)
            load.outstandingTokens += Int64(sequence.goalTokens + sequence.targetTokens - sequence.producedTokens)
        }
        for sequence in running {
            if !sequence.decoding { load.outstandingTokens += Int64(sequence.goalTokens - sequence.computedTokens) }
            load.outstandingTokens += Int64(sequence.targetTokens - sequence.producedTokens)
        }
        return load
    }

    /// Tokens at the start of the prompt that this replica would not have to compute now.
    func cachedPromptTokens(of request: Request) -> Int32 {
        let probe = Sequence(request, submittedNanoseconds: 0, targetTokens: 1)
        return Int32(pool.hits(probe, at: advancedNanoseconds).count) * configuration.kvBlockTokens
    }

    private func completion(of sequence: Sequence, status: Completion.Status) -> Completion {
        Completion(
            requestID: sequence.request.id, arrivalNanoseconds: sequence.request.arrivalNanoseconds,
            scheduledNanoseconds: sequence.scheduledNanoseconds, firstTokenNanoseconds: sequence.firstTokenNanoseconds,
            lastTokenNanoseconds: sequence.lastToken.nanoseconds, promptTokens: sequence.request.promptTokens,
            cachedPromptTokens: sequence.cachedTokens, outputTokens: sequence.producedTokens, preemptions: sequence.preemptions,
            replica: number, session: sequence.request.prefix.session, tenant: sequence.request.tenant,
            frontEnd: sequence.request.frontEnd, priorityClass: sequence.request.priorityClass, status: status)
    }
}
