//===----------------------------------------------------------------------===//
// What a cell knows about its requests, and how it is reached.
//===----------------------------------------------------------------------===//

import Engine

/// Everything of a cell that changes with a message or an event, in one block that the cell owns.
///
/// It is reached through a pointer because the runtime checks every access to a class's variables for overlap, which
/// costs more than most of these updates; a cell is used by one thread, and its sinks do not call back.
struct CellBooks: ~Copyable {
    var room: WaitingRoom
    var inFlight: InFlightTable
    var load = CellLoad()
    var counters = CellCounters()
    /// Brought about by messages: handed over by the next `advance`.
    var held = HeldOutcomes()
    /// Of the replica that is being stepped.
    var outcomes = OutcomeBuffer()
    var foresight = EventForesight()
    /// Everything up to here has happened.
    var clockNanoseconds: Int64 = -1
    var isClosed = false
    var placements: UInt32 = 0
    var recorder: DecisionRecorder?
    var isRecording = false
    /// Only while a log is replayed.
    var audit: DecisionAudit?
    /// Nil unless prefill and decode are apart.
    var desk: HandoverDesk?

    init(room: WaitingRoom, inFlight: consuming InFlightTable) {
        self.room = room
        self.inFlight = inFlight
    }

    deinit {
        outcomes.deallocate()
        foresight.deallocate()
    }
}

extension Cell {
    /// Counts since the cell was made.
    public internal(set) var counters: CellCounters {
        _read { yield books.pointee.counters }
        _modify { yield &books.pointee.counters }
    }

    /// Writes the decision log when set.
    public var recorder: DecisionRecorder? {
        get { books.pointee.recorder }
        set {
            books.pointee.recorder = newValue
            books.pointee.isRecording = newValue != nil
        }
    }

    var isRecording: Bool { books.pointee.isRecording }

    /// Sits beside the policy of a cell with a recorder.
    var audit: DecisionAudit? {
        get { books.pointee.audit }
        set {
            books.pointee.audit = newValue
            newValue?.begin(on: self)
        }
    }

    var room: WaitingRoom {
        _read { yield books.pointee.room }
        _modify { yield &books.pointee.room }
    }

    var inFlight: InFlightTable {
        _read { yield books.pointee.inFlight }
        _modify { yield &books.pointee.inFlight }
    }

    var currentLoad: CellLoad {
        _read { yield books.pointee.load }
        _modify { yield &books.pointee.load }
    }

    var held: HeldOutcomes {
        _read { yield books.pointee.held }
        _modify { yield &books.pointee.held }
    }

    var foresight: EventForesight {
        _read { yield books.pointee.foresight }
        _modify { yield &books.pointee.foresight }
    }

    var clockNanoseconds: Int64 {
        _read { yield books.pointee.clockNanoseconds }
        _modify { yield &books.pointee.clockNanoseconds }
    }

    var isClosed: Bool {
        _read { yield books.pointee.isClosed }
        _modify { yield &books.pointee.isClosed }
    }

    var desk: HandoverDesk? {
        _read { yield books.pointee.desk }
        _modify { yield &books.pointee.desk }
    }

    var placements: UInt32 {
        _read { yield books.pointee.placements }
        _modify { yield &books.pointee.placements }
    }
}
