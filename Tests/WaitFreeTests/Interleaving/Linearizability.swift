/// What threads did to an object and got from it, in the steps of a `World`.
final class History<Operation> {
    struct Entry {
        var thread: Int
        var operation: Operation
        var steps: ClosedRange<Int>
    }
    private(set) var entries: [Entry] = []

    /// Adds an operation, with its result inside, after it has ended.
    func append(_ operation: Operation, thread: Int, steps: ClosedRange<Int>) {
        entries.append(Entry(thread: thread, operation: operation, steps: steps))
    }

    /// Whether there is an order of the operations, one after another, that keeps the order of those that did not
    /// overlap and in which each is allowed by the sequential specification (Herlihy and Wing 1990). Searched as Wing
    /// and Gong (1993) do, remembering what was tried.
    ///
    /// - Parameter apply: changes the state as the operation does; false when the operation could not have had its
    ///   result in that state.
    func isLinearizable<State: Hashable>(from initial: State, _ apply: (inout State, Operation) -> Bool) -> Bool {
        precondition(entries.count < 64)
        var tried: Set<Position<State>> = []
        var open = [Position(done: 0, state: initial)]
        let all = UInt64(1) << UInt64(entries.count) - 1
        while let position = open.popLast() {
            if position.done == all { return true }
            if !tried.insert(position).inserted { continue }
            let left = entries.indices.filter { position.done >> UInt64($0) & 1 == 0 }
            let firstEnd = left.map { entries[$0].steps.upperBound }.min()!
            for index in left where entries[index].steps.lowerBound <= firstEnd {
                var next = Position(done: position.done | 1 << UInt64(index), state: position.state)
                if apply(&next.state, entries[index].operation) { open.append(next) }
            }
        }
        return false
    }

    /// One line an operation, in the order in which they began.
    var description: String {
        entries.sorted { $0.steps.lowerBound < $1.steps.lowerBound }
            .map { "thread \($0.thread), steps \($0.steps): \($0.operation)" }.joined(separator: "\n")
    }
}

/// How far a search has come: which operations are done, and the state after them.
private struct Position<State: Hashable>: Hashable {
    var done: UInt64
    var state: State
}
