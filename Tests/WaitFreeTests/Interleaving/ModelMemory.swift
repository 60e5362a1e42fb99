import CCoroutine
import WaitFree

/// Memory for the interleaving checker: every operation on a word is a step before which the `World` may let another
/// thread go on. The algorithms of `WaitFree` run on it unchanged.
///
/// The three switches are there to seed bugs: a memory with one of them off behaves as if the algorithm had asked for
/// less than it did.
protocol ModelledMemory: MemoryModel {
    /// Whether release stores publish what was done before.
    static var releases: Bool { get }
    /// Whether acquire loads see what was published.
    static var acquires: Bool { get }
    /// Whether fences empty the store buffer.
    static var fences: Bool { get }
}

/// The memory as it should be.
enum ModelMemory: ModelledMemory {}
/// Every release store is made a relaxed one.
enum MemoryWithoutRelease: ModelledMemory { static var releases: Bool { false } }
/// Every acquire load is made a relaxed one.
enum MemoryWithoutAcquire: ModelledMemory { static var acquires: Bool { false } }
/// Fences do nothing.
enum MemoryWithoutFence: ModelledMemory { static var fences: Bool { false } }

extension ModelledMemory {
    static var releases: Bool { true }
    static var acquires: Bool { true }
    static var fences: Bool { true }

    private static var world: World {
        guard let context = coroutine_context() else { preconditionFailure("model memory is used outside of a World") }
        return Unmanaged<World>.fromOpaque(context).takeUnretainedValue()
    }

    static func loadRelaxed(_ word: UnsafeMutableRawPointer) -> UInt64 {
        world.load(word, acquires: false)
    }
    static func loadAcquire(_ word: UnsafeMutableRawPointer) -> UInt64 {
        world.load(word, acquires: acquires)
    }
    static func storeRelaxed(_ value: UInt64, to word: UnsafeMutableRawPointer) {
        world.store(value, to: word, releases: false)
    }
    static func storeRelease(_ value: UInt64, to word: UnsafeMutableRawPointer) {
        world.store(value, to: word, releases: releases)
    }
    static func exchange(_ value: UInt64, in word: UnsafeMutableRawPointer) -> UInt64 {
        world.modify(word, name: "exchange", orders: true) { _ in value }
    }
    static func add(_ amount: UInt64, to word: UnsafeMutableRawPointer) -> UInt64 {
        world.modify(word, name: "add", orders: false) { $0 &+ amount }
    }
    static func fence() {
        world.fence(works: fences)
    }
    static func read<Value: BitwiseCopyable>(_ cell: UnsafeMutablePointer<Value>) -> Value {
        world.touch(UnsafeMutableRawPointer(cell), writes: false)
        return cell.pointee
    }
    static func write<Value: BitwiseCopyable>(_ value: Value, to cell: UnsafeMutablePointer<Value>) {
        world.touch(UnsafeMutableRawPointer(cell), writes: true)
        cell.initialize(to: value)
    }
    static func initialize(_ word: UnsafeMutableRawPointer, to value: UInt64) {
        world.initialize(word, to: value)
    }
}
