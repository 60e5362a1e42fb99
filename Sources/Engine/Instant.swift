//===----------------------------------------------------------------------===//
// A point in time, fine enough that sums of steps are exact.
//===----------------------------------------------------------------------===//

/// Nanoseconds and picoseconds on the clock of the run.
///
/// Steps last whole picoseconds; the pair holds their sum exactly for 292 years. A time that leaves the engine is the
/// instant's nanosecond, rounded down.
struct Instant: BitwiseCopyable, Sendable, Equatable {
    var nanoseconds: Int64
    /// 0 ..< 1000.
    var picoseconds: Int64

    static let zero = Instant(nanoseconds: 0, picoseconds: 0)

    @inline(__always) init(nanoseconds: Int64, picoseconds: Int64 = 0) {
        self.nanoseconds = nanoseconds
        self.picoseconds = picoseconds
    }

    @inline(__always) func adding(picoseconds duration: Int64) -> Instant {
        let sum = UInt64(bitPattern: picoseconds &+ duration)
        let carry = sum / 1000
        return Instant(nanoseconds: nanoseconds &+ Int64(carry), picoseconds: Int64(sum &- carry &* 1000))
    }

    /// Time since an earlier instant, in picoseconds; at most 106 days.
    @inline(__always) func picoseconds(since earlier: Instant) -> Int64 {
        (nanoseconds - earlier.nanoseconds) * 1000 + picoseconds - earlier.picoseconds
    }

    @inline(__always) static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
            || (left.nanoseconds == right.nanoseconds && left.picoseconds < right.picoseconds)
    }
}
