//===----------------------------------------------------------------------===//
// Placement: the fewest joules that keep the promise.
//===----------------------------------------------------------------------===//

import Workload

/// Among candidates that are predicted to keep the promise, the one whose chips would burn the least more than they do
/// without the request. That packs a memory-bound batch, where one more sequence adds little, before it wakes an idle
/// replica.
final class EnergyAwarePlacement: PlacementPolicy {
    static let name = "energy-aware"
    static let summary = "the fewest added joules among candidates that keep the promise, across pools"

    private var frame: PredictedPlacement

    init(setup: PlacementSetup) { frame = PredictedPlacement(setup: setup) }

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int {
        frame.choose(for: request, among: yard) { prediction, _, _ in Double(prediction.addedNanojoules) }
    }
}
