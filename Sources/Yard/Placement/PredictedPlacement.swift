//===----------------------------------------------------------------------===//
// What the predicting policies share: candidates of every pool, and their predictions.
//===----------------------------------------------------------------------===//

import Workload

/// Draws candidates and compares predictions: the frame of slo-, cost- and energy-aware placement.
///
/// Candidates are a few random replicas of each pool, the least loaded replica of the cell, and the one that the
/// request's session hashes to (where its prefix is likely cached if it went there before). Those that keep the promise
/// are compared by `cost`; when none does, the one that breaks it least wins. Equals go to the one chosen longest ago.
struct PredictedPlacement {
    private let choice: PlacementChoice
    private var dice: SeededChoice
    /// Made at the first decision, when the pools are known.
    private var predictors: [PlacementPredictor] = []

    init(setup: PlacementSetup) {
        choice = setup.choice
        dice = SeededChoice(seed: setup.seed)
    }

    mutating func choose(
        for request: Request, among yard: PlacementView,
        cost: (_ prediction: Prediction, _ promise: Prediction.Promise, _ pool: CellPool) -> Double
    ) -> Int {
        if predictors.isEmpty { predictors = (0..<yard.poolCount).map { PlacementPredictor(pool: yard.pools[$0]) } }
        let promise = Prediction.Promise(of: request, otherwise: choice)
        let candidates = candidates(for: request, among: yard)
        var best = -1
        var bestExcess = Double.infinity
        var bestCost = Double.infinity
        for index in 0..<candidates.count {
            let replica = candidates[index]
            let state = yard.states[replica]
            let pool = Int(state.pool)
            let prediction = predictors[pool].predict(
                request, load: yard.replicaLoad(replica), state: state,
                cachedTokens: yard.cachedPromptTokens(of: request, on: replica))
            let excess = prediction.excess(over: promise)
            let cost = cost(prediction, promise, yard.pools[pool])
            let isOlder = best >= 0 && state.lastPlacement < yard.states[best].lastPlacement
            if (excess, cost) < (bestExcess, bestCost) || ((excess, cost) == (bestExcess, bestCost) && isOlder) {
                best = replica
                bestExcess = excess
                bestCost = cost
            }
        }
        return best
    }

    private mutating func candidates(for request: Request, among yard: PlacementView) -> CandidateList {
        var candidates = CandidateList()
        candidates.add(yard.leastLoaded)
        if let key = Affinity.key(of: request) {
            let home = Affinity.place(of: key, attempt: 0, places: yard.count)
            if yard.accepts(home) { candidates.add(home) }
        }
        for pool in 0..<yard.poolCount {
            for _ in 0..<choice.candidatesPerPool {
                if let replica = yard.randomAccepting(inPool: pool, &dice) { candidates.add(replica) }
            }
        }
        return candidates
    }
}
