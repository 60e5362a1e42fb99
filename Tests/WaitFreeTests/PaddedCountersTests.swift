import Testing
import WaitFree

@Suite struct PaddedCountersTests {
    @Test func totalsAddUpWhatEachWriterCounted() {
        let counters = PaddedCounters.allocate(writers: 3, counters: 20)
        defer { counters.deallocate() }
        for writer in 0..<3 {
            for counter in 0..<20 { counters.add(UInt64(1 + writer * 100 + counter), to: counter, by: writer) }
        }
        for counter in 0..<20 {
            #expect(counters.total(counter) == UInt64(3 + 300 + 3 * counter))
            #expect(counters.value(counter, of: 2) == UInt64(201 + counter))
        }
    }

    @Test func refusesWritersAndCountersThatAreNotThere() async {
        await #expect(processExitsWith: .failure) {
            PaddedCounters.allocate(writers: 2, counters: 3).add(1, to: 3, by: 0)
        }
        await #expect(processExitsWith: .failure) {
            PaddedCounters.allocate(writers: 2, counters: 3).add(1, to: 0, by: 2)
        }
    }

    @Test func stressNothingIsLost() {
        let counters = PaddedCounters.allocate(writers: 3, counters: 2)
        defer { counters.deallocate() }
        let shared = PaddedAtomic.allocate()
        defer { shared.deallocate() }
        runConcurrently(
            (0..<3).map { writer in
                {
                    for _ in 0..<100_000 {
                        counters.add(2, to: 1, by: writer)
                        shared.add(1)
                    }
                }
            })
        #expect(counters.total(1) == 600_000)
        #expect(counters.total(0) == 0)
        #expect(shared.exchange(5) == 300_000)
        #expect(shared.load() == 5)
    }
}
