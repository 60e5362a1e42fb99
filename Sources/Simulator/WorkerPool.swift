//===----------------------------------------------------------------------===//
// Threads that share out a loop.
//===----------------------------------------------------------------------===//

import Glibc
import HostTopology
import Synchronization

/// A fixed number of threads that run a loop's iterations together, one loop at a time.
///
/// Iterations are claimed one by one, so which thread runs which is a matter of chance: an iteration may only touch
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
    private let claimed = Atomic<Int>(0)
    private let busyWorkers = Atomic<Int>(0)

    /// - Parameter pinned: binds the threads that are started here (the caller's stays as it is) to the CPUs that the
    ///   topology gives to so many busy threads.
    init(workers: Int, pinned: Bool) throws {
        precondition(workers > 0)
        self.workers = workers
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
        claimed.store(0, ordering: .relaxed)
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
        while true {
            let iteration = claimed.wrappingAdd(1, ordering: .relaxed).oldValue
            if iteration >= count { return }
            body(iteration, worker)
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
