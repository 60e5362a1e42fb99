//===----------------------------------------------------------------------===//
// A cell: replicas stepped by one thread, and everything that decides what they do.
//===----------------------------------------------------------------------===//

public import Engine
public import Workload

/// A set of replicas with the waiting room and the placement policy in front of them.
///
/// A cell is told the time. It opens no socket, reads no clock, spawns no thread, shares nothing; the thread that owns
/// it calls
///
/// - `submit`, `cancel` and `order` to give it a message at a time,
/// - `advance(until:into:)` to let everything happen, in exact order, up to and including a time,
/// - `nextEventNanoseconds` to learn when that is next worth calling,
///
/// and gets outcomes through the sink. Messages at one instant come before the events of that instant, and a message
/// can only be given for a time after the last `advance`; one that is given for an earlier time takes effect 1 ns after
/// it. So the same messages at the same effective times give the same decisions and outcomes, however often `advance`
/// is called in between.
///
/// Events of different replicas at one instant happen in the order of their numbers.
public final class Cell {
    public let configuration: CellConfiguration
    /// Replicas in the order of pools.
    public let replicaCount: Int
    /// Longest prompt plus allowed output that every pool of the cell can hold.
    public let maxRequestTokens: Int64

    // Per replica; freed in deinit.
    let states: UnsafeMutablePointer<ReplicaState>
    let replicas: UnsafeMutablePointer<Unmanaged<Replica>>
    let accepting: UnsafeMutablePointer<UInt64>
    let nextEvents: TournamentTree
    let loads: TournamentTree
    let pools: UnsafeMutablePointer<CellPool>
    /// Index of each pool's first replica, and the number of replicas at the end.
    let poolStarts: UnsafeMutablePointer<Int>
    /// What replaced (failed) replicas had used.
    var retiredUsage: [Int: ReplicaUsage] = [:]

    let policy: any PlacementPolicy
    /// Nil unless prefill and decode are apart.
    let decodeSide: DecodeSide?
    let books: UnsafeMutablePointer<CellBooks>

    public init(configuration: CellConfiguration) throws {
        try configuration.validate()
        self.configuration = configuration
        replicaCount = configuration.pools.reduce(0) { $0 + $1.replicas }
        maxRequestTokens = configuration.pools.map { Self.maxRequestTokens(of: $0.replica) }.min() ?? 0
        states = .allocate(capacity: replicaCount)
        replicas = .allocate(capacity: replicaCount)
        let words = (replicaCount + 63) >> 6
        accepting = .allocate(capacity: words)
        accepting.initialize(repeating: 0, count: words)
        // One more player than replicas: the next arrival of KV.
        nextEvents = TournamentTree(count: replicaCount + 1)
        loads = TournamentTree(count: replicaCount)
        pools = .allocate(capacity: configuration.pools.count)
        pools.initialize(from: configuration.pools, count: configuration.pools.count)
        poolStarts = .allocate(capacity: configuration.pools.count + 1)
        books = .allocate(capacity: 1)
        books.initialize(
            to: CellBooks(
                room: WaitingRoom(rules: configuration.waitingRoom),
                inFlight: InFlightTable(
                    initialCapacity: 2 * replicaCount,
                    keepsRequests: configuration.keepsRequests || configuration.transfer != nil)))
        let seed = configuration.placementSeed
        guard let type = PlacementTable.policy(named: configuration.placement.policy) else {
            preconditionFailure("validate() let the policy '\(configuration.placement.policy)' pass")
        }
        policy = type.init(setup: PlacementSetup(seed: seed, replicas: replicaCount, choice: configuration.placement))
        if let transfer = configuration.transfer {
            let setup = PlacementSetup(
                seed: seed ^ 0x6465_636F_6465, replicas: replicaCount, choice: configuration.placement)
            decodeSide = DecodeSide(policy: type.init(setup: setup), replicas: replicaCount)
            books.pointee.desk = HandoverDesk(rules: transfer, replicas: replicaCount)
        } else {
            decodeSide = nil
        }
        makeReplicas(seed: seed)
    }

    deinit {
        for replica in 0..<replicaCount { replicas[replica].release() }
        states.deallocate()
        replicas.deallocate()
        accepting.deallocate()
        nextEvents.deallocate()
        loads.deallocate()
        pools.deinitialize(count: configuration.pools.count)
        pools.deallocate()
        poolStarts.deallocate()
        books.deinitialize(count: 1)
        books.deallocate()
    }

