//===----------------------------------------------------------------------===//
// Placement: a session stays where it is.
//===----------------------------------------------------------------------===//

import Workload

/// Hashes a request's session (or else its first block) to a replica, and to another one by the next hash while that
/// replica has more than `affinityBound` times the mean load or does not accept: consistent hashing with bounded loads.
/// It needs no memory of sessions. A request that is related to none goes to the less loaded of two.
final class SessionAffinityPlacement: PlacementPolicy {
    static let name = "session-affinity"
    static let summary = "a session's replica by consistent hashing with bounded loads; others by power of two"

    private let bound: Double
    private var dice: SeededChoice

    init(setup: PlacementSetup) {
        bound = setup.choice.affinityBound
        dice = SeededChoice(seed: setup.seed)
    }

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int {
        guard let key = Affinity.key(of: request) else { return yard.lessLoadedOfTwo(&dice) }
        let added = Int64(request.promptTokens) + Int64(request.outputTokens)
        // The bound is on the load with this request in it, so that the first request of an idle cell passes.
        let most = Int64((Double(yard.meanTokens + added) * bound).rounded(.up))
        for attempt in 0..<8 {
            let replica = Affinity.place(of: key, attempt: attempt, places: yard.count)
            if yard.accepts(replica) && yard.states[replica].tokens + added <= most { return replica }
        }
        return yard.lessLoadedOfTwo(&dice)
    }
}
