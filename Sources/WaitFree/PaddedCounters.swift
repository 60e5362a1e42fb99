/// Counters that many threads advance without disturbing one another, in the machine's memory.
public typealias PaddedCounters = PaddedCountersIn<MachineMemory>

/// Counters that many threads advance without disturbing one another: each writer has its own row of them, and a reader
/// adds up.
///
/// The value is a handle: copies share the counters. The memory is the maker's.
///
/// **Invariant.** The word of (writer, counter) is written by that writer alone and never decreases. Rows are whole
/// cache lines.
///
/// **Memory ordering.** Relaxed: a total is not a snapshot. It is at least what was counted before the reading began
/// (as far as that happened before it) and at most what was counted when it ended, which is what a monotone counter
/// promises to a scraper.
///
/// **Progress.** Wait-free: `add` is one load and one store; `total` is one load a writer.
@frozen public struct PaddedCountersIn<Memory: MemoryModel>: BitwiseCopyable, @unchecked Sendable {
    @usableFromInline let base: UnsafeMutableRawPointer
    @usableFromInline let rowByteCount: Int
    /// How many threads count.
    public let writers: Int
    /// How many things each of them counts.
    public let counters: Int

    private static func rowByteCount(counters: Int) -> Int {
        (counters * 8 + CacheLine.byteCount - 1) / CacheLine.byteCount * CacheLine.byteCount
    }

    /// Bytes that the counters need.
    public static func byteCount(writers: Int, counters: Int) -> Int {
        precondition(
            writers > 0 && counters > 0, "counters need a writer and a counter, got \(writers) and \(counters)")
        return writers * rowByteCount(counters: counters)
    }

    /// Makes counters at zero in memory of `byteCount(writers:counters:)` bytes that starts on a cache line.
    public init(in memory: UnsafeMutableRawPointer, writers: Int, counters: Int) {
        CacheLine.requireAligned(memory)
        let byteCount = Self.byteCount(writers: writers, counters: counters)
        base = memory
        rowByteCount = Self.rowByteCount(counters: counters)
        self.writers = writers
        self.counters = counters
        for offset in stride(from: 0, to: byteCount, by: 8) { Memory.initialize(memory + offset, to: 0) }
    }

    /// Makes counters at zero in memory of their own.
    public static func allocate(writers: Int, counters: Int) -> Self {
        let memory = CacheLine.allocate(byteCount: byteCount(writers: writers, counters: counters))
        return Self(in: memory, writers: writers, counters: counters)
    }

    /// Gives back the memory of counters made by `allocate(writers:counters:)`.
    public func deallocate() {
        base.deallocate()
    }

    @inlinable @inline(__always)
    func word(_ counter: Int, _ writer: Int) -> UnsafeMutableRawPointer {
        precondition(counter >= 0 && counter < counters && writer >= 0 && writer < writers)
        return base + (writer &* rowByteCount &+ counter &* 8)
    }

    /// Counts `amount` more of `counter`. Only one thread at a time may be `writer`.
    @inlinable @inline(__always)
    public func add(_ amount: UInt64, to counter: Int, by writer: Int) {
        let word = word(counter, writer)
        Memory.storeRelaxed(Memory.loadRelaxed(word) &+ amount, to: word)
    }

    /// What one writer has counted.
    @inlinable
    public func value(_ counter: Int, of writer: Int) -> UInt64 {
        Memory.loadRelaxed(word(counter, writer))
    }

    /// What all writers have counted, modulo 2^64.
    @inlinable
    public func total(_ counter: Int) -> UInt64 {
        var sum: UInt64 = 0
        var writer = 0
        while writer < writers {
            sum &+= Memory.loadRelaxed(word(counter, writer))
            writer &+= 1
        }
        return sum
    }
}
