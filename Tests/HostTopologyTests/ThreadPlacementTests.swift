import Testing

@testable import HostTopology

@Suite struct ThreadPlacementTests {
    private func topology(_ allowed: [Int] = Array(0..<8)) throws -> HostTopology {
        try FixtureHost(FixtureHost.twoNodes).topology(allowedCPUs: allowed)
    }

    @Test func threadsGetCoresOfTheirOwnOnAlternatingNodes() throws {
        let placements = try topology().placements(forThreads: 4)
        #expect(placements.map(\.cpus) == [[0], [2], [1], [3]])
        #expect(placements.map(\.node) == [0, 1, 0, 1])
        for placement in placements { #expect(placement.isPinned) }
    }

    @Test func hardwareThreadsAreSharedLast() throws {
        let placements = try topology().placements(forThreads: 8)
        #expect(placements.map(\.cpus) == [[0], [2], [1], [3], [4], [6], [5], [7]])
    }

    @Test func nodesAreFilledInProportion() throws {
        let placements = try topology([0, 2, 3, 6, 7]).placements(forThreads: 5)
        #expect(placements.filter { $0.node == 0 }.count == 1)
        #expect(Set(placements.flatMap(\.cpus)) == [0, 2, 3, 6, 7])
    }

    @Test func moreThreadsThanProcessorsAreBoundToNodesOnly() throws {
        let placements = try topology().placements(forThreads: 9)
        #expect(placements.count == 9)
        #expect(placements.allSatisfy { $0.cpus.count == 4 && !$0.isPinned })
        #expect(placements.filter { $0.node == 0 }.count == 5)
    }

    @Test func noThreadsNeedNoPlace() throws {
        #expect(try topology().placements(forThreads: 0) == [])
    }

    /// For any mask and count: nobody is placed where the mask forbids, and no processor is given twice while there are
    /// enough.
    @Test func neverLeavesTheMask() throws {
        let host = try FixtureHost(FixtureHost.twoNodes)
        for mask in 1..<256 {
            let allowed = (0..<8).filter { mask >> $0 & 1 == 1 }
            let topology = host.topology(allowedCPUs: allowed)
            for count in [1, 2, allowed.count, allowed.count + 1] {
                let placements = topology.placements(forThreads: count)
                #expect(placements.count == count)
                #expect(placements.allSatisfy { $0.cpus.allSatisfy(allowed.contains) && !$0.cpus.isEmpty })
                if count <= allowed.count { #expect(Set(placements.flatMap(\.cpus)).count == count, "mask \(mask)") }
            }
        }
    }
}
