//===----------------------------------------------------------------------===//
// Placement: the cheapest that keeps the promise.
//===----------------------------------------------------------------------===//

import Workload

/// Among candidates that are predicted to keep the promise, the one on which the request's share of the replica's time
/// costs least. Replicas without a price all count alike, so that a fleet without prices is placed by time alone.
final class CostAwarePlacement: PlacementPolicy {
    static let name = "cost-aware"
    static let summary = "the cheapest replica time among candidates that keep the promise, across pools"

    private var frame: PredictedPlacement

    init(setup: PlacementSetup) { frame = PredictedPlacement(setup: setup) }

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int {
        frame.choose(for: request, among: yard) { prediction, _, pool in
            Double(prediction.sharePicoseconds) * Double(max(1, pool.microdollarsPerReplicaHour))
        }
    }
}
