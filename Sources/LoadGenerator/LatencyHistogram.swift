//===----------------------------------------------------------------------===//
// Times in a histogram of high dynamic range, mergeable without loss.
//===----------------------------------------------------------------------===//

import Histogram

/// Nanoseconds from 0 to one hour at three significant digits (HdrHistogram); what is longer counts as one hour.
public struct LatencyHistogram: Sendable {
    private static let largest: UInt64 = 3_600_000_000_000

    /// A quarter of a megabyte, so made when there is something to record.
    private var recorded: Histogram<UInt64>?
    /// Exact sums, for the mean and its error.
    private var sum = 0.0
    private var sumOfSquares = 0.0
    public private(set) var smallest: Int64 = .max
    public private(set) var largestRecorded: Int64 = 0

    public init() {}

    public var count: Int { Int(recorded?.totalCount ?? 0) }

    private static func empty() -> Histogram<UInt64> {
        Histogram(
            lowestDiscernibleValue: 1, highestTrackableValue: LatencyHistogram.largest,
            numberOfSignificantValueDigits: .three)
    }

    public mutating func record(_ nanoseconds: Int64) {
        let value = max(0, nanoseconds)
        if recorded == nil { recorded = LatencyHistogram.empty() }
        recorded?.record(min(UInt64(value), LatencyHistogram.largest))
        let number = Double(value)
        sum += number
        sumOfSquares += number * number
        if value < smallest { smallest = value }
        if value > largestRecorded { largestRecorded = value }
    }

    /// Adds all that `other` recorded; the result is the same as if everything had been recorded here.
    public mutating func merge(_ other: LatencyHistogram) {
        guard let others = other.recorded else { return }
        if recorded == nil { recorded = LatencyHistogram.empty() }
        recorded?.add(others)
        sum += other.sum
        sumOfSquares += other.sumOfSquares
        smallest = min(smallest, other.smallest)
        largestRecorded = max(largestRecorded, other.largestRecorded)
    }

    /// Mean in nanoseconds; 0 when empty.
    public var mean: Double { count == 0 ? 0 : sum / Double(count) }

    /// Sample standard deviation in nanoseconds.
    public var standardDeviation: Double {
        guard count > 1 else { return 0 }
        return max(0, (sumOfSquares - sum * sum / Double(count)) / Double(count - 1)).squareRoot()
    }

    /// The value at `percentile` (0 to 100), in nanoseconds: the smallest recorded one (to three digits) that at least
    /// that share does not exceed.
    public func percentile(_ percentile: Double) -> Int64 {
        guard let recorded else { return 0 }
        if percentile >= 100 { return largestRecorded }
        return min(Int64(recorded.valueAtPercentile(percentile)), largestRecorded)
    }

    /// The 95 % confidence interval of a percentile, from the binomial law of the rank (independent observations
    /// assumed): the values at the ranks n p -/+ 1.96 sqrt(n p (1 - p)). nil when the sample is too small for an upper
    /// bound.
    public func confidence(_ percentile: Double) -> ClosedRange<Int64>? {
        let n = Double(count)
        let p = percentile / 100
        guard n > 0, p > 0, p < 1 else { return nil }
        let spread = 1.96 * (n * p * (1 - p)).squareRoot()
        let low = (n * p - spread).rounded(.down)
        let high = (n * p + spread).rounded(.up) + 1
        guard low >= 1, high <= n else { return nil }
        let lower = self.percentile(low / n * 100)
        return lower...max(lower, self.percentile(high / n * 100))
    }

    /// Half the width of the 95 % confidence interval of the mean, in nanoseconds.
    public var meanError: Double { count > 1 ? 1.96 * standardDeviation / Double(count).squareRoot() : 0 }

    /// Recorded values (upper ends of their buckets, in nanoseconds) and how often each was seen, rising.
    public var buckets: [(value: Int64, count: Int)] {
        recorded?.recordedValues().map { (Int64($0.value), Int($0.count)) } ?? []
    }

    /// The share of values at or below `nanoseconds`.
    public func share(upTo nanoseconds: Int64) -> Double {
        guard let recorded else { return 0 }
        return recorded.percentileAtOrBelowValue(UInt64(max(0, min(nanoseconds, Int64(LatencyHistogram.largest)))))
            / 100
    }
}
