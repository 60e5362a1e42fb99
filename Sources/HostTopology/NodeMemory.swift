import CNuma
import Glibc

/// A block of zeroed memory that lies on one node, as far as the kernel could do it.
///
/// libnuma's `numa_alloc_onnode` prints a warning and hands out memory of another node when it cannot do what was
/// asked. So this takes pages with `mmap`, asks for the node with `mbind` (preferring it rather than insisting, because
/// insisting ends in the out-of-memory killer when the node is full), touches every page, and then asks the kernel
/// where the pages are.
///
/// The block is a handle with an owner: `deallocate()` ends it.
public struct NodeMemory: @unchecked Sendable {
    /// Where the pages ended up.
    public enum Placement: Sendable, Equatable, CustomStringConvertible {
        /// All pages were seen on the node asked for.
        case onNode(Int)
        /// The pages are where the kernel put them; the reason says why nothing better was possible.
        case anywhere(reason: String)

        /// A sentence for people.
        public var description: String {
            switch self {
            case .onNode(let node): "on node \(node)"
            case .anywhere(let reason): "anywhere: \(reason)"
            }
        }
    }

    /// Why there is no memory.
    public struct AllocationError: Error, CustomStringConvertible {
        /// Bytes asked for.
        public let byteCount: Int
        /// errno of mmap.
        public let code: Int32
        /// A sentence for people.
        public var description: String {
            "cannot map \(byteCount) bytes: \(String(cString: strerror(code))) (errno \(code))"
        }
    }

    /// Start of the block, at a page boundary.
    public let base: UnsafeMutableRawPointer
    /// Whole pages, at least what was asked for.
    public let byteCount: Int
    /// Where the pages are.
    public let placement: Placement

    /// Maps memory and touches it.
    ///
    /// - Parameters:
    ///   - byteCount: at least this much
    ///   - node: the node to prefer; nil leaves the pages to the kernel, which prefers the node of the calling thread
    public init(byteCount: Int, node: Int?) throws(AllocationError) {
        precondition(byteCount > 0 && byteCount <= 1 << 46, "memory of \(byteCount) bytes asked for")
        let pageBytes = Self.pageBytes
        let wanted = (byteCount + pageBytes - 1) / pageBytes * pageBytes
        let mapped = mmap(nil, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped, mapped != MAP_FAILED else { throw AllocationError(byteCount: wanted, code: errno) }
        let refusal = node.flatMap { Self.prefer(node: $0, mapped, wanted) }
        for offset in stride(from: 0, to: wanted, by: pageBytes) {
            (mapped + offset).storeBytes(of: 0, as: UInt8.self)
        }
        base = mapped
        self.byteCount = wanted
        placement = Self.verify(node: node, refusal: refusal, mapped, wanted)
    }

    /// Gives the memory back.
    public func deallocate() {
        munmap(base, byteCount)
    }

    /// Bytes of a page.
    public static var pageBytes: Int { sysconf(Int32(_SC_PAGESIZE)) }

    /// Asks for a node; nil when the kernel accepted, otherwise what it said.
    private static func prefer(node: Int, _ memory: UnsafeMutableRawPointer, _ byteCount: Int) -> String? {
        guard node >= 0 && node < 4096 else { return "there is no node \(node)" }
        let bitsPerWord = UInt.bitWidth
        var mask = [UInt](repeating: 0, count: node / bitsPerWord + 1)
        mask[node / bitsPerWord] = 1 << UInt(node % bitsPerWord)
        // The kernel reads one bit less than `maxnode` says.
        let mostNodes = UInt(mask.count * bitsPerWord + 1)
        if mbind(memory, UInt(byteCount), Int32(MPOL_PREFERRED), &mask, mostNodes, 0) == 0 { return nil }
        let code = errno
        switch code {
        case EPERM: return "mbind is not permitted here (containers often filter it)"
        case ENOSYS: return "this kernel has no NUMA"
        case EINVAL: return "there is no node \(node) with memory for this process"
        default: return "mbind failed: \(String(cString: strerror(code)))"
        }
    }

    private static func verify(
        node: Int?, refusal: String?, _ memory: UnsafeMutableRawPointer, _ byteCount: Int
    ) -> Placement {
        guard let node else { return .anywhere(reason: "no node was asked for") }
        if let refusal { return .anywhere(reason: refusal) }
        switch PageCensus(of: UnsafeRawBufferPointer(start: memory, count: byteCount)) {
        case .refused(let reason): return .anywhere(reason: "where the pages are cannot be seen (\(reason))")
        case .counted(let pages):
            let elsewhere = pages.filter { $0.node != node }.reduce(0) { $0 + $1.pages }
            if elsewhere == 0 { return .onNode(node) }
            return .anywhere(reason: "\(elsewhere) of \(byteCount / pageBytes) pages are not on node \(node)")
        }
    }
}
