//===----------------------------------------------------------------------===//
// The thread that owns a cell and tells it the time.
//===----------------------------------------------------------------------===//

import CHost
import Engine
import Foundation
import Glibc
import HostTopology
import Ledger
import Synchronization
import WaitFree
import Yard

/// What a report needs of a cell: the counted outcomes and the gauges of the same instant.
struct CellSnapshot: Sendable {
    var tally: Tally
    var gauges: CellGauges
}

/// Runs one cell on the wall clock: advance to now, hand outcomes to the front ends, sleep until the next event or
/// message.
///
/// Everything else that wants to know about the cell reads what this thread publishes: gauges a few times a second (and
/// before a long sleep), a full snapshot when one is asked for, and a mark of progress for the watchdog.
final class CellThread: Sendable {
    /// Longest sleep, so that progress shows even when nothing happens.
    private static let longestSleepNanoseconds: Int64 = 500_000_000
    private static let gaugeIntervalNanoseconds: Int64 = 50_000_000

    let clock: ModelledClock
    private let bell: Doorbell
    private let gauges = Mutex(CellGauges())
    /// Who waits for a snapshot; nil once nobody answers any more.
    private let asks = Mutex<[CheckedContinuation<CellSnapshot?, Never>]?>([])
    private let askCount = Atomic<Int>(0)
    private let isStopping = Atomic<Bool>(false)
    private let hasEnded = Mutex<[CheckedContinuation<Void, Never>]?>([])
    /// Monotonic time of the last turn, in nanoseconds.
    private let progress = Atomic<Int64>(0)
    private let name: String
    private let busyWaitNanoseconds: Int64

    /// - Parameter busyWaitNanoseconds: at most so long before an event the thread stops sleeping and watches the clock.
    init(name: String, clock: ModelledClock, bell: Doorbell, busyWaitNanoseconds: Int64 = 0) {
        self.name = name
        self.clock = clock
        self.bell = bell
        self.busyWaitNanoseconds = busyWaitNanoseconds
    }

    /// Starts the thread.
    /// - Parameters:
    ///   - make: makes the cell's port, on the new thread, so that the cell's memory is on the thread's node.
    ///   - placement: the processors that the thread is bound to.
    ///   - promise: what goodput is counted against.
    /// - Throws: when the thread may not run there.
    func start(
        promise: LatencyPromise, placement: ThreadPlacement, make: @escaping @Sendable () -> CellPort
    ) throws(PinnedThread.StartError) {
        progress.store(ModelledClock.monotonicNanoseconds(), ordering: .relaxed)
        _ = try PinnedThread(name: name, placement: placement, stackBytes: 2 << 20) {
            self.run(port: make(), promise: promise)
        }
    }

    private func run(port: CellPort, promise: LatencyPromise) {
        // Tokens leave when a step ends: the kernel's habit of ending sleeps up to 50 µs late would show in every one.
        chost_set_timer_slack(1)
        let observer = TallyObserver(promise: promise)
        port.observer = observer
        var gaugesDue: Int64 = 0
        var lateness = SleepLateness(limitNanoseconds: busyWaitNanoseconds)
        var next = port.cell.nextEventNanoseconds
        while !isStopping.load(ordering: .acquiring) {
            let now = clock.target(nextEventNanoseconds: next)
            next = port.turn(at: now)
            let monotonic = ModelledClock.monotonicNanoseconds()
            progress.store(monotonic, ordering: .relaxed)
            if askCount.load(ordering: .acquiring) > 0 { answer(port.cell, observer, at: now) }
            let wait = waitNanoseconds(until: next)
            if monotonic >= gaugesDue || wait > Self.gaugeIntervalNanoseconds {
                gaugesDue = monotonic + Self.gaugeIntervalNanoseconds
                let view = CellGauges(port.cell, at: now)
                gauges.withLock { $0 = view }
            }
            if wait > 0 { sleep(port, until: next, wait: wait, lateness: &lateness) }
        }
        end(port.cell, observer)
    }

