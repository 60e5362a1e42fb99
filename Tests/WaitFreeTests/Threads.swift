import Glibc

/// Runs the bodies at the same time, each on a thread of its own, and returns when all have returned.
func runConcurrently(_ bodies: [@Sendable () -> Void]) {
    final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    let threads = bodies.map { body in
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(Body(body)).toOpaque())
        precondition(code == 0, "pthread_create failed with \(code)")
        return thread
    }
    for thread in threads { pthread_join(thread, nil) }
}

/// Random numbers from a seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Lets another thread run; the tests run more threads than there may be processors.
func yieldProcessor() {
    sched_yield()
}
