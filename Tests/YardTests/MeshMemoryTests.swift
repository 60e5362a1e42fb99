//===----------------------------------------------------------------------===//
// Rings of a mesh in memory of a node.
//===----------------------------------------------------------------------===//

import Engine
import HostTopology
import Testing
import WaitFree
import Workload

@testable import Yard

@Suite struct MeshMemoryTests {
    private static func token(_ mark: UInt64) -> TokenEvent {
        TokenEvent(requestID: mark, atNanoseconds: 0, outputTokens: 1, newTokens: 1, frontEnd: 0)
    }

    /// Rings of all paths are apart from one another, in ordinary memory and on a node.
    @Test(arguments: [false, true])
    func pathsDoNotShareMemory(onNode: Bool) throws {
        let node = try #require(HostTopology.current().nodes.first { $0.mayHoldMemory }).number
        let mesh = try Mesh(
            frontEnds: 3, cells: 2, inboxCapacity: 4, outboxCapacity: 2, nodes: onNode ? [node, node] : nil)
        for frontEnd in 0..<3 {
            for cell in 0..<2 {
                let mark = UInt64(frontEnd * 10 + cell)
                while mesh.inbox(frontEnd: frontEnd, cell: cell).push(.cancel(requestID: mark)) {}
                let reply = CellReply.produced(Self.token(mark))
                while mesh.outbox(frontEnd: frontEnd, cell: cell).push(reply) {}
            }
        }
        for frontEnd in 0..<3 {
            for cell in 0..<2 {
                let mark = UInt64(frontEnd * 10 + cell)
                var messages = 0
                while let message = mesh.inbox(frontEnd: frontEnd, cell: cell).pop() {
                    guard case .cancel(mark) = message else {
                        Issue.record("path \(frontEnd), \(cell) held \(message)")
                        return
                    }
                    messages += 1
                }
                #expect(messages == 4)
                let replies = [
                    mesh.outbox(frontEnd: frontEnd, cell: cell).pop(),
                    mesh.outbox(frontEnd: frontEnd, cell: cell).pop(),
                ]
                #expect(replies == [.produced(Self.token(mark)), .produced(Self.token(mark))])
                #expect(mesh.outbox(frontEnd: frontEnd, cell: cell).pop() == nil)
            }
        }
    }

    @Test func saysWhereTheRingsLie() throws {
        let node = try #require(HostTopology.current().nodes.first { $0.mayHoldMemory }).number
        let mesh = try Mesh(frontEnds: 1, cells: 1, inboxCapacity: 64, outboxCapacity: 64, nodes: [node])
        let placement = mesh.memoryPlacement(ofCell: 0)
        #expect(placement.hasPrefix("on node \(node) (") || placement.hasPrefix("anywhere: "))
        #expect(placement.contains("pages on node"))
        let plain = try Mesh(frontEnds: 1, cells: 1, inboxCapacity: 64, outboxCapacity: 64)
        #expect(plain.memoryPlacement(ofCell: 0) == "where the allocator put it")
    }
}
