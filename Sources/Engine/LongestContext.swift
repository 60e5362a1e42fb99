//===----------------------------------------------------------------------===//
// The longest context of a decoding batch.
//===----------------------------------------------------------------------===//

/// A max-heap of decode keys whose stale entries leave when they come up.
///
/// A key (context − epoch) does not change while its sequence decodes, so an entry is written once; one that belongs to
/// a sequence that has left is recognised by its slot and dropped when it reaches the top. When stale entries outnumber
/// the batch the heap is rebuilt, which keeps it within twice the batch.
struct LongestContext: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var key: Int64
        var order: UInt32
        var slot: SlotIndex
    }

    private var base: UnsafeMutablePointer<Entry>
    private var capacity: Int
    private var count = 0

    init() {
        capacity = 8
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    /// Asks for its first entries (`Foresight`).
    func ask() { Replica.ask(for: UnsafeRawPointer(base), byteCount: min(count, 8) * MemoryLayout<Entry>.stride) }

    /// - Parameter live: sequences in the batch, this one included.
    mutating func insert(slot: SlotIndex, live: Int, slots: UnsafeMutablePointer<SequenceSlot>) {
        if count >= 2 * live + 8 { dropStale(slots) }
        if count == capacity { grow() }
        let entry = Entry(key: slots[Int(slot)].decodeKey, order: slots[Int(slot)].order, slot: slot)
        count += 1
        rise(entry, from: count - 1)
    }

    /// The largest key of a sequence that still decodes.
    /// - Precondition: one does.
    mutating func largestKey(_ slots: UnsafeMutablePointer<SequenceSlot>) -> Int64 {
        while true {
            precondition(count > 0, "a decoding sequence is missing from the heap of contexts")
            if isLive(base[0], slots) { return base[0].key }
            count -= 1
            if count > 0 { sink(base[count], from: 0) }
        }
    }

    private func isLive(_ entry: Entry, _ slots: UnsafeMutablePointer<SequenceSlot>) -> Bool {
        let slot = slots + Int(entry.slot)
        return slot.pointee.state == .decoding && slot.pointee.order == entry.order
            && slot.pointee.decodeKey == entry.key
    }

    private mutating func dropStale(_ slots: UnsafeMutablePointer<SequenceSlot>) {
        var kept = 0
        for index in 0..<count where isLive(base[index], slots) {
            let entry = base[index]
            rise(entry, from: kept)
            kept += 1
        }
        count = kept
    }

    private func rise(_ entry: Entry, from start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard base[parent].key < entry.key else { break }
            base[index] = base[parent]
            index = parent
        }
        base[index] = entry
    }

    private func sink(_ entry: Entry, from start: Int) {
        var index = start
        while true {
            var child = 2 * index + 1
            guard child < count else { break }
            if child + 1 < count && base[child].key < base[child + 1].key { child += 1 }
            guard entry.key < base[child].key else { break }
            base[index] = base[child]
            index = child
        }
        base[index] = entry
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        larger.update(from: base, count: count)
        base.deallocate()
        base = larger
        capacity *= 2
    }
}
