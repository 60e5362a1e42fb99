//===----------------------------------------------------------------------===//
// Things to do at given times, soonest first.
//===----------------------------------------------------------------------===//

/// A binary heap of tasks by time; those of the same time leave in the order in which they came.
struct TimerHeap {
    private struct Entry {
        var time: Int64
        var order: UInt64
        var task: () -> Void

        func isBefore(_ other: Entry) -> Bool { time != other.time ? time < other.time : order < other.order }
    }

    private var entries: [Entry] = []
    private var added: UInt64 = 0

    /// Time of the task that is due first; .max when there is none.
    var nextTime: Int64 { entries.first?.time ?? .max }

    mutating func add(at time: Int64, _ task: @escaping () -> Void) {
        entries.append(Entry(time: time, order: added, task: task))
        added += 1
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].isBefore(entries[parent]) else { break }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the first task if it is due at `time`.
    mutating func take(dueAt time: Int64) -> (() -> Void)? {
        guard let first = entries.first, first.time <= time else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            sink()
        }
        return first.task
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in (2 * parent + 1)...(2 * parent + 2) where child < entries.count {
                if entries[child].isBefore(entries[least]) { least = child }
            }
            guard least != parent else { return }
            entries.swapAt(parent, least)
            parent = least
        }
    }
}
