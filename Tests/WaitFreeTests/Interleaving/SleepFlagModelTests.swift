import Glibc
import Testing
import WaitFree

/// Ring, sleep flag and wake-up together, with store buffers: nobody sleeps for ever, nothing is lost.
@Suite struct SleepFlagModelTests {
    /// Where a consumer may be careless.
    enum Consumer {
        case asItShouldBe
        case doesNotLookAgain
        case looksBeforeItAnnounces
    }

    /// `producers` threads push `elements` each to rings of their own; thread 0 consumes them all and sleeps when it
    /// can.
    static func trial<Memory: ModelledMemory>(
        _ world: World, on memory: Memory.Type, producers: Int, elements: Int, consumer: Consumer = .asItShouldBe
    ) -> Trial {
        let ringBytes = SPSCRingIn<Int, Memory>.byteCount(capacity: 4) + CacheLine.byteCount
        let ringStride = ringBytes / CacheLine.byteCount * CacheLine.byteCount
        let block = CacheLine.allocate(byteCount: CacheLine.byteCount + producers * ringStride)
        let flag = SleepFlagIn<Memory>(in: block)
        world.name(block, "flag")
        let rings = (0..<producers).map { producer in
            let start = block + CacheLine.byteCount + producer * ringStride
            let ring = SPSCRingIn<Int, Memory>(in: start, capacity: 4)
            world.name(start, "tail \(producer)")
            world.name(start + CacheLine.byteCount, "head \(producer)")
            return ring
        }
        let event = ModelEvent()
        var received: [Int] = []
        let threads: [() -> Void] =
            [
                {
                    while received.count < producers * elements {
                        for ring in rings { while let element = ring.pop() { received.append(element) } }
                        if received.count == producers * elements { return }
                        func hasWork() -> Bool { rings.contains { !$0.isEmpty } }
                        switch consumer {
                        case .asItShouldBe:
                            flag.announceSleep()
                            if !hasWork() { world.wait(for: event) }
                        case .doesNotLookAgain:
                            flag.announceSleep()
                            world.wait(for: event)
                        case .looksBeforeItAnnounces:
                            let found = hasWork()
                            flag.announceSleep()
                            if !found { world.wait(for: event) }
                        }
                        flag.withdraw()
                    }
                }
            ]
            + rings.map { ring in
                {
                    for element in 0..<elements {
                        if !ring.push(element) { world.fail("a ring that is large enough was full") }
                        let (claimed, _, wordOperations) = world.measure { flag.claimWake() }
                        if wordOperations > 3 { world.fail("claimWake took \(wordOperations) operations on words") }
                        if claimed { world.signal(event) }
                    }
                }
            }
        return Trial(
            threads: threads,
            check: {
                let sum = producers * elements * (elements - 1) / 2
                return received.count == producers * elements && received.reduce(0, +) == sum
                    ? nil : "received \(received)"
            },
            end: { block.deallocate() })
    }

    /// Small enough for every day; `scripts/verify-models` sets TRAINYARD_DEEP_CHECKS and goes deeper.
    static let goesDeep = getenv("TRAINYARD_DEEP_CHECKS") != nil

    @Test func oneProducerNeverLosesAWakeUp() {
        let limits = World.Limits(preemptions: Self.goesDeep ? 3 : 2, delayedStores: 2)
        let outcome = Explorer(limits: limits).exhaust { world in
            Self.trial(world, on: ModelMemory.self, producers: 1, elements: 2)
        }
        print("doorbell, 1 producer of 2, at most \(limits): \(outcome)")
        #expect(outcome.failure == nil && outcome.isComplete)
        #expect(outcome.runs > 1000)
    }

    @Test func oneProducerNeverLosesAWakeUpUnderAnyInterleaving() {
        let limits = World.Limits(delayedStores: Self.goesDeep ? 1 : 0)
        let outcome = Explorer(limits: limits).exhaust { world in
            Self.trial(world, on: ModelMemory.self, producers: 1, elements: 1)
        }
        print("doorbell, 1 producer of 1, at most \(limits): \(outcome)")
        #expect(outcome.failure == nil && outcome.isComplete)
    }

    @Test func twoProducersNeverLoseAWakeUp() {
        let limits = World.Limits(preemptions: Self.goesDeep ? 2 : 1, delayedStores: Self.goesDeep ? 2 : 1)
        let outcome = Explorer(limits: limits).exhaust(mostRuns: 5_000_000) { world in
            Self.trial(world, on: ModelMemory.self, producers: 2, elements: 1)
        }
        print("doorbell, 2 producers of 1, at most \(limits): \(outcome)")
        #expect(outcome.failure == nil && outcome.isComplete)
    }

    @Test func longRunsAtRandomNeverLoseAWakeUp() {
        let outcome = Explorer(limits: World.Limits(delayedStores: 12)).sample(runs: 3000, seed: 77) { world in
            Self.trial(world, on: ModelMemory.self, producers: 3, elements: 3)
        }
        print("doorbell, 3 producers of 3, random with 12 delayed stores: \(outcome)")
        #expect(outcome.failure == nil)
    }

    // MARK: Seeded bugs, which must be found

    @Test(arguments: [Consumer.doesNotLookAgain, .looksBeforeItAnnounces])
    func findsAConsumerThatDoesNotLookAgain(consumer: Consumer) throws {
        let outcome = Explorer(limits: World.Limits(preemptions: 2)).exhaust { world in
            Self.trial(world, on: ModelMemory.self, producers: 1, elements: 1, consumer: consumer)
        }
        let failure = try #require(outcome.failure)
        print("seeded bug, \(consumer): \(outcome)")
        #expect(failure.message.contains("nobody will wake it"))
    }

    /// Without the fence the algorithm holds when all stores are seen at once, and fails with store buffers: the reason
    /// for the fence, and for modelling the buffers.
    @Test func findsTheMissingFenceOnlyWithStoreBuffers() throws {
        let strong = Explorer(limits: World.Limits(preemptions: 3)).exhaust { world in
            Self.trial(world, on: MemoryWithoutFence.self, producers: 1, elements: 1)
        }
        #expect(strong.failure == nil && strong.isComplete)
        let buffered = Explorer(limits: World.Limits(preemptions: 3, delayedStores: 2)).exhaust { world in
            Self.trial(world, on: MemoryWithoutFence.self, producers: 1, elements: 1)
        }
        let failure = try #require(buffered.failure)
        print("seeded bug, no fence: \(buffered)")
        #expect(failure.message.contains("nobody will wake it"))
        #expect(failure.trace.contains { $0.contains("stays in its store buffer") })
    }
}
