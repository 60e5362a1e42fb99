import CCoroutine

/// What one run of a few model threads may do: whose turn it is, what each word holds, which stores are still on their
/// way, and what each thread knows of the others.
///
/// **What it models.** Threads take turns at every operation on a word. A store may be delayed in the store buffer of
/// its thread, as on x86-64 (total store order): the thread itself sees it, others only after it was flushed, which
/// happens at any later time, in order, or at a fence or an exchange. Vector clocks follow releases and acquires, and
/// an access to an ordinary cell without happens-before to the last conflicting one is a data race, so orderings that
/// are too weak are found even where the values happen to be right.
///
/// **What it does not.** Loads are not reordered with earlier loads, and acquire loads never return old values except
/// by a delayed store. What a weaker processor adds to this for words that order cells is covered by the clocks.
final class World {
    typealias VectorClock = SIMD4<UInt16>
    static let mostThreads = 4

    struct Limits: CustomStringConvertible {
        /// Turns taken from a thread that could have gone on; nil: any number.
        var preemptions: Int?
        /// Stores that may be delayed; 0 gives sequential consistency.
        var delayedStores = 0
        /// Steps after which a run counts as stuck.
        var steps = 10_000
        var description: String {
            "\(preemptions.map(String.init) ?? "any number of") preemptions and \(delayedStores) delayed stores"
        }
    }

    private struct Word {
        var value: UInt64
        var released = VectorClock()
        var name: String
    }
    private struct PendingStore {
        var word: UInt
        var value: UInt64
        var released: VectorClock
    }
    private struct Cell {
        var writer: Int?
        var writtenAt: UInt16 = 0
        var readAt = VectorClock()
    }
    private enum Turn {
        case run(Int)
        case flush(Int)
    }

    private let limits: Limits
    private var decisions: Decisions
    private var words: [UInt: Word] = [:]
    private var cells: [UInt: Cell] = [:]
    private var clocks: [VectorClock] = []
    private var buffers: [[PendingStore]] = []
    private var delayed = 0
    private var waitingFor: [ModelEvent?] = []
    private var startOfOperation: [Int?] = []
    private(set) var operationsOnWords: [Int] = []
    /// Steps so far; the time that histories are written in.
    private(set) var steps = 0
    private(set) var failure: String?
    /// What happened, one line a step; empty unless asked for.
    private(set) var trace: [String] = []
    private let recordsTrace: Bool

    init(limits: Limits, decisions: Decisions, recordsTrace: Bool) {
        self.limits = limits
        self.decisions = decisions
        self.recordsTrace = recordsTrace
    }

    /// The decisions that were made, for the next run of a search.
    var made: [Decisions.Made] { decisions.made }

    func fail(_ message: String) {
        if failure == nil { failure = message }
    }

    // MARK: Taking turns

    /// Runs a trial to its end and says what went wrong, if anything did.
    func run(_ makeTrial: (World) -> Trial) -> String? {
        let context = Unmanaged.passUnretained(self).toOpaque()
        let outer = coroutine_context()
        coroutine_set_context(context)
        defer { coroutine_set_context(outer) }
        let trial = makeTrial(self)
        defer { trial.end() }
        let count = trial.threads.count
        precondition(count <= Self.mostThreads)
        clocks = (0..<count).map { thread in
            var clock = VectorClock()
            clock[thread] = 1
            return clock
        }
        buffers = Array(repeating: [], count: count)
        waitingFor = Array(repeating: nil, count: count)
        startOfOperation = Array(repeating: nil, count: count)
        operationsOnWords = Array(repeating: 0, count: count)

        final class Body {
            let run: () -> Void
            init(_ run: @escaping () -> Void) { self.run = run }
        }
        let group = coroutine_group_create(Int32(count), context)!
        defer { coroutine_group_destroy(group) }
        let bodies = trial.threads.map(Body.init)
        var live: [Int] = []
        for (thread, body) in bodies.enumerated() {
            coroutine_start(
                group, Int32(thread), { Unmanaged<Body>.fromOpaque($0!).takeUnretainedValue().run() },
                Unmanaged.passUnretained(body).toOpaque())
            // Up to the thread's first step nothing is shared, so its order does not matter.
            if coroutine_resume(group, Int32(thread)) == 1 { live.append(thread) }
        }
        takeTurns(group, live)
        withExtendedLifetime(bodies) {}
        return failure ?? trial.check()
    }

