//===----------------------------------------------------------------------===//
// How threads wake each other, and how long they sleep.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Server

@Suite struct WakingTests {
    /// A wake-up must cost the same after many as at first: the way to the drain may not grow with each.
    @Test func theThousandthWakeGoesTheSameWayAsTheFirst() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let waker = LoopWaker(loop: loop)
        let depths = Mutex<[UInt]>([])
        waker.onWake {
            waker.isAwake()
            var here: UInt8 = 0
            let address = withUnsafeMutablePointer(to: &here) { UInt(bitPattern: $0) }
            depths.withLock { $0.append(address) }
        }
        for _ in 0..<1000 {
            waker.wake()
            // The task that a wake-up enqueues is over before one that comes after it.
            try await loop.submit {}.get()
        }
        let seen = depths.withLock { $0 }
        #expect(seen.count == 1000)
        #expect(
            seen.first == seen.last, "the stack of the drain moved by \(Int(seen[0]) - Int(seen[seen.count - 1])) bytes"
        )
        try await group.shutdownGracefully()
    }

    @Test func wakesBeforeTheDrainAreOne() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let waker = LoopWaker(loop: loop)
        let drains = Atomic<Int>(0)
        waker.onWake {
            waker.isAwake()
            drains.wrappingAdd(1, ordering: .relaxed)
        }
        try await loop.submit { for _ in 0..<100 { waker.wake() } }.get()
        try await loop.submit {}.get()
        #expect(drains.load(ordering: .relaxed) == 1)
        waker.wake()
        try await loop.submit {}.get()
        #expect(drains.load(ordering: .relaxed) == 2)
        try await group.shutdownGracefully()
    }

    @Test func latenessIsLearntQuicklyForgottenSlowlyAndBounded() {
        var lateness = SleepLateness(limitNanoseconds: 100_000)
        #expect(lateness.expectedNanoseconds == 0)
        for _ in 0..<40 { lateness.slept(lateNanoseconds: 50_000) }
        #expect((45_000...50_000).contains(lateness.expectedNanoseconds))
        let before = lateness.expectedNanoseconds
        for _ in 0..<8 { lateness.slept(lateNanoseconds: 0) }
        #expect(lateness.expectedNanoseconds > before * 8 / 10, "one early end in eight must not undo the estimate")
        for _ in 0..<100 { lateness.slept(lateNanoseconds: 10_000_000) }
        #expect(lateness.expectedNanoseconds == 100_000)
        for _ in 0..<1000 { lateness.slept(lateNanoseconds: -5) }
        #expect((0...100).contains(lateness.expectedNanoseconds))
        var never = SleepLateness(limitNanoseconds: 0)
        never.slept(lateNanoseconds: 1_000_000)
        #expect(never.expectedNanoseconds == 0)
    }
}
