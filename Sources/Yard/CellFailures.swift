//===----------------------------------------------------------------------===//
// Draining, failing and restoring a cell's replicas.
//===----------------------------------------------------------------------===//

import Engine
import Workload

extension Cell {
    /// Carries out an order on a replica.
    ///
    /// A failed replica stops at once: what its chips burned until now stays counted, its requests end as failed or go
    /// back to the waiting room (which may turn them away when it is full), and its caches are gone.
    public func order(_ order: ReplicaOrder, replica: Int, at nowNanoseconds: Int64) {
        precondition(
            replica >= 0 && replica < replicaCount, "the cell has replicas 0..<\(replicaCount), not \(replica)")
        let now = effectiveTime(nowNanoseconds)
        recorder?.record(order, replica: replica, at: now)
        switch order {
        case .drain:
            if states[replica].phase == .ready { setPhase(.draining, of: replica) }
        case .restore:
            setPhase(.ready, of: replica)
            sendHandovers(at: now)
            if room.count > 0 { emptyRoom(at: now) }
        case .fail(let rule):
            if states[replica].phase == .failed { return }
            setPhase(.failed, of: replica)
            fail(replica, rule, at: now)
        }
    }

    public func phase(ofReplica replica: Int) -> ReplicaPhase {
        switch states[replica].phase {
        case .ready: .ready
        case .draining: states[replica].requests == 0 ? .drained : .draining
        case .failed: .failed
        }
    }

    private func setPhase(_ phase: ReplicaState.Phase, of replica: Int) {
        let before = states[replica].phase
        if before == phase { return }
        let places = states[replica].requestLimit - states[replica].requests
        if !states[replica].isDecodeSide {
            if before == .ready { currentLoad.freePlaces -= places }
            if phase == .ready { currentLoad.freePlaces += places }
        }
        states[replica].phase = phase
        refresh(replica)
    }

    private func fail(_ replica: Int, _ rule: FailureRule, at now: Int64) {
        catchUp(replica, to: now)
        recallHandovers(from: replica)
        var lost: [Request] = []
        for request in inFlight.requests(on: Int32(replica)) {
            guard let entry = inFlight.find(request.id), let handover = dropHandover(request.id, tokens: entry.tokens)
            else {
                lost.append(request)
                continue
            }
            // Its prompt was done, and the KV is gone with the replica that had it.
            conclude(request, rule, at: now) { endHandover(handover, as: .failed, at: now) }
        }
        for (request, completion) in zip(lost, replaceReplica(replica, losing: lost, at: now)) {
            precondition(request.id == completion.requestID && completion.status == .cancelled)
            counters.cancelled -= 1
            conclude(request, rule, at: now) {
                var ended = completion
                ended.status = .failed
                held.completed(ended)
                held.note(at: now)
            }
        }
        sendHandovers(at: now)
        if room.count > 0 { emptyRoom(at: now) }
    }

    /// Takes requests out of a replica and puts an empty one in its place.
    /// - Returns: what the failed replica says of them, by request number.
    private func replaceReplica(_ replica: Int, losing lost: [Request], at now: Int64) -> [Completion] {
        var sink = FailureSink(cell: self, replica: replica)
        let pool = configuration.pools[Int(states[replica].pool)]
        let failed = replicas[replica].takeUnretainedValue()
        for request in lost {
            let found = failed.cancel(requestID: request.id, at: now)
            precondition(found, "replica \(replica) does not know its request \(request.id)")
        }
        failed.advance(until: now, into: &sink)
        precondition(
            sink.completions.count == lost.count,
            "a failed replica ended \(sink.completions.count) of its \(lost.count) requests")
        retiredUsage[replica] = usage(ofReplica: replica)
        let fresh = Replica(number: failed.number, configuration: pool.replica, table: pool.table)
        replicas[replica].release()
        replicas[replica] = Unmanaged.passRetained(fresh)
        nextEvents.set(replica, to: TournamentTree.never)
        policy.forget(replica: replica)
        decodeSide?.policy.forget(replica: replica)
        audit?.forget(replica: replica)
        return sink.completions.sorted { $0.requestID < $1.requestID }
    }

    private func conclude(_ request: Request, _ rule: FailureRule, at now: Int64, orFail end: () -> Void) {
        if rule == .requeue {
            requeue(request, at: now)
        } else {
            counters.failed += 1
            end()
        }
    }

    private func requeue(_ request: Request, at now: Int64) {
        counters.requeued += 1
        let tokens = Int32(clamping: Int64(request.promptTokens) + Int64(request.outputTokens))
        if isClosed || room.refusal(of: request, tokens: tokens) != nil {
            counters.failed += 1
            endWithoutReplica(request, as: .failed, at: now)
        } else {
            enqueue(request, tokens: tokens, at: now)
        }
    }
}

/// How a replica stands towards new requests.
public enum ReplicaPhase: String, Sendable, Equatable {
    case ready, draining, drained, failed
}

/// Catches what a replica reports while it is taken apart.
private struct FailureSink: OutcomeSink {
    unowned(unsafe) let cell: Cell
    let replica: Int
    var completions: [Completion] = []

    mutating func completed(_ completion: Completion) {
        guard let settled = cell.decodeSide == nil ? completion : cell.settle(completion, on: replica) else { return }
        if cell.decodeSide == nil { cell.ended(completion, on: replica) }
        completions.append(settled)
    }
    mutating func produced(_ token: TokenEvent) {}
    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
}