    private func takeTurns(_ group: OpaquePointer, _ threads: [Int]) {
        var live = threads
        var current = -1
        var preemptions = 0
        while failure == nil {
            let turns = possibleTurns(live: live, current: current, preemptions: preemptions)
            if turns.isEmpty {
                if let sleeper = live.first { fail("thread \(sleeper) sleeps and nobody will wake it") }
                return
            }
            if steps > limits.steps { return fail("no end after \(steps) steps") }
            steps += 1
            switch turns[decisions.choose(turns.count)] {
            case .flush(let thread): flushOldest(of: thread)
            case .run(let thread):
                if thread != current && live.contains(current) && canRun(current) { preemptions += 1 }
                current = thread
                if coroutine_resume(group, Int32(thread)) == 0 { live.removeAll { $0 == thread } }
            }
        }
    }

    /// The current thread's going on comes first, so that a decision of 0 is never a preemption.
    private func possibleTurns(live: [Int], current: Int, preemptions: Int) -> [Turn] {
        var turns: [Turn] = []
        let goesOn = live.contains(current) && canRun(current)
        if goesOn { turns.append(.run(current)) }
        if !goesOn || preemptions < limits.preemptions ?? .max {
            for thread in live where thread != current && canRun(thread) { turns.append(.run(thread)) }
        }
        for thread in buffers.indices where !buffers[thread].isEmpty { turns.append(.flush(thread)) }
        return turns
    }

    private func canRun(_ thread: Int) -> Bool {
        guard let event = waitingFor[thread] else { return true }
        return event.count > 0
    }

    /// Called by a thread before it does something that others can see. Returns the thread, or nil during set-up.
    private func step() -> Int? {
        let thread = Int(coroutine_current())
        if thread < 0 { return nil }
        coroutine_yield()
        if startOfOperation[thread] == nil { startOfOperation[thread] = steps }
        return thread
    }

    /// Runs an operation of an object under test, and says when it was under way and how many operations on words it
    /// took. An operation begins with its first step, not when it is called.
    func measure<Result>(_ operation: () -> Result) -> (result: Result, steps: ClosedRange<Int>, wordOperations: Int) {
        let thread = Int(coroutine_current())
        precondition(thread >= 0, "only model threads are measured")
        startOfOperation[thread] = nil
        let before = operationsOnWords[thread]
        let result = operation()
        let start = startOfOperation[thread] ?? steps
        return (result, start...steps, operationsOnWords[thread] - before)
    }

    /// Blocks the calling thread until the event has happened; takes all of its count, as reading an eventfd does.
    func wait(for event: ModelEvent) {
        guard let thread = step() else { preconditionFailure("only model threads wait") }
        if event.count == 0 {
            note(thread, "blocks")
            waitingFor[thread] = event
            coroutine_yield()
            waitingFor[thread] = nil
        }
        event.count = 0
        note(thread, "wakes")
    }

    /// Lets the event happen, as writing to an eventfd does. A system call empties the store buffer.
    func signal(_ event: ModelEvent) {
        guard let thread = step() else { preconditionFailure("only model threads signal") }
        while !buffers[thread].isEmpty { flushOldest(of: thread) }
        event.count += 1
        note(thread, "signals")
    }

    // MARK: Words

    /// Gives a word the name under which it appears in traces.
    func name(_ word: UnsafeMutableRawPointer, _ name: String) {
        words[UInt(bitPattern: word)]!.name = name
    }

    func initialize(_ word: UnsafeMutableRawPointer, to value: UInt64) {
        words[UInt(bitPattern: word)] = Word(value: value, name: "word")
    }

