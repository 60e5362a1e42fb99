//===----------------------------------------------------------------------===//
// Where the rings of a mesh lie.
//===----------------------------------------------------------------------===//

import HostTopology
import WaitFree

/// The memory of a mesh's rings: one block for each cell, on the cell's NUMA node when one was named.
///
/// A cell reads its inboxes and writes its outboxes all the time; a front end touches one of many at a time. So both
/// lie where the cell's thread runs.
struct MeshMemory: Sendable {
    private let blocks: [NodeMemory]
    private nonisolated(unsafe) let heap: [UnsafeMutableRawPointer]

    /// Memory of `byteCount` bytes for each cell.
    /// - Parameter nodes: a node for each cell; nil takes ordinary memory.
    /// - Throws: `NodeMemory.AllocationError`
    init(cells: Int, byteCount: Int, nodes: [Int]?) throws {
        guard let nodes else {
            blocks = []
            heap = (0..<cells).map { _ in CacheLine.allocate(byteCount: byteCount) }
            return
        }
        precondition(nodes.count == cells, "\(nodes.count) nodes for \(cells) cells")
        var taken: [NodeMemory] = []
        do {
            for node in nodes { taken.append(try NodeMemory(byteCount: byteCount, node: node)) }
        } catch {
            for block in taken { block.deallocate() }
            throw error
        }
        blocks = taken
        heap = []
    }

    func deallocate() {
        for block in blocks { block.deallocate() }
        for block in heap { block.deallocate() }
    }

    /// Start of a cell's memory, at a cache line.
    func base(ofCell cell: Int) -> UnsafeMutableRawPointer { blocks.isEmpty ? heap[cell] : blocks[cell].base }

    /// Where a cell's memory lies, for people.
    func placement(ofCell cell: Int) -> String {
        if blocks.isEmpty { return "where the allocator put it" }
        let block = blocks[cell]
        let pages = PageCensus(of: UnsafeRawBufferPointer(start: block.base, count: block.byteCount))
        return "\(block.placement) (\(pages))"
    }
}
