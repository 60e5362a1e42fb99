import Testing
import WaitFree

@Suite struct DoorbellTests {
    @Test func aSleepEndsByTimeWhenNobodyRings() throws {
        let bell = try Doorbell()
        defer { bell.close() }
        #expect(bell.sleep(forAtMost: 1_000_000, unless: { false }) == .timeout)
    }

    @Test func workThatIsThereKeepsTheConsumerAwake() throws {
        let bell = try Doorbell()
        defer { bell.close() }
        #expect(bell.sleep(forAtMost: 5_000_000_000, unless: { true }) == .notNeeded)
    }

    @Test func onlyOneProducerHasToWake() {
        let flag = SleepFlag.allocate()
        defer { flag.deallocate() }
        #expect(!flag.claimWake())
        flag.announceSleep()
        #expect(flag.claimWake())
        #expect(!flag.claimWake())
        flag.announceSleep()
        flag.withdraw()
        #expect(!flag.claimWake())
    }

    @Test func aRingBetweenTheLookAndTheBlockIsNotLost() throws {
        let bell = try Doorbell()
        defer { bell.close() }
        // The producer comes after the consumer has looked and before it blocks.
        let wake = bell.sleep(
            forAtMost: 5_000_000_000,
            unless: {
                bell.ring()
                return false
            })
        #expect(wake == .rung)
    }

    /// Producers push one by one to a consumer that goes to sleep whenever it can, without a time limit: a lost wake-up
    /// hangs the test.
    @Test(.timeLimit(.minutes(1)))
    func stressNoWakeUpIsLost() throws {
        let bell = try Doorbell()
        defer { bell.close() }
        let rings = (0..<2).map { _ in SPSCRing<UInt64>.allocate(capacity: 8) }
        defer { for ring in rings { ring.deallocate() } }
        let count: UInt64 = 20_000
        let received = PaddedAtomic.allocate()
        defer { received.deallocate() }
        let producers = (0..<2).map { producer -> @Sendable () -> Void in
            {
                var next: UInt64 = 0
                while next < count {
                    if rings[producer].push(next) {
                        next += 1
                        bell.ring()
                        if next % 16 == 0 { while received.load() < next { yieldProcessor() } }
                    } else {
                        yieldProcessor()
                    }
                }
            }
        }
        runConcurrently(
            producers + [
                {
                    while received.load() < 2 * count {
                        var drained = 0
                        for ring in rings { drained += ring.drain { _ in } }
                        received.addAsOnlyWriter(UInt64(drained))
                        if drained == 0 {
                            if received.load() == 2 * count { return }
                            _ = bell.sleep(unless: { !(rings[0].isEmpty && rings[1].isEmpty) })
                        }
                    }
                }
            ])
        #expect(received.load() == 2 * count)
    }
}
