//===----------------------------------------------------------------------===//
// Whether arrivals are what was asked for: their rate and their index of dispersion.
//===----------------------------------------------------------------------===//

/// Rate and dispersion of a set of arrival times.
public struct ArrivalCheck: Equatable, Sendable {
    /// Arrivals per second: (n - 1) / (last - first).
    public var rate: Double
    /// Variance over mean of the counts in equal windows; 1 for a Poisson process, 0 for equal gaps.
    public var dispersion: Double
    /// Half the width of the 95 % interval in which the dispersion of a Poisson process falls with this many windows.
    public var poissonMargin: Double
    public var windowSeconds: Double

    /// Checks `times` (nanoseconds, in any order) in windows that hold ten arrivals in the mean; nil with fewer than 30
    /// arrivals.
    public init?(_ times: [Int64]) {
        guard times.count >= 30 else { return nil }
        let sorted = times.sorted()
        let first = sorted[0]
        let span = sorted[sorted.count - 1] - first
        guard span > 0 else { return nil }
        rate = Double(sorted.count - 1) / (Double(span) / 1e9)
        let windows = max(3, sorted.count / 10)
        let width = Double(span) / Double(windows)
        var counts = Array(repeating: 0.0, count: windows)
        for time in sorted { counts[min(windows - 1, Int(Double(time - first) / width))] += 1 }
        let mean = Double(sorted.count) / Double(windows)
        let variance = counts.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(windows - 1)
        dispersion = variance / mean
        poissonMargin = 1.96 * (2 / Double(windows - 1)).squareRoot()
        windowSeconds = width / 1e9
    }
}
