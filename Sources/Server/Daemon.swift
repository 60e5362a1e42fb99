//===----------------------------------------------------------------------===//
// The daemon: everything put together, started and stopped.
//===----------------------------------------------------------------------===//

import Fleet
import Foundation
import Hummingbird
public import Logging
import NIOCore
import NIOPosix
import Report
public import ServiceLifecycle
import Yard

/// `trainyardd` as one service of a `ServiceGroup`: it serves until graceful shutdown, then stops accepting, lets what
/// runs finish within a bound, fails the rest, and says what it did.
public final class Daemon: Service {
    /// The version that metrics and `--version` show.
    public static let version = ProductVersion.number

    let plan: DaemonPlan
    let logger: Logger
    let notification: ServiceNotification
    /// Called with the bound ports once all listeners are open.
    private let onListening: (@Sendable (DaemonAddresses) -> Void)?

    public init(
        plan: DaemonPlan, logger: Logger, notification: ServiceNotification = .fromEnvironment(),
        onListening: (@Sendable (DaemonAddresses) -> Void)? = nil
    ) {
        self.plan = plan
        self.logger = logger
        self.notification = notification
        self.onListening = onListening
    }

    public func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: plan.configuration.service.eventLoops)
        do {
            let parts = try await DaemonParts(plan: plan, group: group, logger: logger)
            try await serve(parts, group: group)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    private func serve(_ parts: DaemonParts, group: MultiThreadedEventLoopGroup) async throws {
        try parts.start()
        let listeners = try await parts.listen(inherited: .fromEnvironment())
        // A task says whether its end is the daemon's.
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            let (adminPorts, admin) = AsyncStream.makeStream(of: Int?.self)
            if let address = plan.configuration.admin {
                let application = parts.admin(address: address, group: group, logger: logger) { admin.yield($0) }
                tasks.addTask {
                    defer { admin.finish() }
                    // It ends by itself as soon as the shutdown begins, which is when streams are still to be finished.
                    try await application.run()
                    return false
                }
            } else {
                admin.yield(nil)
            }
            // A listener that cannot be opened ends the task, and with it the wait.
            guard let adminPort = await adminPorts.first(where: { _ in true }) else {
                _ = try await tasks.next()
                return
            }
            tasks.addTask {
                try await self.watch(parts)
                return false
            }
            tasks.addTask {
                await self.reloadOnHangup(parts)
                return false
            }
            onListening?(DaemonAddresses(servingPort: listeners.first?.localAddress?.port, adminPort: adminPort))
            announce(parts, listeners)
            tasks.addTask {
                try await gracefulShutdown()
                await self.stop(parts, listeners)
                return true
            }
            while let isOver = try await tasks.next(), !isOver {}
            tasks.cancelAll()
        }
    }

    private func announce(_ parts: DaemonParts, _ listeners: [ServingListener]) {
        for line in plan.summary { logger.info("\(line)") }
        for listener in listeners {
            logger.info("listening on \(listener.localAddress?.description ?? "a Unix socket")")
        }
        notification.send("READY=1\nSTATUS=serving \(plan.modelNames[0]) on \(plan.fleet.name)")
    }

    /// Feeds the watchdog while every cell makes progress, and keeps the history and the status line up to date.
    private func watch(_ parts: DaemonParts) async throws {
        let interval = ServiceNotification.watchdogIntervalFromEnvironment()
        let patience = max(interval ?? 0, 2_000_000_000)
        var seconds = 0
        while !Task.isCancelled {
            try await Task.sleep(for: .nanoseconds(min(interval ?? 1_000_000_000, 1_000_000_000)))
            parts.sampler.sample(unixSeconds: Int64(time(nil)))
            let silence = parts.yards.flatMap(\.cells).map { $0.silenceNanoseconds() }.max() ?? 0
            if silence < patience {
                if interval != nil { notification.send("WATCHDOG=1") }
            } else {
                logger.error("a cell has made no progress for \(silence / 1_000_000) ms")
            }
            seconds += 1
            if seconds % 10 == 0 { notification.status(parts.statusLine) }
        }
    }

    private func stop(_ parts: DaemonParts, _ listeners: [ServingListener]) async {
        notification.send("STOPPING=1\nSTATUS=finishing what runs")
        logger.info(
            "stopping: no new connections; what runs has \(plan.configuration.service.shutdownSeconds) s to finish")
        for listener in listeners { await listener.close() }
        let (finished, failed) = await parts.drain(seconds: plan.configuration.service.shutdownSeconds)
        for yard in parts.yards { await yard.stop() }
        await parts.ledger?.stop()
        logger.info("stopped: \(finished) requests in flight finished, \(failed) failed; \(parts.statusLine)")
    }
}

/// Where a daemon listens, for those who asked for port 0; nil for Unix sockets and for what is off.
public struct DaemonAddresses: Sendable, Equatable {
    public var servingPort: Int?
    public var adminPort: Int?
}
