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
    }

    /// Prompt heads (system prompts, tool definitions) in use, and the tokens of each.
    public let heads: Int
    public let headTokens: LengthLaw
    /// Tokens that the first turn adds to the head, and that each later turn adds to the context.
    public let firstTurnTokens: LengthLaw
    public let laterTurnTokens: LengthLaw
    public let outputTokens: LengthLaw
    /// Probability that a turn is followed by another: the number of turns is geometric with mean 1 / (1 - p).
    public let continueProbability: Double
    /// Pauses from the arrival of a turn to the arrival of the next; they include the time that serving takes.
    public let gaps: [Gap]
    /// When prompt and output would exceed this, the context is compacted: it starts again from the head, as a fresh
    /// context.
    public let maxContextTokens: Int32

    /// Sum of the gaps' weights.
    let gapWeight: Double
    /// Tokens that a later turn and its answer add to the context, in the mean.
    let meanGrowthTokens: Double

    init(
        heads: Int, headTokens: LengthLaw, firstTurnTokens: LengthLaw, laterTurnTokens: LengthLaw,
        outputTokens: LengthLaw, continueProbability: Double, gaps: [Gap], maxContextTokens: Int32
    ) {
        precondition((0..<1).contains(continueProbability) && !gaps.isEmpty && heads > 0)
        self.heads = heads
        self.headTokens = headTokens
        self.firstTurnTokens = firstTurnTokens
        self.laterTurnTokens = laterTurnTokens
        self.outputTokens = outputTokens
        self.continueProbability = continueProbability
        self.gaps = gaps
        self.maxContextTokens = maxContextTokens
        gapWeight = gaps.reduce(0) { $0 + $1.weight }
        meanGrowthTokens = laterTurnTokens.mean + outputTokens.mean
    }
}

/// Requests of sessions under a `SessionModel`.
final class SessionSource: RequestSource {
    /// All of it in one variable: the runtime checks an access to a class's variable for overlap with others, and once
    /// for each request is enough.
    private var turns: SessionTurns

    /// - Parameters:
    ///   - rate: mean requests per second, over all turns.
    ///   - tag: number of this source among those of a mix; its random streams, sessions and heads are its own.
    init(_ model: SessionModel, rate: Double, options: WorkloadOptions, tag: UInt64 = 0) {
        turns = SessionTurns(model, rate: rate, options: options, tag: tag)
    }

    var reading: ReadingCounts { turns.reading }

    func next() throws(WorkloadError) -> Request? { turns.next() }
}

/// The state of a `SessionSource`.
///
/// Sessions begin as an arrival process; every session that waits for its next turn is one 32-byte entry of a heap, so
/// memory is proportional to the sessions that this run has opened and that go on before its end. Under a constant rate
/// the generator starts in equilibrium: turns of sessions that began before time 0 come as `EarlierSessions` says, so
/// that the rate and the reuse are right from the first second.
struct SessionTurns {
    private let model: SessionModel
    private let options: WorkloadOptions
    private var clock: ArrivalClock
    private var nextStart: Int64?
    /// Sessions from before the run, and when the next of them is heard of; nil when there are none.
    private var earlier: EarlierSessions?
    private var nextEarlier: Int64?
    private var random: RandomStream
    private var heap = SessionHeap()
    private var nextSession: UInt64 = 1
    private let headTokens: [Int32]
    /// Marks this source's sessions and heads among those of a mix.
    private let sessionTag: UInt64
    private let headTag: UInt32
    private let endNanoseconds: Int64
    private let limit: Int
    private let shortens: Bool
    private(set) var reading = ReadingCounts()

    init(_ model: SessionModel, rate: Double, options: WorkloadOptions, tag: UInt64) {
        self.model = model
        self.options = options
        random = RandomStream(seed: options.seed, stream: RandomUse.sessions + 16 * tag)
        sessionTag = tag << 56
        headTag = UInt32(tag) << 24
        endNanoseconds = options.durationSeconds.map(nanoseconds) ?? .max
        limit = options.limit ?? .max
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
            earlier = EarlierSessions(
                of: model, rate: rate,
                random: RandomStream(seed: options.seed, stream: RandomUse.earlierSessions + 16 * tag))
            nextEarlier = earlier?.nextNanoseconds()
        }
        nextStart = clock.next().map(nanoseconds)
    }

    mutating func next() -> Request? {
        guard reading.accepted < limit else { return nil }
        let start = nextStart ?? .max
        let old = nextEarlier ?? .max
        if let waiting = heap.first, waiting.time <= min(start, old) {
            heap.removeFirst()
            return turn(of: waiting)
        }
        guard min(start, old) < endNanoseconds else { return nil }
        if old <= start {
            nextEarlier = earlier?.nextNanoseconds()
            return turn(of: earlierSession(at: old))
        }
        nextStart = clock.next().map(nanoseconds)
        return turn(of: newSession(at: start, head: drawHead(&random)))
    }

    private func drawHead(_ random: inout RandomStream) -> UInt32 {
        model.heads == 1 ? 0 : UInt32(random.below(UInt64(model.heads)))
    }

    private mutating func newSession(at time: Int64, head: UInt32) -> SessionHeap.Entry {
        defer { nextSession += 1 }
        return SessionHeap.Entry(time: time, session: nextSession | sessionTag, contextTokens: 0, head: head)
    }

    /// A session from before the run, with the context that its earlier turns have left.
    private mutating func earlierSession(at time: Int64) -> SessionHeap.Entry {
        let head = drawHead(&random)
        var entry = newSession(at: time, head: head)
        entry.contextTokens = model.contextInEquilibrium(head: headTokens[Int(head)], &random)
        return entry
    }

    /// The request of a session's next turn; the turn after it, if there is one, is put in the heap.
    private mutating func turn(of entry: SessionHeap.Entry) -> Request {
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
            entry.time += nanoseconds(model.drawGapSeconds(&random))
            // What comes after the end of the run is never asked for.
            if entry.time < endNanoseconds { heap.insert(entry) }
        }
        return request
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
