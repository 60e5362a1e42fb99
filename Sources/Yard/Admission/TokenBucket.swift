//===----------------------------------------------------------------------===//
// A rate with a burst, told the time.
//===----------------------------------------------------------------------===//

/// A token bucket in integers: `perMinute` units flow in per minute, and at most one minute's worth is kept.
struct TokenBucket: BitwiseCopyable {
    private static let minute: Int64 = 60_000_000_000
    private let perMinute: Int64
    /// In units × nanoseconds of a minute: one unit is `minute` of these.
    private var level: Int128
    private var filledAtNanoseconds: Int64

    /// Starts full.
    init(perMinute: Int64, at nowNanoseconds: Int64 = 0) {
        precondition(perMinute > 0)
        self.perMinute = perMinute
        level = Int128(perMinute) * Int128(Self.minute)
        filledAtNanoseconds = nowNanoseconds
    }

    private mutating func fill(to nowNanoseconds: Int64) {
        guard nowNanoseconds > filledAtNanoseconds else { return }
        let most = Int128(perMinute) * Int128(Self.minute)
        level = min(most, level + Int128(perMinute) * Int128(nowNanoseconds - filledAtNanoseconds))
        filledAtNanoseconds = nowNanoseconds
    }

    /// Nanoseconds until `units` can be taken; 0 when they can be now. What exceeds a whole bucket is let through when
    /// the bucket is full, and leaves a debt.
    mutating func waitNanoseconds(for units: Int64, at nowNanoseconds: Int64) -> Int64 {
        fill(to: nowNanoseconds)
        let wanted = Int128(min(units, perMinute)) * Int128(Self.minute)
        if level >= wanted { return 0 }
        return Int64(clamping: (wanted - level + Int128(perMinute) - 1) / Int128(perMinute))
    }

    mutating func take(_ units: Int64) { level -= Int128(units) * Int128(Self.minute) }
}
