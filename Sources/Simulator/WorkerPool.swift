//===----------------------------------------------------------------------===//
// Threads that share out a loop.
//===----------------------------------------------------------------------===//

import Glibc
import HostTopology
import Synchronization
import WaitFree

/// A fixed number of threads that run a loop's iterations together, one loop at a time.
///
/// Every thread has an equal share of consecutive iterations, and helps the others when it is done with its own: most
/// iterations stay with one thread from loop to loop, and so does the memory that they touch (in its cache, and on its
/// node, when it touched it first). Which thread helps with which is a matter of chance: an iteration may only touch
/// what is its own. The calling thread takes part. Between loops the others spin for a moment and then sleep.
final class WorkerPool: @unchecked Sendable {
    private struct Loop {
        var generation: UInt64 = 0
        var count = 0
        var body: (@Sendable (_ iteration: Int, _ worker: Int) -> Void)?
        var stops = false
    }
    let workers: Int
    private var threads: [PinnedThread] = []
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Under the mutex; `generation` is also readable without.
    private var loop = Loop()
    private let generation = Atomic<UInt64>(0)
    /// By worker: how many iterations of its share are taken.
    private let taken: [PaddedAtomic]
    private let busyWorkers = Atomic<Int>(0)

    /// - Parameter pinned: binds the threads that are started here (the caller's stays as it is) to the CPUs that the
    ///   topology gives to so many busy threads.
    init(workers: Int, pinned: Bool) throws {
        precondition(workers > 0)
        self.workers = workers
        taken = (0..<workers).map { _ in PaddedAtomic.allocate() }
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
        let placements = pinned ? HostTopology.current().placements(forThreads: workers) : []
        for worker in 1..<max(workers, 1) {
            do {
                let thread = try PinnedThread(
                    name: "cells \(worker)", placement: placements.isEmpty ? nil : placements[worker]
                ) { [self] in serve(worker: worker) }
                threads.append(thread)
            } catch {
                stop()
                throw SimulationError(
                    description: "thread \(worker + 1) of \(workers): \(error); ask for fewer threads")
            }
        }
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(wake)
        mutex.deallocate()
        wake.deallocate()
        for count in taken { count.deallocate() }
    }

    /// Ends the threads. The pool keeps itself alive until it is called.
    func stop() {
        pthread_mutex_lock(mutex)
        loop.stops = true
        loop.generation += 1
        generation.store(loop.generation, ordering: .releasing)
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(mutex)
        for thread in threads { thread.join() }
        threads = []
    }

    /// Runs `body` for every iteration in 0..<count and returns when all are done. With `alone`, on the calling thread
    /// only.
    func forEach(
        _ count: Int, alone: Bool = false, _ body: @escaping @Sendable (_ iteration: Int, _ worker: Int) -> Void
    ) {
        if alone || workers == 1 || count < 2 {
            for iteration in 0..<count { body(iteration, 0) }
            return
        }
        for count in taken { count.store(0) }
        busyWorkers.store(workers - 1, ordering: .relaxed)
        pthread_mutex_lock(mutex)
        loop.count = count
        loop.body = body
        loop.generation += 1
        generation.store(loop.generation, ordering: .releasing)
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(mutex)
        claim(count, body, worker: 0)
        var spins = 0
        while busyWorkers.load(ordering: .acquiring) > 0 {
            spins += 1
            if spins > 2000 { sched_yield() }
        }
        loop.body = nil
    }

    private func claim(_ count: Int, _ body: @Sendable (Int, Int) -> Void, worker: Int) {
        for turn in 0..<workers {
            let share = worker + turn < workers ? worker + turn : worker + turn - workers
            let start = count * share / workers
            let length = UInt64(count * (share + 1) / workers - start)
            while true {
                let next = taken[share].add(1)
                if next >= length { break }
                body(start + Int(next), worker)
            }
        }
    }

    private func serve(worker: Int) {
        var seen: UInt64 = 0
        while true {
            var spins = 0
            while generation.load(ordering: .acquiring) == seen && spins < 20_000 { spins += 1 }
            pthread_mutex_lock(mutex)
            while loop.generation == seen { pthread_cond_wait(wake, mutex) }
            seen = loop.generation
            let (count, body, stops) = (loop.count, loop.body, loop.stops)
            pthread_mutex_unlock(mutex)
            if stops { return }
            if let body { claim(count, body, worker: worker) }
            busyWorkers.wrappingSubtract(1, ordering: .releasing)
        }
    }
}
