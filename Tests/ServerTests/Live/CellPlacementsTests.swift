//===----------------------------------------------------------------------===//
// Where cells are put on a host.
//===----------------------------------------------------------------------===//

import HostTopology
import Testing

@testable import Server

@Suite struct CellPlacementsTests {
    @Test func everyCellHasAPlaceThatThisHostAllows() {
        let host = HostTopology.current()
        for (fleet, baseline, loops) in [(1, 0, 1), (3, 2, 1), (host.cpus.count, 0, 0)] {
            let places = CellPlacements(fleetCells: fleet, baselineCells: baseline, eventLoops: loops, host: host)
            #expect(places.fleet.count == fleet && places.baseline.count == baseline)
            let all = places.fleet + places.baseline
            #expect(all.allSatisfy { $0.cpus.allSatisfy(host.cpus.contains) && host.node($0.node) != nil })
            let fits = fleet + baseline + loops <= host.cpus.count
            #expect(all.allSatisfy { $0.isPinned == (fits || host.cpus.count == 1) })
            if fits { #expect(Set(all.flatMap(\.cpus)).count == all.count) }
        }
    }

    /// Two nodes of two processors; the only interface that is up interrupts processor 3.
    @Test func eventLoopsAreNearTheNetwork() {
        let distances = [0: 10, 1: 21]
        let host = HostTopology(
            nodes: [
                .init(number: 0, cpus: [0, 1], memoryBytes: nil, mayHoldMemory: true, distances: distances),
                .init(number: 1, cpus: [2, 3], memoryBytes: nil, mayHoldMemory: true, distances: distances),
            ],
            cores: [[0], [1], [2], [3]],
            interfaces: [.init(name: "eth0", node: nil, queueCPUs: [3]), .init(name: "eth1", node: 0, isUp: false)],
            notes: [])
        let places = CellPlacements(fleetCells: 2, baselineCells: 1, eventLoops: 1, host: host)
        #expect(places.eventLoops == [ThreadPlacement(cpus: [3], node: 1)])
        #expect(places.fleet.map(\.cpus) == [[0], [1]] && places.baseline.map(\.cpus) == [[2]])
        #expect(places.reason == "near eth0: queues on CPUs 3")
    }
}
