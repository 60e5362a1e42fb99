//===----------------------------------------------------------------------===//
// Placement: the longest cached prefix, against load.
//===----------------------------------------------------------------------===//

import Workload

/// Compares what a replica would have to compute with what it has to do already: the lowest `prefixWeight × (prompt
/// tokens not cached there) + tokens placed there` wins, and among equals the one chosen longest ago.
///
/// Candidates are the replicas that a bounded directory suggests (at most twelve), the least loaded one, and two drawn
/// at random; each candidate's cache is asked exactly. So a choice costs the same in a cell of ten replicas and of ten
/// thousand.
final class PrefixAwarePlacement: PlacementPolicy {
    static let name = "prefix-aware"
    static let summary =
        "the longest cached prefix weighed against load, among suggested, least loaded and random replicas"

    private let weight: Double
    private var dice: SeededChoice
    private var directory: PrefixDirectory

    init(setup: PlacementSetup) {
        weight = setup.choice.prefixWeight
        dice = SeededChoice(seed: setup.seed)
        directory = PrefixDirectory(capacity: min(max(setup.replicas * 512, 1 << 12), 1 << 22))
    }

    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int {
        var candidates = CandidateList()
        directory.suggest(for: request.prefix, into: &candidates)
        candidates.add(yard.leastLoaded)
        candidates.add(yard.randomAccepting(&dice))
        candidates.add(yard.randomAccepting(&dice))
        var best = -1
        var bestScore = Double.infinity
        for index in 0..<candidates.count {
            let replica = candidates[index]
            guard yard.accepts(replica) else { continue }
            let uncached = request.promptTokens - yard.cachedPromptTokens(of: request, on: replica)
            let score = weight * Double(uncached) + Double(yard.states[replica].tokens)
            let isOlder = best >= 0 && yard.states[replica].lastPlacement < yard.states[best].lastPlacement
            if score < bestScore || (score == bestScore && isOlder) {
                best = replica
                bestScore = score
            }
        }
        return best
    }

    func placed(_ request: Request, on replica: Int) { directory.remember(request.prefix, on: replica) }
}
