import CSocket
import Synchronization
import Testing
import Workload

@testable import LoadGenerator

@Suite struct PollLoopTests {
    /// Against a list that is sorted anew each time.
    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func timersLeaveInOrder(seed: UInt64) {
        var random = RandomStream(seed: seed)
        var heap = TimerHeap()
        var expected: [(time: Int64, number: Int)] = []
        var taken: [Int] = []
        for number in 0..<400 {
            let time = Int64(random.below(50))
            heap.add(at: time) { taken.append(number) }
            expected.append((time, number))
            guard random.below(3) == 0 else { continue }
            let now = Int64(random.below(50))
            let due = expected.filter { $0.time <= now }.sorted { ($0.time, $0.number) < ($1.time, $1.number) }
            expected.removeAll { $0.time <= now }
            taken = []
            while let task = heap.take(dueAt: now) { task() }
            #expect(taken == due.map(\.number), "seed \(seed)")
            #expect(heap.nextTime == expected.map(\.time).min() ?? .max)
        }
    }

    @Test func tasksRunInOrderAndNoneAfterTheEnd() async throws {
        let loop = try PollLoop()
        try loop.start()
        let order = Mutex<[Int]>([])
        for number in 0..<100 { loop.execute { order.withLock { $0.append(number) } } }
        #expect(await loop.submit { 7 } == 7)
        #expect(order.withLock { $0 } == Array(0..<100))
        loop.stop()
        #expect(await loop.submit { 7 } == nil, "a loop that has ended says so")
        loop.stop()
    }

    @Test func timersAreNotEarly() async throws {
        let loop = try PollLoop()
        try loop.start()
        let late: Int64 = await withCheckedContinuation { continuation in
            loop.execute {
                let due = loop.now() + 3_000_000
                loop.schedule(at: due) { continuation.resume(returning: loop.now() - due) }
            }
        }
        #expect(late >= 0)
        loop.stop()
    }
}
