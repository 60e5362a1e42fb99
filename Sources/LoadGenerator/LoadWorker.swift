//===----------------------------------------------------------------------===//
// One event loop's part of the load: its share of the schedule, its connections, its measurements.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOSSL
import Workload

/// A request of the workload with what the client has to remember about it between attempts.
struct RequestTicket {
    var request: Request
    /// When it was to be sent, in nanoseconds since the run began.
    var intended: Int64
    /// When the connection for it was begun, in nanoseconds since the run began.
    var connecting: Int64 = -1
    /// When the first attempt began; -1 before it.
    var dispatched: Int64 = -1
    var attempts: UInt8 = 0
    /// It is among the requests that count as sent.
    var isCounted = false
    /// A kept connection died under it, and it was sent again on a fresh one.
    var wasStale = false
    /// How often a connection went away without having taken it (HTTP/2's GOAWAY), and it was sent again on another.
    var refusals: UInt8 = 0
    /// The closed loop's client, or -1.
    var client: Int32 = -1
}

/// Runs its share of the load on one loop. All methods are called there.
final class LoadWorker: @unchecked Sendable {
    let loop: PollLoop
    let configuration: LoadConfiguration
    let address: ServerAddress
    let tls: NIOSSLContext?
    let writer: RequestWriter
    private let start: Int64
    /// Falls when the system has no descriptors left.
    var largestConnectionCount: Int
    private let feed: RequestFeed
    var measurements = LoadMeasurements()

    /// Connections that wait for a request, those that have one or are being made for one.
    var idle: [StreamConnection] = []
    var active: [StreamConnection] = []
    /// Those of HTTP/2, when that is spoken: then there are none of the others.
    let multiplexed: MultiplexedConnections?
    /// Requests that are due but have no connection, because all that are allowed are busy.
    var backlog: CircularBuffer<RequestTicket> = CircularBuffer()
    private var sessions = SessionTurns()
    /// Requests that wait for their next attempt, by id.
    private var retrying: [UInt64: RequestTicket] = [:]
    private var thinking = 0
    /// Requests that could not even be begun and are about to be counted.
    var failing = 0
    private(set) var isStopping = false
    private(set) var isAbandoning = false
    var random: RandomStream
    private var finished: (() -> Void)?
    /// Where requests are written before they are sent.
    var requestBytes: [UInt8] = []
    let shared = SharedScratch()

    init(
        loop: PollLoop, configuration: LoadConfiguration, address: ServerAddress, tls: NIOSSLContext?,
        prompts: PromptText, fields: RequestFields?, start: Int64, feed: RequestFeed, number: Int
    ) {
        self.loop = loop
        self.configuration = configuration
        self.address = address
        self.tls = tls
        writer = RequestWriter(configuration, prompts: prompts)
        multiplexed = fields.map { MultiplexedConnections($0, largestStreamCount: configuration.largestStreamCount) }
        self.start = start
        self.feed = feed
        largestConnectionCount = max(1, configuration.largestConnectionCount / configuration.threads)
        random = RandomStream(seed: configuration.seed, stream: 500 + UInt64(number))
    }

    /// Nanoseconds since the run began.
    @inline(__always)
    func now() -> Int64 { loop.now() - start }

    /// The time of bytes that the kernel stamped so (CLOCK_REALTIME), or of now where it did not. A stamp says when the
    /// bytes came in, however late this client gets round to them.
    @inline(__always)
    func time(ofStamp stamp: Int64) -> Int64 {
        let now = now()
        guard stamp > 0 else { return now }
        return min(now, stamp - loop.realtimeLead - start)
    }

    /// Starts the load; `finished` is called when all has ended.
    func run(_ finished: @escaping () -> Void) {
        self.finished = finished
        switch feed.pace {
        case .open: scheduleArrival()
        case .closed(let loop):
            for client in 0..<Int32(loop.concurrency) { nextOfClient(client, due: 0) }
        }
        scheduleSweep()
        finishIfDone()
    }

    /// Looks for requests and connections that take too long, now and then until the run has ended.
    private func scheduleSweep() {
        let shortest = min(configuration.requestTimeoutNanoseconds, configuration.connectTimeoutNanoseconds)
        after(max(10_000_000, min(1_000_000_000, shortest / 20))) {
            guard self.finished != nil else { return }
            self.sweepTimeouts()
            self.scheduleSweep()
        }
    }

    private func after(_ nanoseconds: Int64, _ task: @escaping () -> Void) {
        loop.schedule(at: loop.now() + nanoseconds, task)
    }

    // MARK: the schedule

