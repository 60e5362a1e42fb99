//===----------------------------------------------------------------------===//
// On which processors and memory nodes the daemon's cells live.
//===----------------------------------------------------------------------===//

import Fleet
import HostTopology
import Yard

/// A place for the thread and the rings of every cell of both sides, and for the event loops.
///
/// Processors are left for the event loops; these go near the network interface, where the kernel tells it. When there
/// are more threads than processors no cell is pinned; each is bound to the processors of its node.
struct CellPlacements: Sendable {
    /// Of the fleet's cells, by number.
    let fleet: [ThreadPlacement]
    /// Of the baseline's cells, by number.
    let baseline: [ThreadPlacement]
    /// Of the event loops; nil for one that may run anywhere.
    let eventLoops: [ThreadPlacement?]
    /// Why event loops are where they are.
    let reason: String

    init(fleetCells: Int, baselineCells: Int, eventLoops: Int, host: HostTopology) {
        let places = host.placements(forThreads: fleetCells + baselineCells, besideFrontEnds: eventLoops)
        fleet = Array(places.threads.prefix(fleetCells))
        baseline = Array(places.threads.dropFirst(fleetCells))
        self.eventLoops = places.frontEnds
        reason = places.reason
    }
}

extension DaemonPlan {
    /// Where this plan's cells live on a host.
    func placements(on host: HostTopology) -> CellPlacements {
        CellPlacements(
            fleetCells: fleet.cellConfigurations(seed: configuration.seed).count,
            baselineCells: baseline?.cellConfigurations(seed: configuration.seed).count ?? 0,
            eventLoops: configuration.service.eventLoops, host: host)
    }

    /// The host, and for each cell its thread, its pools and where the pages of its rings are when they are made as the
    /// daemon makes them, one line each. For `--topology`.
    public var topology: [String] {
        topology(of: .current())
    }

    /// The same for a host that this may not be; rings are tried out here.
    func topology(of host: HostTopology) -> [String] {
        let places = placements(on: host)
        let loops = configuration.service.eventLoops
        var lines = host.description.split(separator: "\n").map(String.init)
        lines.append("\(loops) event loops (front ends) \(places.reason)")
        for (number, place) in places.eventLoops.enumerated() {
            guard let place else { continue }
            let list = place.cpus.map(String.init).joined(separator: ",")
            lines.append("event loop \(number): bound to CPUs \(list) of node \(place.node)")
        }
        let sides = [("fleet", fleet, places.fleet)] + (baseline.map { [("baseline", $0, places.baseline)] } ?? [])
        for (title, plan, threads) in sides {
            let rings: [String]
            do {
                let mesh = try LiveYard.mesh(frontEnds: loops, placements: threads)
                rings = threads.indices.map { mesh.memoryPlacement(ofCell: $0) }
            } catch {
                rings = threads.map { _ in "not tried: \(error)" }
            }
            for (cell, (thread, memory)) in zip(plan.cellConfigurations(seed: configuration.seed), zip(threads, rings))
            {
                let pools = cell.pools.map { "\($0.replicas) x \($0.name)" }.joined(separator: ", ")
                let list = thread.cpus.map(String.init).joined(separator: ",")
                let bound = thread.isPinned ? "pinned to CPU \(list)" : "bound to CPUs \(list)"
                lines.append(
                    "\(title) cell \(cell.number): thread \(bound) of node \(thread.node), rings \(memory); \(pools)")
            }
        }
        return lines
    }
}
