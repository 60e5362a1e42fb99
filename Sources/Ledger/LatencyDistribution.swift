//===----------------------------------------------------------------------===//
// A mergeable distribution of durations: exact while it is small, log-linear buckets after.
//===----------------------------------------------------------------------===//

/// Durations of one kind, in whole nanoseconds.
///
/// Up to `exactLimit` values are kept as they are, so that percentiles of a small run are exact. Beyond it they are
/// counted in buckets of 2⁻¹⁰ relative width (the layout of HdrHistogram: ten bits below the leading one), so that a
/// percentile is within 0.05 % of the value it stands for. Which of the two forms a distribution has depends on its
/// number of values only, never on how it was split and merged; sums are integers. Two runs of the same values are
/// equal.
public struct LatencyDistribution: Sendable, Equatable {
    /// Values that are kept exactly, 1 MiB of them.
    public static let exactLimit = 131_072
    private static let subBucketBits = 10

    public private(set) var count: Int64 = 0
    public private(set) var maximumNanoseconds: Int64 = 0
    private var sumPicoseconds: Int128 = 0
    private var exact: [Int64] = []
    private var buckets: [Int64] = []

    public init() {}

    public var isExact: Bool { count <= Int64(Self.exactLimit) }

    /// Counts one duration.
    public mutating func record(nanoseconds: Int64) {
        precondition(nanoseconds >= 0, "a duration of \(nanoseconds) ns runs backwards")
        count += 1
        sumPicoseconds += Int128(nanoseconds) * 1000
        maximumNanoseconds = max(maximumNanoseconds, nanoseconds)
        if buckets.isEmpty {
            exact.append(nanoseconds)
            if exact.count > Self.exactLimit { spill() }
        } else {
            add(1, to: Self.index(of: nanoseconds))
        }
    }

    /// Counts `copies` of each of `steps` durations that rise evenly: duration i is `first + i × increment`
    /// picoseconds.
    /// Takes a number of operations that grows with the buckets touched, not with `steps`.
    public mutating func recordSeries(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, copies: Int32)
    {
        precondition(steps >= 0 && copies >= 0)
        guard steps > 0, copies > 0 else { return }
        if incrementPicoseconds == 0 {
            return record(picoseconds: firstPicoseconds, copies: Int64(steps) * Int64(copies))
        }
        // A falling series is the rising one read from its end.
        let span = Int64(steps - 1) * incrementPicoseconds
        let first = incrementPicoseconds < 0 ? firstPicoseconds + span : firstPicoseconds
        let increment = abs(incrementPicoseconds)
        precondition(first >= 0, "a gap of \(first) ps runs backwards")
        let last = first + abs(span)
        let values = Int64(steps) * Int64(copies)
        count += values
        let doubledSum = Int128(first + last) * Int128(steps)
        sumPicoseconds += (doubledSum >> 1) * Int128(copies)
        maximumNanoseconds = max(maximumNanoseconds, last / 1000)
        if buckets.isEmpty, Int64(exact.count) + values <= Int64(Self.exactLimit) {
            for step in 0..<Int64(steps) {
                let value = (first + step * increment) / 1000
                for _ in 0..<copies { exact.append(value) }
            }
            return
        }
        if buckets.isEmpty { spill() }
        var step: Int64 = 0
        while step < Int64(steps) {
            let value = first + step * increment
            let index = Self.index(of: value / 1000)
            var run = Int64(steps) - step
            if increment > 0 {
                let firstOfNext = Self.lowest(of: index + 1) * 1000
                run = min(run, (firstOfNext - value + increment - 1) / increment)
            }
            add(run * Int64(copies), to: index)
            step += run
        }
    }

