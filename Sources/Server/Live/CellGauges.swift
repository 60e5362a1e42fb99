//===----------------------------------------------------------------------===//
// What a cell shows of itself to scrapes.
//===----------------------------------------------------------------------===//

import Engine
import Synchronization
import Yard

/// Figures of one pool's share of one cell, as its thread last published them.
struct PoolGauges: Sendable, Equatable {
    var waitingRequests: Int64 = 0
    var runningRequests: Int64 = 0
    var usedKVBlocks: Int64 = 0
    var totalKVBlocks: Int64 = 0
    var replicas: Int64 = 0
    var acceptingReplicas: Int64 = 0
    var busyReplicas: Int64 = 0
    var usage = ReplicaUsage()

    static func + (left: PoolGauges, right: PoolGauges) -> PoolGauges {
        var sum = left
        sum.waitingRequests += right.waitingRequests
        sum.runningRequests += right.runningRequests
        sum.usedKVBlocks += right.usedKVBlocks
        sum.totalKVBlocks += right.totalKVBlocks
        sum.replicas += right.replicas
        sum.acceptingReplicas += right.acceptingReplicas
        sum.busyReplicas += right.busyReplicas
        sum.usage = left.usage + right.usage
        return sum
    }
}

/// One replica as the fleet view shows it.
struct ReplicaView: Sendable, Equatable {
    /// Fleet-wide number.
    var number: Int32
    var phase: ReplicaPhase
    var waitingRequests: Int32
    var runningRequests: Int32
    /// Share of KV blocks in use, 0...1.
    var kvUse: Double
}

/// A cell's state at one instant.
struct CellGauges: Sendable {
    /// Modelled time up to which it holds.
    var atNanoseconds: Int64 = 0
    var pools: [PoolGauges] = []
    var replicas: [ReplicaView] = []
    /// Requests that wait in front of the replicas.
    var roomRequests: Int64 = 0
    var counters = CellCounters()

    init() {}

    /// Reads a cell; on its thread.
    init(_ cell: Cell, at nowNanoseconds: Int64) {
        atNanoseconds = nowNanoseconds
        roomRequests = Int64(cell.load.waitingRequests)
        counters = cell.counters
        for (index, pool) in cell.configuration.pools.enumerated() {
            var gauges = PoolGauges()
            let range = cell.replicas(ofPool: index)
            for replica in range {
                let load = cell.load(ofReplica: replica)
                let used = load.totalKVBlocks - load.freeKVBlocks
                gauges.replicas += 1
                gauges.waitingRequests += Int64(load.waitingRequests)
                gauges.runningRequests += Int64(load.runningRequests)
                gauges.usedKVBlocks += Int64(used)
                gauges.totalKVBlocks += Int64(load.totalKVBlocks)
                if cell.acceptsRequests(replica: replica) { gauges.acceptingReplicas += 1 }
                if load.runningRequests > 0 { gauges.busyReplicas += 1 }
                gauges.usage = gauges.usage + cell.usage(ofReplica: replica)
                replicas.append(
                    ReplicaView(
                        number: pool.firstReplicaNumber + Int32(replica - range.lowerBound),
                        phase: cell.phase(ofReplica: replica),
                        waitingRequests: load.waitingRequests, runningRequests: load.runningRequests,
                        kvUse: load.totalKVBlocks > 0 ? Double(used) / Double(load.totalKVBlocks) : 0))
            }
            pools.append(gauges)
        }
    }
}
