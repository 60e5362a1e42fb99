//===----------------------------------------------------------------------===//
// The front end of one event loop: who waits for what.
//===----------------------------------------------------------------------===//

import Engine
import Logging
import NIOCore
import Workload

/// Knows every request that an event loop has given to the fleet, and brings outcomes back to their connections.
///
/// All methods run on the loop. A request's number carries the slot of its record, so finding the record of an outcome
/// is one array access.
final class LoopFrontEnd {
    /// Low bits of a request's number name its slot; the rest counts up, so that no number comes twice.
    static let slotBits: UInt64 = 20

    private struct Slot {
        var requestID: UInt64 = 0
        var exchange: Exchange?
        var sequence: Int32 = 0
        /// Completions still to come: the fleet's and the baseline's.
        var sidesLeft: UInt8 = 0
        var terms = RequestTerms()
        var answer: UInt64 = 0
        /// Keeps the block hashes alive that the request points to.
        var blocks: PromptBlocks?
    }

    let number: UInt16
    let loop: any EventLoop
    let scheduler: any SequenceScheduler
    let counters: LoopCounters
    var settings: ServingSettings
    private var slots: [Slot] = []
    private var freeSlots: [Int32] = []
    private var requestCount: UInt64 = 0
    private var exchangeCount: UInt64 = 0
    private var dirty: [Exchange] = []
    private(set) var date = DateHeader()
    /// Connections on this loop, for deadlines and for closing them.
    private var connections: [ObjectIdentifier: ServingHandler] = [:]
    private var streamsByKey: [String: Int] = [:]
    private(set) var isDraining = false
    private var hasStopped = false
    private var onIdle: (() -> Void)?
    /// Called with each completed request once both sides have ended.
    var recorder: (any OutcomeRecorder)?
    /// Told of every answer, at the level `debug`.
    var logger: Logger?

    init(
        number: UInt16, loop: any EventLoop, scheduler: any SequenceScheduler, settings: ServingSettings,
        counters: LoopCounters
    ) {
        self.number = number
        self.loop = loop
        self.scheduler = scheduler
        self.settings = settings
        self.counters = counters
    }

    var inFlight: Int { slots.count - freeSlots.count }
    private(set) var openExchanges = 0

    // MARK: Connections

    func opened(_ connection: ServingHandler) {
        connections[ObjectIdentifier(connection)] = connection
        counters.add(to: .connectionsOpened)
    }

    func closed(_ connection: ServingHandler) {
        connections[ObjectIdentifier(connection)] = nil
        counters.add(to: .connectionsClosed)
    }

    /// Looks after deadlines and the date, once a second.
    func tick(unixSeconds: Int64) {
        loop.preconditionInEventLoop()
        date.update(seconds: unixSeconds)
        let now = NIODeadline.now()
        for connection in connections.values { connection.checkDeadlines(now: now) }
    }

    // MARK: Admission

    /// Takes a validated body to the fleet.
    /// - Throws: an `APIError` when it is refused; nothing of it is then left in the fleet.
    func admit(
        _ request: GenerationRequest, headers: RequestHeaders, keepAlive: Bool, framing: BodyFraming,
        key: KeyRing.Entry?,
        for connection: ServingHandler
    ) throws(APIError) -> Exchange {
        counters.add(to: .requests)
        // Who connected before the listener closed is served; who comes with another request is sent elsewhere.
        if hasStopped || (isDraining && connection.hasAnswered) { throw .draining }
        guard let model = settings.model(named: request.model) else {
            throw .unknownModel(request.model, known: settings.models.map(\.name))
        }
        for prompt in request.prompts { try check(prompt, of: request, limit: model.maxModelTokens) }
        try checkEffort(of: request, model: model)
        let sequences = request.prompts.count * request.choices
        guard inFlight + sequences <= min(settings.limits.requestsPerLoop, 1 << Int(Self.slotBits)) else {
            counters.add(to: .requestsRefusedFull)
            throw .overloaded(reason: "front_end_full", retryAfterSeconds: settings.retryAfterSeconds)
        }
        if let recorder, !recorder.hasRoom(forRequests: inFlight + sequences) {
            counters.add(to: .requestsRefusedFull)
            throw APIError(
                status: 503, message: "The ledger is behind its disk; nothing is accepted that could not be recorded.",
                type: "server_error", code: "ledger_behind", retryAfterSeconds: settings.retryAfterSeconds)
        }
        if let key, streamsByKey[key.name, default: 0] >= settings.limits.streamsPerKey {
            throw APIError(
                status: 429,
                message: "This key has \(settings.limits.streamsPerKey) requests in flight, which is its limit.",
                type: "rate_limit_error", code: "streams_per_key", retryAfterSeconds: settings.retryAfterSeconds)
        }
        exchangeCount += 1
        let answer = mixed(UInt64(number) << 48 ^ exchangeCount ^ UInt64(bitPattern: settings.startedSeconds) << 20)
        let writer = request.writer(number: answer, createdSeconds: date.seconds)
        let exchange = Exchange(
            connection: connection, number: answer, request: request, writer: writer, model: model,
            keepAlive: keepAlive,
            framing: framing,
            requestIDHeader: headers.requestID, trace: headers.trace, keyName: key?.name)
        try submitAll(exchange, headers: headers, tenant: key?.tenant ?? 0)
        if let key { streamsByKey[key.name, default: 0] += 1 }
        openExchanges += 1
        if request.stream { counters.add(to: .requestsStreamed) }
        return exchange
    }

