//===----------------------------------------------------------------------===//
// What a part of a step costs.
//===----------------------------------------------------------------------===//

/// What a part of a step costs on one rank.
struct Work: Sendable, Hashable {
    /// How long it takes.
    var seconds = 0.0
    /// How long its bytes would take at peak memory bandwidth; `memorySeconds / seconds` is MBU.
    var memorySeconds = 0.0
    /// The part of `memorySeconds` that reads cache entries to decode.
    var cacheSeconds = 0.0
    /// The part of `memorySeconds` that reads weights which are widened before they are multiplied.
    var widenedSeconds = 0.0
    /// How long its arithmetic would take at peak; `computeSeconds / seconds` is MFU.
    var computeSeconds = 0.0

    static func + (left: Work, right: Work) -> Work {
        Work(
            seconds: left.seconds + right.seconds,
            memorySeconds: left.memorySeconds + right.memorySeconds,
            cacheSeconds: left.cacheSeconds + right.cacheSeconds,
            widenedSeconds: left.widenedSeconds + right.widenedSeconds,
            computeSeconds: left.computeSeconds + right.computeSeconds
        )
    }

    static func * (work: Work, factor: Double) -> Work {
        Work(
            seconds: work.seconds * factor,
            memorySeconds: work.memorySeconds * factor,
            cacheSeconds: work.cacheSeconds * factor,
            widenedSeconds: work.widenedSeconds * factor,
            computeSeconds: work.computeSeconds * factor
        )
    }

    static func - (left: Work, right: Work) -> Work { left + right * -1 }
}
