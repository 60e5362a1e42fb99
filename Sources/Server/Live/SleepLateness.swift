//===----------------------------------------------------------------------===//
// How late the kernel ends a timed sleep.
//===----------------------------------------------------------------------===//

/// Learns from each timed sleep how late the kernel ends it, so that the next can be asked to end that much earlier.
///
/// The estimate follows rises eight times as fast as falls, which puts it near the late end of what is usual. It never exceeds
/// its limit, so that a machine that is busy with something else costs the thread no more than the limit of watching the
/// clock before each event.
struct SleepLateness {
    let limitNanoseconds: Int64
    /// What the next sleep is expected to be late.
    private(set) var expectedNanoseconds: Int64 = 0

    /// - Parameter limitNanoseconds: 0 expects every sleep to end on time, and so never watches the clock.
    init(limitNanoseconds: Int64) {
        precondition(limitNanoseconds >= 0)
        self.limitNanoseconds = limitNanoseconds
    }

    /// - Parameter lateNanoseconds: by how much the last sleep ended late.
    mutating func slept(lateNanoseconds: Int64) {
        let difference = lateNanoseconds - expectedNanoseconds
        expectedNanoseconds += difference > 0 ? difference / 8 + 1 : difference / 64
        expectedNanoseconds = min(max(0, expectedNanoseconds), limitNanoseconds)
    }
}
