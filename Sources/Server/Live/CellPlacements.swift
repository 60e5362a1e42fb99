//===----------------------------------------------------------------------===//
// On which processors and memory nodes the daemon's cells live.
//===----------------------------------------------------------------------===//

import Fleet
import HostTopology
import Yard

/// A place for the thread and the rings of every cell of both sides.
///
/// Event loops are counted, so that processors are left for them, and are not bound. When there are more threads than
/// processors no cell is pinned; each is bound to the processors of its node.
struct CellPlacements: Sendable {
    /// Of the fleet's cells, by number.
    let fleet: [ThreadPlacement]
    /// Of the baseline's cells, by number.
    let baseline: [ThreadPlacement]

    init(fleetCells: Int, baselineCells: Int, eventLoops: Int, host: HostTopology) {
        let places = host.placements(forThreads: fleetCells + baselineCells + eventLoops)
        fleet = Array(places.prefix(fleetCells))
        baseline = Array(places.dropFirst(fleetCells).prefix(baselineCells))
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
        let host = HostTopology.current()
        let places = placements(on: host)
        let loops = configuration.service.eventLoops
        var lines = host.description.split(separator: "\n").map(String.init)
        lines.append("\(loops) event loops (front ends), not bound to processors")
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
