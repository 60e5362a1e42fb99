//===----------------------------------------------------------------------===//
// The paths between front ends and cells.
//===----------------------------------------------------------------------===//

public import Engine
public import WaitFree
public import Workload

/// What a front end tells a cell.
public enum CellMessage: BitwiseCopyable, Sendable {
    case submit(Request)
    case cancel(requestID: UInt64)
    case order(ReplicaOrder, replica: Int32)
}

/// What a cell tells a front end.
public enum CellReply: BitwiseCopyable, Sendable, Equatable {
    case completed(Completion)
    case produced(TokenEvent)
}

/// Front ends × cells of bounded rings in both directions, the board on which cells post their load, and a bell per
/// cell.
///
/// Each ring has one producing and one consuming thread: the front end's and the cell's. The dispatch path through it
/// (`FrontEndPort.submit`, `CellPort.takeMessages`) takes no lock, makes no system call unless the cell sleeps, and
/// allocates nothing.
public final class Mesh: Sendable {
    public let frontEnds: Int
    public let cells: Int
    public let board: LoadBoard<PublishedLoad>
    let inboxes: [SPSCRing<CellMessage>]
    let outboxes: [SPSCRing<CellReply>]
    public let cellBells: [Doorbell]
    private let memory: MeshMemory

    /// - Parameters:
    ///   - inboxCapacity: messages on the way from one front end to one cell, a power of two.
    ///   - outboxCapacity: outcomes on the way back, a power of two.
    ///   - nodes: for each cell the NUMA node on which its rings should lie; nil for ordinary memory.
    /// - Throws: `Doorbell.CreationError` when the process has no file descriptors left, `NodeMemory.AllocationError`
    ///   when there is no memory.
    public init(
        frontEnds: Int, cells: Int, inboxCapacity: Int = 1024, outboxCapacity: Int = 4096, nodes: [Int]? = nil
    ) throws {
        precondition(frontEnds > 0 && frontEnds <= Int(UInt16.max) && cells > 0)
        self.frontEnds = frontEnds
        self.cells = cells
        let inboxBytes = Self.wholeLines(SPSCRing<CellMessage>.byteCount(capacity: inboxCapacity))
        let outboxBytes = Self.wholeLines(SPSCRing<CellReply>.byteCount(capacity: outboxCapacity))
        let memory = try MeshMemory(cells: cells, byteCount: frontEnds * (inboxBytes + outboxBytes), nodes: nodes)
        var bells: [Doorbell] = []
        do {
            for _ in 0..<cells { bells.append(try Doorbell()) }
        } catch {
            for bell in bells { bell.close() }
            memory.deallocate()
            throw error
        }
        self.memory = memory
        board = .allocate(rows: cells, showing: PublishedLoad(freePlaces: 1))
        inboxes = (0..<frontEnds * cells).map { path in
            let (frontEnd, cell) = path.quotientAndRemainder(dividingBy: cells)
            return SPSCRing(in: memory.base(ofCell: cell) + frontEnd * inboxBytes, capacity: inboxCapacity)
        }
        outboxes = (0..<frontEnds * cells).map { path in
            let (frontEnd, cell) = path.quotientAndRemainder(dividingBy: cells)
            let start = memory.base(ofCell: cell) + frontEnds * inboxBytes + frontEnd * outboxBytes
            return SPSCRing(in: start, capacity: outboxCapacity)
        }
        cellBells = bells
    }

    deinit {
        for bell in cellBells { bell.close() }
        board.deallocate()
        memory.deallocate()
    }

    private static func wholeLines(_ byteCount: Int) -> Int {
        (byteCount + CacheLine.byteCount - 1) / CacheLine.byteCount * CacheLine.byteCount
    }

    /// Where the rings of a cell lie, for people: asked of the kernel, page by page.
    public func memoryPlacement(ofCell cell: Int) -> String { memory.placement(ofCell: cell) }

    /// Messages that lie in rings to cells, and outcomes in rings to front ends, as a watcher sees them; and how many fit.
    public var ringDepths: (inbox: Int, outbox: Int) {
        (inboxes.reduce(0) { $0 + $1.depth }, outboxes.reduce(0) { $0 + $1.depth })
    }
    public var ringCapacities: (inbox: Int, outbox: Int) {
        (inboxes.reduce(0) { $0 + $1.capacity }, outboxes.reduce(0) { $0 + $1.capacity })
    }

