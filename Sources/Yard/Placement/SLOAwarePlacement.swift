//===----------------------------------------------------------------------===//
// Placement: the most room under the promise.
//===----------------------------------------------------------------------===//

import Workload

/// Predicts TTFT and TPOT on each candidate and takes the one that uses up the least of its tighter promise.
final class SLOAwarePlacement: PlacementPolicy {
    static let name = "slo-aware"
    static let summary = "predicted TTFT and TPOT per candidate; the most room under the tighter promise"

    private var frame: PredictedPlacement

    init(setup: PlacementSetup) { frame = PredictedPlacement(setup: setup) }

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int {
        frame.choose(for: request, among: yard) { prediction, promise, _ in prediction.tightness(of: promise) }
    }
}
