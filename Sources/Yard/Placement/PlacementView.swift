//===----------------------------------------------------------------------===//
// What a placement policy sees of its cell.
//===----------------------------------------------------------------------===//

import Engine
import Workload

/// What a cell knows of each replica without asking it.
struct ReplicaState: BitwiseCopyable {
    enum Phase: UInt8, BitwiseCopyable { case ready, draining, failed }

    /// Requests placed there that have not ended, and the most it is given.
    var requests: Int32 = 0
    var requestLimit: Int32
    /// Prompt plus output tokens of these requests: moves only when one is placed or ends, so that a decision does not
    /// depend on how far the replica has been stepped inside a stretch of unchanged decoding.
    var tokens: Int64 = 0
    /// Of these the output tokens; 0 on a replica that only prefills.
    var outputTokens: Int64 = 0
    /// Number of the last placement; replicas that are equal otherwise take turns by it.
    var lastPlacement: UInt32
    var pool: UInt16
    var phase = Phase.ready
    /// Takes over prompts that were prefilled elsewhere, and no requests.
    var isDecodeSide = false

    var accepts: Bool { phase == .ready && requests < requestLimit }

    /// Orders replicas by tokens, then by who was chosen longest ago.
    var loadKey: Int64 { accepts ? min(tokens, 0x7FFF_FFFE) << 32 | Int64(lastPlacement) : TournamentTree.never }
}

/// A read-only window on one cell's replicas, valid for one decision.
struct PlacementView {
    let states: UnsafePointer<ReplicaState>
    let replicas: UnsafePointer<Unmanaged<Replica>>
    /// One bit per replica that accepts.
    let accepting: UnsafePointer<UInt64>
    let loads: TournamentTree
    let pools: UnsafePointer<CellPool>
    let poolCount: Int
    let poolStarts: UnsafePointer<Int>
    let count: Int
    let acceptingCount: Int
    let load: CellLoad

    func accepts(_ replica: Int) -> Bool { accepting[replica >> 6] & (1 << UInt64(replica & 63)) != 0 }

    /// The accepting replica with the fewest tokens; among equals the one chosen longest ago.
    var leastLoaded: Int { loads.winner }

    /// The first accepting replica at or after `start`, going round.
    func firstAccepting(from start: Int) -> Int {
        let words = (count + 63) >> 6
        var word = start >> 6
        var bits = accepting[word] & (~0 << UInt64(start & 63))
        for _ in 0...words {
            if bits != 0 { return word << 6 + bits.trailingZeroBitCount }
            word = word + 1 == words ? 0 : word + 1
            bits = accepting[word]
        }
        preconditionFailure("no replica of \(count) accepts")
    }

    /// A random accepting replica. When few accept, the draws hit closed ones and the next open one is taken,
    /// which favours replicas behind closed ones: the price of a fixed number of steps.
    func randomAccepting(_ dice: inout SeededChoice) -> Int {
        for _ in 0..<16 {
            let replica = dice.next(below: count)
            if accepts(replica) { return replica }
        }
        return firstAccepting(from: dice.next(below: count))
    }

    /// The one with fewer tokens of two drawn at random; the first when they are equal.
    func lessLoadedOfTwo(_ dice: inout SeededChoice) -> Int {
        let first = randomAccepting(&dice)
        var second = randomAccepting(&dice)
        // With two replicas, one draw in two hits the first again; four in a row are rare enough.
        for _ in 0..<3 where second == first { second = randomAccepting(&dice) }
        return states[second].tokens < states[first].tokens ? second : first
    }

    /// Indices of a pool's replicas.
    func replicas(ofPool pool: Int) -> Range<Int> { poolStarts[pool]..<poolStarts[pool + 1] }

    /// A random accepting replica of a pool, nil when eight draws hit none.
    func randomAccepting(inPool pool: Int, _ dice: inout SeededChoice) -> Int? {
        let range = replicas(ofPool: pool)
        for _ in 0..<8 {
            let replica = range.lowerBound + dice.next(below: range.count)
            if accepts(replica) { return replica }
        }
        return nil
    }

    /// Mean tokens placed on an accepting replica, rounded up.
    var meanTokens: Int64 { (load.placedTokens + Int64(acceptingCount) - 1) / Int64(max(acceptingCount, 1)) }

    func cachedPromptTokens(of request: Request, on replica: Int) -> Int32 {
        replicas[replica]._withUnsafeGuaranteedRef { $0.cachedPromptTokens(of: request) }
    }

    func replicaLoad(_ replica: Int) -> ReplicaLoad { replicas[replica]._withUnsafeGuaranteedRef { $0.load } }
}
