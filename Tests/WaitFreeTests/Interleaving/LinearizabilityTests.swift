import Testing

/// The judge itself: known histories of a register that holds a number.
@Suite struct LinearizabilityTests {
    enum Register {
        case write(Int)
        case read(Int)
        static func apply(_ state: inout Int, _ operation: Register) -> Bool {
            switch operation {
            case .write(let value):
                state = value
                return true
            case .read(let value): return state == value
            }
        }
    }

    private func judge(_ entries: [(Register, ClosedRange<Int>)]) -> Bool {
        let history = History<Register>()
        for (thread, entry) in entries.enumerated() { history.append(entry.0, thread: thread, steps: entry.1) }
        return history.isLinearizable(from: 0, Register.apply)
    }

    @Test func acceptsAReadOfAWriteThatOverlaps() {
        #expect(judge([(.write(1), 1...5), (.read(1), 2...3), (.read(1), 4...6)]))
        #expect(judge([(.write(1), 1...5), (.read(0), 2...3), (.read(1), 4...6)]))
    }

    @Test func refusesAValueThatGoesBack() {
        #expect(!judge([(.write(1), 1...5), (.read(1), 2...3), (.read(0), 4...6)]))
    }

    @Test func refusesAStaleReadAfterTheWriteEnded() {
        #expect(!judge([(.write(1), 1...2), (.read(0), 3...4)]))
    }

    @Test func refusesAValueNobodyWrote() {
        #expect(!judge([(.write(1), 1...5), (.read(2), 2...3)]))
    }
}
