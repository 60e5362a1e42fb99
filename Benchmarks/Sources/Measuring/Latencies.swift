import CComparators
import Glibc

/// Samples of how many ticks of the processor's time stamp something took.
public final class Latencies: @unchecked Sendable {
    private let samples: UnsafeMutablePointer<UInt32>
    private let count: Int

    /// Memory for so many samples, touched so that recording takes no page faults.
    public init(count: Int) {
        precondition(count > 0)
        self.count = count
        samples = .allocate(capacity: count)
        samples.initialize(repeating: 0, count: count)
    }

    deinit { samples.deallocate() }

    /// Each sample is recorded by one thread; more than 2^32 ticks count as that many.
    @inline(__always)
    public func record(_ ticks: UInt64, at index: Int) {
        samples[index] = UInt32(clamping: ticks)
    }

    /// Shares of the samples in nanoseconds.
    public func percentiles() -> Percentiles {
        let sorted = UnsafeBufferPointer(start: samples, count: count).sorted()
        let scale = Clock.nanosecondsPerTick
        func at(_ share: Double) -> Double { Double(sorted[min(count - 1, Int(share * Double(count)))]) * scale }
        return Percentiles(p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999))
    }
}

/// Latencies in nanoseconds that so many parts of a hundred do not exceed.
public struct Percentiles: CustomStringConvertible {
    public var p50: Double
    public var p90: Double
    public var p99: Double
    public var p999: Double

    public var description: String {
        "p50 \(decimal(p50)), p90 \(decimal(p90)), p99 \(decimal(p99)), p99.9 \(decimal(p999))"
    }
}

/// The clocks of a measurement.
public enum Clock {
    /// Nanoseconds of the monotonic clock.
    public static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Length of a tick of `comparator_ticks`, measured once over 50 ms.
    public static let nanosecondsPerTick: Double = {
        let startTicks = comparator_ticks()
        let start = nanoseconds()
        while nanoseconds() - start < 50_000_000 {}
        let ticks = comparator_ticks() - startTicks
        return Double(nanoseconds() - start) / Double(ticks)
    }()

    /// What reading the time stamp twice costs at least, in nanoseconds: it is in every sample.
    public static func leastNanoseconds() -> Double {
        let ticks = (0..<1000).map { _ in
            let start = comparator_ticks()
            return comparator_ticks() - start
        }.min()!
        return Double(ticks) * nanosecondsPerTick
    }
}
