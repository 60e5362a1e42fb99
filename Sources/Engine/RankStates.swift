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
        for rank in 0..<Int(count) { states[rank].hasChunk = false }
    }

    /// Sequences of the fullest rank.
    var mostRunning: Int32 {
        var most: Int32 = 0
        for rank in 0..<Int(count) { most = max(most, states[rank].running) }
        return most
    }

    /// The rank with the fewest sequences below `limit` (the lowest number of equals), among those that have no chunk
    /// in the step being formed; -1 when there is none.
    func emptiest(below limit: Int32) -> Int32 {
        var best: Int32 = -1
        for rank in 0..<count where !states[Int(rank)].hasChunk && states[Int(rank)].running < limit {
            if best < 0 || states[Int(rank)].running < states[Int(best)].running { best = rank }
        }
        return best
    }
}
