import Testing
import WaitFree

/// A state with two parts that belong together: the second is always the complement of the first.
struct PairedState: PackedInWord, Equatable {
    var first: UInt32
    var second: UInt32
    init(_ first: UInt32) {
        self.first = first
        second = ~first
    }
    init(packed: UInt64) {
        first = UInt32(truncatingIfNeeded: packed)
        second = UInt32(truncatingIfNeeded: packed >> 32)
    }
    var packed: UInt64 { UInt64(second) << 32 | UInt64(first) }
    var isWhole: Bool { second == ~first }
}

@Suite struct LoadBoardTests {
    @Test func rowsAreIndependent() {
        let board = LoadBoard.allocate(rows: 5, showing: PairedState(9))
        defer { board.deallocate() }
        for row in 0..<5 { #expect(board.read(row: row) == PairedState(9)) }
        board.publish(PairedState(1), row: 0)
        board.publish(PairedState(4), row: 4)
        #expect((0..<5).map { board.read(row: $0).first } == [1, 9, 9, 9, 4])
    }

    @Test func refusesRowsThatAreNotThere() async {
        await #expect(processExitsWith: .failure) {
            _ = LoadBoard.allocate(rows: 2, showing: PairedState(0)).read(row: 2)
        }
        await #expect(processExitsWith: .failure) {
            LoadBoard.allocate(rows: 2, showing: PairedState(0)).publish(PairedState(1), row: -1)
        }
    }

    /// Readers only ever see whole states, and never see a row go backwards.
    @Test func stressReadersSeeWholeStatesInOrder() {
        let board = LoadBoard.allocate(rows: 2, showing: PairedState(0))
        defer { board.deallocate() }
        let wrong = PaddedAtomic.allocate()
        defer { wrong.deallocate() }
        let last: UInt32 = 300_000
        let writers = (0..<2).map { row -> @Sendable () -> Void in
            {
                for value in 1...last { board.publish(PairedState(value), row: row) }
            }
        }
        let readers = (0..<2).map { row -> @Sendable () -> Void in
            {
                var previous: UInt32 = 0
                while previous < last {
                    let state = board.read(row: row)
                    if !state.isWhole || state.first < previous {
                        wrong.add(1)
                        return
                    }
                    if state.first == previous { yieldProcessor() }
                    previous = state.first
                }
            }
        }
        runConcurrently(writers + readers)
        #expect(wrong.load() == 0)
    }
}
