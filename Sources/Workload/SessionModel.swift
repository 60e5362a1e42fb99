//===----------------------------------------------------------------------===//
// Conversations and agents: requests that repeat what came before them.
//===----------------------------------------------------------------------===//

/// A statistical model of sessions: a prompt head that many share, then turns that each repeat the whole context so far
/// and add to it.
public struct SessionModel: Sendable {
    /// A pause between the starts of two turns of one session: lognormal, drawn with this weight among its siblings.
    public struct Gap: Sendable {
        public var weight: Double
        public var medianSeconds: Double
        public var sigma: Double

        public init(weight: Double, medianSeconds: Double, sigma: Double) {
            self.weight = weight
            self.medianSeconds = medianSeconds
            self.sigma = sigma
        }

        var meanSeconds: Double { medianSeconds * PortableMath.exp(sigma * sigma / 2) }
    }

    /// Prompt heads (system prompts, tool definitions) in use, and the tokens of each.
    public var heads: Int
    public var headTokens: LengthLaw
    /// Tokens that the first turn adds to the head, and that each later turn adds to the context.
    public var firstTurnTokens: LengthLaw
    public var laterTurnTokens: LengthLaw
    public var outputTokens: LengthLaw
    /// Probability that a turn is followed by another: the number of turns is geometric with mean 1 / (1 - p).
    public var continueProbability: Double
    /// Pauses from the arrival of a turn to the arrival of the next; they include the time that serving takes.
    public var gaps: [Gap]
    /// When prompt and output would exceed this, the context is compacted: it starts again from the head, as a fresh
    /// context.
    public var maxContextTokens: Int32

    /// Mean number of turns.
    var meanTurns: Double { 1 / (1 - continueProbability) }
    var meanGapSeconds: Double {
        gaps.reduce(0) { $0 + $1.weight * $1.meanSeconds } / gaps.reduce(0) { $0 + $1.weight }
    }
}

/// Requests of sessions under a `SessionModel`.
///
/// Sessions begin as an arrival process; every session that waits for its next turn is one 32-byte entry of a heap, so
/// memory is proportional to the open sessions (rate x probability of another turn x mean gap). Under a constant rate
/// the generator starts in equilibrium: sessions that began before time 0 are there with the residual of their gap, so
/// that the rate and the reuse are right from the first second.
final class SessionSource: RequestSource {
    private let model: SessionModel
    private let options: WorkloadOptions
    private var clock: ArrivalClock
    private var nextStart: Int64?
    private var random: RandomStream
    private var heap = SessionHeap()
    private var nextSession: UInt64 = 1
    private let headTokens: [Int32]
    /// Marks this source's sessions and heads among those of a mix.
    private let sessionTag: UInt64
    private let headTag: UInt32
    private let endNanoseconds: Int64
    private let limit: Int
    private let totalGapWeight: Double
    private let shortens: Bool
    private(set) var reading = ReadingCounts()

    /// - Parameters:
    ///   - rate: mean requests per second, over all turns.
    ///   - tag: number of this source among those of a mix; its random streams, sessions and heads are its own.
    init(_ model: SessionModel, rate: Double, options: WorkloadOptions, tag: UInt64 = 0) {
        precondition((0..<1).contains(model.continueProbability) && !model.gaps.isEmpty && model.heads > 0)
        self.model = model
        self.options = options
        random = RandomStream(seed: options.seed, stream: RandomUse.sessions + 16 * tag)
        sessionTag = tag << 56
        headTag = UInt32(tag) << 24
        endNanoseconds = options.durationSeconds.map(nanoseconds) ?? .max
        limit = options.limit ?? .max
        totalGapWeight = model.gaps.reduce(0) { $0 + $1.weight }
        shortens = options.maxPrompt != nil || options.maxOutput != nil || options.maxTotal != nil
        var heads: [Int32] = []
        for _ in 0..<model.heads { heads.append(model.headTokens.draw(&random)) }
        headTokens = heads
        let starts = 1 - model.continueProbability
        let arrivals = RandomStream(seed: options.seed, stream: RandomUse.arrivals + 16 * tag)
        if let stages = options.stages {
            let scaled = stages.map { $0.scaled(by: options.scale * starts) }
            clock = ArrivalClock(law: options.arrivals ?? .poisson, stages: scaled, random: arrivals)
        } else if options.concurrency != nil || options.arrivals == .atOnce {
            clock = ArrivalClock(law: .atOnce, rate: 1, random: arrivals)
        } else {
            clock = ArrivalClock(law: options.arrivals ?? .poisson, rate: rate * starts, random: arrivals)
            beginInEquilibrium(rate: rate)
        }
        nextStart = clock.next().map(nanoseconds)
    }

    func next() throws(WorkloadError) -> Request? {
        guard reading.accepted < limit else { return nil }
        let waiting = heap.first
        if let waiting, waiting.time <= nextStart ?? .max {
            guard waiting.time < endNanoseconds else { return nil }
            heap.removeFirst()
            return turn(of: waiting)
        }
        guard let start = nextStart, start < endNanoseconds else { return nil }
        nextStart = clock.next().map(nanoseconds)
        return turn(of: newSession(at: start))
    }

    private func newSession(at time: Int64) -> SessionHeap.Entry {
        defer { nextSession += 1 }
        let head = model.heads == 1 ? 0 : UInt32(random.below(UInt64(model.heads)))
        return SessionHeap.Entry(time: time, session: nextSession | sessionTag, contextTokens: 0, head: head)
    }

