//===----------------------------------------------------------------------===//
// Sessions that had begun before the run did.
//===----------------------------------------------------------------------===//

/// When the sessions that were open at time 0 of a stationary process are heard of for the first time.
///
/// A stationary process of sessions has `rate` turns a second, of which the share p is followed by another after a gap.
/// A session waits in at most one gap at time 0, and sessions are independent of each other, so the ends of these gaps
/// are a Poisson process, of intensity `rate × p × P(gap > t)` at time `t`: its integral is Little's
/// `rate × p × mean gap`. It is drawn as it is needed: nothing is made, or kept, for a session whose turn lies beyond
/// the end of the run.
///
/// The process is thinned (Lewis and Shedler, Naval Research Logistics Quarterly 26(3), 1979) from one whose intensity
/// is constant over [0, 1), [1, 2), [2, 4), [4, 8) … seconds.
struct EarlierSessions {
    private let gaps: GapTail
    private let intensity: Double
    private var random: RandomStream
    private var seconds = 0.0
    /// End of the present stretch, and P(gap > its start).
    private var stretchEnd = 1.0
    private var bound = 1.0
    /// Below this probability nothing more comes: a millionth of a session at a million requests per second.
    private static let negligible = 1e-15

    init(of model: SessionModel, rate: Double, random: RandomStream) {
        gaps = GapTail(model)
        intensity = rate * model.continueProbability
        self.random = random
    }

    /// The time of the next first turn; nil after the last.
    mutating func nextNanoseconds() -> Int64? {
        guard intensity > 0 else { return nil }
        while bound > Self.negligible {
            seconds += random.exponential() / (intensity * bound)
            guard seconds < stretchEnd else {
                // An exponential law has no memory: start again at the stretch's end.
                seconds = stretchEnd
                bound = gaps.probability(ofMoreThan: seconds)
                stretchEnd *= 2
                continue
            }
            if random.unit() * bound < gaps.probability(ofMoreThan: seconds) { return nanoseconds(seconds) }
        }
        return nil
    }
}

/// How likely a gap is to be longer than some time: the upper tail of a mix of lognormal laws.
struct GapTail {
    private let parts: [(share: Double, logarithmOfMedian: Double, sigma: Double)]

    init(_ model: SessionModel) {
        parts = model.gaps.map { ($0.weight / model.gapWeight, PortableMath.ln($0.medianSeconds), $0.sigma) }
    }

    func probability(ofMoreThan seconds: Double) -> Double {
        guard seconds > 0 else { return 1 }
        let logarithm = PortableMath.ln(seconds)
        return parts.reduce(0) {
            $0 + $1.share * PortableMath.normalTail((logarithm - $1.logarithmOfMedian) / $1.sigma)
        }
    }
}

extension SessionModel {
    func drawGapSeconds(_ random: inout RandomStream) -> Double {
        var pick = random.unit() * gapWeight
        var gap = gaps[0]
        for candidate in gaps {
            gap = candidate
            pick -= candidate.weight
            if pick < 0 { break }
        }
        return gap.medianSeconds * PortableMath.exp(gap.sigma * random.normal())
    }

    /// Context of a session that has taken a geometric number of turns, with the same probability of going on: turns
    /// have no memory of how many came before. Beyond 8 turns the growth of the others is taken at its mean; whole
    /// compactions are taken out.
    func contextInEquilibrium(head: Int32, _ random: inout RandomStream) -> Int32 {
        var turns = 1
        if continueProbability > 0 {
            turns += Int(min(PortableMath.ln(random.positiveUnit()) / PortableMath.ln(continueProbability), 1e6))
        }
        var context = Double(head) + Double(firstTurnTokens.draw(&random)) + Double(outputTokens.draw(&random))
        for _ in 1..<max(2, min(turns, 9)) where turns > 1 {
            context += Double(laterTurnTokens.draw(&random)) + Double(outputTokens.draw(&random))
        }
        if turns > 9 { context += Double(turns - 9) * meanGrowthTokens }
        let room = Double(maxContextTokens - head)
        let beyondHead = context - Double(head)
        return head + Int32(max(1, beyondHead - (beyondHead / room).rounded(.down) * room))
    }
}
