import CComparators
import WaitFree

/// Rings, board and doorbell by themselves.
final class CorePath: SteadyPath {
    struct Message: BitwiseCopyable {
        typealias Words5 = (UInt64, UInt64, UInt64, UInt64, UInt64)
        var index: UInt64
        var rest: (Words5, Words5) = ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0))
    }
    struct Load: PackedInWord {
        var packed: UInt64
        init(packed: UInt64) { self.packed = packed }
    }

    let inbox = SPSCRing<Message>.allocate(capacity: 1024)
    let outbox = SPSCRing<UInt64>.allocate(capacity: 1024)
    let board = LoadBoard<Load>.allocate(rows: 2, showing: Load(packed: 0))
    let bell: Doorbell
    let replies = PaddedAtomic.allocate()

    init() {
        do { bell = try Doorbell() } catch { preconditionFailure("\(error)") }
    }

    deinit {
        inbox.deallocate()
        outbox.deallocate()
        board.deallocate()
        bell.close()
        replies.deallocate()
    }

    var summary: String { "\(replies.load()) replies came back" }

    func frontEnd(_ operations: Int) {
        var sent = 0
        var received = 0
        while received < operations {
            if sent < operations, hotDispatch(board, inbox, bell, Message(index: UInt64(sent))) { sent += 1 }
            if hotPop(outbox) != nil { received += 1 }
        }
        replies.addAsOnlyWriter(UInt64(received))
    }

    func cell(_ operations: Int) {
        var taken = 0
        while taken < operations {
            let count = hotDrain(inbox, outbox)
            if count == 0 { comparator_pause() }
            taken += count
            hotPublish(board, UInt64(taken))
        }
    }
}

// The hot functions by themselves and not inlined, so that their machine code can be looked at.

@inline(never)
func hotDispatch(
    _ board: LoadBoard<CorePath.Load>, _ inbox: SPSCRing<CorePath.Message>, _ bell: Doorbell,
    _ message: CorePath.Message
)
    -> Bool
{
    if board.read(row: 0).packed &- board.read(row: 1).packed > 1 << 40 { return false }
    guard inbox.push(message) else { return false }
    bell.ring()
    return true
}

@inline(never)
func hotPop(_ ring: SPSCRing<UInt64>) -> UInt64? { ring.pop() }

/// Answers each message.
@inline(never)
func hotDrain(_ inbox: SPSCRing<CorePath.Message>, _ outbox: SPSCRing<UInt64>) -> Int {
    inbox.drain(limit: outbox.freeSlots(atLeast: 64)) { _ = outbox.push($0.index) }
}

@inline(never)
func hotPublish(_ board: LoadBoard<CorePath.Load>, _ value: UInt64) {
    board.publish(CorePath.Load(packed: value), row: 0)
}