    /// Sleeps until an event is due or somebody rings: by the kernel's timer until a little before, and for the rest by
    /// looking at the clock, because the kernel's wake-up comes tens of microseconds late and every token would show it.
    private func sleep(_ port: CellPort, until next: Int64, wait: Int64, lateness: inout SleepLateness) {
        let asked = min(wait - lateness.expectedNanoseconds, Self.longestSleepNanoseconds)
        if asked > 0 {
            let began = ModelledClock.monotonicNanoseconds()
            let wake = bell.sleep(forAtMost: asked) { hasWork(port) }
            guard wake == .timeout, asked < Self.longestSleepNanoseconds else { return }
            lateness.slept(lateNanoseconds: ModelledClock.monotonicNanoseconds() - began - asked)
        }
        while waitNanoseconds(until: next) > 0, !hasWork(port) { sched_yield() }
    }

    private func hasWork(_ port: CellPort) -> Bool {
        port.hasMessages || askCount.load(ordering: .acquiring) > 0 || isStopping.load(ordering: .acquiring)
    }

    private func waitNanoseconds(until next: Int64) -> Int64 {
        if case .unlimited = clock.scale { return next == .max ? .max : 0 }
        return clock.wallNanoseconds(until: next)
    }

    private func answer(_ cell: Cell, _ observer: TallyObserver, at now: Int64, isLast: Bool = false) {
        let waiting = asks.withLock { asks in
            defer { asks = isLast ? nil : [] }
            askCount.store(0, ordering: .releasing)
            return asks ?? []
        }
        let snapshot = CellSnapshot(tally: observer.tally, gauges: CellGauges(cell, at: now))
        for continuation in waiting { continuation.resume(returning: snapshot) }
    }

    private func end(_ cell: Cell, _ observer: TallyObserver) {
        // Whoever asks from now on gets none; those who asked before get the last snapshot.
        answer(cell, observer, at: clock.nowNanoseconds, isLast: true)
        let waiting = hasEnded.withLock { ended in
            defer { ended = nil }
            return ended ?? []
        }
        for continuation in waiting { continuation.resume() }
    }

    // MARK: Other threads

    /// The gauges as last published.
    var lastGauges: CellGauges { gauges.withLock { $0 } }

    /// Nanoseconds since the thread last finished a turn.
    func silenceNanoseconds(now: Int64 = ModelledClock.monotonicNanoseconds()) -> Int64 {
        max(0, now - progress.load(ordering: .relaxed))
    }

    /// The cell's state and everything that it counted, taken by its thread between two turns. Nil once it has stopped.
    func snapshot() async -> CellSnapshot? {
        await withCheckedContinuation { (continuation: CheckedContinuation<CellSnapshot?, Never>) in
            let isTaken = asks.withLock { asks in
                asks?.append(continuation)
                askCount.store(asks?.count ?? 0, ordering: .releasing)
                return asks != nil
            }
            if isTaken { bell.ring() } else { continuation.resume(returning: nil) }
        }
    }

    /// Ends the thread after its current turn.
    func stop() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isOver = hasEnded.withLock { ended in
                ended?.append(continuation)
                return ended == nil
            }
            isStopping.store(true, ordering: .releasing)
            bell.ring()
            if isOver { continuation.resume() }
        }
    }
}

/// Counts a cell's outcomes at their source, on the cell's thread.
final class TallyObserver: OutcomeSink {
    private(set) var tally: Tally

    init(promise: LatencyPromise) { tally = Tally(promise: promise) }

    func completed(_ completion: Completion) { tally.completed(completion) }
    func produced(_ token: TokenEvent) {}
    func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
        tally.gaps(
            firstPicoseconds: firstPicoseconds, incrementPicoseconds: incrementPicoseconds, steps: steps, count: count)
    }
}
