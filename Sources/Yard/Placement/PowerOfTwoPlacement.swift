//===----------------------------------------------------------------------===//
// Placement: the better of two.
//===----------------------------------------------------------------------===//

import Workload

/// Draws two replicas and takes the one with fewer tokens (Mitzenmacher, "The power of two choices in randomized load
/// balancing", 2001); the first drawn when they are equal.
final class PowerOfTwoPlacement: PlacementPolicy {
    static let name = "power-of-two"
    static let summary = "the one with fewer tokens of two drawn at random"

    private var dice: SeededChoice

    init(setup: PlacementSetup) { dice = SeededChoice(seed: setup.seed) }

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int {
        let first = yard.randomAccepting(&dice)
        var second = yard.randomAccepting(&dice)
        // With two replicas, one draw in two hits the first again; four in a row are rare enough.
        for _ in 0..<3 where second == first { second = yard.randomAccepting(&dice) }
        return yard.states[second].tokens < yard.states[first].tokens ? second : first
    }
}
