import Testing

@testable import HostTopology

@Suite struct FrontEndPlacementTests {
    /// The fixture host; its interface `eth0` is a virtio device of two queues and a control interrupt.
    private func host(queues: [Int: String], deviceNode: Int = -1, state: String = "up") throws -> HostTopology {
        var files = FixtureHost.twoNodes
        files["sys/class/net/eth0/device/numa_node"] = nil
        files["sys/class/net/eth0/operstate"] = state + "\n"
        files["sys/devices/pci0/0000:00:04.0/numa_node"] = "\(deviceNode)\n"
        files["sys/devices/pci0/0000:00:04.0/virtio1/features"] = "1\n"
        for (interrupt, cpus) in queues {
            files["sys/devices/pci0/0000:00:04.0/msi_irqs/\(interrupt)"] = "msi-x\n"
            files["proc/irq/\(interrupt)/effective_affinity_list"] = cpus + "\n"
        }
        let fixture = try FixtureHost(
            files, links: ["sys/class/net/eth0/device": "../../../devices/pci0/0000:00:04.0/virtio1"])
        return fixture.topology(allowedCPUs: Array(0..<8))
    }

    @Test func queuesAreFoundThroughAVirtioDevice() throws {
        let topology = try host(queues: [31: "6", 30: "2", 32: "3"])
        #expect(topology.interfaces == [HostTopology.Interface(name: "eth0", node: nil, queueCPUs: [2, 6, 3])])
        #expect(topology.description.contains("interface eth0: queues on CPUs 2-3,6"))
    }

    @Test func frontEndsGoToTheNodeOfTheQueues() throws {
        // Node 1 has CPUs 2, 3, 6, 7: two stay free for the two front ends, and cells take the others first.
        let placements = try host(queues: [30: "2", 31: "3"]).placements(forThreads: 4, besideFrontEnds: 2)
        #expect(placements.threads.map(\.cpus) == [[0], [1], [4], [2]])
        #expect(placements.threads.map(\.node) == [0, 0, 0, 1])
        #expect(placements.frontEnds == Array(repeating: ThreadPlacement(cpus: [3, 6, 7], node: 1), count: 2))
        #expect(placements.reason == "near eth0: queues on CPUs 2-3")
    }

    @Test func frontEndsAreDealtToQueuesOfBothNodes() throws {
        let placements = try host(queues: [30: "0", 31: "2"]).placements(forThreads: 2, besideFrontEnds: 3)
        #expect(placements.frontEnds.map { $0?.node } == [0, 1, 0])
        #expect(placements.threads.map(\.cpus) == [[2], [0]])
        #expect(placements.frontEnds.map { $0?.cpus } == [[1, 4, 5], [3, 6, 7], [1, 4, 5]])
    }

    @Test func theDevicesNodeServesWhereInterruptsAreUnknown() throws {
        let placements = try host(queues: [:], deviceNode: 1).placements(forThreads: 1, besideFrontEnds: 1)
        #expect(placements.frontEnds == [ThreadPlacement(cpus: [2, 3, 6, 7], node: 1)])
        #expect(placements.reason == "near eth0: node 1")
    }

    @Test func nothingIsBoundWhereNothingIsKnown() throws {
        let down = try host(queues: [30: "2"], state: "down").placements(forThreads: 2, besideFrontEnds: 2)
        #expect(down.frontEnds == [nil, nil])
        #expect(down.reason == "not bound: no interface that is up tells its node or its queues' processors")
        let elsewhere = try host(queues: [:]).placements(forThreads: 4)
        #expect(down.threads == Array(elsewhere.prefix(2)))
        let single = HostTopology(
            nodes: [.init(number: 0, cpus: [0, 1], memoryBytes: nil, mayHoldMemory: true, distances: [0: 10])],
            cores: [[0], [1]], interfaces: [.init(name: "eth0", node: 0, queueCPUs: [1])], notes: [])
        #expect(single.placements(forThreads: 1, besideFrontEnds: 1).reason == "not bound: there is one node")
    }

    /// For any split of queues and any counts: pinned threads have processors of their own, which no front end shares
    /// unless its node has no other.
    @Test func frontEndsAndThreadsShareNoProcessorWhileThereAreEnough() throws {
        for queues in [[30: "0"], [30: "7"], [30: "2", 31: "1"], [30: "4", 31: "5", 32: "3"]] {
            let topology = try host(queues: queues)
            for threads in 0...6 {
                for frontEnds in 1...4 {
                    let placed = topology.placements(forThreads: threads, besideFrontEnds: frontEnds)
                    let pinned = placed.threads.filter(\.isPinned).flatMap(\.cpus)
                    #expect(Set(pinned).count == pinned.count)
                    #expect(placed.threads.count == threads && placed.frontEnds.count == frontEnds)
                    for case let frontEnd? in placed.frontEnds {
                        #expect(Set(frontEnd.cpus).isDisjoint(with: pinned), "\(queues) \(threads) \(frontEnds)")
                        #expect(topology.node(frontEnd.node)?.cpus.contains(frontEnd.cpus[0]) == true)
                    }
                    if threads + frontEnds <= 4 { #expect(pinned.count == threads) }
                }
            }
        }
    }

    @Test func aThreadBindsItself() throws {
        let first = try #require(PinnedThread.currentAffinity?.first)
        let thread = try PinnedThread(name: "binds itself", placement: nil) {
            do throws(PinnedThread.StartError) {
                try PinnedThread.bindCallingThread(to: ThreadPlacement(cpus: [first], node: 0))
                #expect(PinnedThread.currentAffinity == [first])
            } catch {
                Issue.record("\(error)")
            }
            #expect(throws: PinnedThread.StartError.self) {
                try PinnedThread.bindCallingThread(to: ThreadPlacement(cpus: [4000], node: 0))
            }
        }
        thread.join()
    }
}