    func inbox(frontEnd: Int, cell: Int) -> SPSCRing<CellMessage> { inboxes[frontEnd * cells + cell] }
    func outbox(frontEnd: Int, cell: Int) -> SPSCRing<CellReply> { outboxes[frontEnd * cells + cell] }
}

/// A front end's end of the mesh, for its thread alone: the tenants' gate, the choice of a cell, and the rings.
public struct FrontEndPort: Sendable {
    public let number: Int
    private let mesh: Mesh
    public private(set) var chooser: CellChooser
    public private(set) var gate: TenantGate

    /// - Parameter limits: of the whole fleet, by tenant; this front end enforces its share.
    public init(
        mesh: Mesh, number: Int, choice: CellChoice = CellChoice(), limits: [TenantLimits] = [], seed: UInt64 = 1
    ) {
        precondition(number >= 0 && number < mesh.frontEnds)
        self.mesh = mesh
        self.number = number
        chooser = CellChooser(cells: mesh.cells, choice: choice, seed: seed, frontEnd: number)
        gate = TenantGate(limits: limits.map { $0.share(ofFrontEnds: mesh.frontEnds) })
    }

    /// Where a request went, or why it went nowhere.
    public enum Dispatch: Sendable, Equatable {
        case sent(cell: Int)
        case refused(Refusal, retryAfterNanoseconds: Int64)
    }

    /// Sends a request to a cell. The request's `frontEnd` is set to this one; its completion comes back through
    /// `takeReplies`.
    /// - Parameter wanted: the cell that must take it, for callers that address one; nil chooses.
    public mutating func submit(_ request: Request, at nowNanoseconds: Int64, cell wanted: Int? = nil) -> Dispatch {
        if let refused = gate.admit(request, at: nowNanoseconds) {
            return .refused(refused.refusal, retryAfterNanoseconds: refused.retryAfterNanoseconds)
        }
        chooser.look(at: mesh.board, nowNanoseconds: nowNanoseconds)
        precondition(wanted.map { $0 >= 0 && $0 < mesh.cells } ?? true, "the mesh has \(mesh.cells) cells")
        let cell = wanted ?? chooser.choose(for: request)
        var sent = request
        sent.frontEnd = UInt16(truncatingIfNeeded: number)
        guard mesh.inbox(frontEnd: number, cell: cell).push(.submit(sent)) else {
            gate.ended(tenant: request.tenant)
            return .refused(.pathFull, retryAfterNanoseconds: chooser.retryAfterNanoseconds(cell: cell))
        }
        mesh.cellBells[cell].ring()
        return .sent(cell: cell)
    }

    /// Asks the cell that a request was sent to, to end it early.
    /// - Returns: false when the ring is full; ask again later.
    public func cancel(requestID: UInt64, cell: Int) -> Bool { send(.cancel(requestID: requestID), to: cell) }

    /// Gives an order about a replica, numbered within the cell.
    /// - Returns: false when the ring is full; give it again later.
    public func order(_ order: ReplicaOrder, replica: Int, cell: Int) -> Bool {
        send(.order(order, replica: Int32(replica)), to: cell)
    }

    private func send(_ message: CellMessage, to cell: Int) -> Bool {
        guard mesh.inbox(frontEnd: number, cell: cell).push(message) else { return false }
        mesh.cellBells[cell].ring()
        return true
    }

    /// Takes what cells have sent, cell by cell, at most `limit` from each.
    /// - Returns: how many there were.
    public mutating func takeReplies(limit: Int = .max, _ body: (CellReply) -> Void) -> Int {
        var taken = 0
        for cell in 0..<mesh.cells {
            taken += mesh.outbox(frontEnd: number, cell: cell).drain(limit: limit) { reply in
                if case .completed(let completion) = reply { gate.ended(tenant: completion.tenant) }
                body(reply)
            }
        }
        return taken
    }

    /// Whether no cell has sent anything that was not taken.
    public var hasNoReplies: Bool {
        for cell in 0..<mesh.cells where !mesh.outbox(frontEnd: number, cell: cell).isEmpty { return false }
        return true
    }
}
