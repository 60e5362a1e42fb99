//===----------------------------------------------------------------------===//
// The oracle's phased steps.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

@testable import Engine

extension SteppingReplica {
    // MARK: Phased

    func schedulePhased(_ rules: PhasedRules, fromIdle: Bool) {
        let ranks = Int(rules.dataParallelRanks)
        for rank in 0..<ranks {
            if let unfinished = running.first(where: { !$0.decoding && $0.rank == rank }) { appendPrefill(unfinished) }
        }
        while let index = waiting.firstIndex(where: { isVisible($0, fromIdle: fromIdle) && adapterHasPlace($0) }) {
            let sequence = waiting[index]
            let free = (0..<ranks).filter { rank in !batch.contains { $0.sequence.rank == rank } && hasSlot(rank, rules)
            }
            let emptiest = free.min { left, right in
                (running.count { $0.rank == left }, left) < (running.count { $0.rank == right }, right)
            }
            guard let rank = emptiest else { break }
            sequence.rank = rank
            if isTransferred(sequence) {
                if rules.admission == .requestMaximum && reservedBlocks(sequence) > freeBlocks { break }
                waiting.remove(at: index)
                admitTransferred(sequence)
                continue
            }
            let hits = pool.hits(sequence, at: clock.nanoseconds)
            if rules.admission == .requestMaximum,
                reservedBlocks(sequence) - Int32(hits.count) > freeBlocks - Int32(hits.count { $0.references == 0 })
            {
                break
            }
            waiting.remove(at: index)
            admit(sequence, hits, pool.hostHits(sequence, found: hits.count, at: clock.nanoseconds))
            if rules.admission == .requestMaximum {
                take(reservedBlocks(sequence) - sequence.heldBlocks, for: sequence)
            }
            running.append(sequence)
            appendPrefill(sequence)
        }
        guard batch.isEmpty else {
            // Results come in running order, whichever rank they are from.
            batch.sort { left, right in
                running.firstIndex { $0 === left.sequence }! < running.firstIndex { $0 === right.sequence }!
            }
            return
        }
        for sequence in running {
            let tokens = verified(sequence)
            take(lack(sequence, tokens: sequence.computedTokens + tokens), for: sequence)
            pool.remember(sequence, tokens: sequence.computedTokens + 1)
            batch.append((sequence, tokens))
        }
    }

    /// The token of a decoding sequence and its drafts.
    func verified(_ sequence: Sequence) -> Int32 {
        guard let speculation = configuration.speculation, sequence.firstTokenNanoseconds >= 0, !sequence.ghost
        else { return 1 }
        return max(1, min(1 + speculation.draftTokens, configuration.maxModelTokens - 1 - sequence.computedTokens))
    }

    var isMixed: Bool {
        if case .mixed = configuration.stack { true } else { false }
    }

    func hasSlot(_ rank: Int, _ rules: PhasedRules) -> Bool {
        let count = running.count { $0.rank == rank }
        guard count < configuration.maxSequences else { return false }
        guard rules.admission == .wholeContext else { return true }
        return count < configuration.kvBlocks / configuration.blocks(forTokens: configuration.maxModelTokens)
    }

    func appendPrefill(_ sequence: Sequence) {
        let tokens = min(sequence.goalTokens - sequence.computedTokens, configuration.maxBatchedTokens)
        take(lack(sequence, tokens: sequence.computedTokens + tokens), for: sequence)
        pool.remember(sequence, tokens: sequence.computedTokens + tokens)
        batch.append((sequence, tokens))
    }
}
