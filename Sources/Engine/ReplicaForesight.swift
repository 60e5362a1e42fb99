//===----------------------------------------------------------------------===//
// Bringing a replica's memory near before it is stepped.
//===----------------------------------------------------------------------===//

import CHost

/// How far ahead of a replica's next event it is.
@frozen public enum Foresight: Sendable {
    /// Its fixed state is asked for.
    case far
    /// That has come: what it points to is asked for.
    case middle
    /// That has come too: the sequences that the event is about are asked for.
    case near
}

extension Replica {
    /// Asks for the memory that the next `advance` will read, without waiting for it. A large fleet's replicas lie in
    /// main memory, and a step reads some thirty cache lines of one: asked for in good time, they come together
    /// instead of one after the other. Changes nothing.
    public func foresee(_ distance: Foresight) {
        switch distance {
        case .far: Self.ask(for: UnsafeRawPointer(core), byteCount: MemoryLayout<ReplicaCore>.size)
        case .middle: core.pointee.askForParts()
        case .near: core.pointee.askForSequences()
        }
    }

    @inline(__always) static func ask(for start: UnsafeRawPointer, byteCount: Int) {
        var offset = 0
        while offset < byteCount {
            chost_prefetch(start + offset)
            offset &+= 64
        }
    }
}

extension ReplicaCore {
    func askForParts() {
        batch.askForParts()
        chunks.ask()
        late.ask()
        if unfinished >= 0 { ask(forSlot: unfinished) }
        if waiting.first >= 0 { ask(forSlot: waiting.first) }
        if caches { pool.cache.askForParts() }
    }

    func askForSequences() {
        if batch.count > 0 { ask(forSlot: batch.finish.first.slot) }
    }

    @inline(__always) private func ask(forSlot slot: SlotIndex) {
        Replica.ask(
            for: UnsafeRawPointer(slots.base + Int(slot)), byteCount: MemoryLayout<SequenceSlot>.stride)
    }
}
