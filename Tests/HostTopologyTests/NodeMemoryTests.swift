import Glibc
import Testing

@testable import HostTopology

@Suite struct NodeMemoryTests {
    @Test func memoryLiesOnTheNodeOrSaysWhyNot() throws {
        for node in HostTopology.current().nodes where node.mayHoldMemory {
            let memory = try NodeMemory(byteCount: 100_000, node: node.number)
            defer { memory.deallocate() }
            #expect(memory.byteCount % NodeMemory.pageBytes == 0 && memory.byteCount >= 100_000)
            #expect(UnsafeRawBufferPointer(start: memory.base, count: memory.byteCount).allSatisfy { $0 == 0 })
            switch memory.placement {
            case .onNode(let number):
                #expect(number == node.number)
                #expect(PageCensus.node(of: memory.base) == node.number)
                let pages = memory.byteCount / NodeMemory.pageBytes
                let census = PageCensus(of: UnsafeRawBufferPointer(start: memory.base, count: memory.byteCount))
                #expect(census == .counted([PageCensus.Count(node: node.number, pages: pages)]))
            case .anywhere(let reason):
                #expect(
                    reason.contains("not permitted") || reason.contains("no NUMA") || reason.contains("cannot be seen"))
            }
        }
    }

    /// The trap of `numa_alloc_onnode`: it would print a warning and claim success.
    @Test(arguments: [63, 1000, 5000, -1])
    func aNodeThatIsNotThereIsToldAndMemoryIsGivenAnyway(node: Int) throws {
        let memory = try NodeMemory(byteCount: 4096, node: node)
        defer { memory.deallocate() }
        guard case .anywhere(let reason) = memory.placement else {
            Issue.record("memory was said to be on node \(node)")
            return
        }
        #expect(reason.contains("node \(node)") || reason.contains("not permitted") || reason.contains("no NUMA"))
        memory.base.storeBytes(of: 1, as: UInt8.self)
    }

    @Test func memoryForNobodyInParticular() throws {
        let memory = try NodeMemory(byteCount: 1, node: nil)
        defer { memory.deallocate() }
        #expect(memory.placement == .anywhere(reason: "no node was asked for"))
    }

    @Test func whatCannotBeMappedIsAnError() {
        #expect {
            try NodeMemory(byteCount: 1 << 46, node: nil)
        } throws: { "\($0)".contains("cannot map") }
    }

    @Test func untouchedPagesAreCountedAsSuch() throws {
        let page = NodeMemory.pageBytes
        let mapped = try #require(mmap(nil, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
        defer { munmap(mapped, 3 * page) }
        (mapped + page).storeBytes(of: 1, as: UInt8.self)
        guard case .counted(let counts) = PageCensus(of: UnsafeRawBufferPointer(start: mapped, count: 3 * page)) else {
            return
        }
        #expect(counts.reduce(0) { $0 + $1.pages } == 3)
        #expect(counts.last == PageCensus.Count(node: nil, pages: 2))
        #expect(counts.count == 2)
        #expect(PageCensus(of: UnsafeRawBufferPointer(start: nil, count: 0)).description == "no pages")
    }
}
