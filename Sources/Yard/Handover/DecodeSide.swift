//===----------------------------------------------------------------------===//
// The decode replicas of a cell, as placement sees them.
//===----------------------------------------------------------------------===//

import Engine

/// What a cell whose prefill and decode are apart keeps beside what every cell has: a second placement policy and the
/// indexes that it reads. It is that of the decode replicas; the cell's own are then those of the prefill replicas.
final class DecodeSide {
    let policy: any PlacementPolicy
    /// One bit per replica of the cell.
    let accepting: UnsafeMutablePointer<UInt64>
    let loads: TournamentTree
    var acceptingReplicas: Int32 = 0
    /// Tokens of requests that decode replicas have, or have a place for.
    var placedTokens: Int64 = 0
    /// Prompt tokens of requests that prefill replicas have.
    var promptTokens: Int64 = 0

    init(policy: any PlacementPolicy, replicas: Int) {
        self.policy = policy
        let words = (replicas + 63) >> 6
        accepting = .allocate(capacity: words)
        accepting.initialize(repeating: 0, count: words)
        loads = TournamentTree(count: replicas)
    }

    deinit {
        accepting.deallocate()
        loads.deallocate()
    }

    /// Brings the indexes in line with a decode replica's state.
    func refresh(_ replica: Int, _ state: ReplicaState) {
        loads.set(replica, to: state.loadKey)
        let bit: UInt64 = 1 << UInt64(replica & 63)
        let accepted = accepting[replica >> 6] & bit != 0
        if accepted == state.accepts { return }
        accepting[replica >> 6] ^= bit
        acceptingReplicas += accepted ? -1 : 1
    }
}
