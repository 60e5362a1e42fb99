//===----------------------------------------------------------------------===//
// One event loop's part of the load: its share of the schedule, its connections, its measurements.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOPosix
import NIOSSL
import Workload

/// A request of the workload with what the client has to remember about it between attempts.
struct RequestTicket {
    var request: Request
    /// When it was to be sent, in nanoseconds since the run began.
    var intended: Int64
    /// When the first attempt began; -1 before it.
    var dispatched: Int64 = -1
    var attempts: UInt8 = 0
    /// A kept connection died under it, and it was sent again on a fresh one.
    var wasStale = false
    /// The closed loop's client, or -1.
    var client: Int32 = -1
}

/// Runs its share of the load on one event loop. All methods are called on that loop.
final class LoadWorker: @unchecked Sendable {
    let loop: any EventLoop
    private let configuration: LoadConfiguration
    private let address: SocketAddress
    private let tls: NIOSSLContext?
    private let writer: RequestWriter
    private let start: NIODeadline
    private let largestConnectionCount: Int
    private let feed: RequestFeed
    private(set) var measurements = LoadMeasurements()

    private var idle: [StreamConnection] = []
    private var busy: [StreamConnection] = []
    private var connecting = 0
    /// Requests that are due but have no connection, because all that are allowed are busy.
    private var backlog: CircularBuffer<RequestTicket> = CircularBuffer()
    private var sessions = SessionTurns()
    /// Requests that wait for their next attempt, by id.
    private var retrying: [UInt64: RequestTicket] = [:]
    private var thinking = 0
    private var isStopping = false
    private var isAbandoning = false
    private var random: RandomStream
    private let finished: EventLoopPromise<Void>
    private var isFinished = false
    private var lastError: String?

    init(
        loop: any EventLoop, configuration: LoadConfiguration, address: SocketAddress, tls: NIOSSLContext?,
        words: WordList,
        start: NIODeadline, feed: RequestFeed, number: Int
    ) {
        self.loop = loop
        self.configuration = configuration
        self.address = address
        self.tls = tls
        writer = RequestWriter(configuration, words: words)
        self.start = start
        self.feed = feed
        largestConnectionCount = max(1, configuration.largestConnectionCount / configuration.threads)
        random = RandomStream(seed: configuration.seed, stream: 500 + UInt64(number))
        finished = loop.makePromise(of: Void.self)
    }

    /// Nanoseconds since the run began.
    @inline(__always)
    func now() -> Int64 { Int64(NIODeadline.now().uptimeNanoseconds) - Int64(start.uptimeNanoseconds) }

    /// Starts the load; the future completes when all has ended.
    func run() -> EventLoopFuture<Void> {
        loop.preconditionInEventLoop()
        switch feed.pace {
        case .open: scheduleArrival()
        case .closed(let loop):
            for client in 0..<Int32(loop.concurrency) { nextOfClient(client, due: 0) }
        }
        let sweep = max(10_000_000, min(1_000_000_000, configuration.requestTimeoutNanoseconds / 20))
        loop.scheduleRepeatedTask(initialDelay: .nanoseconds(sweep), delay: .nanoseconds(sweep)) { task in
            self.sweepTimeouts()
            if self.isFinished { task.cancel() }
        }
        finishIfDone()
        return finished.futureResult
    }

    // MARK: the schedule

    private func scheduleArrival() {
        guard !isStopping, let due = feed.nextDue else { return finishIfDone() }
        loop.scheduleTask(deadline: start + .nanoseconds(due)) { self.arrive() }
    }

    /// Dispatches everything that is due.
    private func arrive() {
        var time = now()
        while !isStopping, let due = feed.nextDue, due <= time, let request = feed.take() {
            dispatch(RequestTicket(request: request, intended: due))
            time = now()
        }
        scheduleArrival()
    }

    /// The next request of a closed loop's client, due `due`.
    private func nextOfClient(_ client: Int32, due: Int64) {
        guard !isStopping, due < feed.endNanoseconds, let request = feed.take() else { return finishIfDone() }
        if due <= now() {
            dispatch(RequestTicket(request: request, intended: due, client: client))
            return
        }
        thinking += 1
        loop.scheduleTask(deadline: start + .nanoseconds(due)) {
            self.thinking -= 1
            guard !self.isStopping else { return self.finishIfDone() }
            self.dispatch(RequestTicket(request: request, intended: due, client: client))
        }
    }

    private func dispatch(_ ticket: RequestTicket) {
        if ticket.attempts == 0, ticket.intended >= configuration.warmupNanoseconds {
            let second = measurements.second(at: ticket.intended)
            measurements.seconds[second].intended += 1
        }
        if configuration.turnsWait, ticket.request.prefix.session != 0, ticket.attempts == 0, !sessions.begin(ticket) {
            return
        }
        send(ticket)
    }