    func load(_ address: UnsafeMutableRawPointer, acquires: Bool) -> UInt64 {
        let key = UInt(bitPattern: address)
        guard let thread = step() else { return words[key]!.value }
        operationsOnWords[thread] += 1
        if let own = buffers[thread].last(where: { $0.word == key }) {
            note(thread, "loads \(words[key]!.name): \(own.value), from its store buffer")
            return own.value
        }
        let word = words[key]!
        if acquires { clocks[thread].join(word.released) }
        note(thread, "loads \(word.name): \(word.value)")
        return word.value
    }

    func store(_ value: UInt64, to address: UnsafeMutableRawPointer, releases: Bool) {
        let key = UInt(bitPattern: address)
        guard let thread = step() else { return words[key]!.value = value }
        operationsOnWords[thread] += 1
        let released = releases ? clocks[thread] : VectorClock()
        if releases { clocks[thread][thread] += 1 }
        let mustFollow = !buffers[thread].isEmpty
        if mustFollow || (delayed < limits.delayedStores && decisions.choose(2) == 1) {
            delayed += 1
            buffers[thread].append(PendingStore(word: key, value: value, released: released))
            note(thread, "stores \(value) to \(words[key]!.name), which stays in its store buffer")
        } else {
            words[key]!.value = value
            words[key]!.released = released
            note(thread, "stores \(value) to \(words[key]!.name)")
        }
    }

    func modify(_ address: UnsafeMutableRawPointer, name: String, orders: Bool, _ change: (UInt64) -> UInt64) -> UInt64
    {
        let key = UInt(bitPattern: address)
        guard let thread = step() else {
            let old = words[key]!.value
            words[key]!.value = change(old)
            return old
        }
        operationsOnWords[thread] += 1
        while !buffers[thread].isEmpty { flushOldest(of: thread) }
        let old = words[key]!
        words[key]!.value = change(old.value)
        if orders {
            clocks[thread].join(old.released)
            words[key]!.released.join(clocks[thread])
            clocks[thread][thread] += 1
        }
        note(thread, "\(name) on \(old.name): \(old.value) becomes \(words[key]!.value)")
        return old.value
    }

    func fence(works: Bool) {
        guard let thread = step() else { return }
        operationsOnWords[thread] += 1
        note(thread, works ? "fences" : "does not fence")
        if works { while !buffers[thread].isEmpty { flushOldest(of: thread) } }
    }

    private func flushOldest(of thread: Int) {
        let store = buffers[thread].removeFirst()
        words[store.word]!.value = store.value
        words[store.word]!.released = store.released
        note(thread, "has its store of \(store.value) to \(words[store.word]!.name) flushed")
    }

    // MARK: Cells

    func touch(_ address: UnsafeMutableRawPointer, writes: Bool) {
        let thread = Int(coroutine_current())
        if thread < 0 { return }
        let key = UInt(bitPattern: address)
        let clock = clocks[thread]
        var cell = cells[key] ?? Cell()
        if let writer = cell.writer, writer != thread, clock[writer] < cell.writtenAt {
            fail("data race: thread \(thread) \(writes ? "overwrites" : "reads") what thread \(writer) wrote")
        }
        if writes {
            for reader in 0..<clocks.count where reader != thread && cell.readAt[reader] > clock[reader] {
                fail("data race: thread \(thread) overwrites what thread \(reader) reads")
            }
            cell.writer = thread
            cell.writtenAt = clock[thread]
        } else {
            cell.readAt[thread] = clock[thread]
        }
        cells[key] = cell
    }

    private func note(_ thread: Int, _ what: @autoclosure () -> String) {
        if recordsTrace { trace.append("thread \(thread) \(what())") }
    }
}

extension SIMD4 where Scalar == UInt16 {
    /// What is known after hearing of `other`.
    mutating func join(_ other: Self) { self = pointwiseMax(self, other) }
}

/// Stands for an eventfd.
final class ModelEvent {
    var count = 0
}

/// A few threads, what must hold when they have ended, and what to do with their memory.
struct Trial {
    var threads: [() -> Void]
    /// Nil, or what is wrong.
    var check: () -> String?
    /// Gives back memory.
    var end: () -> Void
}
