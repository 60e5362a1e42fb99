//===----------------------------------------------------------------------===//
// How a request moves inside a cell: waiting room, replica, end.
//===----------------------------------------------------------------------===//

import Engine
import Workload

extension Cell {
    /// The replicas that requests are placed on.
    var view: PlacementView {
        var load = currentLoad
        if let decodeSide { load.placedTokens = decodeSide.promptTokens }
        return PlacementView(
            states: states, replicas: replicas, accepting: accepting, loads: loads, pools: pools,
            poolCount: configuration.pools.count, poolStarts: poolStarts, count: replicaCount,
            acceptingCount: Int(currentLoad.acceptingReplicas), load: load
        )
    }

    /// The replicas that prompts are handed over to, of a cell that has such.
    var decodeView: PlacementView {
        guard let decodeSide else { preconditionFailure("every replica of the cell decodes") }
        var load = currentLoad
        load.placedTokens = decodeSide.placedTokens
        load.acceptingReplicas = decodeSide.acceptingReplicas
        return PlacementView(
            states: states, replicas: replicas, accepting: decodeSide.accepting, loads: decodeSide.loads,
            pools: pools, poolCount: configuration.pools.count, poolStarts: poolStarts, count: replicaCount,
            acceptingCount: Int(decodeSide.acceptingReplicas), load: load)
    }

    func choose(for request: Request, at now: Int64) -> Int { choose(for: request, by: policy, among: view, at: now) }

    /// Asks a policy for a replica.
    func choose(for request: Request, by policy: any PlacementPolicy, among view: PlacementView, at now: Int64) -> Int {
        var chosen = policy.choose(for: request, at: now, among: view)
        if isRecording, let audit {
            let isHandover = decodeSide.map { $0.policy === policy } ?? false
            chosen = audit.decide(request, chosen: chosen, among: view, isHandover: isHandover, at: now)
        }
        precondition(states[chosen].accepts, "placement chose replica \(chosen), which does not accept")
        if isRecording {
            recorder?.record(
                placed: request.id, on: chosen, state: states[chosen], accepting: view.load.acceptingReplicas, at: now
            )
        }
        policy.placed(request, on: chosen)
        return chosen
    }

    /// Puts a request, already counted in flight, on a replica.
    func place(_ request: Request, tokens: Int32, on chosen: Int, at now: Int64) {
        replicas[chosen]._withUnsafeGuaranteedRef { $0.foresee(.far) }
        counters.placed += 1
        placements &+= 1
        states[chosen].requests += 1
        states[chosen].tokens += heldTokens(request.promptTokens, of: tokens)
        if decodeSide == nil { states[chosen].outputTokens += Int64(tokens - request.promptTokens) }
        states[chosen].lastPlacement = placements
        currentLoad.placedRequests += 1
        currentLoad.placedTokens += Int64(tokens)
        currentLoad.freePlaces -= 1
        refresh(chosen)
        var given = request
        if let decodeSide {
            decodeSide.promptTokens += Int64(request.promptTokens)
            // Its tokens come from the decode side.
            given.flags.remove(.streams)
        }
        let next = replicas[chosen]._withUnsafeGuaranteedRef { replica in
            replica.submit(given, at: now)
            return replica.nextEventNanoseconds
        }
        assert(next >= now)
        nextEvents.set(chosen, to: next)
    }

    /// What a request counts on the replica that it is placed on: a prefill replica only has its prompt.
    private func heldTokens(_ promptTokens: Int32, of tokens: Int32) -> Int64 {
        Int64(decodeSide == nil ? tokens : promptTokens)
    }

    func enqueue(_ request: Request, tokens: Int32, at now: Int64) {
        counters.waited += 1
        let node = room.append(request, tokens: tokens, at: now)
        let inserted = inFlight.insert(request, tokens: tokens, place: -1 - node)
        precondition(inserted, "two requests in flight have the number \(request.id)")
        currentLoad.waitingRequests += 1
        currentLoad.waitingTokens += Int64(tokens)
        recorder?.record(queued: request.id, load: currentLoad, at: now)
    }

    /// Places what waits, as long as a replica accepts.
    func emptyRoom(at now: Int64) {
        while currentLoad.acceptingReplicas > 0, let request = room.popFirst(at: now) {
            guard let entry = inFlight.find(request.id) else {
                preconditionFailure("request \(request.id) waits unknown")
            }
            leaveRoom(tokens: entry.tokens)
            let chosen = choose(for: request, at: now)
            inFlight.setPlace(of: request.id, to: Int32(chosen))
            place(request, tokens: entry.tokens, on: chosen, at: now)
        }
    }

    func leaveRoom(tokens: Int32) {
        currentLoad.waitingRequests -= 1
        currentLoad.waitingTokens -= Int64(tokens)
    }

    /// Takes an ended request off the books of its replica.
    func ended(_ completion: Completion, on replica: Int) {
        guard let entry = inFlight.remove(completion.requestID) else {
            preconditionFailure("replica \(replica) ended request \(completion.requestID), which it was not given")
        }
        assert(entry.place == Int32(replica))
        if states[replica].isDecodeSide {
            unreserve(tokens: entry.tokens, promptTokens: completion.promptTokens, on: replica)
        } else {
            let held = heldTokens(completion.promptTokens, of: entry.tokens)
            states[replica].requests -= 1
            states[replica].tokens -= held
            if decodeSide == nil { states[replica].outputTokens -= Int64(entry.tokens - completion.promptTokens) }
            decodeSide?.promptTokens -= held
            if states[replica].phase == .ready { currentLoad.freePlaces += 1 }
            refresh(replica)
        }
        counters.endedTokens += UInt64(entry.tokens)
        currentLoad.placedRequests -= 1
        currentLoad.placedTokens -= Int64(entry.tokens)
        switch completion.status {
        case .finished: counters.finished += 1
        case .cancelled: counters.cancelled += 1
        case .failed: counters.failed += 1
        case .rejected: counters.refused += 1
        }
    }

    /// Brings the indexes in line with a replica's state.
    func refresh(_ replica: Int) {
        let state = states[replica]
        if state.isDecodeSide {
            decodeSide?.refresh(replica, state)
            return
        }
        loads.set(replica, to: state.loadKey)
        let bit: UInt64 = 1 << UInt64(replica & 63)
        let accepted = accepting[replica >> 6] & bit != 0
        if accepted == state.accepts { return }
        accepting[replica >> 6] ^= bit
        currentLoad.acceptingReplicas += accepted ? -1 : 1
    }

    func endWithoutReplica(_ request: Request, as status: Completion.Status, at now: Int64) {
        held.completed(
            Completion(
                requestID: request.id, arrivalNanoseconds: request.arrivalNanoseconds, scheduledNanoseconds: -1,
                firstTokenNanoseconds: -1, lastTokenNanoseconds: status == .rejected ? -1 : now,
                promptTokens: request.promptTokens, cachedPromptTokens: 0, outputTokens: 0, preemptions: 0, replica: -1,
                session: request.prefix.session, tenant: request.tenant, frontEnd: request.frontEnd,
                priorityClass: request.priorityClass, status: status
            )
        )
        held.note(at: now)
    }
}
