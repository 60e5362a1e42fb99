//===----------------------------------------------------------------------===//
// Outcomes that came up while no sink was at hand.
//===----------------------------------------------------------------------===//

import Engine

/// Outcomes that a message (not `advance`) brought about; the next `advance` hands them over in their order.
struct HeldOutcomes {
    private enum Outcome: BitwiseCopyable {
        case completed(Completion)
        case produced(TokenEvent)
        case gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32)
    }
    private var outcomes: [Outcome] = []
    /// When the oldest of them came up, `.max` when there is none.
    private(set) var sinceNanoseconds = Int64.max

    mutating func note(at nowNanoseconds: Int64) {
        if !outcomes.isEmpty { sinceNanoseconds = min(sinceNanoseconds, nowNanoseconds) }
    }

    mutating func handOver<Sink: OutcomeSink>(into sink: inout Sink) {
        for outcome in outcomes {
            switch outcome {
            case .completed(let completion): sink.completed(completion)
            case .produced(let token): sink.produced(token)
            case .gaps(let first, let increment, let steps, let count):
                sink.gaps(firstPicoseconds: first, incrementPicoseconds: increment, steps: steps, count: count)
            }
        }
        outcomes.removeAll(keepingCapacity: true)
        sinceNanoseconds = .max
    }
}

extension HeldOutcomes: OutcomeSink {
    mutating func completed(_ completion: Completion) { outcomes.append(.completed(completion)) }
    mutating func produced(_ token: TokenEvent) { outcomes.append(.produced(token)) }
    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
        outcomes.append(
            .gaps(
                firstPicoseconds: firstPicoseconds, incrementPicoseconds: incrementPicoseconds, steps: steps,
                count: count)
        )
    }
}
