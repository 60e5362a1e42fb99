//===----------------------------------------------------------------------===//
// Placement: each in turn.
//===----------------------------------------------------------------------===//

import Workload

/// The replicas in the order of their numbers, skipping those that do not accept.
final class RoundRobinPlacement: PlacementPolicy {
    static let name = "round-robin"
    static let summary = "each replica in turn"

    private var next = 0

    init(setup: PlacementSetup) {}

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int {
        let chosen = yard.firstAccepting(from: next)
        next = chosen + 1 == yard.count ? 0 : chosen + 1
        return chosen
    }
}