    /// Counts a duration as often as it was seen.
    private mutating func record(picoseconds: Int64, copies: Int64) {
        precondition(picoseconds >= 0, "a gap of \(picoseconds) ps runs backwards")
        let value = picoseconds / 1000
        count += copies
        sumPicoseconds += Int128(picoseconds) * Int128(copies)
        maximumNanoseconds = max(maximumNanoseconds, value)
        if buckets.isEmpty {
            if Int64(exact.count) + copies <= Int64(Self.exactLimit) {
                for _ in 0..<copies { exact.append(value) }
                return
            }
            spill()
        }
        add(copies, to: Self.index(of: value))
    }

    /// Adds everything that `other` counted.
    public mutating func merge(_ other: LatencyDistribution) {
        let total = count + other.count
        if total <= Int64(Self.exactLimit) {
            exact.append(contentsOf: other.exact)
        } else {
            if buckets.isEmpty { spill() }
            for value in other.exact { add(1, to: Self.index(of: value)) }
            for index in other.buckets.indices where other.buckets[index] > 0 { add(other.buckets[index], to: index) }
        }
        count = total
        sumPicoseconds += other.sumPicoseconds
        maximumNanoseconds = max(maximumNanoseconds, other.maximumNanoseconds)
    }

    /// Arithmetic mean in seconds; nil when nothing was counted.
    public var meanSeconds: Double? {
        count == 0 ? nil : Double(sumPicoseconds) / Double(count) / 1e12
    }

    /// The percentiles at `ranks` (0...1), in seconds: the smallest counted duration that at least that share does not
    /// exceed (nearest rank). Nil when nothing was counted.
    public func percentilesSeconds(_ ranks: [Double]) -> [Double]? {
        guard count > 0 else { return nil }
        let targets = ranks.map { max(1, Int64(($0 * Double(count)).rounded(.up))) }
        if isExact {
            let sorted = exact.sorted()
            return targets.map { Double(sorted[Int(min($0, count)) - 1]) / 1e9 }
        }
        return targets.map { target in
            var seen: Int64 = 0
            for index in buckets.indices {
                seen += buckets[index]
                if seen >= target {
                    let middle = (Self.lowest(of: index) + Self.lowest(of: index + 1) - 1) / 2
                    return Double(min(middle, maximumNanoseconds)) / 1e9
                }
            }
            return Double(maximumNanoseconds) / 1e9
        }
    }

    public var maximumSeconds: Double { Double(maximumNanoseconds) / 1e9 }

    /// Equal when the same durations were counted, in whatever order.
    public static func == (first: LatencyDistribution, second: LatencyDistribution) -> Bool {
        guard first.count == second.count, first.sumPicoseconds == second.sumPicoseconds,
            first.maximumNanoseconds == second.maximumNanoseconds
        else { return false }
        if first.isExact { return first.exact.sorted() == second.exact.sorted() }
        return first.buckets == second.buckets
    }

    // MARK: Buckets

    /// Values below 2¹¹ have a bucket each; above, the leading eleven bits name the bucket.
    private static func index(of value: Int64) -> Int {
        let shift = max(0, 63 - value.leadingZeroBitCount - subBucketBits)
        return (shift << subBucketBits) + Int(value >> Int64(shift))
    }

    /// Smallest value of a bucket.
    private static func lowest(of index: Int) -> Int64 {
        let shift = max(0, (index >> subBucketBits) - 1)
        return Int64(index - (shift << subBucketBits)) << Int64(shift)
    }

    private mutating func add(_ values: Int64, to index: Int) {
        if index >= buckets.count { grow(toHold: index) }
        buckets[index] += values
    }

    @inline(never)
    private mutating func grow(toHold index: Int) {
        // Whole octaves, so that a slowly rising maximum does not grow the array bucket by bucket. Equality needs the
        // size to follow from the largest index alone.
        let octave = 1 << Self.subBucketBits
        let size = (index / octave + 1) * octave
        buckets.append(contentsOf: repeatElement(0, count: size - buckets.count))
    }

    @inline(never)
    private mutating func spill() {
        grow(toHold: 0)
        for value in exact { add(1, to: Self.index(of: value)) }
        exact = []
    }
}
