//===----------------------------------------------------------------------===//
// The oracle's mixed steps.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

@testable import Engine

extension SteppingReplica {
    // MARK: Mixed

    func scheduleMixed(_ rules: MixedRules, fromIdle: Bool) {
        var budget = configuration.maxBatchedTokens
        var preempted = false
        var position = 0
        let interval = Int64(rules.prefillScheduleInterval)
        let mayPrefill =
            interval == 1 || prefillIsLeft || usage.steps % interval == 0 || !running.contains { $0.decoding }
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
            var tokens = sequence.decoding ? verified(sequence) : sequence.goalTokens - sequence.computedTokens
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
            pool.remember(sequence, tokens: min(sequence.computedTokens + tokens, sequence.goalTokens))
            batch.append((sequence, tokens))
            budget -= tokens
            position += 1
        }
        guard !preempted && mayPrefill else { return }
        let cap = min(configuration.maxSequences, rules.maxActiveSequences ?? .max)
        while budget > 0, running.count < cap {
            guard let index = waiting.firstIndex(where: { isVisible($0, fromIdle: fromIdle) && adapterHasPlace($0) })
            else { break }
            let sequence = waiting[index]
            if isTransferred(sequence) {
                let reserve = running.isEmpty ? 0 : configuration.watermarkBlocks
                if configuration.blocks(forTokens: sequence.goalTokens) + reserve > freeBlocks { break }
                waiting.remove(at: index)
                admitTransferred(sequence)
                budget -= 1
                continue
            }
            let hits = pool.hits(sequence, at: clock.nanoseconds)
            let hostHits = pool.hostHits(sequence, found: hits.count, at: clock.nanoseconds)
            let cached = (Int32(hits.count) + hostHits) * configuration.kvBlockTokens
            var tokens = limitedPrefill(sequence.goalTokens - cached, rules, fromIdle: fromIdle)
            if !rules.chunkedPrefill && tokens > budget { break }
            tokens = min(tokens, budget)
            let whole = configuration.blocks(
                forTokens: rules.reserveFullSequence ? sequence.goalTokens : cached + tokens)
            let reserve = running.isEmpty ? 0 : configuration.watermarkBlocks
            if whole - Int32(hits.count) + reserve > freeBlocks - Int32(hits.count { $0.references == 0 }) { break }
            waiting.remove(at: index)
            admit(sequence, hits, hostHits)
            take(lack(sequence, tokens: cached + tokens), for: sequence)
            pool.remember(sequence, tokens: cached + tokens)
            running.append(sequence)
            batch.append((sequence, tokens))
            budget -= tokens
        }
    }

    func isTransferred(_ sequence: Sequence) -> Bool {
        configuration.role == .decodeOnly && sequence.preemptions == 0
    }

    func admitTransferred(_ sequence: Sequence) {
        bringAdapter(of: sequence)
        sequence.computedTokens = sequence.goalTokens - 1
        sequence.decoding = true
        var wanted = configuration.blocks(forTokens: sequence.goalTokens)
        if case .phased(let rules) = configuration.stack, rules.admission == .requestMaximum {
            wanted = reservedBlocks(sequence)
        }
        take(wanted, for: sequence)
        pool.remember(sequence, tokens: sequence.goalTokens)
        running.append(sequence)
        if case .mixed = configuration.stack { batch.append((sequence, 1)) }
    }

    func admit(_ sequence: Sequence, _ hits: [BlockPool.Block], _ hostHits: Int32) {
        bringAdapter(of: sequence)
        pool.touch(hits, for: sequence)
        sequence.computedTokens = (Int32(hits.count) + hostHits) * configuration.kvBlockTokens
        loadingPicoseconds += Int64(hostHits) * configuration.hostTransferPicosecondsPerBlock
        usage.prefixHostHitTokens += Int64(hostHits * configuration.kvBlockTokens)
        guard sequence.scheduledNanoseconds < 0 else { return }
        sequence.cachedTokens = sequence.computedTokens
        usage.prefixHitTokens += Int64(sequence.computedTokens)
        if configuration.prefixCaching != .off { usage.prefixQueryTokens += Int64(sequence.goalTokens) }
    }

    // MARK: Adapters

    func adapterHasPlace(_ sequence: Sequence) -> Bool {
        guard let rules = configuration.adapters, sequence.request.adapter != 0,
            !shelf.contains(sequence.request.adapter)
        else { return true }
        let used = Set(running.map(\.request.adapter))
        return shelf.count < rules.maxResident || shelf.contains { !used.contains($0) }
    }

    /// Called before the sequence is among the running ones. The shelf is ordered by last use, oldest first.
    func bringAdapter(of sequence: Sequence) {
        guard let rules = configuration.adapters, sequence.request.adapter != 0 else { return }
        if let index = shelf.firstIndex(of: sequence.request.adapter) {
            shelf.remove(at: index)
        } else {
            if shelf.count == rules.maxResident {
                let used = Set(running.map(\.request.adapter))
                shelf.remove(at: shelf.firstIndex { !used.contains($0) }!)
            }
            loadingPicoseconds += rules.loadPicoseconds
            usage.adapterLoads += 1
        }
        shelf.append(sequence.request.adapter)
    }

    func limitedPrefill(_ tokens: Int32, _ rules: MixedRules, fromIdle: Bool) -> Int32 {
        var threshold = rules.longPrefillTokenThreshold
        let requests = waiting.count { isVisible($0, fromIdle: fromIdle) } + running.count
        guard threshold > 0, requests > 1 else { return tokens }
        if rules.longPrefillAdaptive { threshold = max(threshold, configuration.maxBatchedTokens / Int32(requests)) }
        return min(tokens, threshold)
    }

    func victim() -> Sequence {
        switch configuration.queueOrder {
        case .firstComeFirstServed: return running[running.count - 1]
        case .priority: return running.max { comesBefore($0.request, $1.request) }!
        }
    }
}
