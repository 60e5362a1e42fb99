import CCoroutine
import Testing
import WaitFree

/// The ring under every interleaving of small programs.
@Suite struct RingModelTests {
    /// One call and its result.
    enum Call {
        case push(Int, Bool)
        case pushBatch([Int], Int)
        case pop(Int?)
        case peek(Int?)
        case drain(limit: Int, [Int])
        case isEmpty(Bool)
    }
    /// What a thread does.
    enum Action {
        case push, pushBatch(Int), pop, peek, drain(Int), drainAll, isEmpty
    }

    /// A bounded queue. A batch is one step, and may end before the ring does: it takes what it saw when it began.
    static func apply(capacity: Int, _ queue: inout [Int], _ call: Call) -> Bool {
        switch call {
        case .push(let value, let done):
            if done { queue.append(value) }
            return done ? queue.count <= capacity : queue.count == capacity
        case .pushBatch(let values, let count):
            if count == 0 { return values.isEmpty || queue.count == capacity }
            queue += values.prefix(count)
            return queue.count <= capacity
        case .pop(let value):
            if queue.first != value { return false }
            if value != nil { queue.removeFirst() }
            return true
        case .peek(let value): return queue.first == value
        case .drain(let limit, let values):
            if values.isEmpty { return limit == 0 || queue.isEmpty }
            if values.count > limit || Array(queue.prefix(values.count)) != values { return false }
            queue.removeFirst(values.count)
            return true
        case .isEmpty(let empty): return queue.isEmpty == empty
        }
    }

    /// Most operations on words that a call may take, however the threads are interleaved.
    static func bound(_ action: Action) -> Int {
        switch action {
        case .push, .pop: 3
        case .peek, .isEmpty: 2
        case .pushBatch: 4
        case .drain, .drainAll: 3
        }
    }

    /// A producer and a consumer, each with its program, and an observer that asks for the occupancy.
    static func trial<Memory: ModelledMemory>(
        _ world: World, on memory: Memory.Type, capacity: Int, firstIndex: UInt64 = 0, producer: [Action],
        consumer: [Action], observations: Int = 0
    ) -> Trial {
        let block = CacheLine.allocate(byteCount: SPSCRingIn<Int, Memory>.byteCount(capacity: capacity))
        let ring = SPSCRingIn<Int, Memory>(in: block, capacity: capacity, firstIndex: firstIndex)
        world.name(block, "tail")
        world.name(block + CacheLine.byteCount, "head")
        let history = History<Call>()
        var pushed = 0

        func perform(_ action: Action) {
            let thread = Int(coroutine_current())
            let (call, steps, wordOperations) = world.measure { () -> Call in
                switch action {
                case .push:
                    let done = ring.push(pushed)
                    return .push(pushed, done)
                case .pushBatch(let count):
                    let values = Array(pushed..<pushed + count)
                    return .pushBatch(values, values.withUnsafeBufferPointer { ring.push(contentsOf: $0) })
                case .pop: return .pop(ring.pop())
                case .peek: return .peek(ring.peek())
                case .drain(let limit):
                    var values: [Int] = []
                    _ = ring.drain(limit: limit) { values.append($0) }
                    return .drain(limit: limit, values)
                case .drainAll:
                    var values: [Int] = []
                    _ = ring.drain { values.append($0) }
                    return .drain(limit: .max, values)
                case .isEmpty: return .isEmpty(ring.isEmpty)
                }
            }
            if case .push(_, true) = call { pushed += 1 }
            if case .pushBatch(_, let count) = call { pushed += count }
            history.append(call, thread: thread, steps: steps)
            if wordOperations > bound(action) {
                world.fail("\(call) took \(wordOperations) operations on words, more than \(bound(action))")
            }
        }

        var threads: [() -> Void] = [
            { for action in producer { perform(action) } },
            { for action in consumer { perform(action) } },
        ]
        if observations > 0 {
            threads.append {
                for _ in 0..<observations {
                    let estimate = ring.occupancyEstimate
                    if !(0...capacity).contains(estimate) { world.fail("an occupancy of \(estimate) was estimated") }
                }
            }
        }
        return Trial(
            threads: threads,
            check: {
                if history.isLinearizable(from: [], { apply(capacity: capacity, &$0, $1) }) { return nil }
                return "not linearizable:\n\(history.description)"
            },
            end: { block.deallocate() })
    }

    @Test(arguments: [(1, 0 as UInt64), (2, 0), (2, .max - 1), (4, .max)])
    func everyInterleavingOfSinglesIsLinearizable(capacity: Int, firstIndex: UInt64) {
        let outcome = Explorer().exhaust { world in
            Self.trial(
                world, on: ModelMemory.self, capacity: capacity, firstIndex: firstIndex,
                producer: [.push, .push, .push], consumer: [.pop, .pop, .pop])
        }
        print("ring of \(capacity) from index \(firstIndex), 3 pushes and 3 pops: \(outcome)")
        #expect(outcome.failure == nil && outcome.isComplete)
        #expect(outcome.runs > 1000)
    }