    /// Replicas start in a seeded random order of turns, so that light load does not favour low numbers in every cell.
    private func makeReplicas(seed: UInt64) {
        var turns = Array(0..<UInt32(replicaCount))
        var dice = SeededChoice(seed: seed ^ 0x7475_726E)
        for index in stride(from: replicaCount - 1, to: 0, by: -1) { turns.swapAt(index, dice.next(below: index + 1)) }
        placements = UInt32(replicaCount)
        var index = 0
        for (poolIndex, pool) in configuration.pools.enumerated() {
            poolStarts[poolIndex] = index
            let limit = Int64(pool.replica.slots) + Int64(configuration.replicaQueueLimit)
            let program = ReplicaProgram(configuration: pool.replica, table: pool.table)
            for offset in 0..<pool.replicas {
                let number = pool.firstReplicaNumber + Int32(offset)
                let replica = Replica(number: number, program: program)
                (replicas + index).initialize(to: Unmanaged.passRetained(replica))
                let isDecodeSide = pool.replica.role == .decodeOnly
                (states + index).initialize(
                    to: ReplicaState(
                        requestLimit: Int32(clamping: limit), lastPlacement: turns[index], pool: UInt16(poolIndex),
                        isDecodeSide: isDecodeSide))
                index += 1
                if isDecodeSide { continue }
                currentLoad.freePlaces = Int32(clamping: Int64(currentLoad.freePlaces) + limit)
            }
        }
        poolStarts[configuration.pools.count] = index
        for replica in 0..<replicaCount { refresh(replica) }
    }

    // MARK: Messages

    /// Takes a request. One that is turned away ends as `rejected` in the next `advance`, and the reason is returned.
    @discardableResult
    public func submit(_ request: Request, at nowNanoseconds: Int64) -> Refusal? {
        let now = effectiveTime(nowNanoseconds)
        counters.submitted += 1
        if isRecording { recorder?.record(submitted: request, at: now) }
        let tokens = Int32(clamping: Int64(request.promptTokens) + Int64(request.outputTokens))
        if let refusal = refusal(of: request, tokens: tokens) {
            counters.refused += 1
            if refusal.isForRoom { counters.refusedForRoom += 1 }
            recorder?.record(refused: request.id, refusal, load: currentLoad, at: now)
            endWithoutReplica(request, as: .rejected, at: now)
            return refusal
        }
        if currentLoad.acceptingReplicas > 0 && room.count == 0 {
            let chosen = choose(for: request, at: now)
            let inserted = inFlight.insert(request, tokens: tokens, place: Int32(chosen))
            precondition(inserted, "two requests in flight have the number \(request.id)")
            place(request, tokens: tokens, on: chosen, at: now)
        } else {
            enqueue(request, tokens: tokens, at: now)
        }
        return nil
    }

    private func refusal(of request: Request, tokens: Int32) -> Refusal? {
        if isClosed { return .closed }
        if Int64(request.promptTokens) + Int64(request.maxOutputTokens) > maxRequestTokens { return .tooLong }
        if currentLoad.acceptingReplicas > 0 && room.count == 0 { return nil }
        return room.refusal(of: request, tokens: tokens)
    }

    /// Ends a request early; its completion comes with the next `advance`.
    /// - Returns: false when no such request is in flight here.
    @discardableResult
    public func cancel(requestID: UInt64, at nowNanoseconds: Int64) -> Bool {
        let now = effectiveTime(nowNanoseconds)
        recorder?.record(cancelled: requestID, at: now)
        guard let entry = inFlight.find(requestID) else { return false }
        if entry.place < 0 {
            let request = room.remove(node: -1 - entry.place)
            _ = inFlight.remove(requestID)
            leaveRoom(tokens: entry.tokens)
            counters.cancelled += 1
            endWithoutReplica(request, as: .cancelled, at: now)
            return true
        }
        let index = Int(entry.place)
        catchUp(index, to: now)
        if let handover = dropHandover(requestID, tokens: entry.tokens) {
            counters.cancelled += 1
            endHandover(handover, as: .cancelled, at: now)
            sendHandovers(at: now)
            if room.count > 0 { emptyRoom(at: now) }
            return true
        }
        return replicas[index]._withUnsafeGuaranteedRef { replica in
            let found = replica.cancel(requestID: requestID, at: now)
            nextEvents.set(index, to: found ? now : replica.nextEventNanoseconds)
            return found
        }
    }

    /// Steps one replica up to and including `now` and holds what comes out: a replica's requests can only be taken out
    /// of it at the time that it has reached.
    func catchUp(_ index: Int, to now: Int64) {
        withUnsafeMutablePointer(to: &held) { held in
            replicas[index]._withUnsafeGuaranteedRef { $0.advance(until: now, into: &books.pointee.outcomes) }
            passOn(from: index, to: held)
            held.pointee.note(at: now)
        }
        sendHandovers(at: now)
    }

