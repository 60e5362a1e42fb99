//===----------------------------------------------------------------------===//
// How many tokens: laws from which lengths are drawn.
//===----------------------------------------------------------------------===//

/// A distribution of token counts.
public enum LengthLaw: Sendable {
    /// Always the same.
    case fixed(Int32)
    /// Lognormal with this median and this standard deviation of the logarithm, rounded, within bounds.
    case lognormal(median: Double, sigma: Double, bounds: ClosedRange<Int32>)
    /// The curve through published quantiles.
    case quantiles(QuantileCurve)
    /// Values with their weights.
    case empirical(EmpiricalLaw)

    /// One length, at least 1 unless the law says otherwise.
    @inline(__always)
    public func draw(_ random: inout RandomStream) -> Int32 {
        switch self {
        case .fixed(let value): return value
        case .lognormal(let median, let sigma, let bounds):
            let value = (median * PortableMath.exp(sigma * random.normal())).rounded()
            return Int32(min(max(value, Double(bounds.lowerBound)), Double(bounds.upperBound)))
        case .quantiles(let curve): return curve.value(at: random.unit())
        case .empirical(let law): return law.draw(&random)
        }
    }

    /// The lognormal law that has this mean and median (sigma = sqrt(2 ln(mean / median))).
    public static func lognormal(mean: Double, median: Double, bounds: ClosedRange<Int32>) -> LengthLaw {
        precondition(mean >= median && median > 0, "a lognormal law's mean is at least its median")
        return .lognormal(median: median, sigma: (2 * PortableMath.ln(mean / median)).squareRoot(), bounds: bounds)
    }

    /// Mean of the law, by the midpoint rule over 4096 quantiles for those without a closed form here.
    public var mean: Double {
        switch self {
        case .fixed(let value): return Double(value)
        case .empirical(let law): return law.mean
        case .quantiles(let curve):
            var sum = 0.0
            for index in 0..<4096 { sum += Double(curve.value(at: (Double(index) + 0.5) / 4096)) }
            return sum / 4096
        case .lognormal(let median, let sigma, let bounds):
            // Bounds are far out in practice; a sample with a fixed seed sees them too.
            var random = RandomStream(seed: 1, stream: 99)
            let law = LengthLaw.lognormal(median: median, sigma: sigma, bounds: bounds)
            var sum = 0.0
            for _ in 0..<65_536 { sum += Double(law.draw(&random)) }
            return sum / 65_536
        }
    }
}

/// A distribution known at a few quantiles: between two of them the logarithm of the value is linear in the
/// probability.
public struct QuantileCurve: Sendable {
    /// Probabilities rising from 0 to 1, and the values at them.
    private let points: [(probability: Double, logarithm: Double)]

    /// - Parameter points: (probability, value), rising in both, the first at probability 0 (the minimum), the last at
    ///   1 (the maximum).
    public init(_ points: [(Double, Double)]) {
        precondition(points.count >= 2 && points.first!.0 == 0 && points.last!.0 == 1, "quantiles span 0 to 1")
        for (first, second) in zip(points, points.dropFirst()) {
            precondition(first.0 < second.0 && first.1 <= second.1 && first.1 > 0, "quantiles rise")
        }
        self.points = points.map { ($0.0, PortableMath.ln($0.1)) }
    }

    /// The value below which a share `probability` of the distribution lies, rounded.
    public func value(at probability: Double) -> Int32 {
        var index = 1
        while index < points.count - 1, points[index].probability < probability { index += 1 }
        let low = points[index - 1]
        let high = points[index]
        let position = (probability - low.probability) / (high.probability - low.probability)
        let value = PortableMath.exp(low.logarithm + position * (high.logarithm - low.logarithm))
        return Int32(min(value.rounded(), Double(Int32.max)))
    }
}

/// Values drawn with given weights in constant time (Walker's alias method, as set up by Vose).
public final class EmpiricalLaw: Sendable {
    private let values: [Int32]
    private let aliases: [Int32]
    private let thresholds: [Double]
    /// Weighted mean of the values.
    public let mean: Double

    /// - Parameter entries: values and weights; weights are not negative and at least one is positive.
    public init(_ entries: [(value: Int32, weight: Double)]) {
        let total = entries.reduce(0) { $0 + $1.weight }
        precondition(
            total > 0 && total.isFinite && entries.allSatisfy { $0.weight >= 0 },
            "weights are not negative and not all 0")
        let count = entries.count
        var scaled = entries.map { $0.weight / total * Double(count) }
        var aliases = Array(repeating: Int32(0), count: count)
        var thresholds = Array(repeating: 1.0, count: count)
        var small = (0..<count).filter { scaled[$0] < 1 }
        var large = (0..<count).filter { scaled[$0] >= 1 }
        while let low = small.last, let high = large.last {
            small.removeLast()
            thresholds[low] = scaled[low]
            aliases[low] = Int32(high)
            scaled[high] -= 1 - scaled[low]
            if scaled[high] < 1 {
                large.removeLast()
                small.append(high)
            }
        }
        self.values = entries.map(\.value)
        self.aliases = aliases
        self.thresholds = thresholds
        mean = entries.reduce(0) { $0 + Double($1.value) * $1.weight } / total
    }

    @inline(__always)
    public func draw(_ random: inout RandomStream) -> Int32 {
        let position = random.unit() * Double(values.count)
        let index = min(Int(position), values.count - 1)
        return position - Double(index) < thresholds[index] ? values[index] : values[Int(aliases[index])]
    }
}