    @Test(arguments: [1, 2, 4])
    func everyInterleavingOfBatchesAndLooksIsLinearizable(capacity: Int) {
        let outcome = Explorer().exhaust { world in
            Self.trial(
                world, on: ModelMemory.self, capacity: capacity, producer: [.pushBatch(2), .push],
                consumer: [.isEmpty, .drain(2), .peek, .drainAll])
        }
        print("ring of \(capacity), batches: \(outcome)")
        #expect(outcome.failure == nil && outcome.isComplete)
    }

    @Test func anObserverNeverSeesAnImpossibleOccupancy() {
        let outcome = Explorer(limits: World.Limits(preemptions: 4)).exhaust { world in
            Self.trial(
                world, on: ModelMemory.self, capacity: 2, producer: [.push, .push, .push], consumer: [.pop, .pop],
                observations: 2)
        }
        print("ring of 2 with an observer, up to 4 preemptions: \(outcome)")
        #expect(outcome.failure == nil && outcome.isComplete)
    }

    /// Longer programs, without a bound on preemptions, and with delayed stores: linearizability is a matter of real
    /// time, which store buffers bend, so with them only races and step counts are judged.
    @Test func longRandomProgramsHold() {
        let seed: UInt64 = 20_261_120
        var generator = SeededGenerator(seed: seed)
        var runs = 0
        var steps = 0
        for program in 0..<40 {
            let capacity = [1, 2, 4, 8].randomElement(using: &generator)!
            let producer = (0..<8).map { _ in [Action.push, .push, .pushBatch(3)].randomElement(using: &generator)! }
            let consumer = (0..<10).map { _ in
                [Action.pop, .pop, .peek, .drain(2), .drainAll, .isEmpty].randomElement(using: &generator)!
            }
            let outcome = Explorer().sample(runs: 50, seed: generator.next()) { world in
                Self.trial(
                    world, on: ModelMemory.self, capacity: capacity, producer: producer, consumer: consumer,
                    observations: 3)
            }
            #expect(outcome.failure == nil, "seed \(seed), program \(program)")
            let relaxedOutcome = Explorer(limits: World.Limits(delayedStores: 20)).sample(
                runs: 50, seed: generator.next()
            ) { world in
                var trial = Self.trial(
                    world, on: ModelMemory.self, capacity: capacity, producer: producer, consumer: consumer)
                trial.check = { nil }
                return trial
            }
            #expect(relaxedOutcome.failure == nil, "seed \(seed), program \(program), store buffers")
            runs += outcome.runs + relaxedOutcome.runs
            steps += outcome.steps + relaxedOutcome.steps
        }
        print("rings of 1 to 8, random programs: \(runs) interleavings, \(steps) steps, seed \(seed)")
    }

    // MARK: Seeded bugs, which must be found

    @Test func findsAPublishThatDoesNotRelease() throws {
        let outcome = Explorer().exhaust { world in
            Self.trial(
                world, on: MemoryWithoutRelease.self, capacity: 2, producer: [.push, .push], consumer: [.pop, .pop])
        }
        let failure = try #require(outcome.failure)
        print("seeded bug, relaxed publish: \(outcome)")
        #expect(failure.message.contains("data race"))
    }

    @Test func findsALookThatDoesNotAcquire() throws {
        let outcome = Explorer().exhaust { world in
            Self.trial(
                world, on: MemoryWithoutAcquire.self, capacity: 1, producer: [.push, .push], consumer: [.pop, .pop])
        }
        let failure = try #require(outcome.failure)
        print("seeded bug, relaxed look: \(outcome)")
        #expect(failure.message.contains("data race"))
    }

    /// Two producers on a ring for one: found in depth and by chance, and both come down to a short schedule.
    @Test func findsTwoProducersAndShrinksTheSchedule() throws {
        func trial(_ world: World) -> Trial {
            var trial = Self.trial(
                world, on: ModelMemory.self, capacity: 4, producer: [.push, .push], consumer: [.pop, .pop])
            trial.threads.append(trial.threads[0])
            return trial
        }
        let deep = try #require(Explorer().exhaust(trial).failure)
        let random = try #require(Explorer().sample(runs: 1000, seed: 1, trial).failure)
        for failure in [deep, random] {
            #expect(failure.script.filter { $0 != 0 }.count <= 3, "\(failure)")
            #expect(Explorer().replay(failure.script, trial).problem == failure.message)
        }
        print("seeded bug, two producers: \(random)")
    }
}
