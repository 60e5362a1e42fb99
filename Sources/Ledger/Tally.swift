//===----------------------------------------------------------------------===//
// What happened to the requests of a run: counts that add up, whoever counted them.
//===----------------------------------------------------------------------===//

public import Engine

/// What a client was promised: at least 99 in 100 requests meet each bound.
public struct LatencyPromise: Sendable, Equatable {
    public var ttftSeconds: Double
    public var tpotSeconds: Double

    public init(ttftSeconds: Double, tpotSeconds: Double) {
        self.ttftSeconds = ttftSeconds
        self.tpotSeconds = tpotSeconds
    }

    /// An interactive chat: the first token within half a second, twenty a second after it.
    public static let interactive = LatencyPromise(ttftSeconds: 0.5, tpotSeconds: 0.05)
}

/// Receives outcomes from one cell (or one thread's cells) and counts them. Tallies of parts of a run merge into the
/// tally of the run: every field is an integer or a set of integers, so the order of merging does not show.
public struct Tally: OutcomeSink, Sendable {
    public private(set) var finished: Int64 = 0
    public private(set) var rejected: Int64 = 0
    public private(set) var failed: Int64 = 0
    public private(set) var cancelled: Int64 = 0
    public private(set) var preemptions: Int64 = 0
    public private(set) var promptTokens: Int64 = 0
    public private(set) var cachedPromptTokens: Int64 = 0
    public private(set) var outputTokens: Int64 = 0
    /// Finished requests within the TTFT promise, within the TPOT promise, and within both.
    public private(set) var metTTFT: Int64 = 0
    public private(set) var metTPOT: Int64 = 0
    public private(set) var metBoth: Int64 = 0
    /// Latest time at which anything ended.
    public private(set) var lastNanoseconds: Int64 = 0
    public private(set) var ttft = LatencyDistribution()
    public private(set) var tpot = LatencyDistribution()
    public private(set) var itl = LatencyDistribution()
    public private(set) var e2e = LatencyDistribution()
    public private(set) var queue = LatencyDistribution()
    public private(set) var digest = OutcomeDigest()
    /// Every outcome, when the run keeps them.
    public private(set) var completions: [Completion] = []
    public let promise: LatencyPromise
    public let keepsCompletions: Bool
    private let ttftNanoseconds: Int64
    private let tpotNanoseconds: Int64

    public init(promise: LatencyPromise = .interactive, keepsCompletions: Bool = false) {
        self.promise = promise
        self.keepsCompletions = keepsCompletions
        self.ttftNanoseconds = Int64((promise.ttftSeconds * 1e9).rounded())
        self.tpotNanoseconds = Int64((promise.tpotSeconds * 1e9).rounded())
    }

    /// Requests that were offered: each ends exactly once.
    public var offered: Int64 { finished + rejected + failed + cancelled }

    /// Whether 99 in 100 of the requests offered met each bound. A refused or failed request met none.
    public var keepsPromise: Bool {
        let needed = (offered * 99 + 99) / 100
        return metTTFT >= needed && metTPOT >= needed
    }

    public mutating func completed(_ completion: Completion) {
        digest.add(completion)
        if keepsCompletions { completions.append(completion) }
        lastNanoseconds = max(lastNanoseconds, completion.lastTokenNanoseconds)
        preemptions += Int64(completion.preemptions)
        switch completion.status {
        case .finished: finished += 1
        case .rejected: rejected += 1
        case .failed: failed += 1
        case .cancelled: cancelled += 1
        }
        guard completion.status != .rejected else { return }
        promptTokens += Int64(completion.promptTokens)
        cachedPromptTokens += Int64(completion.cachedPromptTokens)
        outputTokens += Int64(completion.outputTokens)
        if completion.status == .finished { recordLatencies(completion) }
    }

    private mutating func recordLatencies(_ completion: Completion) {
        let timeToFirst = completion.firstTokenNanoseconds - completion.arrivalNanoseconds
        ttft.record(nanoseconds: timeToFirst)
        e2e.record(nanoseconds: completion.lastTokenNanoseconds - completion.arrivalNanoseconds)
        queue.record(nanoseconds: completion.scheduledNanoseconds - completion.arrivalNanoseconds)
        var timePerToken: Int64 = 0
        if completion.outputTokens > 1 {
            // A request of one token has no time per further token, and cannot break a promise about it.
            timePerToken =
                (completion.lastTokenNanoseconds - completion.firstTokenNanoseconds)
                / Int64(completion.outputTokens - 1)
            tpot.record(nanoseconds: timePerToken)
        }
        let inTTFT = timeToFirst <= ttftNanoseconds
        let inTPOT = timePerToken <= tpotNanoseconds
        if inTTFT { metTTFT += 1 }
        if inTPOT { metTPOT += 1 }
        if inTTFT && inTPOT { metBoth += 1 }
    }

    public mutating func produced(_ token: TokenEvent) {}

    public mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
        itl.recordSeries(
            firstPicoseconds: firstPicoseconds, incrementPicoseconds: incrementPicoseconds, steps: steps, copies: count)
    }

    /// Adds what another part of the same run counted.
    public mutating func merge(_ other: Tally) {
        precondition(promise == other.promise && keepsCompletions == other.keepsCompletions)
        finished += other.finished
        rejected += other.rejected
        failed += other.failed
        cancelled += other.cancelled
        preemptions += other.preemptions
        promptTokens += other.promptTokens
        cachedPromptTokens += other.cachedPromptTokens
        outputTokens += other.outputTokens
        metTTFT += other.metTTFT
        metTPOT += other.metTPOT
        metBoth += other.metBoth
        lastNanoseconds = max(lastNanoseconds, other.lastNanoseconds)
        ttft.merge(other.ttft)
        tpot.merge(other.tpot)
        itl.merge(other.itl)
        e2e.merge(other.e2e)
        queue.merge(other.queue)
        digest.merge(other.digest)
        completions.append(contentsOf: other.completions)
    }
}
