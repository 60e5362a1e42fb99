import CAllocationCount
import Testing
import WaitFree

/// Counted, not hoped: the operations of the dispatch path ask nobody for memory and give none back.
@Suite(.enabled(if: allocation_count_works() == 1, "a sanitizer has the allocator")) struct AllocationTests {
    /// What the calling thread allocates and frees while `body` runs.
    private func count(_ body: () -> Void) -> UInt64 {
        let before = allocation_count() + deallocation_count()
        body()
        return allocation_count() + deallocation_count() - before
    }

    @Test func theCountCounts() {
        var array: [Int] = []
        #expect(count { array.append(1) } > 0)
        #expect(count { UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 8).deallocate() } == 2)
        #expect(count { CacheLine.allocate(byteCount: 256).deallocate() } == 2)
        #expect(count {} == 0)
    }

    @Test func dispatchAndReplyAllocateNothing() throws {
        struct Message: BitwiseCopyable { var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) }
        let rings = (0..<4).map { _ in SPSCRing<Message>.allocate(capacity: 64) }
        let board = LoadBoard.allocate(rows: 4, showing: PairedState(0))
        let counters = PaddedCounters.allocate(writers: 2, counters: 3)
        let shared = PaddedAtomic.allocate()
        let bell = try Doorbell()
        let buffer = UnsafeMutableBufferPointer<Message>.allocate(capacity: 16)
        defer {
            for ring in rings { ring.deallocate() }
            board.deallocate()
            counters.deallocate()
            shared.deallocate()
            bell.close()
            buffer.deallocate()
        }
        var sum: UInt64 = 0
        func run(_ count: UInt64) {
            var index: UInt64 = 0
            while index < count {
                let first = Int(index % 4)
                let second = Int(index / 4 % 4)
                let cell = board.read(row: first).first < board.read(row: second).first ? first : second
                _ = rings[cell].push(Message(words: (index, 1, 2, 3, 4, 5)))
                bell.ring()
                counters.add(1, to: 2, by: 1)
                shared.add(1)
                if index % 16 == 0 {
                    sum &+= rings[cell].peek()?.words.0 ?? 0
                    sum &+= rings[cell].pop()?.words.1 ?? 0
                    sum &+= UInt64(rings[cell].pop(into: buffer))
                    sum &+= UInt64(rings[cell].push(contentsOf: UnsafeBufferPointer(rebasing: buffer[..<1])))
                    sum &+= UInt64(rings[cell].drain(limit: 3) { sum &+= $0.words.2 })
                    sum &+= UInt64(rings[cell].drain { sum &+= $0.words.2 })
                    sum &+= UInt64(rings[cell].occupancyEstimate + rings[cell].freeSlots())
                    board.publish(PairedState(UInt32(truncatingIfNeeded: index)), row: cell)
                    _ = bell.sleep(unless: { true })
                }
                index += 1
            }
        }
        // The first time the runtime makes what it knows about generic types, in a build that does not specialise them.
        run(32)
        #expect(count { run(20_000) } == 0)
        #expect(sum > 0 && shared.load() == 20_032 && counters.total(2) == 20_032)
    }
}
