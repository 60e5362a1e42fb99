//===----------------------------------------------------------------------===//
// When requests arrive: gap laws, and rates that change over time.
//===----------------------------------------------------------------------===//

/// The law of the gaps between arrivals, for a mean gap of 1.
public enum GapLaw: Equatable, Sendable {
    /// Every gap is 1.
    case constant
    /// Exponential gaps: the arrivals are a Poisson process.
    case poisson
    /// Gamma gaps with shape `burstiness`, as `--burstiness` of vLLM's benchmark: 1 is Poisson, smaller is burstier;
    /// the squared coefficient of variation of the gaps is 1 / `burstiness`.
    case gamma(burstiness: Double)
    /// Weibull gaps with this shape: 1 is Poisson, smaller is burstier.
    case weibull(shape: Double)
    /// Everything arrives at time 0.
    case atOnce

    /// Squared coefficient of variation of the gaps, which is also the index of dispersion of the counts over long
    /// windows.
    public var squaredVariation: Double {
        switch self {
        case .constant, .atOnce: return 0
        case .poisson: return 1
        case .gamma(let burstiness): return 1 / burstiness
        case .weibull(let shape):
            let first = PortableMath.gamma(1 + 1 / shape)
            return PortableMath.gamma(1 + 2 / shape) / (first * first) - 1
        }
    }
}

/// A stretch of time over which the rate goes linearly from one value to another.
public struct RateStage: Equatable, Sendable {
    /// Requests per second at its start and at its end.
    public var startRate: Double
    public var endRate: Double
    /// Infinite for the last stage of an endless profile.
    public var seconds: Double

    public init(startRate: Double, endRate: Double, seconds: Double) {
        self.startRate = startRate
        self.endRate = endRate
        self.seconds = seconds
    }

    /// Arrivals expected in the stage.
    var area: Double { seconds == .infinity ? .infinity : (startRate + endRate) / 2 * seconds }
}

/// Arrival times, one after the other, drawn from a gap law under a rate profile.
///
/// Gaps are drawn with mean 1 in *operational time*, the integral of the rate, and mapped back. That gives exactly the
/// inhomogeneous Poisson process for exponential gaps, and keeps the law's regularity or burstiness under a changing
/// rate for the others.
public struct ArrivalClock: Sendable {
    private let law: GapLaw
    private let stages: [RateStage]
    private var random: RandomStream
    private var stage = 0
    /// Seconds since the start of the run at which the present stage began, and since then.
    private var stageStart = 0.0
    private var elapsed = 0.0
    private let weibullScale: Double

    /// Arrivals at one rate, for ever.
    public init(law: GapLaw, rate: Double, random: RandomStream) {
        self.init(law: law, stages: [RateStage(startRate: rate, endRate: rate, seconds: .infinity)], random: random)
    }

    /// Arrivals along `stages`; they end with the last one.
    public init(law: GapLaw, stages: [RateStage], random: RandomStream) {
        precondition(
            stages.allSatisfy { $0.startRate >= 0 && $0.endRate >= 0 && $0.seconds >= 0 },
            "rates and times are not negative")
        self.law = law
        self.stages = stages
        self.random = random
        if case .weibull(let shape) = law {
            weibullScale = 1 / PortableMath.gamma(1 + 1 / shape)
        } else {
            weibullScale = 1
        }
    }

    /// Seconds from the start of the run to the next arrival; nil after the last stage.
    public mutating func next() -> Double? {
        if case .atOnce = law { return 0 }
        var left = drawGap()
        while stage < stages.count {
            let now = stages[stage]
            let slope = now.seconds > 0 && now.seconds != .infinity ? (now.endRate - now.startRate) / now.seconds : 0
            let rate = now.startRate + slope * elapsed
            let remaining = now.seconds - elapsed
            let area = remaining == .infinity ? .infinity : (rate + now.endRate) / 2 * remaining
            if left <= area, area > 0 {
                // The root of slope/2 dx^2 + rate dx = left, in the form that does not cancel.
                let discriminant = max(0, rate * rate + 2 * slope * left)
                elapsed += min(2 * left / (rate + discriminant.squareRoot()), remaining)
                return stageStart + elapsed
            }
            left -= area
            stageStart += now.seconds
            elapsed = 0
            stage += 1
        }
        return nil
    }

    private mutating func drawGap() -> Double {
        switch law {
        case .constant, .atOnce: 1
        case .poisson: random.exponential()
        case .gamma(let burstiness): random.gamma(shape: burstiness)
        case .weibull(let shape): PortableMath.power(random.exponential(), 1 / shape) * weibullScale
        }
    }
}

/// `seconds` as nanoseconds, rounded to the nearest.
@inlinable public func nanoseconds(_ seconds: Double) -> Int64 { Int64((seconds * 1e9).rounded()) }
