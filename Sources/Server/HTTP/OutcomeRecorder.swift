//===----------------------------------------------------------------------===//
// Who wants to know of every request that ended.
//===----------------------------------------------------------------------===//

import Engine

/// One request that ended on one side, with what the ledger keeps of it.
struct EndedRequest: Equatable {
    var completion: Completion
    var side: Side
    var finish: FinishReason
    var answer: UInt64
    var maxOutputTokens: Int32
    var firstBlockHash: UInt64
    var blockCount: Int32
}

/// Wants to know of every request that ended, before its answer leaves (the ledger).
protocol OutcomeRecorder: AnyObject {
    /// Whether the ends of so many requests, in flight or to be admitted, are sure to be recorded.
    func hasRoom(forRequests count: Int) -> Bool
    func ended(_ request: EndedRequest)
}
