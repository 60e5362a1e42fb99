//===----------------------------------------------------------------------===//
// Placement: the better of two.
//===----------------------------------------------------------------------===//

import Workload

/// Draws two replicas and takes the one with fewer tokens; the first drawn when they are equal (Mitzenmacher, "The
/// power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001).
final class PowerOfTwoPlacement: PlacementPolicy {
    static let name = "power-of-two"
    static let summary = "the one with fewer tokens of two drawn at random"

    private var dice: SeededChoice

    init(setup: PlacementSetup) { dice = SeededChoice(seed: setup.seed) }

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int {
        yard.lessLoadedOfTwo(&dice)
    }
}
