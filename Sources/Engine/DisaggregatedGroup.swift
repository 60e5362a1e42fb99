//===----------------------------------------------------------------------===//
// Prefill on some replicas, decode on others.
//===----------------------------------------------------------------------===//

public import StepModel
public import Workload

/// Prefill replicas, decode replicas and the link between them, driven like one replica.
///
/// A request goes to the prefill replica with the least work; when its prompt is done the KV crosses the link, and the
/// decode replica with the least work takes it in. The token that the prefill replica samples is discarded: the first
/// token is the decode side's, as in Neuron's disaggregated inference. Ties go to the lowest number.
///
/// Times of the completion: scheduled on the prefill side, first and last token on the decode side. A request that a
/// decode replica preempts is computed again there.
public final class DisaggregatedGroup {
    public let prefill: [Replica]
    public let decode: [Replica]
    public private(set) var link: KVTransferLink
    /// Requests by number, until they end.
    private var requests: [UInt64: Pending] = [:]
    /// Prompts whose KV is on its way, in the order in which it arrives: the link is first come, first served.
    private var crossing: [(arrivesNanoseconds: Int64, requestID: UInt64)] = []
    private var crossed = 0

    private struct Pending {
        var request: Request
        var scheduledNanoseconds: Int64 = -1
        var cachedPromptTokens: Int32 = 0
        var isOnDecodeSide = false
    }

    /// - Precondition: the configurations' roles are `prefillOnly` and `decodeOnly`.
    public init(
        prefill: (count: Int, configuration: ReplicaConfiguration, table: StepTable),
        decode: (count: Int, configuration: ReplicaConfiguration, table: StepTable),
        link: KVTransferLink
    ) {
        precondition(prefill.count > 0 && decode.count > 0)
        precondition(prefill.configuration.role == .prefillOnly && decode.configuration.role == .decodeOnly)
        self.prefill = (0..<prefill.count).map {
            Replica(number: Int32($0), configuration: prefill.configuration, table: prefill.table)
        }
        self.decode = (0..<decode.count).map {
            Replica(number: Int32(prefill.count + $0), configuration: decode.configuration, table: decode.table)
        }
        self.link = link
    }

    /// - Precondition: calls come in the order of time, and everything before `nowNanoseconds` has been advanced past.
    public func submit(_ request: Request, at nowNanoseconds: Int64) {
        precondition(requests[request.id] == nil, "two requests have the number \(request.id)")
        requests[request.id] = Pending(request: request)
        leastLoaded(prefill).submit(request, at: nowNanoseconds)
    }

    public var nextEventNanoseconds: Int64 {
        var next = crossed < crossing.count ? crossing[crossed].arrivesNanoseconds : Int64.max
        for replica in prefill { next = min(next, replica.nextEventNanoseconds) }
        for replica in decode { next = min(next, replica.nextEventNanoseconds) }
        return next
    }

    /// Does everything that happens at or before a time, in order across both sides and the link.
    public func advance<Sink: OutcomeSink>(until nowNanoseconds: Int64, into sink: inout Sink) {
        while nextEventNanoseconds <= nowNanoseconds {
            let time = nextEventNanoseconds
            var ended = PrefillSink()
            for replica in prefill { replica.advance(until: time, into: &ended) }
            for completion in ended.completions { take(completion, into: &sink) }
            withUnsafeMutablePointer(to: &sink) { target in
                var merged = DecodeSink(group: self, target: target)
                for replica in decode { replica.advance(until: time, into: &merged) }
            }
            while crossed < crossing.count && crossing[crossed].arrivesNanoseconds <= time {
                if let pending = requests[crossing[crossed].requestID] {
                    requests[crossing[crossed].requestID]?.isOnDecodeSide = true
                    leastLoaded(decode).submit(pending.request, at: time)
                }
                crossed += 1
            }
            if crossed > 1024 && crossed * 2 > crossing.count {
                crossing.removeFirst(crossed)
                crossed = 0
            }
        }
    }

    private func take<Sink: OutcomeSink>(_ completion: Completion, into sink: inout Sink) {
        guard completion.status == .finished else {
            requests[completion.requestID] = nil
            sink.completed(completion)
            return
        }
        requests[completion.requestID]?.scheduledNanoseconds = completion.scheduledNanoseconds
        requests[completion.requestID]?.cachedPromptTokens = completion.cachedPromptTokens
        let arrives = link.transfer(
            tokens: completion.promptTokens, startNanoseconds: completion.scheduledNanoseconds,
            endNanoseconds: completion.lastTokenNanoseconds)
        crossing.append((arrives, completion.requestID))
    }

    private func finish(_ completion: Completion) -> Completion {
        var merged = completion
        if let pending = requests.removeValue(forKey: completion.requestID) {
            if pending.scheduledNanoseconds >= 0 { merged.scheduledNanoseconds = pending.scheduledNanoseconds }
            merged.cachedPromptTokens = pending.cachedPromptTokens
        }
        return merged
    }

    private func leastLoaded(_ replicas: [Replica]) -> Replica {
        var best = replicas[0]
        for replica in replicas.dropFirst() where replica.load.outstandingTokens < best.load.outstandingTokens {
            best = replica
        }
        return best
    }

    private struct PrefillSink: OutcomeSink {
        var completions: [Completion] = []
        mutating func completed(_ completion: Completion) { completions.append(completion) }
        mutating func produced(_ token: TokenEvent) {}
        mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
    }

    private struct DecodeSink<Target: OutcomeSink>: OutcomeSink {
        let group: DisaggregatedGroup
        let target: UnsafeMutablePointer<Target>
        mutating func completed(_ completion: Completion) { target.pointee.completed(group.finish(completion)) }
        mutating func produced(_ token: TokenEvent) { target.pointee.produced(token) }
        mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
            target.pointee.gaps(
                firstPicoseconds: firstPicoseconds, incrementPicoseconds: incrementPicoseconds, steps: steps,
                count: count)
        }
    }
}
