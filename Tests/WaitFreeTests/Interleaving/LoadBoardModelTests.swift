import CCoroutine
import Testing
import WaitFree

/// The load board under every interleaving of a writer and two readers.
@Suite struct LoadBoardModelTests {
    enum Call {
        case publish(UInt32)
        case read(UInt32)
    }

    @Test func everyRowIsAnAtomicRegister() {
        let outcome = Explorer().exhaust { world in
            let block = CacheLine.allocate(byteCount: 2 * CacheLine.byteCount)
            let board = LoadBoardIn<PairedState, ModelMemory>(in: block, rows: 2, showing: PairedState(0))
            let history = History<Call>()
            func perform(_ body: () -> Call) {
                let (call, steps, wordOperations) = world.measure(body)
                history.append(call, thread: Int(coroutine_current()), steps: steps)
                if wordOperations != 1 { world.fail("\(call) took \(wordOperations) operations on words") }
            }
            let reader = {
                for _ in 0..<3 {
                    perform {
                        let state = board.read(row: 1)
                        if !state.isWhole { world.fail("a torn state was read") }
                        return .read(state.first)
                    }
                }
            }
            return Trial(
                threads: [
                    {
                        for value in 1...3 as ClosedRange<UInt32> {
                            perform {
                                board.publish(PairedState(value), row: 1)
                                return .publish(value)
                            }
                        }
                    }, reader, reader,
                ],
                check: {
                    let isRegister = history.isLinearizable(from: 0 as UInt32) { state, call in
                        switch call {
                        case .publish(let value):
                            state = value
                            return true
                        case .read(let value): return state == value
                        }
                    }
                    return isRegister ? nil : "not linearizable:\n\(history.description)"
                },
                end: { block.deallocate() })
        }
        print("load board, 3 publications and 2 x 3 reads: \(outcome)")
        #expect(outcome.failure == nil && outcome.isComplete)
        #expect(outcome.runs == 1680, "9 steps of three threads with 3 each: 9! / (3! 3! 3!)")
    }

    /// A reader of a state may read what its writer did before it published.
    @Test(arguments: [true, false])
    func publishingReleases(releases: Bool) {
        func trial<Memory: ModelledMemory>(_ world: World, on: Memory.Type) -> Trial {
            let block = CacheLine.allocate(byteCount: CacheLine.byteCount)
            let board = LoadBoardIn<PairedState, Memory>(in: block, rows: 1, showing: PairedState(0))
            let note = UnsafeMutablePointer<Int>.allocate(capacity: 1)
            return Trial(
                threads: [
                    {
                        Memory.write(7, to: note)
                        board.publish(PairedState(1), row: 0)
                    },
                    {
                        if board.read(row: 0) == PairedState(1), Memory.read(note) != 7 { world.fail("old note") }
                    },
                ],
                check: { nil },
                end: {
                    block.deallocate()
                    note.deallocate()
                })
        }
        let outcome = Explorer().exhaust { world in
            releases ? trial(world, on: ModelMemory.self) : trial(world, on: MemoryWithoutRelease.self)
        }
        #expect((outcome.failure == nil) == releases)
    }
}