    private func check(_ prompt: PromptMeasure, of request: GenerationRequest, limit: Int32) throws(APIError) {
        guard prompt.tokens < limit else {
            throw .contextExceeded(promptTokens: prompt.tokens, outputTokens: nil, limit: limit)
        }
        let asked = max(request.maxTokens ?? 1, request.minTokens)
        guard Int64(prompt.tokens) + Int64(asked) <= Int64(limit) else {
            throw .contextExceeded(promptTokens: prompt.tokens, outputTokens: asked, limit: limit)
        }
    }

    /// Refuses what would keep the loop from its streams for too long: looking for stop strings in its replies, or writing
    /// them in one go.
    private func checkEffort(of body: GenerationRequest, model: ServedModel) throws(APIError) {
        var tokens = 0
        for prompt in body.prompts {
            for choice in 0..<body.choices {
                let seed = ReplyPlan.seed(request: body, prompt: prompt, choice: choice)
                tokens += Int(
                    settings.lengths.tokens(
                        for: body, contextLeft: model.maxModelTokens - prompt.tokens, seed: seed
                    ).count)
            }
        }
        guard body.reply != .text || tokens * body.stop.count <= RequestLimits.stopSearches else {
            throw .invalid(
                "`stop` would be looked for in too long a reply: tokens times strings must not exceed "
                    + "\(RequestLimits.stopSearches).", parameter: "stop")
        }
        guard body.stream || tokens <= RequestLimits.wholeReplyTokens else {
            throw .invalid(
                "A reply of more than \(RequestLimits.wholeReplyTokens) tokens must be streamed.", parameter: "stream")
        }
    }

    private func submitAll(_ exchange: Exchange, headers: RequestHeaders, tenant: UInt16) throws(APIError) {
        let body = exchange.request
        for prompt in body.prompts {
            let blocks = prompt.blockHashes.isEmpty ? nil : PromptBlocks(prompt.blockHashes)
            for choice in 0..<body.choices {
                let plan = ReplyPlan(
                    request: body, prompt: prompt, choice: choice,
                    contextLeft: exchange.model.maxModelTokens - prompt.tokens, rule: settings.lengths)
                let slot = takeSlot()
                let request = fleetRequest(
                    slot: slot, prompt: prompt, plan: plan, blocks: blocks, exchange: exchange, headers: headers,
                    tenant: tenant)
                slots[slot] = Slot(
                    requestID: request.id, exchange: exchange, sequence: Int32(exchange.sequences.count),
                    sidesLeft: scheduler.hasBaseline ? 2 : 1,
                    terms: RequestTerms(
                        finish: plan.finish, maxOutputTokens: request.maxOutputTokens,
                        choices: choice == 0 ? Int32(body.choices) : 0, trace: exchange.trace),
                    answer: exchange.number, blocks: blocks)
                if case .refused(let reason, let seconds) = scheduler.submit(request, cell: exchange.connection?.cell) {
                    slots[slot] = Slot()
                    freeSlots.append(Int32(slot))
                    abandon(exchange)
                    counters.add(to: .requestsRefusedFull)
                    throw .overloaded(reason: reason, retryAfterSeconds: seconds)
                }
                exchange.append(requestID: request.id, plan: plan, promptTokens: prompt.tokens)
            }
        }
    }

    private func fleetRequest(
        slot: Int, prompt: PromptMeasure, plan: ReplyPlan, blocks: PromptBlocks?, exchange: Exchange,
        headers: RequestHeaders,
        tenant: UInt16
    ) -> Request {
        let body = exchange.request
        let contextLeft = exchange.model.maxModelTokens - prompt.tokens
        var request = Request(
            id: requestCount << Self.slotBits | UInt64(slot), arrivalNanoseconds: 0, promptTokens: prompt.tokens,
            outputTokens: plan.outputTokens,
            maxOutputTokens: min(max(body.maxTokens ?? plan.outputTokens, plan.outputTokens), contextLeft),
            prefix: blocks?.identity(tokensPerHash: settings.counting.tokensPerBlock) ?? .none)
        requestCount += 1
        request.prefix.session = headers.session
        request.priority = body.priority
        request.tenant = tenant
        request.frontEnd = number
        request.ttftTargetMicroseconds = headers.ttftTargetMicroseconds
        request.tpotTargetMicroseconds = headers.tpotTargetMicroseconds
        if body.stream { request.flags.insert(.streams) }
        return request
    }

    private func takeSlot() -> Int {
        if let slot = freeSlots.popLast() { return Int(slot) }
        slots.append(Slot())
        return slots.count - 1
    }

