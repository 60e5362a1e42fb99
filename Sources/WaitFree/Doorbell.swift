internal import CHost

/// Wakes a consumer that sleeps, and costs its producers no system call while it is awake.
///
/// The value is a handle: copies share the bell. One consumer thread owns the sleeping side; any number of threads
/// ring. The flag says who has to wake whom (`SleepFlagIn`, where the argument is); an eventfd carries the wake-up.
///
/// **Invariant.** The eventfd is written once for each claimed announcement. A wake-up that arrives after its consumer
/// already woke (by time) stays in the eventfd and ends the next sleep early, once; so sleeps may end for no reason,
/// and never fail to end.
///
/// **Progress.** `ring` is wait-free: at most 3 word operations, and one `write` to the eventfd, which does not block,
/// when the consumer sleeps. A sleeping consumer is woken when the producer that claimed the wake-up gets to its
/// `write`.
public struct Doorbell: Sendable {
    /// Why a sleep ended.
    public enum Wake: Sendable, Equatable {
        /// There was work before the consumer blocked.
        case notNeeded
        /// Somebody rang.
        case rung
        /// The time was over.
        case timeout
    }

    /// Why a bell could not be made.
    public struct CreationError: Error, CustomStringConvertible {
        /// errno of eventfd(2).
        public let code: Int32
        /// A sentence for people.
        public var description: String {
            "cannot make an eventfd (errno \(code)); raise the limit on open files (ulimit -n)"
        }
    }

    /// The part that makes no system calls.
    public let flag: SleepFlag
    /// Becomes readable when somebody rings; for consumers that sleep in poll or epoll among other things.
    public let fileDescriptor: Int32

    /// Makes a bell in memory of its own.
    public init() throws(CreationError) {
        let descriptor = chost_eventfd_create()
        if descriptor < 0 { throw CreationError(code: -descriptor) }
        fileDescriptor = descriptor
        flag = .allocate()
    }

    /// Closes the eventfd and gives back the memory, when no thread will touch the bell again.
    public func close() {
        chost_eventfd_close(fileDescriptor)
        flag.deallocate()
    }

    /// Wakes the consumer if it sleeps or is about to. To be called after what it should see was pushed; once after a
    /// batch is enough.
    @inlinable @inline(__always)
    public func ring() {
        if flag.claimWake() { signal() }
    }

    /// Writes to the eventfd. Out of line: it is the rare way.
    @inline(never)
    public func signal() {
        let code = chost_eventfd_signal(fileDescriptor)
        precondition(code == 0, "eventfd write failed with errno \(code)")
    }

    /// Blocks the consumer until somebody rings, or for at most `nanoseconds` (forever when nil), unless `hasWork` says
    /// that it need not.
    ///
    /// `hasWork` is asked once, after the flag went up: it has to look at every ring that the bell is rung for.
    public func sleep(forAtMost nanoseconds: Int64? = nil, unless hasWork: () -> Bool) -> Wake {
        flag.announceSleep()
        defer { flag.withdraw() }
        if hasWork() { return .notNeeded }
        let result = chost_eventfd_wait(fileDescriptor, nanoseconds ?? -1)
        precondition(result >= 0, "waiting for an eventfd failed with errno \(-result)")
        return result == 1 ? .rung : .timeout
    }
}
