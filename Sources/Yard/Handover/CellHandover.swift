//===----------------------------------------------------------------------===//
// A request's way from prefill to decode inside a cell.
//===----------------------------------------------------------------------===//

import Engine
import Workload

/// The token that a prefill replica samples is discarded: the first token is the decode side's, as in Neuron's
/// disaggregated inference. A completion was scheduled on the prefill side; its tokens' times are the decode side's.
extension Cell {
    /// Prompts that are done and wait for a decode replica, or are on their way to one.
    public var handovers: Int { desk?.handovers.values.reduce(0) { $0 + ($1.stage == .decoding ? 0 : 1) } ?? 0 }

    /// What a cell with separate sides does with a completion: a finished prompt goes on, everything else has ended.
    /// - Returns: the completion for the caller, nil when the request goes on.
    func settle(_ completion: Completion, on replica: Int) -> Completion? {
        if states[replica].isDecodeSide {
            guard let handover = desk?.remove(completion.requestID) else {
                preconditionFailure(
                    "decode replica \(replica) ended request \(completion.requestID), never handed over")
            }
            ended(completion, on: replica)
            return merge(completion, handover)
        }
        guard completion.status == .finished else {
            ended(completion, on: replica)
            return completion
        }
        guard let request = inFlight.request(completion.requestID) else {
            preconditionFailure("replica \(replica) ended request \(completion.requestID), which it was not given")
        }
        desk?.add(
            Handover(
                request: request, source: Int32(replica), scheduledNanoseconds: completion.scheduledNanoseconds,
                readyNanoseconds: completion.lastTokenNanoseconds, cachedPromptTokens: completion.cachedPromptTokens))
        return nil
    }

    private func merge(_ completion: Completion, _ handover: Handover) -> Completion {
        var merged = completion
        merged.scheduledNanoseconds = handover.scheduledNanoseconds
        merged.cachedPromptTokens = handover.cachedPromptTokens
        return merged
    }

    /// Sends prompts that wait on their way, as long as a decode replica has a place.
    func sendHandovers(at now: Int64) {
        guard let side = decodeSide else { return }
        while desk?.hasWaiting == true, side.acceptingReplicas > 0, let handover = desk?.popWaiting() {
            let chosen = choose(for: handover.request, by: side.policy, among: decodeView, at: now)
            reserve(handover.request, on: chosen, side)
            let rate = min(bandwidth(ofReplica: Int(handover.source)), bandwidth(ofReplica: chosen))
            desk?.send(handover.request.id, to: chosen, bytesPerSecond: rate, at: now, counting: &counters.transfers)
        }
        nextEvents.set(replicaCount, to: desk?.nextArrivalNanoseconds ?? TournamentTree.never)
        if isClosed { failStranded(at: now) }
    }

    /// Fails the prompts of a closed cell that wait while no decode replica will ever take them.
    func failStranded(at now: Int64) {
        guard let side = decodeSide, isClosed, desk?.hasWaiting == true, side.acceptingReplicas == 0 else { return }
        for replica in 0..<replicaCount where states[replica].isDecodeSide && states[replica].phase == .ready { return }
        let stranded = desk?.handovers.values.filter { $0.stage == .waiting }.map(\.request.id).sorted() ?? []
        for requestID in stranded {
            guard let entry = inFlight.find(requestID), let handover = dropHandover(requestID, tokens: entry.tokens)
            else { preconditionFailure("request \(requestID) waits unknown") }
            counters.failed += 1
            endHandover(handover, as: .failed, at: now)
        }
    }

    private func bandwidth(ofReplica replica: Int) -> Int64 { pools[Int(states[replica].pool)].transferBytesPerSecond }

