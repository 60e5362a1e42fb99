//===----------------------------------------------------------------------===//
// Placement: the fewest tokens.
//===----------------------------------------------------------------------===//

import Workload

/// The replica with the fewest tokens placed and not ended, running ones included; among equals the one that was chosen
/// longest ago. Counting only waiting requests, or sending every tie to the first replica, piles light load on few of
/// them.
final class LeastLoadedPlacement: PlacementPolicy {
    static let name = "least-loaded"
    static let summary = "fewest tokens (prompt plus output) placed and not ended; equals take turns"

    init(setup: PlacementSetup) {}

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int { yard.leastLoaded }
}
