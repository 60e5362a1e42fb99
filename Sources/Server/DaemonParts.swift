//===----------------------------------------------------------------------===//
// The daemon's parts and how they are wired.
//===----------------------------------------------------------------------===//

import Engine
import Fleet
import Foundation
import HostTopology
import Hummingbird
import Ledger
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Yard

/// Yards, front ends and metrics of one daemon.
final class DaemonParts: Sendable {
    let plan: DaemonPlan
    let yards: [LiveYard]
    let fronts: FrontEndTable
    let view: MetricsView
    let sampler: Sampler
    let ledger: LiveLedger?
    private let control: FleetControl
    private let group: MultiThreadedEventLoopGroup
    private let wakers: [LoopWaker]
    private let isReady = Atomic<Bool>(false)
    private let connections = ConnectionCount()

    init(plan: DaemonPlan, group: MultiThreadedEventLoopGroup, logger: Logger) async throws {
        self.plan = plan
        self.group = group
        let configuration = plan.configuration
        let loops = Array(group.makeIterator())
        let started = Int64(time(nil))
        let places = plan.placements(on: .current())
        let fleet = try LiveYard(
            side: .fleet, plan: plan.fleet, frontEnds: loops.count, scale: configuration.timeScale,
            seed: configuration.seed, promise: configuration.promise, placements: places.fleet,
            busyWaitNanoseconds: configuration.service.busyWaitNanoseconds)
        let baseline = try plan.baseline.map {
            try LiveYard(
                side: .baseline, plan: $0, frontEnds: loops.count, scale: configuration.timeScale,
                seed: configuration.seed, promise: configuration.promise, placements: places.baseline)
        }
        let yards = [fleet] + (baseline.map { [$0] } ?? [])
        self.yards = yards
        let pools = yards.map { yard in
            PoolNumbers(
                firstReplicas: yard.plan.pools.map(\.firstReplica),
                maxModelTokens: yard.plan.pools.map(\.configuration.maxModelTokens))
        }
        let cells = configuration.fleetView == nil ? [] : fleet.cellOfReplica
        let counters = loops.map { _ in LoopCounters(sides: pools, cellOfReplica: cells) }
        let wakers = loops.map { LoopWaker(loop: $0) }
        self.wakers = wakers
        let settings = plan.settings(startedSeconds: started)
        let ledger = try configuration.ledger.map { file in
            try LiveLedger(
                file: file, loops: loops.count,
                run: LedgerRun(
                    run: UInt64(Date().timeIntervalSince1970 * 1e9), fleet: plan.fleet.name,
                    baseline: plan.baseline?.name,
                    model: plan.modelNames[0], timeScale: configuration.timeScale.description,
                    fleetFile: configuration.fleetFile),
                logger: logger)
        }
        self.ledger = ledger
        let limits = plan.tenantLimits
        let schedulers = Mutex<[NIOLoopBound<LiveScheduler>]>([])
        fronts = try await FrontEndTable(loops: loops) { index, loop in
            if let place = places.eventLoops[index] {
                do throws(PinnedThread.StartError) {
                    try PinnedThread.bindCallingThread(to: place)
                } catch {
                    logger.warning("event loop \(index) runs anywhere: \(error)")
                }
            }
            let scheduler = LiveScheduler(
                number: index, fleet: fleet, baseline: baseline, limits: limits, waker: wakers[index],
                seed: configuration.seed)
            let front = LoopFrontEnd(
                number: UInt16(index), loop: loop, scheduler: scheduler, settings: settings, counters: counters[index])
            scheduler.frontEnd = front
            front.logger = logger
            front.recorder = ledger?.recorder(loop: index)
            let bound = NIOLoopBound(scheduler, eventLoop: loop)
            wakers[index].onWake { bound.value.drain() }
            schedulers.withLock { $0.append(bound) }
            front.tick(unixSeconds: started)
            let frontBound = NIOLoopBound(front, eventLoop: loop)
            loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
                frontBound.value.tick(unixSeconds: Int64(time(nil)))
            }
            return front
        }
        var view = MetricsView(
            yards: yards, counters: counters, connections: connections, version: Daemon.version,
            startedSeconds: started,
            modelName: plan.modelNames[0])
        if let ledger { view.extra = { ledger.write(&$0) } }
        let sampler = Sampler(view: view)
        view.latest = { sampler.latest }
        self.view = view
        self.sampler = sampler
        control = FleetControl(yards: yards, scheduler: schedulers.withLock { $0[0] }, loop: loops[0])
    }

    /// Starts the cells' threads.
    func start() throws {
        let wakers = wakers
        for yard in yards { try yard.start { wakers[$0].wake() } }
        let yards = yards
        ledger?.start { yards.map { SideBooks($0) } }
        isReady.store(true, ordering: .releasing)
    }

    /// Why requests cannot be taken, nil when they can.
    @Sendable func notReady() -> String? {
        if !isReady.load(ordering: .acquiring) { return "The modelled fleet is not up, or is stopping." }
        if let problem = ledger?.problem { return problem }
        let gauges = yards[0].gauges.reduce(PoolGauges()) { $0 + $1 }
        if gauges.replicas > 0, gauges.acceptingReplicas == 0 { return "No replica takes requests." }
        return nil
    }

    // MARK: Listeners

    /// Opens the serving listeners: the sockets that the service manager passed, or else the configured addresses.
    func listen(inherited: InheritedSockets) async throws -> [ServingListener] {
        let view = view
        let routes = ServingRoutes(metrics: { view.vllm($0) }, notReady: { self.notReady() }, version: Daemon.version)
        let passed = inherited.sockets.filter { $0.name != "admin" }.map {
            ListenAddress.inherited(descriptor: $0.descriptor)
        }
        let addresses = passed.isEmpty ? plan.configuration.serving : passed
        let prepare = try tlsHandler()
        var listeners: [ServingListener] = []
        for address in addresses {
            do {
                listeners.append(
                    try await ServingListener(
                        address: address, group: group, fronts: fronts, routes: routes, connections: connections,
                        prepare: prepare))
            } catch {
                throw FleetError(
                    "cannot listen on \(address): \(error)",
                    at: Place(file: plan.configuration.file, line: 0, column: 0))
            }
        }
        return listeners + (try await listenForCells()) + (try await listenForDevices())
    }

    /// The compatible fleet view: each cell on a port of its own, as a vLLM server would be.
    private func listenForCells() async throws -> [ServingListener] {
        guard let ports = plan.configuration.fleetView else { return [] }
        var listeners: [ServingListener] = []
        for cell in yards[0].cells.indices.prefix(ports.replicas) {
            let view = view
            let yard = yards[0]
            let routes = ServingRoutes(
                metrics: { view.vllm($0, cell: cell) },
                notReady: {
                    let accepting = yard.cells[cell].lastGauges.pools.reduce(0) { $0 + $1.acceptingReplicas }
                    return accepting == 0 ? "No replica behind this port takes requests." : self.notReady()
                }, version: Daemon.version)
            let address = ListenAddress.host(ports.host, port: ports.firstPort + cell)
            do {
                listeners.append(
                    try await ServingListener(
                        address: address, group: group, fronts: fronts, routes: routes, connections: connections,
                        cell: cell))
            } catch {
                throw FleetError(
                    "cannot listen on \(address) for cell \(cell): \(error)",
                    at: Place(file: plan.configuration.file, line: 0, column: 0))
            }
        }
        return listeners
    }

    /// Ports that show the modelled devices as their makers' exporters do.
    private func listenForDevices() async throws -> [ServingListener] {
        let view = view
        var listeners: [ServingListener] = []
        for exporter in plan.configuration.deviceExporters {
            let routes = ExporterRoutes { format in
                switch exporter.kind {
                case .dcgm: view.dcgm(format)
                case .neuronMonitor: view.neuronMonitor(format)
                }
            }
            do {
                listeners.append(
                    try await ServingListener(
                        address: exporter.address, group: group, fronts: fronts, routes: routes,
                        connections: connections))
            } catch {
                throw FleetError(
                    "cannot listen on \(exporter.address) for \(exporter.kind.rawValue): \(error)",
                    at: Place(file: plan.configuration.file, line: 0, column: 0))
            }
        }
        return listeners
    }

    private func tlsHandler() throws -> (@Sendable (any Channel) throws -> Void)? {
        do { return try plan.configuration.tls?.handler() } catch {
            throw FleetError("\(error)", at: Place(file: plan.configuration.file, line: 0, column: 0))
        }
    }

    /// The admin listener.
    func admin(
        address: ListenAddress, group: any EventLoopGroup, logger: Logger, onPort: @escaping @Sendable (Int?) -> Void
    ) -> some ApplicationProtocol {
        let bind: BindAddress =
            switch address {
            case .host(let host, let port): .hostname(host, port: port)
            case .unixSocket(let path): .unixDomainSocket(path: path)
            case .inherited: preconditionFailure("the admin listener takes no inherited socket")
            }
        let routes = AdminRoutes(
            view: view, control: control, sampler: sampler, adminKeyDigest: plan.configuration.adminKeyDigest,
            seed: plan.configuration.seed,
            notReady: { self.notReady() })
        return routes.application(address: bind, group: group, logger: logger, onPort: onPort)
    }

    // MARK: Stopping

    /// Lets open exchanges finish for at most `seconds`, then fails the rest. Returns how many of each there were.
    func drain(seconds: Double) async -> (finished: Int, failed: Int) {
        isReady.store(false, ordering: .releasing)
        let open = ((try? await fronts.onEach { $0.openExchanges }) ?? []).reduce(0, +)
        _ = try? await fronts.onEach { $0.drain(whenIdle: {}) }
        await wait(seconds: min(seconds, 0.5)) { $0.freshConnections == 0 }
        await wait(seconds: seconds) { $0.openExchanges == 0 }
        let failed = ((try? await fronts.onEach { $0.failEverything() }) ?? []).reduce(0, +)
        // The ledger wants the end of every request, on both sides.
        _ = try? await fronts.onEach { $0.cancelEverything() }
        await wait(seconds: 5) { $0.inFlight == 0 }
        return (max(0, open - failed), failed)
    }

    /// Waits until every front end agrees, at most so long.
    private func wait(seconds: Double, until condition: @escaping @Sendable (LoopFrontEnd) -> Bool) async {
        let end = ModelledClock.monotonicNanoseconds() + Int64(seconds * 1e9)
        while ModelledClock.monotonicNanoseconds() < end {
            let answers = (try? await fronts.onEach(condition)) ?? []
            if answers.allSatisfy({ $0 }) { return }
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    /// One line on how the daemon stands.
    var statusLine: String {
        let finished = view.yards[0].plan.pools.indices.reduce(UInt64(0)) {
            $0 + view.sum(view.yards[0], $1, .finishedByLength) + view.sum(view.yards[0], $1, .finishedByStop)
        }
        return
            "\(finished) requests finished, \(view.sum(.requestsRefusedFull)) refused, \(view.sum(.requestsDisconnected)) disconnected, "
            + "\(connections.current) connections"
    }
}
