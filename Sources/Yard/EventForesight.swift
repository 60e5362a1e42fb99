//===----------------------------------------------------------------------===//
// Which replicas a cell is about to step.
//===----------------------------------------------------------------------===//

import Engine

/// The events that a cell foresees for a stretch of time, roughly in their order, so that the memory of each replica can
/// be asked for some events ahead (`Replica.foresee`). It may be wrong in either way: it decides nothing.
///
/// Owned memory, freed by `deallocate()`.
struct EventForesight {
    private struct Entry: BitwiseCopyable {
        var time: Int64
        var replica: Int32
    }
    /// Slices of the stretch; entries are sorted by slice only.
    private static let slices = 64
    /// How many events ahead a replica's memory is asked for, in three steps: enough for main memory to answer, few
    /// enough that what came stays in the first-level cache until it is used.
    private static let (far, middle, near) = (6, 4, 2)

    private var entries: UnsafeMutablePointer<Entry>
    private var unsorted: UnsafeMutablePointer<Entry>
    private var capacity: Int
    private var count = 0
    private var reached = 0

    init() {
        capacity = 64
        entries = .allocate(capacity: capacity)
        unsorted = .allocate(capacity: capacity)
    }

    func deallocate() {
        entries.deallocate()
        unsorted.deallocate()
    }

    /// Takes the events before `end` of the first `replicaCount` players of a tree; none lies before `start`.
    mutating func fill(
        from events: TournamentTree, since start: Int64, until end: Int64,
        replicas: UnsafeMutablePointer<Unmanaged<Replica>>, replicaCount: Int
    ) {
        count = 0
        reached = 0
        guard end > start, events.minimum < end else { return }
        if capacity < replicaCount { grow(to: replicaCount) }
        var found = 0
        for replica in 0..<replicaCount {
            // Written whether it counts or not: which events lie in the stretch is a coin toss for the processor.
            let time = events[replica]
            unsorted[found] = Entry(time: time, replica: Int32(truncatingIfNeeded: replica))
            found &+= time < end ? 1 : 0
        }
        count = found
        sortIntoSlices(of: (end - start) / Int64(Self.slices) + 1, from: start)
        for place in 0..<min(Self.far, count) { ask(place, .far, replicas) }
        for place in 0..<min(Self.middle, count) { ask(place, .middle, replicas) }
    }

    private mutating func sortIntoSlices(of width: Int64, from start: Int64) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: Self.slices + 1) { starts in
            starts.initialize(repeating: 0)
            for place in 0..<count { starts[Int((unsorted[place].time - start) / width) + 1] += 1 }
            for slice in 1...Self.slices { starts[slice] += starts[slice - 1] }
            for place in 0..<count {
                let slice = Int((unsorted[place].time - start) / width)
                entries[Int(starts[slice])] = unsorted[place]
                starts[slice] += 1
            }
        }
    }

    /// The cell has come to `time`.
    @inline(__always) mutating func reach(_ time: Int64, replicas: UnsafeMutablePointer<Unmanaged<Replica>>) {
        while reached < count, entries[reached].time <= time {
            reached &+= 1
            ask(reached &+ Self.far, .far, replicas)
            ask(reached &+ Self.middle, .middle, replicas)
            ask(reached &+ Self.near, .near, replicas)
        }
    }

    @inline(__always)
    private func ask(_ place: Int, _ distance: Foresight, _ replicas: UnsafeMutablePointer<Unmanaged<Replica>>) {
        guard place < count else { return }
        replicas[Int(entries[place].replica)]._withUnsafeGuaranteedRef { $0.foresee(distance) }
    }

    private mutating func grow(to needed: Int) {
        while capacity < needed { capacity *= 2 }
        deallocate()
        entries = .allocate(capacity: capacity)
        unsorted = .allocate(capacity: capacity)
    }
}