    /// Takes nothing more; what waits fails now, what runs goes on.
    public func close(at nowNanoseconds: Int64) {
        let now = effectiveTime(nowNanoseconds)
        recorder?.recordClosed(at: now)
        isClosed = true
        while let request = room.popFirst(at: now) {
            guard let entry = inFlight.remove(request.id) else {
                preconditionFailure("request \(request.id) waits unknown")
            }
            leaveRoom(tokens: entry.tokens)
            counters.failed += 1
            endWithoutReplica(request, as: .failed, at: now)
        }
        failStranded(at: now)
    }

    /// A message's time: never before what has already happened, and with every earlier event done.
    func effectiveTime(_ nowNanoseconds: Int64) -> Int64 {
        let now = max(nowNanoseconds, clockNanoseconds + 1)
        precondition(
            nextEvents.minimum >= now,
            "a message for \(now) ns came before the cell was advanced past its event at \(nextEvents.minimum) ns"
        )
        return now
    }

    // MARK: Time

    /// When something will happen without a message; `.max` when nothing will.
    public var nextEventNanoseconds: Int64 { min(held.sinceNanoseconds, nextEvents.minimum) }

    /// Announces that the cell will be advanced to `endNanoseconds` in one go: from then on it asks for the memory of the
    /// replicas whose events it can foresee before it needs them. Changes nothing that happens.
    public func foresee(until endNanoseconds: Int64) {
        foresight.fill(
            from: nextEvents, since: clockNanoseconds, until: endNanoseconds, replicas: replicas,
            replicaCount: replicaCount)
    }

    /// Lets everything happen up to and including `nowNanoseconds`, in the order of time and then of replica numbers.
    public func advance<Sink: OutcomeSink>(until nowNanoseconds: Int64, into sink: inout Sink) {
        if held.sinceNanoseconds <= nowNanoseconds { held.handOver(into: &sink) }
        withUnsafeMutablePointer(to: &sink) { target in
            var time = nextEvents.minimum
            while time <= nowNanoseconds {
                foresight.reach(time, replicas: replicas)
                let next = nextEvents.winner
                if next == replicaCount {
                    counters.events += 1
                    takeArrivals(at: time)
                } else {
                    step(next, at: time, into: target)
                }
                if decodeSide != nil { sendHandovers(at: time) }
                if room.count > 0 && currentLoad.acceptingReplicas > 0 { emptyRoom(at: time) }
                time = nextEvents.minimum
            }
        }
        if nowNanoseconds > clockNanoseconds { clockNanoseconds = nowNanoseconds }
    }

    private func step<Sink: OutcomeSink>(_ index: Int, at time: Int64, into target: UnsafeMutablePointer<Sink>) {
        counters.events += 1
        let next = replicas[index]._withUnsafeGuaranteedRef { replica in
            replica.advance(until: time, into: &books.pointee.outcomes)
            return replica.nextEventNanoseconds
        }
        passOn(from: index, to: target)
        precondition(next > time, "replica \(index) has an event left at \(time) ns after advancing past it")
        nextEvents.set(index, to: next)
    }

    /// Keeps the books of what a replica has reported, and tells the cell's caller.
    private func passOn<Sink: OutcomeSink>(from index: Int, to target: UnsafeMutablePointer<Sink>) {
        var place = 0
        while place < books.pointee.outcomes.count {
            switch books.pointee.outcomes[place] {
            case .completed(let completion):
                if decodeSide == nil {
                    ended(completion, on: index)
                    target.pointee.completed(completion)
                } else if let settled = settle(completion, on: index) {
                    target.pointee.completed(settled)
                }
            case .produced(let token): target.pointee.produced(token)
            case .gaps(let first, let increment, let steps, let count):
                target.pointee.gaps(
                    firstPicoseconds: first, incrementPicoseconds: increment, steps: steps, count: count)
            }
            place += 1
        }
        books.pointee.outcomes.removeAll()
    }

    // MARK: What stands

    public var load: CellLoad { currentLoad }

    var placementSeed: UInt64 { configuration.placementSeed }

    public func load(ofReplica replica: Int) -> ReplicaLoad {
        precondition(replica >= 0 && replica < replicaCount)
        return replicas[replica]._withUnsafeGuaranteedRef { $0.load }
    }

    /// What a place in the cell has used since the start, over all replicas that stood there one after the other.
    public func usage(ofReplica replica: Int) -> ReplicaUsage {
        precondition(replica >= 0 && replica < replicaCount)
        let current = replicas[replica]._withUnsafeGuaranteedRef { $0.usage }
        guard let earlier = retiredUsage[replica] else { return current }
        return earlier + current
    }

    /// Indices of a pool's replicas.
    public func replicas(ofPool pool: Int) -> Range<Int> { poolStarts[pool]..<poolStarts[pool + 1] }

    public func acceptsRequests(replica: Int) -> Bool { states[replica].accepts }
}
