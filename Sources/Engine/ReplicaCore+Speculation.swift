//===----------------------------------------------------------------------===//
// Speculative decoding: several tokens a step, as an acceptance profile has it.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

extension ReplicaCore {
    /// Tokens of a decoding sequence in the coming step: its own and its drafts, within the model's length (rule 6).
    /// The first step of a sequence that came with its KV has no drafts.
    func tokensToVerify(_ slot: SlotIndex, context: Int32) -> Int32 {
        guard let speculation = configuration.speculation, slots[slot].firstTokenNanoseconds >= 0, !slots[slot].isGhost
        else { return 1 }
        return max(1, min(1 + speculation.draftTokens, configuration.maxModelTokens - 1 - context))
    }

    /// What a step costs whose shape counts one token a sequence, and that verifies `drafted` more.
    func speculativeCost(_ cost: StepCost, decodesOnly: Bool) -> StepCost {
        guard let speculation = configuration.speculation else { return cost }
        let scale = Int128(decodesOnly ? speculation.stepScaleShifted16 : 1 << 16)
        return StepCost(
            picoseconds: Int64((Int128(cost.picoseconds) * scale) >> 16) + speculation.draftPicoseconds,
            nanojoules: Int64((Int128(cost.nanojoules) * scale) >> 16) + speculation.draftNanojoules)
    }

    /// Takes in the accepted drafts of the step that has ended, in running order. The batch has counted one token each.
    mutating func acceptDrafts<Sink: OutcomeSink>(into sink: inout Sink) {
        guard let speculation = configuration.speculation else { return }
        var slot = running.first
        while slot >= 0 {
            let sequence = slots.base + Int(slot)
            let verified = sequence.pointee.chunkTokens
            if sequence.pointee.state == .decoding && verified > 0 {
                sequence.pointee.chunkTokens = 0
                let left = Int32(sequence.pointee.finishEpoch - batch.epoch)
                let produced = batch.produced(of: sequence)
                let accepted = min(
                    left,
                    speculation.accepted(of: verified - 1, request: sequence.pointee.request.id, produced: produced))
                sequence.pointee.acceptedDrafts = accepted
                if accepted > 0 {
                    batch.boost(slot, by: accepted, slots: slots.base)
                    usage.acceptedDraftTokens += Int64(accepted)
                    // They come out together with the token before them.
                    sink.gaps(firstPicoseconds: 0, incrementPicoseconds: 0, steps: accepted, count: 1)
                }
            }
            slot = sequence.pointee.next
        }
    }
}

extension SpeculationRules {
    /// How many of `drafts` drafts are accepted when a sequence has produced `produced` tokens: each with its chance,
    /// as long as the one before it was. The same request draws the same, wherever it runs.
    func accepted(of drafts: Int32, request: UInt64, produced: Int32) -> Int32 {
        var count: Int32 = 0
        while count < min(drafts, draftTokens) {
            let place = UInt64(truncatingIfNeeded: produced) << 16 | UInt64(truncatingIfNeeded: count)
            let draw = PrefixChain.mix(request ^ seed, place) >> 32
            if draw >= UInt64(acceptanceShifted32[Int(count)]) { break }
            count += 1
        }
        return count
    }
}
