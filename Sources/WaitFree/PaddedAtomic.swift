/// A 64-bit word alone on its cache lines, in the machine's memory.
public typealias PaddedAtomic = PaddedAtomicIn<MachineMemory>

/// A 64-bit word alone on its cache lines.
///
/// The value is a handle: copies share the word. The memory is the maker's.
///
/// **Invariant.** Nothing else lives within `CacheLine.byteCount` bytes from the word, so its traffic disturbs no one.
///
/// **Memory ordering.** As the method names say: `load` acquires what `store` released; counting is relaxed, as a count
/// orders nothing.
///
/// **Progress.** Wait-free: each method is one operation on the word; `addAsOnlyWriter` is two.
@frozen public struct PaddedAtomicIn<Memory: MemoryModel>: BitwiseCopyable, @unchecked Sendable {
    @usableFromInline let word: UnsafeMutableRawPointer

    /// Bytes that the word and its padding take.
    @inlinable public static var byteCount: Int { CacheLine.byteCount }

    /// Makes the word in memory of `byteCount` bytes that starts on a cache line.
    public init(in memory: UnsafeMutableRawPointer, value: UInt64 = 0) {
        CacheLine.requireAligned(memory)
        word = memory
        Memory.initialize(memory, to: value)
    }

    /// A word that is already there.
    @inlinable
    init(existing word: UnsafeMutableRawPointer) {
        self.word = word
    }

    /// Makes the word in memory of its own.
    public static func allocate(_ value: UInt64 = 0) -> Self {
        Self(in: CacheLine.allocate(byteCount: byteCount), value: value)
    }

    /// Gives back the memory of a word made by `allocate(_:)`.
    public func deallocate() {
        word.deallocate()
    }

    /// The value, and everything that was done before it was stored.
    @inlinable @inline(__always)
    public func load() -> UInt64 { Memory.loadAcquire(word) }

    /// Publishes a value, and everything done before.
    @inlinable @inline(__always)
    public func store(_ value: UInt64) { Memory.storeRelease(value, to: word) }

    /// Replaces the value and returns the one before.
    @inlinable @inline(__always)
    public func exchange(_ value: UInt64) -> UInt64 { Memory.exchange(value, in: word) }

    /// Adds, from any thread, modulo 2^64, and returns the value before. Locks the line on x86-64 (about 5 ns when
    /// uncontended).
    @inlinable @inline(__always) @discardableResult
    public func add(_ amount: UInt64) -> UInt64 { Memory.add(amount, to: word) }

    /// Adds, modulo 2^64, where one thread alone ever writes: a load and a store, which cost no lock.
    @inlinable @inline(__always)
    public func addAsOnlyWriter(_ amount: UInt64) {
        Memory.storeRelaxed(Memory.loadRelaxed(word) &+ amount, to: word)
    }
}
