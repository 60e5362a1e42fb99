//===----------------------------------------------------------------------===//
// A thread that waits for sockets and for times.
//===----------------------------------------------------------------------===//

import CHost
import CSocket
import Synchronization

/// Is told when its descriptor is ready.
protocol PollHandler: AnyObject {
    /// - Parameter ready: of `csocket_readable`, `csocket_writable` and `csocket_broken`.
    func ready(_ ready: UInt32)
}

/// Waits for descriptors (epoll) and times on one thread and calls what is registered for them.
///
/// Everything but `execute`, `submit`, `start` and `stop` is called on that thread. Times are nanoseconds of
/// CLOCK_MONOTONIC.
final class PollLoop: @unchecked Sendable {
    /// Events taken in one go; tasks that become due meanwhile run between them.
    private static let batch = 64
    private static let doorbellToken = UInt64.max

    private struct Inbox {
        var tasks: [@Sendable () -> Void] = []
        var isClosed = false
    }

    private struct Watch {
        var handler: (any PollHandler)?
        /// Tells a descriptor's present owner from one whose event is still in the batch.
        var generation: UInt32 = 0
    }

    private let poll: Int32
    private let doorbell: Int32
    private let inbox = Mutex(Inbox())
    private var watches: [Watch] = []
    private var timers = TimerHeap()
    private var thread: UInt = 0
    private var isStopping = false
    /// Where every connection of the loop receives into.
    let received = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
    /// What CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, as of the latest wake-up.
    private(set) var realtimeLead: Int64 = 0

    init() throws(LoadError) {
        poll = csocket_poll_create()
        doorbell = poll < 0 ? -1 : chost_eventfd_create()
        guard poll >= 0, doorbell >= 0,
            csocket_poll_watch(poll, doorbell, PollLoop.doorbellToken, csocket_readable, 0) == 0
        else {
            let code = -min(poll, doorbell)
            throw LoadError("sockets cannot be waited for: \(SystemFault.text(code)) (Linux 5.11 or later is needed)")
        }
    }

    deinit {
        csocket_close(doorbell)
        csocket_close(poll)
        received.deallocate()
    }

    @inline(__always)
    func now() -> Int64 { csocket_now() }

    // MARK: from other threads

    /// Starts the thread. The loop lives until `stop`.
    func start() throws(LoadError) {
        let own = Unmanaged.passRetained(self)
        let code = chost_thread_create(
            &thread, 1 << 20,
            { argument in
                guard let argument else { return }
                Unmanaged<PollLoop>.fromOpaque(argument).takeRetainedValue().run()
            }, own.toOpaque()
        )
        guard code == 0 else {
            own.release()
            throw LoadError("a thread cannot be started: \(SystemFault.text(code))")
        }
    }

    /// Has `task` run on the loop; false when the loop has ended.
    @discardableResult
    func execute(_ task: @escaping @Sendable () -> Void) -> Bool {
        let taken = inbox.withLock { inbox in
            guard !inbox.isClosed else { return false }
            inbox.tasks.append(task)
            return true
        }
        if taken { _ = chost_eventfd_signal(doorbell) }
        return taken
    }

    /// What `body` returns on the loop; nil when the loop has ended.
    func submit<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value? {
        await withCheckedContinuation { continuation in
            if !execute({ continuation.resume(returning: body()) }) { continuation.resume(returning: nil) }
        }
    }

    /// Ends the loop after the tasks that were handed in before, and waits for its thread.
    func stop() {
        guard execute({ self.isStopping = true }) else { return }
        chost_thread_join(thread)
    }

    // MARK: on the loop

    func schedule(at time: Int64, _ task: @escaping () -> Void) { timers.add(at: time, task) }

    /// Watches `descriptor` for `handler`.
    func add(_ descriptor: Int32, _ handler: any PollHandler, for wanted: UInt32) {
        let index = Int(descriptor)
        while watches.count <= index { watches.append(Watch()) }
        watches[index].handler = handler
        watch(descriptor, for: wanted, isKnown: false)
    }

    /// Changes what `descriptor` is watched for.
    func change(_ descriptor: Int32, to wanted: UInt32) { watch(descriptor, for: wanted, isKnown: true) }

    /// Closes `descriptor`; events of it that are under way are dropped.
    func close(_ descriptor: Int32) {
        watches[Int(descriptor)].handler = nil
        watches[Int(descriptor)].generation &+= 1
        csocket_close(descriptor)
    }

    private func watch(_ descriptor: Int32, for wanted: UInt32, isKnown: Bool) {
        let token = UInt64(watches[Int(descriptor)].generation) << 32 | UInt64(UInt32(descriptor))
        let code = csocket_poll_watch(poll, descriptor, token, wanted, isKnown ? 1 : 0)
        precondition(code == 0, "a descriptor of this loop can be watched")
    }

    private func run() {
        chost_set_current_thread_name("load")
        // The default lets the kernel end a timed wait 50 microseconds late.
        chost_set_timer_slack(1)
        withUnsafeTemporaryAllocation(of: CSocketEvent.self, capacity: PollLoop.batch) { events in
            while !isStopping { turn(events) }
        }
    }

    /// One wait and what comes of it.
    private func turn(_ events: UnsafeMutableBufferPointer<CSocketEvent>) {
        let next = timers.nextTime
        let wait = next == .max ? -1 : max(0, next - now())
        let count = csocket_poll_wait(poll, events.baseAddress, Int32(events.count), wait)
        precondition(count >= 0, "the loop's own descriptor can be waited on")
        realtimeLead = csocket_realtime_lead()
        runTimers()
        for index in 0..<Int(count) {
            let event = events[index]
            if event.token == PollLoop.doorbellToken {
                takeTasks()
            } else {
                let descriptor = Int(event.token & 0xFFFF_FFFF)
                if watches[descriptor].generation == UInt32(event.token >> 32) {
                    watches[descriptor].handler?.ready(event.ready)
                }
            }
            if timers.nextTime != .max { runTimers() }
        }
    }

    private func runTimers() {
        while timers.nextTime != .max, let task = timers.take(dueAt: now()) { task() }
    }

    private func takeTasks() {
        _ = chost_eventfd_wait(doorbell, 0)
        let tasks = inbox.withLock { inbox in
            defer { inbox.tasks = [] }
            return inbox.tasks
        }
        for task in tasks { task() }
        guard isStopping else { return }
        let late = inbox.withLock { inbox in
            inbox.isClosed = true
            return inbox.tasks
        }
        for task in late { task() }
    }
}
