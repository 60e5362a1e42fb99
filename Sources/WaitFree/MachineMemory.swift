public import Synchronization

/// The memory of the machine: each operation is one or two processor instructions, inlined into its caller.
///
/// On x86-64 relaxed and acquiring loads, and relaxed and releasing stores, are plain `mov`; `exchange` is `xchg`,
/// `add` is `lock xadd` (`lock add` where the old value is not used), and `fence` is the one full barrier. All of them
/// are single steps there. On AArch64 the same holds with the LSE instructions (ARMv8.1); without them `exchange` and
/// `add` are load-linked/store-conditional loops, which are lock-free and not wait-free.
@frozen public enum MachineMemory: MemoryModel {
    /// The atomic that lives at an address which `initialize(_:to:)` has seen.
    @inlinable @inline(__always)
    static func atomic(_ word: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inlinable @inline(__always)
    public static func loadRelaxed(_ word: UnsafeMutableRawPointer) -> UInt64 {
        atomic(word).pointee.load(ordering: .relaxed)
    }

    @inlinable @inline(__always)
    public static func loadAcquire(_ word: UnsafeMutableRawPointer) -> UInt64 {
        atomic(word).pointee.load(ordering: .acquiring)
    }

    @inlinable @inline(__always)
    public static func storeRelaxed(_ value: UInt64, to word: UnsafeMutableRawPointer) {
        atomic(word).pointee.store(value, ordering: .relaxed)
    }

    @inlinable @inline(__always)
    public static func storeRelease(_ value: UInt64, to word: UnsafeMutableRawPointer) {
        atomic(word).pointee.store(value, ordering: .releasing)
    }

    @inlinable @inline(__always)
    public static func exchange(_ value: UInt64, in word: UnsafeMutableRawPointer) -> UInt64 {
        atomic(word).pointee.exchange(value, ordering: .acquiringAndReleasing)
    }

    @inlinable @inline(__always)
    public static func add(_ amount: UInt64, to word: UnsafeMutableRawPointer) -> UInt64 {
        atomic(word).pointee.wrappingAdd(amount, ordering: .relaxed).oldValue
    }

    @inlinable @inline(__always)
    public static func fence() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    @inlinable @inline(__always)
    public static func read<Value: BitwiseCopyable>(_ cell: UnsafeMutablePointer<Value>) -> Value {
        cell.pointee
    }

    @inlinable @inline(__always)
    public static func write<Value: BitwiseCopyable>(_ value: Value, to cell: UnsafeMutablePointer<Value>) {
        cell.initialize(to: value)
    }

    @inlinable
    public static func initialize(_ word: UnsafeMutableRawPointer, to value: UInt64) {
        word.bindMemory(to: Atomic<UInt64>.self, capacity: 1).initialize(to: Atomic(value))
    }
}
