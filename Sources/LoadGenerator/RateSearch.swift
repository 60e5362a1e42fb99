//===----------------------------------------------------------------------===//
// The highest rate at which a server keeps its promise.
//===----------------------------------------------------------------------===//

/// Finds the largest rate that passes a test, by doubling until one fails and then halving the interval.
///
/// The test is a run at that rate. It is taken to pass below some rate and to fail above; noise near that rate moves
/// the answer within the last interval.
public struct RateSearch: Sendable {
    /// One rate that was tried.
    public struct Trial: Codable, Sendable {
        public var rate: Double
        public var goodFraction: Double
        public var p99TTFTSeconds: Double
        public var p99TPOTSeconds: Double
        public var requestsPerSecond: Double
        public var clientWasTheLimit: Bool
        public var passed: Bool
    }

    /// What is searched for.
    public enum Goal: Equatable, Sendable {
        /// At least this share of the requests keep the promise.
        case goodput(share: Double)
        /// The server still completes what is sent: at least this share of the asked rate, and no failures.
        case knee(share: Double)
    }

    public let goal: Goal
    public let startRate: Double
    public let largestRate: Double
    /// The interval is halved until its ends are within this ratio of each other.
    public let precision: Double

    public init(goal: Goal, startRate: Double, largestRate: Double = 1e6, precision: Double = 1.05) {
        precondition(startRate > 0 && largestRate >= startRate && precision > 1)
        self.goal = goal
        self.startRate = startRate
        self.largestRate = largestRate
        self.precision = precision
    }

    /// Runs the search. `measure` makes a run at the given rate.
    ///
    /// - Returns: the largest rate that passed (0 if not even a 64th of the start did), and every trial.
    public func run(_ measure: (Double) async throws -> LoadReport) async throws -> (rate: Double, trials: [Trial]) {
        var trials: [Trial] = []
        func passes(_ rate: Double) async throws -> Bool {
            let trial = judge(try await measure(rate), at: rate)
            trials.append(trial)
            return trial.passed
        }
        var low = 0.0
        var high = startRate
        while try await passes(high) {
            low = high
            if high >= largestRate { return (high, trials) }
            high = min(high * 2, largestRate)
        }
        if low == 0 {
            low = high / 2
            while try await !passes(low) {
                high = low
                low /= 2
                if low < startRate / 64 { return (0, trials) }
            }
        }
        while high / low > precision {
            let middle = (low * high).squareRoot()
            if try await passes(middle) { low = middle } else { high = middle }
        }
        return (low, trials)
    }

    /// Whether a run reached the goal. A run that the client limited does not: it says nothing about the server at that
    /// rate.
    func judge(_ report: LoadReport, at rate: Double) -> Trial {
        let passed: Bool
        switch goal {
        case .goodput(let share): passed = (report.goodput?.fraction ?? 0) >= share
        case .knee(let share):
            // Completions lag behind the last arrivals, so their rate is taken over the run up to its last second of
            // arrivals.
            passed = report.requests.failed == 0 && report.keptUp >= share
        }
        return Trial(
            rate: rate, goodFraction: report.goodput?.fraction ?? 0,
            p99TTFTSeconds: report.latency.ttftFromIntendedSeconds.p99,
            p99TPOTSeconds: report.latency.tpotSeconds.p99, requestsPerSecond: report.throughput.requestsPerSecond,
            clientWasTheLimit: report.clientWasTheLimit, passed: passed && !report.clientWasTheLimit
        )
    }
}

extension LoadReport {
    /// How much longer the run took than its schedule: the schedule's time over the time to the last answer, less one
    /// median answer. 1 means that the server kept up; a server at half the rate that is sent has about 0.5.
    var keptUp: Double {
        guard let asked = rate.askedPerSecond, asked > 0 else { return 1 }
        let schedule = Double(requests.scheduled) / asked
        return schedule / max(schedule, durationSeconds - latency.e2eSeconds.p50)
    }
}
