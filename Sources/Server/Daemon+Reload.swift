//===----------------------------------------------------------------------===//
// Reloading the configuration without dropping a stream.
//===----------------------------------------------------------------------===//

import Engine
import Fleet
import Foundation
import Ledger
import Logging
import NIOCore
import Report
import StepModel
import UnixSignals
import Yard

extension Daemon {
    /// Reads the configuration again at every SIGHUP, until cancelled.
    func reloadOnHangup(_ parts: DaemonParts) async {
        for await _ in await UnixSignalsSequence(trapping: .sighup) { await reload(parts) }
        // The sequence also ends when nobody can send signals any more; the daemon goes on until it is stopped.
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }

    /// Takes over what can change while streams run: limits, keys, output rules, prices, Retry-After. A file that is
    /// wrong leaves everything as it was, and so does a change that needs a restart; both are said.
    func reload(_ parts: DaemonParts) async {
        notification.send("RELOADING=1\nMONOTONIC_USEC=\(NIODeadline.now().uptimeNanoseconds / 1000)\nSTATUS=reloading")
        defer { notification.send("READY=1\nSTATUS=serving \(plan.modelNames[0]) on \(plan.fleet.name)") }
        let file = plan.configuration.file
        let next: DaemonPlan
        do {
            next = try DaemonPlan(DaemonConfiguration(contentsOf: file))
        } catch {
            logger.error("reload: \(error); the old configuration stays in force", metadata: ["config": "\(file)"])
            return
        }
        guard next.fleet.tenants.map(\.name) == plan.fleet.tenants.map(\.name) else {
            logger.error(
                "reload: the fleet's tenants changed, which needs a restart; the old configuration stays in force")
            return
        }
        for change in plan.changesThatNeedRestart(to: next) {
            logger.warning("reload: \(change) needs a restart, and stays as it was")
        }
        let running = plan.settings(startedSeconds: parts.view.startedSeconds)
        var settings = next.settings(startedSeconds: running.startedSeconds)
        // What is served, and whether its caches want hashes, follows from the yard that runs.
        settings.models = running.models
        settings.counting.tokensPerBlock = running.counting.tokensPerBlock
        let inForce = settings
        _ = try? await parts.fronts.onEach { $0.settings = inForce }
        for yard in parts.yards {
            let plan = yard.side == .fleet ? next.fleet : next.baseline
            guard let plan, plan.isSameYard(as: yard.plan) else { continue }
            yard.account = FleetAccount(plan)
        }
        logger.info(
            "reload: limits, keys, output rules and prices of \(file) are in force", metadata: ["config": "\(file)"])
    }
}

extension DaemonPlan {
    /// What differs between two configurations and cannot change while the daemon runs, in words.
    func changesThatNeedRestart(to next: DaemonPlan) -> [String] {
        var changes: [String] = []
        if !next.fleet.isSameYard(as: fleet) { changes.append("the fleet") }
        switch (baseline, next.baseline) {
        case (nil, nil): break
        case (let old?, let new?): if !new.isSameYard(as: old) { changes.append("the baseline") }
        default: changes.append("the baseline")
        }
        let (old, new) = (configuration, next.configuration)
        if next.tenantLimits != tenantLimits { changes.append("the tenants' limits") }
        if old.timeScale != new.timeScale { changes.append("time_scale") }
        if old.seed != new.seed { changes.append("seed") }
        if old.promise != new.promise { changes.append("promise") }
        if old.fleetView != new.fleetView { changes.append("fleet_view") }
        if old.deviceExporters != new.deviceExporters { changes.append("device_exporters") }
        if old.logLevel != new.logLevel { changes.append("log_level") }
        if old.serving != new.serving || old.admin != new.admin || old.tls != new.tls { changes.append("listen") }
        if old.service.eventLoops != new.service.eventLoops { changes.append("event_loops") }
        if old.service.shutdownSeconds != new.service.shutdownSeconds { changes.append("shutdown_seconds") }
        if old.service.busyWaitNanoseconds != new.service.busyWaitNanoseconds {
            changes.append("busy_wait_microseconds")
        }
        if old.ledger != new.ledger { changes.append("ledger") }
        if old.adminKeyDigest != new.adminKeyDigest { changes.append("admin_key_sha256") }
        if modelNames != next.modelNames { changes.append("served_model_name") }
        return changes
    }
}

extension FleetPlan {
    /// Whether cells made from the other plan would be the same: only prices and site figures may differ.
    func isSameYard(as other: FleetPlan) -> Bool {
        name == other.name && caption == other.caption && pools.map(\.name) == other.pools.map(\.name)
            && pools.map(\.configuration) == other.pools.map(\.configuration) && placement == other.placement
            && tenants.map(\.name) == other.tenants.map(\.name) && waitingRoom == other.waitingRoom
    }

    /// Classes, weights and bounds of queues, as the first cell has them.
    private var waitingRoom: WaitingRoomRules? { cellConfigurations(seed: 0).first?.waitingRoom }
}
