//===----------------------------------------------------------------------===//
// The operator's view of nodes and replicas, and orders to them.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Fleet
import NIOCore
import StepModel
import Yard

/// Shows the fleet's nodes and replicas, and drains, fails and restores nodes.
///
/// A node is an instance. Its id is its pool's name and its number in the pool, such as `llama70b-0`.
struct FleetControl: Sendable {
    let yards: [LiveYard]
    /// The loop whose ring carries orders, and its scheduler.
    let scheduler: NIOLoopBound<LiveScheduler>
    let loop: any EventLoop

    struct Node: Equatable, Sendable {
        var id: String
        var pool: Int
        /// Fleet-wide numbers of the replicas that stop when the node stops.
        var replicas: Range<Int32>
    }

    static func nodes(of yard: LiveYard) -> [Node] {
        yard.plan.pools.enumerated().flatMap { index, pool in
            (0..<pool.instances).map { instance in
                let perInstance = pool.compiled.replicasPerInstance
                let first: Int32
                let count: Int32
                if perInstance > 0 {
                    first = pool.firstReplica + Int32(instance * perInstance)
                    count = Int32(perInstance)
                } else {
                    // A replica that spans instances stops with any of them; instances left over carry none.
                    let replica = instance / pool.compiled.instancesPerReplica
                    first = pool.firstReplica + Int32(replica)
                    count = replica < pool.replicas ? 1 : 0
                }
                return Node(id: "\(pool.name)-\(instance)", pool: index, replicas: first..<(first + count))
            }
        }
    }

    // MARK: Orders

    /// Carries out `drain`, `fail` or `restore` on a node of the fleet. Returns how many replicas it reached.
    func order(_ name: String, node id: String) async -> Result<Int, APIError> {
        let orders: [String: ReplicaOrder] = ["drain": .drain, "fail": .fail(.fail), "restore": .restore]
        guard let order = orders[name] else {
            return .failure(
                APIError(
                    status: 404, message: "`\(name)` is no order; known are drain, fail and restore.", code: "not_found"
                ))
        }
        guard let node = Self.nodes(of: yards[0]).first(where: { $0.id == id }) else {
            return .failure(
                APIError(
                    status: 404, message: "The fleet has no node `\(id)`; GET /v1/fleet lists them.", code: "not_found")
            )
        }
        for replica in node.replicas {
            guard let place = yards[0].location(ofReplica: replica) else { continue }
            var isSent = false
            for _ in 0..<100 where !isSent {
                isSent =
                    (try? await loop.submit { scheduler.value.order(order, replica: place.index, cell: place.cell) }
                        .get()) ?? false
                if !isSent { try? await Task.sleep(for: .milliseconds(1)) }
            }
            guard isSent else {
                return .failure(
                    APIError(
                        status: 503, message: "The cell of replica \(replica) takes no orders.", type: "server_error"))
            }
        }
        return .success(node.replicas.count)
    }

    // MARK: The view

    /// `/v1/fleet`: both sides, their pools, nodes and replicas.
    func document() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeStaticString("{")
        for (index, yard) in yards.enumerated() {
            if index > 0 { buffer.writeStaticString(",") }
            buffer.writeStaticString(yard.side == .fleet ? "\"fleet\":" : "\"baseline\":")
            write(yard, to: &buffer)
        }
        buffer.writeStaticString("}\n")
        return buffer
    }

    private func write(_ yard: LiveYard, to buffer: inout ByteBuffer) {
        var replicas: [Int32: ReplicaView] = [:]
        for cell in yard.cells { for replica in cell.lastGauges.replicas { replicas[replica.number] = replica } }
        buffer.writeStaticString("{\"name\":")
        buffer.writeJSONString(yard.plan.name)
        buffer.writeStaticString(",\"modelledSeconds\":")
        buffer.writeString("\(Double(yard.clock.nowNanoseconds) * 1e-9)")
        buffer.writeStaticString(",\"nodes\":[")
        for (index, node) in Self.nodes(of: yard).enumerated() {
            if index > 0 { buffer.writeStaticString(",") }
            let pool = yard.plan.pools[node.pool]
            buffer.writeStaticString("{\"id\":")
            buffer.writeJSONString(node.id)
            buffer.writeStaticString(",\"pool\":")
            buffer.writeJSONString(pool.name)
            buffer.writeStaticString(",\"instance\":")
            buffer.writeJSONString(pool.instance.id)
            buffer.writeStaticString(",\"state\":")
            buffer.writeJSONString(Self.state(node.replicas.compactMap { replicas[$0]?.phase }))
            buffer.writeStaticString(",\"replicas\":[")
            for (offset, number) in node.replicas.enumerated() {
                if offset > 0 { buffer.writeStaticString(",") }
                Self.write(replicas[number], number: number, slots: pool.configuration.maxSequences, to: &buffer)
            }
            buffer.writeStaticString("]}")
        }
        buffer.writeStaticString("]}")
    }

    private static func write(_ view: ReplicaView?, number: Int32, slots: Int32, to buffer: inout ByteBuffer) {
        buffer.writeString(
            "{\"replica\":\(number),\"state\":\"\(name(view?.phase))\",\"running\":\(view?.runningRequests ?? 0),")
        buffer.writeString(
            "\"waiting\":\(view?.waitingRequests ?? 0),\"slots\":\(slots),\"kvUse\":\(view?.kvUse ?? 0)}")
    }

    private static func name(_ phase: ReplicaPhase?) -> String {
        switch phase {
        case .ready: "ready"
        case .draining: "draining"
        case .drained: "drained"
        case .failed: "failed"
        case nil: "starting"
        }
    }

    /// A node is as well as its worst replica.
    static func state(_ phases: [ReplicaPhase]) -> String {
        if phases.isEmpty { return "spare" }
        if phases.contains(.failed) { return "failed" }
        if phases.contains(.draining) { return "draining" }
        if phases.contains(.drained) { return "drained" }
        return "ready"
    }
}
