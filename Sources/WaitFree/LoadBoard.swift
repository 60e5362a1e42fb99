/// A value that fits into one word, so that one store publishes all of it.
///
/// `Self(packed: packed)` gives back an equal value. Wide counts can be narrowed with `FloatingCount`.
public protocol PackedInWord: BitwiseCopyable {
    /// The value whose packed form is `packed`.
    init(packed: UInt64)
    /// All of the value in one word.
    var packed: UInt64 { get }
}

/// A board on which each of many threads posts its own small state for all others to read, in the machine's memory.
public typealias LoadBoard<Value: PackedInWord> = LoadBoardIn<Value, MachineMemory>

/// A board on which each of many threads posts its own small state for all others to read.
///
/// The value is a handle: copies share the board. The memory is the maker's. One thread at a time may publish to a row;
/// any may read any row.
///
/// **Why one word.** A reader must get a state that its writer really posted, all parts from the same moment, in a
/// fixed number of steps, whatever the writer does meanwhile. A sequence lock has readers that retry, without a bound,
/// while the writer keeps writing. Registers of several words with a fixed number of steps exist (Peterson 1983,
/// Larsson et al. 2009), but their readers have to write to memory that the writer looks at, so every look at a busy
/// row would move cache lines back and forth between all readers and the writer. Sixteen-byte loads are done by
/// `cmpxchg16b`, which takes the line away from its writer for each look. A load of one aligned 64-bit word needs none
/// of it. The price is precision: states are packed into 64 bits. They are compared with one another and out of date
/// when read, so a relative error of a few parts in a thousand (`FloatingCount`) changes no decision that was worth
/// making.
///
/// **Invariant.** Row i is one word alone on its cache lines, written by its owner only, and each value it ever holds
/// is a packed `Value`.
///
/// **Memory ordering.** Release store, acquire load: a reader of a state also sees what its writer did before posting
/// it. A single word is coherent, so readers never see states go backwards. Each row is an atomic register; its
/// operations take effect at the store and at the load.
///
/// **Progress.** Wait-free: `publish` is one store, `read` is one load. No reader delays a writer or another reader.
@frozen public struct LoadBoardIn<Value: PackedInWord, Memory: MemoryModel>: BitwiseCopyable, @unchecked Sendable {
    @usableFromInline let base: UnsafeMutableRawPointer
    /// How many threads post.
    public let rows: Int

    /// Bytes that a board needs.
    public static func byteCount(rows: Int) -> Int {
        precondition(rows > 0 && rows <= 1 << 24, "a board has 1 to 2^24 rows, got \(rows)")
        return rows * CacheLine.byteCount
    }

    /// Makes a board in memory of `byteCount(rows:)` bytes that starts on a cache line, every row showing `value`.
    public init(in memory: UnsafeMutableRawPointer, rows: Int, showing value: Value) {
        CacheLine.requireAligned(memory)
        precondition(Self.byteCount(rows: rows) > 0)
        base = memory
        self.rows = rows
        for row in 0..<rows { Memory.initialize(memory + row * CacheLine.byteCount, to: value.packed) }
    }

    /// Makes a board in memory of its own.
    public static func allocate(rows: Int, showing value: Value) -> Self {
        Self(in: CacheLine.allocate(byteCount: byteCount(rows: rows)), rows: rows, showing: value)
    }

    /// Gives back the memory of a board made by `allocate(rows:showing:)`.
    public func deallocate() {
        base.deallocate()
    }

    @inlinable @inline(__always)
    func word(_ row: Int) -> UnsafeMutableRawPointer {
        precondition(row >= 0 && row < rows)
        return base + row &* CacheLine.byteCount
    }

    /// Posts a state to the caller's own row.
    @inlinable @inline(__always)
    public func publish(_ value: Value, row: Int) {
        Memory.storeRelease(value.packed, to: word(row))
    }

    /// The state that a row shows.
    @inlinable @inline(__always)
    public func read(row: Int) -> Value {
        Value(packed: Memory.loadAcquire(word(row)))
    }
}
