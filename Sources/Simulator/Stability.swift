//===----------------------------------------------------------------------===//
// Whether a fleet kept up with its arrivals.
//===----------------------------------------------------------------------===//

/// How the work that was outstanding behaved while requests arrived.
public enum Stability: String, Sendable, Equatable {
    /// The backlog did not grow.
    case stable
    /// A backlog was left when the last request arrived, that took long to drain, but it did not grow all along.
    case backlogged
    /// The backlog grew throughout, or requests were turned away for lack of room: no steady state exists.
    case overloaded
}

/// Samples outstanding tokens at evenly spaced times, thinning itself out so that it holds at most 256 samples of any
/// run.
struct BacklogMonitor {
    private static let most = 256
    private(set) var samples: [Int64] = []
    private(set) var intervalNanoseconds: Int64 = 1_000_000
    private var nextNanoseconds: Int64 = 0

    /// Whether a sample is due; it is the backlog at the first look at or after each sampling time.
    func isDue(at nowNanoseconds: Int64) -> Bool { nowNanoseconds >= nextNanoseconds }

    mutating func sample(_ outstandingTokens: Int64, at nowNanoseconds: Int64) {
        while nowNanoseconds >= nextNanoseconds {
            // Times that nobody looked at had the backlog of the look before.
            let caughtUp = nextNanoseconds + intervalNanoseconds > nowNanoseconds
            samples.append(caughtUp ? outstandingTokens : samples.last ?? 0)
            nextNanoseconds += intervalNanoseconds
            if samples.count == Self.most {
                samples = stride(from: 0, to: samples.count, by: 2).map { samples[$0] }
                intervalNanoseconds *= 2
            }
        }
    }

    /// Judges the arrival period (0 to the last arrival).
    ///
    /// Overloaded: requests were turned away for lack of room, or the mean backlog rises from each fifth of the period
    /// to the next, is in the last more than twice that of the second, took over 5 % of the period to drain, and
    /// requests waited: without that, an empty fleet was only filling up.
    /// Backlogged: it took over 5 % of the period, and more than ten times a typical request, to drain.
    ///
    /// - Parameter waitingShare: of the time that requests spent in the fleet, the part before their first step.
    func verdict(
        lastArrival: Int64, end: Int64, typicalLatencyNanoseconds: Int64, waitingShare: Double, turnedAway: Bool
    ) -> Stability {
        if turnedAway { return .overloaded }
        let drain = end - lastArrival
        let slow = drain > lastArrival / 20 && drain > 10 * typicalLatencyNanoseconds
        let arriving = samples.prefix(Int(lastArrival / intervalNanoseconds) + 1)
        guard arriving.count >= 20 else { return slow ? .backlogged : .stable }
        let fifths = (0..<5).map { fifth in
            let part = arriving[(arriving.count * fifth / 5)..<(arriving.count * (fifth + 1) / 5)]
            return Double(part.reduce(0, +)) / Double(part.count)
        }
        let rises = zip(fifths, fifths.dropFirst()).allSatisfy { $0 < $1 } && fifths[4] > 2 * fifths[1]
        if rises && drain > lastArrival / 20 && waitingShare > 0.1 { return .overloaded }
        return slow ? .backlogged : .stable
    }
}
