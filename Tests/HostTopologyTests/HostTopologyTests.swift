import Testing

@testable import HostTopology

@Suite struct HostTopologyTests {
    @Test func readsTwoNodes() throws {
        let host = try FixtureHost(FixtureHost.twoNodes)
        let topology = host.topology(allowedCPUs: Array(0..<8))
        #expect(topology.nodes.map(\.number) == [0, 1])
        #expect(topology.nodes.map(\.cpus) == [[0, 1, 4, 5], [2, 3, 6, 7]])
        #expect(topology.nodes.map(\.memoryBytes) == [16 << 20, 32 << 20])
        #expect(topology.nodes[0].distances == [0: 10, 1: 21])
        #expect(topology.cores == [[0, 4], [1, 5], [2, 6], [3, 7]])
        #expect(topology.interfaces == [HostTopology.Interface(name: "eth0", node: 1)])
        #expect(topology.node(ofCPU: 6) == 1)
        #expect(topology.notes == [])
        #expect(
            topology.description == """
                2 NUMA nodes, 8 CPUs on 4 cores
                node 0: CPUs 0-1,4-5, 16 MiB, distances 10 21
                node 1: CPUs 2-3,6-7, 32 MiB, distances 21 10
                interface eth0: node 1
                """)
    }

    @Test func obeysTheAffinityMaskAndTheCpuset() throws {
        var files = FixtureHost.twoNodes
        files["proc/self/status"] = "Mems_allowed_list:\t1\n"
        let host = try FixtureHost(files)
        let topology = host.topology(allowedCPUs: [2, 5, 6])
        #expect(topology.cpus == [2, 5, 6])
        #expect(topology.nodes.map(\.cpus) == [[5], [2, 6]])
        #expect(topology.nodes.map(\.mayHoldMemory) == [false, true])
        #expect(topology.cores == [[2, 6], [5]])
        #expect(topology.notes.contains { $0.contains("restricted to CPUs 2,5-6 of 0-7") })
        #expect(topology.notes.contains { $0.contains("forbids memory on node 0") })
        // Node 0 may not hold memory, so it is used only when node 1 is not enough.
        #expect(topology.placements(forThreads: 2).map(\.cpus) == [[2], [6]])
        #expect(Set(topology.placements(forThreads: 3).map(\.cpus)) == [[2], [5], [6]])
    }

    @Test func aKernelWithoutNodesIsOneNode() throws {
        let host = try FixtureHost(["sys/devices/system/cpu/online": "0-3\n"])
        let topology = host.topology(allowedCPUs: [1, 3])
        #expect(topology.nodes.count == 1)
        #expect(topology.nodes[0].cpus == [1, 3])
        #expect(topology.cores == [[1], [3]])
        #expect(topology.notes.contains { $0.contains("no NUMA node") })
    }

    @Test func aHostThatTellsNothingHasOneProcessor() throws {
        let host = try FixtureHost(["unrelated": ""])
        let topology = host.topology(allowedCPUs: nil)
        #expect(topology.cpus == [0])
        #expect(topology.placements(forThreads: 1) == [ThreadPlacement(cpus: [0], node: 0)])
    }

    @Test func aNodeOfMemoryOnlyGetsNoThreads() throws {
        var files = FixtureHost.twoNodes
        files["sys/devices/system/node/online"] = "0-2\n"
        files["sys/devices/system/node/node2/cpulist"] = "\n"
        for (node, row) in ["10 21 40", "21 10 40", "40 40 10"].enumerated() {
            files["sys/devices/system/node/node\(node)/distance"] = row + "\n"
        }
        let host = try FixtureHost(files)
        let topology = host.topology(allowedCPUs: nil)
        #expect(topology.nodes.map(\.cpus.count) == [4, 4, 0])
        #expect(topology.nodes[0].distances[2] == 40)
        #expect(Set(topology.placements(forThreads: 8).map(\.node)) == [0, 1])
        #expect(topology.description.contains("node 2: no CPUs"))
    }

    @Test func brokenFilesAreNamed() throws {
        var files = FixtureHost.twoNodes
        files["sys/devices/system/node/node1/cpulist"] = "2-x\n"
        files["sys/devices/system/node/node0/distance"] = "10\n"
        let host = try FixtureHost(files)
        let topology = host.topology(allowedCPUs: nil)
        #expect(topology.nodes.map(\.number) == [0])
        #expect(topology.cpus == Array(0..<8))
        #expect(topology.notes.contains { $0.contains("node1/cpulist cannot be read") })
        #expect(topology.notes.contains { $0.contains("CPUs 2-3,6-7 belong to no node") })
        #expect(topology.notes.contains { $0.contains("distances of node 0") })
    }

    @Test func aQuotaOfTheControlGroupIsNoted() throws {
        var files = FixtureHost.twoNodes
        files["sys/fs/cgroup/cpu.max"] = "250000 100000\n"
        let topology = try FixtureHost(files).topology(allowedCPUs: nil)
        #expect(topology.notes.contains { $0.contains("2.5 CPUs of time, of 8") })
        files["sys/fs/cgroup/cpu.max"] = "max 100000\n"
        let free = try FixtureHost(files).topology(allowedCPUs: Array(0..<8))
        #expect(free.notes == [])
    }

    @Test func thisHostIsRead() throws {
        let topology = HostTopology.current()
        #expect(!topology.cpus.isEmpty)
        #expect(topology.cpus == PinnedThread.currentAffinity)
        #expect(topology.cores.flatMap { $0 }.sorted() == topology.cpus)
        let report = topology.trialReport(threads: 1, byteCount: 1 << 16)
        #expect(report.contains("thread 0: node \(topology.nodes[0].number), pinned to CPU"))
    }
}
