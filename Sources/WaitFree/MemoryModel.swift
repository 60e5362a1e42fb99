/// What an algorithm of this module may do with shared memory.
///
/// Every type here is written once, over a `MemoryModel`. The product uses `MachineMemory`, which compiles to plain
/// processor instructions. The tests use a model that yields to a scheduler before each operation, delays stores in
/// store buffers and watches for data races, so that the code which is checked is the code which ships.
///
/// A *word* is an aligned 64-bit location which several threads may touch. A *cell* is ordinary memory: two threads
/// may touch one only when the orderings of the words put one access before the other.
///
/// The orderings are those of C++20. They are spelled out in the names, because the standard library wants them as
/// compile-time constants.
public protocol MemoryModel {
    /// Loads a word; orders nothing.
    static func loadRelaxed(_ word: UnsafeMutableRawPointer) -> UInt64
    /// Loads a word; what its writer did before a release store of the loaded value is visible afterwards.
    static func loadAcquire(_ word: UnsafeMutableRawPointer) -> UInt64
    /// Stores a word; orders nothing.
    static func storeRelaxed(_ value: UInt64, to word: UnsafeMutableRawPointer)
    /// Stores a word; everything the thread did before is visible to whoever acquires the value.
    static func storeRelease(_ value: UInt64, to word: UnsafeMutableRawPointer)
    /// Replaces a word and returns what it held, as one step that acquires and releases.
    static func exchange(_ value: UInt64, in word: UnsafeMutableRawPointer) -> UInt64
    /// Adds to a word (modulo 2^64) and returns what it held before, as one step that orders nothing.
    static func add(_ amount: UInt64, to word: UnsafeMutableRawPointer) -> UInt64
    /// A sequentially consistent fence: stores before it are visible to all threads before loads after it are done.
    static func fence()

    /// Reads an ordinary cell.
    static func read<Value: BitwiseCopyable>(_ cell: UnsafeMutablePointer<Value>) -> Value
    /// Writes an ordinary cell.
    static func write<Value: BitwiseCopyable>(_ value: Value, to cell: UnsafeMutablePointer<Value>)
    /// Makes a word out of raw memory and gives it its first value, before any other thread can see it.
    static func initialize(_ word: UnsafeMutableRawPointer, to value: UInt64)
}