    private func send(_ ticket: RequestTicket) {
        if let connection = ticket.wasStale ? nil : idle.popLast() {
            transmit(ticket, on: connection)
        } else if busy.count + connecting < largestConnectionCount {
            connect(for: ticket)
        } else {
            backlog.append(ticket)
        }
    }

    private func connect(for ticket: RequestTicket) {
        var ticket = ticket
        if ticket.dispatched < 0 { ticket.dispatched = now() }
        let started = ticket
        connecting += 1
        measurements.connections += 1
        let bootstrap = ClientBootstrap(group: loop)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .connectTimeout(.nanoseconds(configuration.connectTimeoutNanoseconds))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = self.tls {
                        let host = self.configuration.target.host
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: LoadWorker.isAddress(host) ? nil : host)
                        )
                    }
                    try channel.pipeline.syncOperations.addHandler(StreamConnection(worker: self))
                }
            }
        bootstrap.connect(to: address).assumeIsolated().whenComplete { result in
            self.connecting -= 1
            switch result {
            case .success(let channel):
                if let connection = try? channel.pipeline.syncOperations.handler(type: StreamConnection.self) {
                    self.transmit(started, on: connection)
                } else {
                    self.failed(started, .closed, "the connection ended as soon as it was made")
                }
            case .failure(let error):
                let status: RequestStatus =
                    if case .connectTimeout? = error as? ChannelError { .connectTimedOut } else { .refused }
                self.failed(
                    started, status,
                    "cannot connect to \(self.configuration.target.hostHeader): \(ConnectFailure.reason(error))")
            }
        }
    }

    private static func isAddress(_ host: String) -> Bool { (try? SocketAddress(ipAddress: host, port: 1)) != nil }

    private func transmit(_ ticket: RequestTicket, on connection: StreamConnection) {
        if isAbandoning {
            connection.close()
            unfinished(ticket)
            return finishIfDone()
        }
        var ticket = ticket
        ticket.attempts &+= 1
        if ticket.dispatched < 0 { ticket.dispatched = now() }
        let cancels =
            configuration.streams && configuration.cancelledShare > 0 && random.unit() < configuration.cancelledShare
        let exchange = StreamExchange(
            record: record(of: ticket), streams: configuration.streams,
            cancelAfterChunks: cancels ? Int32(configuration.cancelAfterChunks) : .max
        )
        connection.busyIndex = busy.count
        busy.append(connection)
        if ticket.attempts == 1, ticket.intended >= configuration.warmupNanoseconds {
            let second = measurements.second(at: ticket.dispatched)
            measurements.seconds[second].sent += 1
        }
        connection.send(writer.encode(ticket.request), exchange, ticket)
    }

    private func record(of ticket: RequestTicket) -> RequestRecord {
        var record = RequestRecord()
        record.id = ticket.request.id
        record.intended = ticket.intended
        record.dispatched = ticket.dispatched
        record.askedPromptTokens = ticket.request.promptTokens
        record.askedOutputTokens = ticket.request.outputTokens
        record.session = ticket.request.prefix.session
        record.priorityClass = ticket.request.priorityClass
        record.tenant = ticket.request.tenant
        record.attempts = ticket.attempts
        return record
    }

    // MARK: what connections tell

    /// After every feed: the tokens that came.
    @inline(__always)
    func noteProgress(_ exchange: StreamExchange) {
        guard exchange.newOutputEvents > 0, exchange.record.intended >= configuration.warmupNanoseconds else { return }
        for gap in exchange.gaps { measurements.itl.record(gap) }
        let second = measurements.second(at: exchange.now)
        measurements.seconds[second].outputTokens += exchange.newOutputEvents
        if exchange.sawFirstToken {
            measurements.seconds[second].ttftSum += exchange.now - exchange.record.intended
            measurements.seconds[second].ttftCount += 1
        }
    }

    func noteError(_ error: any Error) { lastError = "\(error)" }

    func idleConnectionBroke(_ connection: StreamConnection) {
        if let index = idle.firstIndex(where: { $0 === connection }) { idle.remove(at: index) }
    }

    /// A request has ended, one way or another; the connection goes back to the idle ones if it can.
    func ended(_ exchange: StreamExchange, _ ticket: RequestTicket, on connection: StreamConnection, reusable: Bool) {
        let last = busy.removeLast()
        if last !== connection {
            busy[connection.busyIndex] = last
            last.busyIndex = connection.busyIndex
        }
        connection.busyIndex = -1
        if reusable { idle.append(connection) }
        let record = exchange.record
        if record.status == .closed, connection.uses > 1, !ticket.wasStale, !isStopping {
            // The server closed a kept connection just as it was used again: not an answer to this request.
            var again = ticket
            again.wasStale = true
            again.attempts -= 1
            measurements.staleConnections += 1
            send(again)
        } else {
            conclude(record, ticket, exchange.failure, retryAfter: exchange.retryAfterSeconds)
        }
        while !backlog.isEmpty, !idle.isEmpty || busy.count + connecting < largestConnectionCount {
            send(backlog.removeFirst())
        }
    }

    private func failed(_ ticket: RequestTicket, _ status: RequestStatus, _ reason: String) {
        var ticket = ticket
        ticket.attempts &+= 1
        var record = record(of: ticket)
        record.status = isStopping ? .unfinished : status
        record.ended = now()
        conclude(record, ticket, reason, retryAfter: nil)
        while !backlog.isEmpty, busy.count + connecting < largestConnectionCount { send(backlog.removeFirst()) }
    }

    /// Retries a request, or takes its result in and goes on.
    private func conclude(_ record: RequestRecord, _ ticket: RequestTicket, _ failure: String?, retryAfter: Int?) {
        if mayRetry(record), Int(record.attempts) <= configuration.retry.retries, !isStopping {
            let policy = configuration.retry
            let doubled = policy.backoffNanoseconds << Int64(min(record.attempts - 1, 20))
            let backoff = min(policy.largestBackoffNanoseconds, doubled)
            let wait = max(backoff, Int64(retryAfter ?? 0) * 1_000_000_000)
            retrying[ticket.request.id] = ticket
            loop.scheduleTask(in: .nanoseconds(wait)) {
                guard let again = self.retrying.removeValue(forKey: ticket.request.id) else { return }
                self.send(again)
            }
            return
        }
        if record.intended >= configuration.warmupNanoseconds {
            measurements.record(record, promise: configuration.promise, recordLimit: configuration.largestRecordCount)
            if let failure, record.status.isFailure, measurements.firstFailures[record.status.rawValue] == nil {
                let cause =
                    record.status == .closed || record.status == .truncated ? lastError.map { " (\($0))" } ?? "" : ""
                measurements.firstFailures[record.status.rawValue] = failure + cause
            }
        }
        if configuration.turnsWait, record.session != 0, let waiting = sessions.end(record.session) {
            var turn = waiting
            // The client of a conversation could not have sent it before now.
            turn.intended = max(turn.intended, now())
            send(turn)
        }
        if ticket.client >= 0, case .closed(let closed) = feed.pace {
            nextOfClient(ticket.client, due: now() + closed.drawThinkNanoseconds(&random))
        }
        finishIfDone()
    }

    private func mayRetry(_ record: RequestRecord) -> Bool {
        switch record.status {
        case .refused, .connectTimedOut, .closed: true
        case .httpError: record.httpStatus == 429 || record.httpStatus == 503
        default: false
        }
    }

    private func unfinished(_ ticket: RequestTicket) {
        guard ticket.intended >= configuration.warmupNanoseconds else { return }
        var record = record(of: ticket)
        record.status = .unfinished
        measurements.record(record, promise: configuration.promise, recordLimit: configuration.largestRecordCount)
    }

    private func sweepTimeouts() {
        let deadline = now() - configuration.requestTimeoutNanoseconds
        for connection in busy.reversed() {
            guard let ticket = connection.ticket, ticket.dispatched < deadline else { continue }
            connection.giveUp(
                .timedOut, "no complete answer in \(configuration.requestTimeoutNanoseconds / 1_000_000) ms")
        }
    }

    // MARK: the end

    /// Sends nothing more. Requests on their way are waited for, unless `abandons`: then they are left unfinished.
    func stop(abandons: Bool) {
        loop.preconditionInEventLoop()
        isStopping = true
        isAbandoning = isAbandoning || abandons
        for ticket in backlog { unfinished(ticket) }
        backlog.removeAll()
        for ticket in retrying.values { unfinished(ticket) }
        retrying.removeAll()
        for ticket in sessions.drain() { unfinished(ticket) }
        if abandons {
            for connection in busy.reversed() { connection.giveUp(.unfinished, "the run was stopped") }
        }
        finishIfDone()
    }

    private func finishIfDone() {
        guard !isFinished, busy.isEmpty, connecting == 0, backlog.isEmpty, retrying.isEmpty else { return }
        guard isStopping || thinking == 0 else { return }
        guard isStopping || (feed.isExhausted && sessions.isEmpty) else { return }
        isFinished = true
        for connection in idle { connection.close() }
        idle.removeAll()
        finished.succeed(())
    }

    /// Requests on their way, and due but without a connection.
    var inFlight: Int { busy.count + connecting }
    var waiting: Int { backlog.count }
    var connectionLimitReached: Bool { busy.count + connecting >= largestConnectionCount }
}
