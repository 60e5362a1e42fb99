//===----------------------------------------------------------------------===//
// The wall clock that tells cells the time.
//===----------------------------------------------------------------------===//

import NIOCore
import Synchronization

/// How fast modelled time runs.
public enum TimeScale: Equatable, Sendable, CustomStringConvertible {
    /// Modelled seconds per second of the wall; 1 is real time.
    case ratio(Double)
    /// As fast as the machine can go: modelled time jumps from event to event.
    case unlimited

    public var description: String {
        switch self {
        case .ratio(let ratio): ratio == ratio.rounded() ? String(Int64(ratio)) : String(ratio)
        case .unlimited: "max"
        }
    }
}

/// One side's modelled time, in nanoseconds since the daemon started.
///
/// With a ratio it is the monotonic clock, scaled. Without, it is the latest time that any cell of the side has
/// reached: cells move it forward, front ends stamp arrivals with it.
final class ModelledClock: Sendable {
    let scale: TimeScale
    private let startedNanoseconds: Int64
    private let reached = Atomic<Int64>(0)

    init(scale: TimeScale, startedNanoseconds: Int64 = ModelledClock.monotonicNanoseconds()) {
        self.scale = scale
        self.startedNanoseconds = startedNanoseconds
    }

    static func monotonicNanoseconds() -> Int64 {
        Int64(NIODeadline.now().uptimeNanoseconds)
    }

    /// The time now.
    var nowNanoseconds: Int64 {
        switch scale {
        case .ratio(let ratio):
            let elapsed = Self.monotonicNanoseconds() - startedNanoseconds
            return ratio == 1 ? elapsed : Int64(Double(elapsed) * ratio)
        case .unlimited: return reached.load(ordering: .relaxed)
        }
    }

    /// How far a cell goes in its next turn: to now, or, when time is unlimited, to its next event if that is later.
    func target(nextEventNanoseconds: Int64) -> Int64 {
        guard case .unlimited = scale else { return nowNanoseconds }
        let now = reached.load(ordering: .relaxed)
        guard nextEventNanoseconds > now, nextEventNanoseconds < .max else { return now }
        reached.max(nextEventNanoseconds, ordering: .relaxed)
        return nextEventNanoseconds
    }

    /// Nanoseconds of the wall until a modelled time; 0 when it is due.
    func wallNanoseconds(until modelledNanoseconds: Int64) -> Int64 {
        guard case .ratio(let ratio) = scale else { return 0 }
        if modelledNanoseconds == .max { return .max }
        let left = modelledNanoseconds - nowNanoseconds
        if left <= 0 { return 0 }
        return ratio == 1 ? left : Int64(min(Double(left) / ratio, 9e18))
    }

    /// How late at `now` something due at `modelledNanoseconds` is, in seconds of the wall; nil when time is unlimited.
    func latenessSeconds(of modelledNanoseconds: Int64, at now: Int64) -> Double? {
        guard case .ratio(let ratio) = scale else { return nil }
        return max(0, Double(now - modelledNanoseconds) / ratio * 1e-9)
    }
}
