//===----------------------------------------------------------------------===//
// Placement: any of them.
//===----------------------------------------------------------------------===//

import Workload

/// A uniformly drawn replica among those that accept.
final class RandomPlacement: PlacementPolicy {
    static let name = "random"
    static let summary = "a replica drawn at random"

    private var dice: SeededChoice

    init(setup: PlacementSetup) { dice = SeededChoice(seed: setup.seed) }

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int {
        yard.randomAccepting(&dice)
    }
}