    /// Gives prompts that have arrived to their decode replicas.
    func takeArrivals(at now: Int64) {
        while let handover = desk?.popArrived(by: now) {
            guard let entry = inFlight.find(handover.request.id) else {
                preconditionFailure("request \(handover.request.id) arrives unknown")
            }
            assert(entry.place == handover.source)
            leavePrefill(handover.request, replica: Int(handover.source))
            inFlight.setPlace(of: handover.request.id, to: handover.destination)
            counters.handedOver += 1
            let next = replicas[Int(handover.destination)]._withUnsafeGuaranteedRef { replica in
                replica.submit(handover.request, at: now)
                return replica.nextEventNanoseconds
            }
            nextEvents.set(Int(handover.destination), to: next)
        }
        nextEvents.set(replicaCount, to: desk?.nextArrivalNanoseconds ?? TournamentTree.never)
    }

    /// Ends a request whose prompt waits or crosses.
    /// - Returns: false when it does neither.
    func dropHandover(_ requestID: UInt64, tokens: Int32) -> Handover? {
        guard let handover = desk?[requestID], handover.stage != .decoding, desk?.remove(requestID) != nil else {
            return nil
        }
        leavePrefill(handover.request, replica: Int(handover.source))
        if handover.destination >= 0 {
            unreserve(
                tokens: tokens, promptTokens: handover.request.promptTokens, on: Int(handover.destination))
        }
        let removed = inFlight.remove(requestID)
        assert(removed != nil)
        currentLoad.placedRequests -= 1
        currentLoad.placedTokens -= Int64(tokens)
        counters.endedTokens += UInt64(tokens)
        return handover
    }

    /// Makes prompts on their way to a decode replica that failed wait for another one.
    func recallHandovers(from replica: Int) {
        guard let recalled = desk?.recall(from: replica) else { return }
        for requestID in recalled {
            guard let entry = inFlight.find(requestID), let handover = desk?[requestID] else {
                preconditionFailure("request \(requestID) crosses unknown")
            }
            unreserve(tokens: entry.tokens, promptTokens: handover.request.promptTokens, on: replica)
        }
    }

    private func reserve(_ request: Request, on replica: Int, _ side: DecodeSide) {
        guard let entry = inFlight.find(request.id) else { preconditionFailure("request \(request.id) waits unknown") }
        placements &+= 1
        states[replica].requests += 1
        states[replica].tokens += Int64(entry.tokens)
        states[replica].outputTokens += Int64(entry.tokens - request.promptTokens)
        states[replica].lastPlacement = placements
        side.placedTokens += Int64(entry.tokens)
        side.refresh(replica, states[replica])
    }

    func unreserve(tokens: Int32, promptTokens: Int32, on replica: Int) {
        states[replica].requests -= 1
        states[replica].tokens -= Int64(tokens)
        states[replica].outputTokens -= Int64(tokens - promptTokens)
        decodeSide?.placedTokens -= Int64(tokens)
        decodeSide?.refresh(replica, states[replica])
    }

    /// Frees a request's place on its prefill replica.
    func leavePrefill(_ request: Request, replica: Int) {
        states[replica].requests -= 1
        states[replica].tokens -= Int64(request.promptTokens)
        decodeSide?.promptTokens -= Int64(request.promptTokens)
        if states[replica].phase == .ready { currentLoad.freePlaces += 1 }
        refresh(replica)
    }

    /// Of a request that ended without a decode replica's knowing of it.
    func endHandover(_ handover: Handover, as status: Completion.Status, at now: Int64) {
        held.completed(
            Completion(
                requestID: handover.request.id, arrivalNanoseconds: handover.request.arrivalNanoseconds,
                scheduledNanoseconds: handover.scheduledNanoseconds, firstTokenNanoseconds: -1,
                lastTokenNanoseconds: now, promptTokens: handover.request.promptTokens,
                cachedPromptTokens: handover.cachedPromptTokens, outputTokens: 0, preemptions: 0,
                replica: handover.source, session: handover.request.prefix.session, tenant: handover.request.tenant,
                frontEnd: handover.request.frontEnd, priorityClass: handover.request.priorityClass, status: status))
        held.note(at: now)
    }
}
