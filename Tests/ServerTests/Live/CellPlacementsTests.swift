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
}