    // MARK: Endings that the client brings about

    /// The client is gone, or the exchange is given up: ends what still runs of it.
    func disconnected(_ exchange: Exchange) {
        logger?.debug("the client went away", metadata: exchange.logMetadata)
        abandon(exchange)
        counters.add(to: .requestsDisconnected)
        release(exchange)
    }

    /// The last byte of the response was written.
    func answered(_ exchange: Exchange) {
        exchange.connection = nil
        logger?.debug("answered", metadata: exchange.logMetadata)
        if exchange.failure == nil {
            counters.add(to: .requestsFinished)
        } else {
            abandon(exchange)
            counters.add(to: .requestsFailed)
        }
        release(exchange)
    }

    private func abandon(_ exchange: Exchange) {
        exchange.connection = nil
        for sequence in exchange.sequences where !sequence.hasEnded {
            scheduler.cancel(requestID: sequence.requestID)
        }
    }

    private func release(_ exchange: Exchange) {
        openExchanges -= 1
        if let key = exchange.keyName {
            streamsByKey[key, default: 1] -= 1
            if streamsByKey[key] == 0 { streamsByKey[key] = nil }
        }
        if isDraining, openExchanges == 0 {
            onIdle?()
            onIdle = nil
        }
    }

    // MARK: Outcomes

    /// A step of the fleet gave a request more tokens.
    func produced(_ event: TokenEvent) {
        let slot = Int(event.requestID & ((1 << Self.slotBits) - 1))
        guard slot < slots.count, slots[slot].requestID == event.requestID, let exchange = slots[slot].exchange else {
            return
        }
        exchange.produced(sequence: Int(slots[slot].sequence), outputTokens: event.outputTokens)
        mark(exchange)
    }

    /// A request ended on one side.
    func completed(_ completion: Completion, side: Side) {
        let index = Int(completion.requestID & ((1 << Self.slotBits) - 1))
        guard index < slots.count, slots[index].requestID == completion.requestID, slots[index].sidesLeft > 0 else {
            preconditionFailure("a completion for request \(completion.requestID), which is not in flight")
        }
        let slot = slots[index]
        counters.record(completion, side: side, of: slot.terms)
        recorder?.ended(
            EndedRequest(
                completion: completion, side: side, finish: slot.terms.finish, answer: slot.answer,
                maxOutputTokens: slot.terms.maxOutputTokens, firstBlockHash: slot.blocks?.first ?? 0,
                blockCount: Int32(slot.blocks?.count ?? 0)))
        if side == .fleet, let exchange = slot.exchange {
            apply(completion, to: exchange, sequence: Int(slot.sequence))
            slots[index].exchange = nil
            mark(exchange)
        }
        slots[index].sidesLeft -= 1
        if slots[index].sidesLeft == 0 {
            slots[index] = Slot()
            freeSlots.append(Int32(index))
        }
    }

    private func apply(_ completion: Completion, to exchange: Exchange, sequence: Int) {
        switch completion.status {
        case .finished: exchange.finished(sequence: sequence, cachedTokens: completion.cachedPromptTokens)
        case .rejected:
            exchange.failed(
                sequence: sequence,
                error: .overloaded(reason: "queue_full", retryAfterSeconds: settings.retryAfterSeconds))
        case .cancelled, .failed:
            exchange.failed(
                sequence: sequence,
                error: APIError(
                    status: 503, message: "The modelled replica that ran this request stopped before it was done.",
                    type: "server_error", code: "replica_failed", retryAfterSeconds: settings.retryAfterSeconds))
        }
    }

    private func mark(_ exchange: Exchange) {
        guard !exchange.isDirty, exchange.connection != nil else { return }
        exchange.isDirty = true
        dirty.append(exchange)
    }

    /// All outcomes of one tick are in: each connection gets what is due in one write.
    func endOfBatch() {
        let exchanges = dirty
        dirty.removeAll(keepingCapacity: true)
        for exchange in exchanges {
            exchange.isDirty = false
            exchange.connection?.emit(exchange)
        }
    }

    // MARK: Stopping

    /// Connections whose first request is still to come.
    var freshConnections: Int { connections.values.count { $0.isFresh } }

    /// Takes no new requests; calls back once the last exchange is over.
    func drain(whenIdle: @escaping () -> Void) {
        isDraining = true
        for connection in connections.values { connection.closeIfIdle() }
        if openExchanges == 0 { whenIdle() } else { onIdle = whenIdle }
    }

    /// Ends every request that is still in flight on either side; their completions come.
    func cancelEverything() {
        for slot in slots where slot.sidesLeft > 0 { scheduler.cancel(requestID: slot.requestID) }
    }

    /// Fails every exchange that is still open and closes all connections. Returns how many exchanges there were.
    func failEverything() -> Int {
        hasStopped = true
        let open = openExchanges
        for connection in connections.values { connection.fail(.draining) }
        for connection in connections.values { connection.close() }
        return open
    }
}
