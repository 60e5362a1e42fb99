//===----------------------------------------------------------------------===//
// Where a simulation's outcomes go.
//===----------------------------------------------------------------------===//

import Engine
import Ledger

/// Counts outcomes and, when somebody waits for them (closed-loop clients, tenants' concurrency), keeps the completions
/// until they are fetched.
struct RunSink: OutcomeSink, Sendable {
    var tally: Tally
    let keepsEndings: Bool
    var endings: [Completion] = []

    init(promise: LatencyPromise, keepsCompletions: Bool, keepsEndings: Bool) {
        tally = Tally(promise: promise, keepsCompletions: keepsCompletions)
        self.keepsEndings = keepsEndings
    }

    mutating func completed(_ completion: Completion) {
        tally.completed(completion)
        if keepsEndings { endings.append(completion) }
    }

    mutating func produced(_ token: TokenEvent) { tally.produced(token) }

    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
        tally.gaps(
            firstPicoseconds: firstPicoseconds, incrementPicoseconds: incrementPicoseconds, steps: steps, count: count)
    }
}
