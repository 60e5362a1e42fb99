//===----------------------------------------------------------------------===//
// A trace, paced, cut and shortened as its options ask.
//===----------------------------------------------------------------------===//

/// Applies a workload's options to a trace: window, repetition, pace or new arrival times, duration, limit, token
/// limits.
final class ShapedSource: RequestSource {
    private let open: () throws(WorkloadError) -> any RequestSource
    private let options: WorkloadOptions
    /// The trace's times are divided by this.
    private let speedUp: Double
    /// Replaces the trace's times.
    private var clock: ArrivalClock?
    /// Every pass through the trace: those that are done stay alive, because requests point to their block hashes.
    private var passes: [any RequestSource] = []
    private var passesLeft: Int
    /// Added to the present pass's times, and where the next pass begins.
    private var passStart: Int64 = 0
    private var lastInPass: Int64 = 0
    private var countInPass = 0
    private var windowOrigin: Int64
    private var accepted = 0
    private var shortened = 0
    private var finished = false

    /// - Parameter traceRate: the trace's own mean rate, needed when `options.rate` repaces it.
    init(
        options: WorkloadOptions,
        traceRate: Double?,
        open: @escaping () throws(WorkloadError) -> any RequestSource
    ) throws(WorkloadError) {
        self.open = open
        self.options = options
        let replaced = ShapedSource.clock(options)
        clock = replaced
        if replaced == nil, let rate = options.rate, let traceRate {
            speedUp = options.scale * rate / traceRate
        } else {
            speedUp = options.scale
        }
        passesLeft = options.repeats ?? 1
        windowOrigin = options.window.map { nanoseconds($0.lowerBound) } ?? 0
        try beginPass()
    }

    /// The clock that replaces a trace's own times, when the options name a law or stages.
    static func clock(_ options: WorkloadOptions) -> ArrivalClock? {
        let random = RandomStream(seed: options.seed, stream: RandomUse.arrivals)
        if options.concurrency != nil { return ArrivalClock(law: .atOnce, rate: 1, random: random) }
        if let stages = options.stages {
            return ArrivalClock(
                law: options.arrivals ?? .poisson, stages: stages.map { $0.scaled(by: options.scale) }, random: random)
        }
        if options.arrivals == .atOnce { return ArrivalClock(law: .atOnce, rate: 1, random: random) }
        guard let law = options.arrivals, let rate = options.rate else { return nil }
        return ArrivalClock(law: law, rate: rate * options.scale, random: random)
    }

    private func beginPass() throws(WorkloadError) {
        passes.append(try open())
        passesLeft -= 1
        countInPass = 0
        lastInPass = 0
    }

    func next() throws(WorkloadError) -> Request? {
        if finished || accepted == options.limit ?? .max {
            finished = true
            return nil
        }
        guard var request = try nextInWindow() else {
            finished = true
            return nil
        }
        if clock != nil {
            guard let seconds = clock!.next() else {
                finished = true
                return nil
            }
            request.arrivalNanoseconds = nanoseconds(seconds)
        } else if speedUp != 1 {
            request.arrivalNanoseconds = Int64((Double(request.arrivalNanoseconds) / speedUp).rounded())
        }
        if let duration = options.durationSeconds, request.arrivalNanoseconds >= nanoseconds(duration) {
            finished = true
            return nil
        }
        if request.shorten(to: options) { shortened += 1 }
        request.id = UInt64(accepted)
        accepted += 1
        return request
    }

    /// The next request whose time on the trace's clock lies in the window, re-based to the window's start, passes laid
    /// end to end.
    private func nextInWindow() throws(WorkloadError) -> Request? {
        while true {
            if var request = try passes[passes.count - 1].next() {
                let time = request.arrivalNanoseconds - windowOrigin
                if time < 0 { continue }
                if options.window.map({
                    $0.upperBound != .infinity && request.arrivalNanoseconds >= nanoseconds($0.upperBound)
                }) != true {
                    lastInPass = time
                    countInPass += 1
                    request.arrivalNanoseconds = passStart + time
                    return request
                }
            }
            guard passesLeft > 0, countInPass > 0 else { return nil }
            // A new pass begins one mean gap after the last arrival of this one.
            passStart += lastInPass + lastInPass / Int64(max(1, countInPass - 1))
            try beginPass()
        }
    }

    var reading: ReadingCounts {
        var counts = ReadingCounts()
        for pass in passes {
            counts.skipped += pass.reading.skipped
            counts.raisedToOneToken += pass.reading.raisedToOneToken
            counts.firstSkipped = counts.firstSkipped ?? pass.reading.firstSkipped
        }
        counts.accepted = accepted
        counts.shortened = shortened
        return counts
    }
}

extension RateStage {
    func scaled(by factor: Double) -> RateStage {
        RateStage(startRate: startRate * factor, endRate: endRate * factor, seconds: seconds)
    }
}

extension Request {
    /// Cuts the lengths to the limits of `options`; true when something was cut.
    mutating func shorten(to options: WorkloadOptions) -> Bool {
        let prompt = promptTokens
        let output = outputTokens
        if let most = options.maxPrompt, promptTokens > most { promptTokens = most }
        if let most = options.maxOutput, outputTokens > most { outputTokens = most }
        if let most = options.maxTotal, promptTokens + outputTokens > most {
            outputTokens = min(outputTokens, most - 1)
            promptTokens = min(promptTokens, most - outputTokens)
        }
        guard promptTokens != prompt || outputTokens != output else { return false }
        maxOutputTokens = max(outputTokens, options.maxOutput.map { min($0, maxOutputTokens) } ?? maxOutputTokens)
        if let most = options.maxTotal { maxOutputTokens = min(maxOutputTokens, most - promptTokens) }
        prefix.sessionTokens = min(prefix.sessionTokens, promptTokens)
        prefix.sharedHeadTokens = min(prefix.sharedHeadTokens, promptTokens)
        if prefix.tokensPerHash > 0 {
            prefix.blockHashCount = min(
                prefix.blockHashCount, (promptTokens + prefix.tokensPerHash - 1) / prefix.tokensPerHash)
        }
        return true
    }
}

/// Numbers of the random streams, one per thing drawn.
enum RandomUse {
    static let arrivals: UInt64 = 1
    static let lengths: UInt64 = 2
    static let sessions: UInt64 = 3
    static let order: UInt64 = 4
    static let earlierSessions: UInt64 = 5
}
