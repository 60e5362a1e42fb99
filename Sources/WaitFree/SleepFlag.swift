/// How a consumer tells its producers that it is about to sleep, in the machine's memory.
public typealias SleepFlag = SleepFlagIn<MachineMemory>

/// How a consumer tells its producers that it is about to sleep, and how one of them takes on the duty to wake it.
///
/// This is the part of `Doorbell` that decides; it makes no system call. The value is a handle: copies share the flag.
/// One consumer, any number of producers. The protocol:
///
///     producer:  push to a ring;  if flag.claimWake() { wake the consumer }
///     consumer:  flag.announceSleep();  if all rings are empty { block }  then  flag.withdraw()  and drain the rings
///
/// **Invariant.** The word is `asleep` only from `announceSleep` until the consumer withdraws or one producer claims
/// the wake-up. Each announcement is claimed at most once, and who claims must wake. So while a consumer blocks, either
/// the word is `asleep`, or a wake-up is on its way; and if it is `asleep`, no producer has finished a push-and-claim
/// that the consumer did not see before it blocked.
///
/// **Memory ordering.** This is Dekker's pattern: the producer stores the ring's index, then loads the flag; the
/// consumer stores the flag, then loads the index. If both loads missed the other's store, an element would lie in the
/// ring of a consumer that sleeps. Release and acquire do not forbid that: a processor may hold a store in its store
/// buffer while it does a later load (this happens on x86-64). Therefore each side has a sequentially consistent fence
/// between its store and its load. The two fences are in one total order. If the producer's is first, the consumer's
/// look at the ring sees the element; if the consumer's is first, the producer sees `asleep`. The exchange in
/// `claimWake` makes one winner of several producers. Nothing else rests on the flag: elements are handed over by the
/// rings' own release and acquire.
///
/// **Progress.** Wait-free: `announceSleep` is a store and a fence, `withdraw` a store, `claimWake` a fence and a load,
/// and an exchange when the consumer sleeps. While the consumer is awake producers only read the word, so it stays in
/// all caches.
@frozen public struct SleepFlagIn<Memory: MemoryModel>: BitwiseCopyable, @unchecked Sendable {
    @usableFromInline let word: UnsafeMutableRawPointer

    @inlinable @inline(__always) static var awake: UInt64 { 0 }
    @inlinable @inline(__always) static var asleep: UInt64 { 1 }

    /// Bytes that a flag and its padding take.
    @inlinable public static var byteCount: Int { CacheLine.byteCount }

    /// Makes a flag, awake, in memory of `byteCount` bytes that starts on a cache line.
    public init(in memory: UnsafeMutableRawPointer) {
        CacheLine.requireAligned(memory)
        word = memory
        Memory.initialize(memory, to: Self.awake)
    }

    /// Makes a flag in memory of its own.
    public static func allocate() -> Self {
        Self(in: CacheLine.allocate(byteCount: byteCount))
    }

    /// Gives back the memory of a flag made by `allocate()`.
    public func deallocate() {
        word.deallocate()
    }

    // MARK: The consumer's side

    /// Says that the consumer will block unless it now finds work. It must look at all its rings after this call and
    /// before it blocks.
    @inlinable @inline(__always)
    public func announceSleep() {
        Memory.storeRelaxed(Self.asleep, to: word)
        Memory.fence()
    }

    /// Says that the consumer is awake again, after it found work, was woken, or slept long enough.
    @inlinable @inline(__always)
    public func withdraw() {
        Memory.storeRelaxed(Self.awake, to: word)
    }

    // MARK: The producers' side

    /// True when the consumer sleeps, or is about to, and the caller is the one who has to wake it. To be called after
    /// the push.
    @inlinable @inline(__always)
    public func claimWake() -> Bool {
        Memory.fence()
        if Memory.loadRelaxed(word) == Self.awake { return false }
        return Memory.exchange(Self.awake, in: word) == Self.asleep
    }
}