    private func scheduleArrival() {
        guard !isStopping, let due = feed.nextDue else { return finishIfDone() }
        loop.schedule(at: start + due) { self.arrive() }
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
        loop.schedule(at: start + due) {
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

    func record(of ticket: RequestTicket) -> RequestRecord {
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

    /// Retries a request, or takes its result in and goes on.
    func conclude(_ record: RequestRecord, _ ticket: RequestTicket, _ failure: String?, retryAfter: Int?) {
        if mayRetry(record), let wait = waitBeforeRetry(of: ticket, attempts: record.attempts, retryAfter: retryAfter) {
            retrying[ticket.request.id] = ticket
            after(wait) {
                guard let again = self.retrying.removeValue(forKey: ticket.request.id) else { return }
                self.send(again)
            }
            return
        }
        if record.intended >= configuration.warmupNanoseconds {
            measurements.record(record, promise: configuration.promise, recordLimit: configuration.largestRecordCount)
            if let failure, record.status.isFailure, measurements.firstFailures[record.status.rawValue] == nil {
                measurements.firstFailures[record.status.rawValue] = failure
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

    /// Nanoseconds until the next attempt; nil when there is to be none, or when the time for an answer would be over by
    /// then: a server that asks for a day's patience does not hold the run up for a day.
    private func waitBeforeRetry(of ticket: RequestTicket, attempts: UInt8, retryAfter: Int?) -> Int64? {
        let policy = configuration.retry
        guard Int(attempts) <= policy.retries, !isStopping else { return nil }
        let doubled = policy.backoffNanoseconds << Int64(min(attempts - 1, 20))
        let backoff = min(policy.largestBackoffNanoseconds, doubled)
        let wait = max(backoff, Int64(retryAfter ?? 0) * 1_000_000_000)
        return now() + wait < ticket.dispatched + configuration.requestTimeoutNanoseconds ? wait : nil
    }

    private func mayRetry(_ record: RequestRecord) -> Bool {
        switch record.status {
        case .refused, .connectTimedOut, .closed: true
        case .httpError: record.httpStatus == 429 || record.httpStatus == 503
        default: false
        }
    }

    func unfinished(_ ticket: RequestTicket) {
        guard ticket.intended >= configuration.warmupNanoseconds else { return }
        var record = record(of: ticket)
        record.status = .unfinished
        measurements.record(record, promise: configuration.promise, recordLimit: configuration.largestRecordCount)
    }

    private func sweepTimeouts() {
        let time = now()
        for connection in active.reversed() {
            guard let ticket = connection.ticket else { continue }
            if connection.isConnecting {
                guard ticket.connecting < time - configuration.connectTimeoutNanoseconds else { continue }
                connection.close()
                deactivate(connection)
                failed(ticket, .connectTimedOut, connectReason("no answer in time"))
            } else if ticket.dispatched < time - configuration.requestTimeoutNanoseconds {
                connection.giveUp(.timedOut, timeoutReason)
            }
        }
        sweepMultiplexed(at: time)
    }

    var timeoutReason: String { "no complete answer in \(configuration.requestTimeoutNanoseconds / 1_000_000) ms" }

    // MARK: the end

    /// Sends nothing more. Requests on their way are waited for, unless `abandons`: then they are left unfinished.
    func stop(abandons: Bool) {
        isStopping = true
        isAbandoning = isAbandoning || abandons
        for ticket in backlog { unfinished(ticket) }
        backlog.removeAll()
        for ticket in retrying.values { unfinished(ticket) }
        retrying.removeAll()
        for ticket in sessions.drain() { unfinished(ticket) }
        if abandons {
            for connection in active.reversed() { abandon(connection) }
            for connection in multiplexed?.all.reversed() ?? [] { connection.abandon() }
        }
        finishIfDone()
    }

    private func abandon(_ connection: StreamConnection) {
        guard connection.isConnecting, let ticket = connection.ticket else {
            return connection.giveUp(.unfinished, "the run was stopped")
        }
        connection.close()
        deactivate(connection)
        unfinished(ticket)
    }

    func finishIfDone() {
        guard let finished, inFlight == 0, failing == 0, backlog.isEmpty, retrying.isEmpty
        else { return }
        guard isStopping || thinking == 0 else { return }
        guard isStopping || (feed.isExhausted && sessions.isEmpty) else { return }
        self.finished = nil
        for connection in idle { connection.close() }
        idle.removeAll()
        for connection in multiplexed?.all ?? [] { connection.close() }
        finished()
    }

    /// Requests on their way, and due but without a connection.
    var inFlight: Int { active.count + (multiplexed?.requestCount ?? 0) }
    var waiting: Int { backlog.count }
    /// Connections that are used or being made.
    var connectionCount: Int { active.count + (multiplexed?.all.count ?? 0) }
}
