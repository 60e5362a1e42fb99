//===----------------------------------------------------------------------===//
// Which decoding sequence finishes next.
//===----------------------------------------------------------------------===//

/// A 4-ary min-heap of decoding sequences by the epoch at which they finish, then by admission.
///
/// Every slot knows its place (`heapIndex`), so a sequence that leaves early (cancelled, preempted) is taken out in
/// O(log n).
struct FinishHeap: ~Copyable {
    struct Entry: BitwiseCopyable {
        var epoch: Int64
        var order: UInt32
        var slot: SlotIndex

        @inline(__always) func isBefore(_ other: Entry) -> Bool {
            epoch < other.epoch || (epoch == other.epoch && order < other.order)
        }
    }

    private var base: UnsafeMutablePointer<Entry>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(capacity, 4)
        base = .allocate(capacity: self.capacity)
    }

    deinit { base.deallocate() }

    /// Asks for its first entries (`Foresight`).
    func ask() { Replica.ask(for: UnsafeRawPointer(base), byteCount: min(count, 8) * MemoryLayout<Entry>.stride) }

    /// - Precondition: not empty.
    var first: Entry {
        @inline(__always) get { base[0] }
    }

    @inline(__always) mutating func insert(_ entry: Entry, slots: UnsafeMutablePointer<SequenceSlot>) {
        if count == capacity { grow() }
        count &+= 1
        rise(entry, from: count &- 1, slots: slots)
    }

    @inline(__always) mutating func remove(at index: Int, slots: UnsafeMutablePointer<SequenceSlot>) {
        count &-= 1
        slots[Int(base[index].slot)].heapIndex = -1
        guard index < count else { return }
        let moved = base[count]
        if index > 0 && moved.isBefore(base[(index &- 1) >> 2]) {
            rise(moved, from: index, slots: slots)
        } else {
            sink(moved, from: index, slots: slots)
        }
    }

    @inline(__always) private mutating func rise(
        _ entry: Entry, from start: Int, slots: UnsafeMutablePointer<SequenceSlot>
    ) {
        var index = start
        while index > 0 {
            let parent = (index &- 1) >> 2
            guard entry.isBefore(base[parent]) else { break }
            base[index] = base[parent]
            slots[Int(base[index].slot)].heapIndex = Int32(truncatingIfNeeded: index)
            index = parent
        }
        base[index] = entry
        slots[Int(entry.slot)].heapIndex = Int32(truncatingIfNeeded: index)
    }

    private mutating func sink(_ entry: Entry, from start: Int, slots: UnsafeMutablePointer<SequenceSlot>) {
        var index = start
        while true {
            let firstChild = index &* 4 &+ 1
            guard firstChild < count else { break }
            var least = firstChild
            var child = firstChild &+ 1
            let end = min(firstChild &+ 4, count)
            while child < end {
                if base[child].isBefore(base[least]) { least = child }
                child &+= 1
            }
            guard base[least].isBefore(entry) else { break }
            base[index] = base[least]
            slots[Int(base[index].slot)].heapIndex = Int32(truncatingIfNeeded: index)
            index = least
        }
        base[index] = entry
        slots[Int(entry.slot)].heapIndex = Int32(truncatingIfNeeded: index)
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        larger.update(from: base, count: count)
        base.deallocate()
        base = larger
        capacity *= 2
    }
}
