import CHost
import Glibc

/// A thread of the operating system that is bound to processors before it does anything else, so that what it touches
/// first lies on its node.
public final class PinnedThread: Sendable {
    /// Why a thread could not be started where it was wanted.
    public struct StartError: Error, CustomStringConvertible {
        /// What was tried.
        public let attempt: String
        /// errno.
        public let code: Int32
        /// A sentence for people.
        public var description: String { "cannot \(attempt): \(String(cString: strerror(code))) (errno \(code))" }
    }

    private let thread: UInt
    /// Where the thread is bound to; nil when it may run anywhere.
    public let placement: ThreadPlacement?

    /// What the new thread gets, and what it says about its binding.
    private final class Start: @unchecked Sendable {
        let name: String
        let cpus: [Int32]
        let body: @Sendable () -> Void
        var code: Int32 = 0
        var started = sem_t()

        init(name: String, cpus: [Int32], body: @escaping @Sendable () -> Void) {
            self.name = name
            self.cpus = cpus
            self.body = body
            sem_init(&started, 0, 0)
        }
        deinit { sem_destroy(&started) }

        func run() {
            chost_set_current_thread_name(name)
            if !cpus.isEmpty { code = chost_set_current_thread_cpus(cpus, Int32(cpus.count)) }
            let failed = code != 0
            sem_post(&started)
            if !failed { body() }
        }
    }

    /// Starts a thread, and returns when it is bound and about to run `body`.
    ///
    /// - Parameters:
    ///   - name: shown by `ps -L` and `top -H`; the first 15 bytes
    ///   - placement: where it runs; nil for anywhere
    ///   - stackBytes: size of its stack
    /// - Throws: when the thread cannot be made, or may not run there, for example because a cpuset shrank.
    public init(
        name: String, placement: ThreadPlacement?, stackBytes: Int = 8 << 20, body: @escaping @Sendable () -> Void
    ) throws(StartError) {
        let start = Start(name: name, cpus: placement?.cpus.map(Int32.init) ?? [], body: body)
        var thread: UInt = 0
        let code = chost_thread_create(
            &thread, stackBytes, { Unmanaged<Start>.fromOpaque($0!).takeRetainedValue().run() },
            Unmanaged.passRetained(start).toOpaque())
        if code != 0 {
            Unmanaged.passUnretained(start).release()
            throw StartError(attempt: "make thread \(name) with a stack of \(stackBytes) bytes", code: code)
        }
        while sem_wait(&start.started) != 0 {}
        if start.code != 0 {
            chost_thread_join(thread)
            let cpus = CPUList.format(placement?.cpus ?? [])
            throw StartError(attempt: "bind thread \(name) to CPU \(cpus)", code: start.code)
        }
        self.thread = thread
        self.placement = placement
    }

    /// Waits until the body has returned. To be called once.
    public func join() {
        chost_thread_join(thread)
    }

    /// Binds a thread that exists already, the calling one, to the processors of a place.
    /// - Throws: when it may not run there.
    public static func bindCallingThread(to placement: ThreadPlacement) throws(StartError) {
        let cpus = placement.cpus.map(Int32.init)
        let code = chost_set_current_thread_cpus(cpus, Int32(cpus.count))
        if code != 0 {
            throw StartError(attempt: "bind a thread to CPUs \(CPUList.format(placement.cpus))", code: code)
        }
    }

    /// The processor that the calling thread runs on now; nil when the kernel does not tell.
    public static var currentCPU: Int? {
        let cpu = chost_current_cpu()
        return cpu >= 0 ? Int(cpu) : nil
    }

    /// The processors that the calling thread may run on; nil when the kernel does not tell.
    public static var currentAffinity: [Int]? { HostTopology.allowedCPUsOfCallingThread() }
}
