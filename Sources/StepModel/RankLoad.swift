//===----------------------------------------------------------------------===//
// Expert parallelism is as fast as its fullest rank.
//===----------------------------------------------------------------------===//

import Foundation

/// What the fullest of the ranks that experts are dealt to carries. Ranks wait for each other, so it decides the step.
///
/// Tokens choose experts as if drawn: the experts that are touched among a rank's share are nearly binomial, its visits
/// nearly Poisson, and the largest of `ways` such numbers lies about as many standard deviations above the mean as the
/// largest of so many normal ones.
struct RankLoad: Sendable, Hashable {
    /// Experts whose weights it reads.
    var distinct: Double
    /// Pairs of a token and an expert that it computes.
    var visits: Double

    /// - Parameters:
    ///   - ways: ranks (or groups of them) that hold experts of their own.
    ///   - experts: experts of the layer.
    ///   - all: distinct experts that the step touches, over all ranks.
    ///   - total: visits of the step, over all ranks.
    init(ways: Double, experts: Double, distinct all: Double, visits total: Double) {
        precondition(ways >= 1 && experts >= ways)
        let own = experts / ways
        let share = min(1, all / experts)
        let above = Self.deviationsOfLargest(of: ways)
        let mean = own * share
        // Some rank reads at least one expert.
        distinct = max(min(1, all), min(own, mean + above * (mean * (1 - share)).squareRoot()))
        let even = total / ways
        visits = min(total, even + above * (even * (1 - 1 / ways)).squareRoot())
    }

    /// Expected largest of `count` standard normal numbers, straight between powers of two.
    static func deviationsOfLargest(of count: Double) -> Double {
        let atPowersOfTwo = [0, 0.564, 1.029, 1.424, 1.766, 2.070, 2.344, 2.594, 2.824, 3.037, 3.240]
        let position = min(log2(max(1, count)), Double(atPowersOfTwo.count - 1))
        let below = min(Int(position), atPowersOfTwo.count - 2)
        return atPowersOfTwo[below]
            + (position - Double(below)) * (atPowersOfTwo[below + 1] - atPowersOfTwo[below])
    }
}