    /// The request of a session's next turn; the turn after it, if there is one, is put in the heap.
    private func turn(of entry: SessionHeap.Entry) -> Request {
        var entry = entry
        let head = headTokens[Int(entry.head)]
        let output = min(model.outputTokens.draw(&random), model.maxContextTokens - 1)
        var added = entry.contextTokens == 0 ? model.firstTurnTokens.draw(&random) : model.laterTurnTokens.draw(&random)
        var context = entry.contextTokens == 0 ? head : entry.contextTokens
        if Int(context) + Int(added) + Int(output) > Int(model.maxContextTokens) {
            entry.contextTokens = 0
            context = head
            added = max(1, min(model.firstTurnTokens.draw(&random), model.maxContextTokens - output - head))
        }
        let prompt = max(1, context + added)
        var request = Request(
            id: UInt64(reading.accepted), arrivalNanoseconds: entry.time, promptTokens: prompt, outputTokens: output
        )
        request.prefix.session = entry.session
        request.prefix.sessionTokens = entry.contextTokens
        request.prefix.sharedHead = headTag | (entry.head + 1)
        request.prefix.sharedHeadTokens = min(head, prompt)
        if shortens, request.shorten(to: options) { reading.shortened += 1 }
        reading.accepted += 1
        if random.unit() < model.continueProbability {
            entry.contextTokens = prompt + output
            entry.time += nanoseconds(drawGapSeconds())
            heap.insert(entry)
        }
        return request
    }

    private func drawGapSeconds() -> Double {
        var pick = random.unit() * totalGapWeight
        for gap in model.gaps.dropLast() {
            pick -= gap.weight
            if pick < 0 { return gap.medianSeconds * PortableMath.exp(gap.sigma * random.normal()) }
        }
        let last = model.gaps[model.gaps.count - 1]
        return last.medianSeconds * PortableMath.exp(last.sigma * random.normal())
    }

    /// Fills the heap with the sessions that are waiting at a moment of the stationary process.
    ///
    /// Their mean number is rate x p x mean gap (Little's law). A gap that covers a given moment is length-biased: kind
    /// i with probability proportional to weight x mean, its length lognormal with the median e^(sigma^2) times larger,
    /// and the moment uniform within it. The number of turns already taken is geometric with the same p, because turns
    /// have no memory of how many came before.
    private func beginInEquilibrium(rate: Double) {
        let waiting = Int((rate * model.continueProbability * model.meanGapSeconds).rounded())
        let biasedTotal = model.gaps.reduce(0) { $0 + $1.weight * $1.meanSeconds }
        let growth = model.laterTurnTokens.mean + model.outputTokens.mean
        for _ in 0..<waiting {
            var pick = random.unit() * biasedTotal
            var gap = model.gaps[0]
            for candidate in model.gaps {
                gap = candidate
                pick -= candidate.weight * candidate.meanSeconds
                if pick < 0 { break }
            }
            let length = gap.medianSeconds * PortableMath.exp(gap.sigma * gap.sigma + gap.sigma * random.normal())
            var entry = newSession(at: nanoseconds(min(length * random.unit(), 1e9)))
            entry.contextTokens = contextInEquilibrium(head: headTokens[Int(entry.head)], growthPerTurn: growth)
            heap.insert(entry)
        }
    }

    /// Context of a session that has taken a geometric number of turns. Beyond 8 turns the growth of the others is
    /// taken at its mean; whole compactions are taken out.
    private func contextInEquilibrium(head: Int32, growthPerTurn: Double) -> Int32 {
        var turns = 1
        if model.continueProbability > 0 {
            turns += Int(min(PortableMath.ln(random.positiveUnit()) / PortableMath.ln(model.continueProbability), 1e6))
        }
        var context =
            Double(head) + Double(model.firstTurnTokens.draw(&random)) + Double(model.outputTokens.draw(&random))
        for _ in 1..<max(2, min(turns, 9)) where turns > 1 {
            context += Double(model.laterTurnTokens.draw(&random)) + Double(model.outputTokens.draw(&random))
        }
        if turns > 9 { context += Double(turns - 9) * growthPerTurn }
        let room = Double(model.maxContextTokens - head)
        let beyondHead = context - Double(head)
        return head + Int32(max(1, beyondHead - (beyondHead / room).rounded(.down) * room))
    }
}

/// Sessions that wait for their next turn, earliest first (a 4-ary heap; ties go to the lower session number).
struct SessionHeap {
    struct Entry: BitwiseCopyable {
        var time: Int64
        var session: UInt64
        /// Tokens computed or produced so far; 0 before the first turn.
        var contextTokens: Int32
        var head: UInt32

        @inline(__always)
        func precedes(_ other: Entry) -> Bool { time != other.time ? time < other.time : session < other.session }
    }

    private var entries: [Entry] = []

    var count: Int { entries.count }
    var first: Entry? { entries.first }

    mutating func insert(_ entry: Entry) {
        entries.append(entry)
        entries.withUnsafeMutableBufferPointer { heap in
            var index = heap.count - 1
            while index > 0 {
                let parent = (index - 1) / 4
                guard entry.precedes(heap[parent]) else { break }
                heap[index] = heap[parent]
                index = parent
            }
            heap[index] = entry
        }
    }

    mutating func removeFirst() {
        let entry = entries.removeLast()
        guard !entries.isEmpty else { return }
        entries.withUnsafeMutableBufferPointer { heap in
            var index = 0
            while true {
                let firstChild = 4 * index + 1
                guard firstChild < heap.count else { break }
                var smallest = firstChild
                for child in (firstChild + 1)..<max(firstChild + 1, min(firstChild + 4, heap.count))
                where heap[child].precedes(heap[smallest]) { smallest = child }
                guard heap[smallest].precedes(entry) else { break }
                heap[index] = heap[smallest]
                index = smallest
            }
            heap[index] = entry
        }
    }
}
