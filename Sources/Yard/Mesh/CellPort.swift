//===----------------------------------------------------------------------===//
// A cell at its end of the mesh: one turn of its thread.
//===----------------------------------------------------------------------===//

public import Engine
public import WaitFree
import Workload

/// Joins a cell to the mesh. Its thread calls `turn(at:)` whenever the cell's next event is due or its bell rings:
///
///     while running {
///         let next = port.turn(at: clock.now)
///         port.bell.sleep(forAtMost: next - clock.now, unless: { port.hasMessages })
///     }
///
/// An outcome whose ring is full waits in the cell's own buffer, in order, and as long as something waits for a front
/// end, no message of that front end is taken: its inbox fills, and its next request is refused. So the buffer is
/// bounded by what the requests in flight can still produce.
public final class CellPort {
    public let cell: Cell
    private let mesh: Mesh
    private let number: Int
    private var outboxes: OutboxSink
    private var publisher = LoadPublisher()
    /// Called for each front end that was sent something in a turn, at its end.
    public var wakeFrontEnd: ((Int) -> Void)?
    /// Sees every outcome, on the cell's thread, before it is sent; gaps between tokens go nowhere else.
    public var observer: (any OutcomeSink)? {
        get { outboxes.observer }
        set { outboxes.observer = newValue }
    }

    /// - Parameter number: which of the mesh's cells this is.
    public init(cell: Cell, mesh: Mesh, number: Int) {
        precondition(number >= 0 && number < mesh.cells)
        self.cell = cell
        self.mesh = mesh
        self.number = number
        outboxes = OutboxSink(rings: (0..<mesh.frontEnds).map { mesh.outbox(frontEnd: $0, cell: number) })
        mesh.board.publish(publisher.post(of: cell, at: 0), row: number)
    }

    public var bell: Doorbell { mesh.cellBells[number] }

    /// Whether a front end has sent something that was not taken.
    public var hasMessages: Bool {
        for frontEnd in 0..<mesh.frontEnds where !mesh.inbox(frontEnd: frontEnd, cell: number).isEmpty { return true }
        return false
    }

    /// Does what is due, takes what has come, and posts the cell's load.
    ///
    /// A request takes effect at its arrival, between the events before and after it, also when the thread looks later: how
    /// long a message was on its way then shows in nobody's latency. Only one that arrived before an event that has already
    /// happened takes effect after it. Cancellations and orders take effect now.
    /// - Returns: when the next turn is due if nothing comes before; `.max` when none is.
    public func turn(at nowNanoseconds: Int64) -> Int64 {
        outboxes.retry()
        while let (inbox, time) = earliestMessage(at: nowNanoseconds), let message = inbox.pop() {
            cell.advance(until: time - 1, into: &outboxes)
            take(message, at: time)
        }
        // A late message takes effect 1 ns after what had happened; what it brought about at once goes out in this turn.
        cell.advance(until: nowNanoseconds + 1, into: &outboxes)
        mesh.board.publish(publisher.post(of: cell, at: nowNanoseconds), row: number)
        if let wakeFrontEnd { outboxes.forEachTouched(wakeFrontEnd) }
        return outboxes.isBackedUp ? nowNanoseconds + 1_000_000 : cell.nextEventNanoseconds
    }

    /// The inbox whose first message comes next, and when that takes effect. A request that came in after the caller read its
    /// clock waits for a later turn: nothing begins before it arrived.
    private func earliestMessage(at now: Int64) -> (inbox: SPSCRing<CellMessage>, time: Int64)? {
        var earliest: (inbox: SPSCRing<CellMessage>, time: Int64)?
        for frontEnd in 0..<mesh.frontEnds where outboxes.isClear(frontEnd: frontEnd) {
            let inbox = mesh.inbox(frontEnd: frontEnd, cell: number)
            guard let message = inbox.peek() else { continue }
            var time = now
            if case .submit(let request) = message { time = request.arrivalNanoseconds }
            if time <= now, time < earliest?.time ?? .max { earliest = (inbox, time) }
        }
        return earliest
    }

    private func take(_ message: CellMessage, at now: Int64) {
        switch message {
        case .submit(let request): cell.submit(request, at: now)
        case .cancel(let requestID): cell.cancel(requestID: requestID, at: now)
        case .order(let order, let replica): cell.order(order, replica: Int(replica), at: now)
        }
    }
}

/// Sends outcomes to the front ends that asked.
struct OutboxSink: OutcomeSink {
    private let rings: [SPSCRing<CellReply>]
    /// What did not fit, per front end, oldest first.
    private var spilled: [[CellReply]]
    private var touched: [Bool]
    private(set) var isBackedUp = false
    var observer: (any OutcomeSink)?

    init(rings: [SPSCRing<CellReply>]) {
        self.rings = rings
        spilled = rings.map { _ in [] }
        touched = rings.map { _ in false }
    }

    func isClear(frontEnd: Int) -> Bool { spilled[frontEnd].isEmpty }

    mutating func retry() {
        guard isBackedUp else { return }
        isBackedUp = false
        for frontEnd in rings.indices where !spilled[frontEnd].isEmpty {
            let sent = spilled[frontEnd].withUnsafeBufferPointer { rings[frontEnd].push(contentsOf: $0) }
            spilled[frontEnd].removeFirst(sent)
            if sent > 0 { touched[frontEnd] = true }
            if !spilled[frontEnd].isEmpty { isBackedUp = true }
        }
    }

    mutating func forEachTouched(_ body: (Int) -> Void) {
        for frontEnd in touched.indices where touched[frontEnd] {
            touched[frontEnd] = false
            body(frontEnd)
        }
    }

    private mutating func send(_ reply: CellReply, to frontEnd: Int) {
        touched[frontEnd] = true
        if spilled[frontEnd].isEmpty && rings[frontEnd].push(reply) { return }
        spilled[frontEnd].append(reply)
        isBackedUp = true
    }

    mutating func completed(_ completion: Completion) {
        observer?.completed(completion)
        send(.completed(completion), to: Int(completion.frontEnd))
    }

    mutating func produced(_ token: TokenEvent) {
        observer?.produced(token)
        send(.produced(token), to: Int(token.frontEnd))
    }

    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
        observer?.gaps(
            firstPicoseconds: firstPicoseconds, incrementPicoseconds: incrementPicoseconds, steps: steps, count: count)
    }
}
