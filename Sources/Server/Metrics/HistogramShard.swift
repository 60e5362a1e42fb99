//===----------------------------------------------------------------------===//
// Counters that one thread writes and a scrape reads.
//===----------------------------------------------------------------------===//

import Synchronization

/// A block of counters with one writer.
///
/// The writer is one event loop (or one cell thread), so an increment is a load and a store without a locked
/// instruction; a scrape on another thread reads each counter atomically. The block starts on a cache line of its own.
final class CounterShard: @unchecked Sendable {
    private let base: UnsafeMutablePointer<Atomic<UInt64>>
    let count: Int

    init(count: Int) {
        precondition(count > 0 && count < 1 << 20)
        self.count = count
        let stride = MemoryLayout<Atomic<UInt64>>.stride
        let bytes = (count * stride + 127) & ~127
        let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 128)
        base = raw.bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { (base + index).initialize(to: Atomic(0)) }
    }

    deinit {
        base.deinitialize(count: count)
        UnsafeMutableRawPointer(base).deallocate()
    }

    /// Adds to a counter. Only the shard's writer may call it.
    @inline(__always) func add(_ amount: UInt64, to index: Int) {
        precondition(index >= 0 && index < count)
        let counter = base + index
        counter.pointee.store(counter.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// Any thread may read.
    @inline(__always) func read(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index < count)
        return (base + index).pointee.load(ordering: .relaxed)
    }
}

/// A histogram with one writer: a counter for each bucket, and the sum in the unit's billionths.
struct HistogramShard: Sendable {
    let bounds: [Double]
    private let shard: CounterShard

    init(bounds: [Double]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 })
        self.bounds = bounds
        shard = CounterShard(count: bounds.count + 2)
    }

    /// Counts `copies` values. Seconds for durations, tokens for counts.
    func record(_ value: Double, copies: UInt64 = 1) {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if value > bounds[middle] { low = middle + 1 } else { high = middle }
        }
        shard.add(copies, to: low)
        shard.add(UInt64(max(0, value) * 1e9) &* copies, to: bounds.count + 1)
    }

    /// Values in each bucket (the last is beyond every bound) and their sum.
    func read() -> (counts: [UInt64], sum: Double) {
        ((0...bounds.count).map { shard.read($0) }, Double(shard.read(bounds.count + 1)) * 1e-9)
    }
}

/// Adds up the shards of one histogram.
func merged(_ shards: [HistogramShard]) -> (counts: [UInt64], sum: Double) {
    guard let first = shards.first else { return ([], 0) }
    var counts = [UInt64](repeating: 0, count: first.bounds.count + 1)
    var sum = 0.0
    for shard in shards {
        let (part, partSum) = shard.read()
        for index in counts.indices { counts[index] += part[index] }
        sum += partSum
    }
    return (counts, sum)
}
