//===----------------------------------------------------------------------===//
// The data-parallel ranks of a phased replica.
//===----------------------------------------------------------------------===//

/// How many sequences each rank runs, and which one it is prefilling.
struct RankStates: ~Copyable {
    private struct State: BitwiseCopyable {
        var running: Int32 = 0
        var prefilling: SlotIndex = -1
        var hasChunk = false
    }
    let count: Int32
    private let states: UnsafeMutablePointer<State>

    init(_ count: Int32) {
        precondition(count >= 1 && count <= 256)
        self.count = count
        states = .allocate(capacity: Int(count))
        states.initialize(repeating: State(), count: Int(count))
    }

    deinit { states.deallocate() }

    func prefilling(_ rank: Int32) -> SlotIndex { states[Int(rank)].prefilling }
    func setPrefilling(_ rank: UInt8, _ slot: SlotIndex) { states[Int(rank)].prefilling = slot }
    func setHasChunk(_ rank: UInt8) { states[Int(rank)].hasChunk = true }
    func enter(_ rank: UInt8) { states[Int(rank)].running += 1 }
    func leave(_ rank: UInt8) { states[Int(rank)].running -= 1 }

    func beginStep() {
        var rank = 0
        while rank < Int(count) {
            states[rank].hasChunk = false
            rank += 1
        }
    }

    /// Sequences of the fullest rank.
    var mostRunning: Int32 {
        var most: Int32 = 0
        var rank = 0
        while rank < Int(count) {
            most = max(most, states[rank].running)
            rank += 1
        }
        return most
    }

    /// The rank with the fewest sequences below `limit` (the lowest number of equals), among those that have no chunk
    /// in the step being formed; -1 when there is none.
    func emptiest(below limit: Int32) -> Int32 {
        var best: Int32 = -1
        var rank: Int32 = 0
        while rank < count {
            let state = states[Int(rank)]
            if !state.hasChunk && state.running < limit && (best < 0 || state.running < states[Int(best)].running) {
                best = rank
            }
            rank += 1
        }
        return best
    }
}
