import Testing
import WaitFree

@Suite struct SPSCRingTests {
    @Test func anEmptyRingGivesNothing() {
        let ring = SPSCRing<UInt64>.allocate(capacity: 4)
        defer { ring.deallocate() }
        #expect(ring.pop() == nil)
        #expect(ring.peek() == nil)
        #expect(ring.isEmpty)
        #expect(ring.occupancyEstimate == 0)
        #expect(ring.freeSlots() == 4)
    }

    @Test func aFullRingRefuses() {
        let ring = SPSCRing<UInt64>.allocate(capacity: 2)
        defer { ring.deallocate() }
        #expect(ring.push(1) && ring.push(2))
        #expect(!ring.push(3))
        #expect(ring.occupancyEstimate == 2)
        #expect(ring.pop() == 1)
        #expect(ring.push(3))
        #expect(ring.pop() == 2)
        #expect(ring.pop() == 3)
        #expect(ring.pop() == nil)
    }

    @Test func elementsWiderThanALineSurvive() {
        struct Wide: BitwiseCopyable, Equatable {
            var a: (UInt64, UInt64, UInt64, UInt64), b: (UInt64, UInt64, UInt64, UInt64), c: UInt16
            static func == (l: Wide, r: Wide) -> Bool { l.a == r.a && l.b == r.b && l.c == r.c }
        }
        let ring = SPSCRing<Wide>.allocate(capacity: 8)
        defer { ring.deallocate() }
        for i in 0..<100 as Range<UInt64> {
            let wide = Wide(a: (i, i + 1, i + 2, i + 3), b: (i * 5, i * 7, i * 11, i * 13), c: UInt16(i))
            #expect(ring.push(wide))
            #expect(ring.peek() == wide)
            #expect(ring.pop() == wide)
        }
    }

    /// Any mix of operations does what the same operations do to an array that is cut off at the capacity, also where
    /// the indices pass 2^64.
    @Test(arguments: [1, 2, 8, 64], [0, UInt64.max - 70])
    func behavesAsABoundedQueue(capacity: Int, firstIndex: UInt64) {
        let seed: UInt64 = 0xC0FFEE &+ UInt64(capacity)
        var generator = SeededGenerator(seed: seed)
        let memory = CacheLine.allocate(byteCount: SPSCRing<UInt64>.byteCount(capacity: capacity))
        let ring = SPSCRing<UInt64>(in: memory, capacity: capacity, firstIndex: firstIndex)
        defer { ring.deallocate() }
        var oracle: [UInt64] = []
        for step in 0..<20_000 as Range<UInt64> {
            let context: Comment = "seed \(seed), step \(step)"
            switch Int.random(in: 0..<9, using: &generator) {
            case 0, 1:
                let pushed = ring.push(step)
                #expect(pushed == (oracle.count < capacity), context)
                if pushed { oracle.append(step) }
            case 2:
                let batch = (0..<Int.random(in: 0...capacity + 1, using: &generator)).map { step << 32 | UInt64($0) }
                let pushed = batch.withUnsafeBufferPointer { ring.push(contentsOf: $0) }
                #expect(pushed == min(batch.count, capacity - oracle.count), context)
                oracle += batch.prefix(pushed)
            case 3, 4:
                #expect(ring.pop() == oracle.first, context)
                if !oracle.isEmpty { oracle.removeFirst() }
            case 5:
                let limit = Int.random(in: 0...capacity + 1, using: &generator)
                var drained: [UInt64] = []
                let count = ring.drain(limit: limit) { drained.append($0) }
                #expect(count == drained.count && drained == Array(oracle.prefix(limit)), context)
                oracle.removeFirst(count)
            case 6:
                var drained: [UInt64] = []
                #expect(ring.drain { drained.append($0) } == oracle.count, context)
                #expect(drained == oracle, context)
                oracle = []
            case 7:
                let size = Int.random(in: 1...capacity + 1, using: &generator)
                let buffer = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: size)
                defer { buffer.deallocate() }
                let count = ring.pop(into: buffer)
                #expect(Array(buffer.prefix(count)) == Array(oracle.prefix(size)), context)
                oracle.removeFirst(count)
            default:
                #expect(ring.peek() == oracle.first, context)
            }
            #expect(ring.occupancyEstimate == oracle.count, context)
            #expect(ring.freeSlots() == capacity - oracle.count, context)
            #expect(ring.available() == oracle.count, context)
            #expect(ring.isEmpty == oracle.isEmpty, context)
        }
    }

    @Test func rejectsBadCapacityAndMemory() async {
        await #expect(processExitsWith: .failure) { _ = SPSCRing<UInt64>.allocate(capacity: 3) }
        await #expect(processExitsWith: .failure) { _ = SPSCRing<UInt64>.allocate(capacity: 0) }
        await #expect(processExitsWith: .failure) {
            let memory = CacheLine.allocate(byteCount: 1024)
            _ = SPSCRing<UInt64>(in: memory + 8, capacity: 4)
        }
    }

    /// Two threads, many elements: none is lost, doubled, torn or out of order, and the estimate stays in range.
    /// Meant to be run under ThreadSanitizer as well, where it must be long enough for the threads to overlap.
    @Test(arguments: [1, 4, 256])
    func stressTransfer(capacity: Int) {
        struct Pair: BitwiseCopyable { var index: UInt64, complement: UInt64 }
        let ring = SPSCRing<Pair>.allocate(capacity: capacity)
        defer { ring.deallocate() }
        let count: UInt64 = capacity == 1 ? 40_000 : 400_000
        let torn = PaddedAtomic.allocate()
        defer { torn.deallocate() }
        runConcurrently([
            {
                var next: UInt64 = 0
                while next < count {
                    if ring.push(Pair(index: next, complement: ~next)) { next += 1 } else { yieldProcessor() }
                }
            },
            {
                var next: UInt64 = 0
                while next < count {
                    guard let pair = ring.pop() else {
                        yieldProcessor()
                        continue
                    }
                    if pair.index != next || pair.complement != ~next { torn.addAsOnlyWriter(1) }
                    next += 1
                }
            },
            {
                for _ in 0..<20_000 where !(0...capacity).contains(ring.occupancyEstimate) { torn.add(1 << 32) }
            },
        ])
        #expect(torn.load() == 0)
        #expect(ring.isEmpty)
    }
}
