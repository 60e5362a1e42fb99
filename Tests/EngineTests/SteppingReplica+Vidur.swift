//===----------------------------------------------------------------------===//
// The oracle's Vidur schedulers.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

@testable import Engine

extension SteppingReplica {
    // MARK: Sarathi and vLLM before V1, as Vidur schedules them

    func canTake(_ sequence: Sequence) -> Bool {
        sequence.heldBlocks == 0
            ? freeBlocks - configuration.blocks(forTokens: sequence.goalTokens) >= configuration.watermarkBlocks
            : freeBlocks >= 1
    }

    func take(for sequence: Sequence) {
        take(
            sequence.heldBlocks == 0
                ? configuration.blocks(forTokens: sequence.goalTokens)
                : lack(sequence, tokens: sequence.computedTokens + 1), for: sequence)
    }

    /// Gives each decoding sequence its token, evicting from the end of `left` when no block is free.
    func decodePart(_ left: inout [Sequence], unfinished: inout [Sequence]) {
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

    func scheduleSarathi(_ chunkTokens: Int32, fromIdle: Bool) {
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
        let idle = (skipped + left).sorted {
            ($0.request.arrivalNanoseconds, $0.request.id) < ($1.request.arrivalNanoseconds, $1.request.id)
        }
        var allocated = running.count
        while let sequence = waiting.first, isVisible(sequence, fromIdle: fromIdle) {
            if allocated == configuration.maxSequences || batch.count == configuration.maxSequences
                || !canTake(sequence)
            {
                break
            }
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

    func scheduleV0(fromIdle: Bool) {
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
        var left = running.sorted {
            ($0.request.arrivalNanoseconds, $0.request.id) < ($1.request.arrivalNanoseconds, $1.request.id)
        }
        var unfinished: [Sequence] = []
        decodePart(&left, unfinished: &unfinished)
        running = left + batch.map(\.sequence)
    }
}
