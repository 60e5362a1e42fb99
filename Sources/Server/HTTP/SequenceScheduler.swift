//===----------------------------------------------------------------------===//
// What an event loop asks of the modelled fleet.
//===----------------------------------------------------------------------===//

import Workload

/// Takes an event loop's requests to the fleet and to its baseline. Called on that loop only.
///
/// Outcomes come back on the same loop, through `LoopFrontEnd.produced`, `.completed` and `.endOfBatch`.
protocol SequenceScheduler: AnyObject {
    /// Hands over one request; the arrival time is filled in here. A refused one was not taken.
    /// - Parameter cell: the cell that must take it; nil lets the front end choose.
    func submit(_ request: Request, cell: Int?) -> Submission
    /// Ends a request early on both sides. Its completions still come.
    func cancel(requestID: UInt64)
    /// Whether every request is also given to a baseline, whose completion comes too.
    var hasBaseline: Bool { get }
}

/// What became of a request at the front door.
enum Submission: Equatable, Sendable {
    case taken
    /// A limit or a full queue turned it away.
    case refused(reason: String, retryAfterSeconds: Int)
}

/// Which of the two fleets an outcome belongs to.
enum Side: Int, Sendable { case fleet = 0, baseline = 1 }
