//===----------------------------------------------------------------------===//
// A listener with a scheduler that the test plays, instead of cells.
//===----------------------------------------------------------------------===//

import Engine
import NIOCore
import NIOPosix
import Synchronization
import Workload

@testable import Server

/// Plays the fleet: finishes each request after `delay`, with one token event for each `gap` if it streams, or holds it
/// until told.
final class FakeScheduler: SequenceScheduler {
    struct Behaviour: Sendable {
        var holds = false
        var refuses = false
        var gap: TimeAmount = .microseconds(200)
        var hasBaseline = false
        /// Everything at once, in one batch.
        var isInstant = false
    }

    let behaviour: Behaviour
    let log: FakeLog
    unowned var frontEnd: LoopFrontEnd!

    init(behaviour: Behaviour, log: FakeLog) {
        self.behaviour = behaviour
        self.log = log
    }

    var hasBaseline: Bool { behaviour.hasBaseline }

    func submit(_ request: Request, cell: Int?) -> Submission {
        if behaviour.refuses { return .refused(reason: "queue_full", retryAfterSeconds: 7) }
        log.state.withLock { $0.submitted.append(request) }
        if behaviour.holds { return .taken }
        if behaviour.isInstant {
            frontEnd.loop.assumeIsolated().execute { self.finish(request) }
        } else {
            step(request, token: 1)
        }
        return .taken
    }

    private func step(_ request: Request, token: Int32) {
        frontEnd.loop.assumeIsolated().scheduleTask(in: behaviour.gap) {
            if self.log.state.withLock({ $0.cancelled.contains(request.id) }) { return }
            if token == request.outputTokens {
                self.finish(request)
                return
            }
            self.frontEnd.produced(
                TokenEvent(requestID: request.id, atNanoseconds: 0, outputTokens: token, newTokens: 1, frontEnd: 0))
            self.frontEnd.endOfBatch()
            self.step(request, token: token + 1)
        }
    }

    func finish(_ request: Request, status: Completion.Status = .finished) {
        frontEnd.completed(Self.completion(request, status: status), side: .fleet)
        if behaviour.hasBaseline { frontEnd.completed(Self.completion(request, status: status), side: .baseline) }
        frontEnd.endOfBatch()
    }

    func cancel(requestID: UInt64) {
        guard let request = log.state.withLock({ $0.submitted.first { $0.id == requestID } }) else { return }
        log.state.withLock { $0.cancelled.append(requestID) }
        frontEnd.loop.assumeIsolated().execute { self.finish(request, status: .cancelled) }
    }

    static func completion(_ request: Request, status: Completion.Status) -> Completion {
        Completion(
            requestID: request.id, arrivalNanoseconds: 0, scheduledNanoseconds: 1000, firstTokenNanoseconds: 2_000_000,
            lastTokenNanoseconds: 9_000_000, promptTokens: request.promptTokens, cachedPromptTokens: 3,
            outputTokens: request.outputTokens, preemptions: 0, replica: 0, session: 0, tenant: request.tenant,
            frontEnd: 0, priorityClass: 0,
            status: status)
    }
}

/// What the fake fleet saw, readable from any thread.
final class FakeLog: Sendable {
    struct State {
        var submitted: [Request] = []
        var cancelled: [UInt64] = []
    }
    let state = Mutex(State())
}

/// A serving listener on a loopback port, in front of a fake fleet.
final class FakeServer: Sendable {
    let port: Int
    let log = FakeLog()
    let fronts: FrontEndTable
    let counters: LoopCounters
    private let group: MultiThreadedEventLoopGroup
    private let listener: ServingListener

    init(
        behaviour: FakeScheduler.Behaviour = .init(),
        change: @escaping @Sendable (inout ServingSettings) -> Void = { _ in },
        address: ListenAddress = .host("127.0.0.1", port: 0),
        prepare: (@Sendable (any Channel) throws -> Void)? = nil, ready: @escaping @Sendable () -> String? = { nil }
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.group = group
        let log = log
        let pool = PoolNumbers(firstReplicas: [0], maxModelTokens: [4096])
        let counters = LoopCounters(sides: [pool, pool])
        self.counters = counters
        fronts = try await FrontEndTable(loops: Array(group.makeIterator())) { _, loop in
            var settings = ServingSettings(models: [ServedModel(name: "m", maxModelTokens: 4096)])
            settings.counting.tokensPerBlock = 16
            change(&settings)
            let scheduler = FakeScheduler(behaviour: behaviour, log: log)
            let front = LoopFrontEnd(
                number: 0, loop: loop, scheduler: scheduler, settings: settings, counters: counters)
            scheduler.frontEnd = front
            front.tick(unixSeconds: 784_111_777)
            return front
        }
        let routes = ServingRoutes(
            metrics: { format in
                var page = Exposition(format: format)
                return page.finish()
            }, notReady: ready, version: "test")
        listener = try await ServingListener(
            address: address, group: group, fronts: fronts, routes: routes, connections: ConnectionCount(),
            prepare: prepare)
        port = listener.localAddress?.port ?? 0
    }

    func tick() async throws { _ = try await fronts.onEach { $0.tick(unixSeconds: 784_111_778) } }
    func inFlight() async throws -> Int { try await fronts.onEach { $0.inFlight }.reduce(0, +) }
    func openExchanges() async throws -> Int { try await fronts.onEach { $0.openExchanges }.reduce(0, +) }
    func stop() async throws {
        await listener.close()
        _ = try await fronts.onEach { $0.failEverything() }
        try await group.shutdownGracefully()
    }
}

/// Runs a test body against a fake server and stops the server whatever happens.
func withServer(
    behaviour: FakeScheduler.Behaviour = .init(),
    change: @escaping @Sendable (inout ServingSettings) -> Void = { _ in },
    address: ListenAddress = .host("127.0.0.1", port: 0),
    prepare: (@Sendable (any Channel) throws -> Void)? = nil,
    _ body: @escaping @Sendable (FakeServer) async throws -> Void
) async throws {
    let server = try await FakeServer(
        behaviour: behaviour, change: change, address: address, prepare: prepare)
    do {
        try await body(server)
    } catch {
        try await server.stop()
        throw error
    }
    try await server.stop()
}

/// Waits for something that other threads bring about.
func eventually(_ what: String, seconds: Double = 10, _ condition: @Sendable () async throws -> Bool) async throws {
    let end = SocketClient.now() + Int64(seconds * 1e9)
    while SocketClient.now() < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw SocketError(description: "still not after \(seconds) s: \(what)")
}
