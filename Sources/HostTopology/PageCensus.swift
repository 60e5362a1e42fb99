import CNuma
import Glibc

/// On which nodes the pages of a piece of memory lie.
public enum PageCensus: Sendable, Equatable {
    /// Pages on one node; `node` is nil for pages that nobody has touched yet.
    public struct Count: Sendable, Equatable {
        /// The kernel's number of the node.
        public var node: Int?
        /// How many pages.
        public var pages: Int
    }

    /// What the kernel said, by rising node number, untouched pages last.
    case counted([Count])
    /// The kernel did not answer, for the reason given.
    case refused(String)

    /// Asks the kernel about every page that the bytes lie on (move_pages(2) with nowhere to move to).
    public init(of bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else {
            self = .counted([])
            return
        }
        let pageBytes = UInt(NodeMemory.pageBytes)
        let first = UInt(bitPattern: start) / pageBytes
        let last = (UInt(bitPattern: start) + UInt(bytes.count) - 1) / pageBytes
        var byNode: [Int: Int] = [:]
        var untouched = 0
        var page = first
        while page <= last {
            let batch = min(1024, Int(last - page) + 1)
            var addresses = (0..<batch).map { UnsafeMutableRawPointer(bitPattern: (page + UInt($0)) * pageBytes) }
            var status = [Int32](repeating: 0, count: batch)
            if move_pages(0, UInt(batch), &addresses, nil, &status, 0) < 0 {
                self = .refused(String(cString: strerror(errno)))
                return
            }
            for node in status {
                if node >= 0 { byNode[Int(node), default: 0] += 1 } else { untouched += 1 }
            }
            page += UInt(batch)
        }
        var counts = byNode.keys.sorted().map { Count(node: $0, pages: byNode[$0]!) }
        if untouched > 0 { counts.append(Count(node: nil, pages: untouched)) }
        self = .counted(counts)
    }

    /// The node of the page at an address, by get_mempolicy(2); nil when the kernel does not tell. Touches the page.
    public static func node(of address: UnsafeRawPointer) -> Int? {
        var node: Int32 = -1
        let flags = UInt32(MPOL_F_NODE) | UInt32(MPOL_F_ADDR)
        let code = get_mempolicy(&node, nil, 0, UnsafeMutableRawPointer(mutating: address), flags)
        return code == 0 && node >= 0 ? Int(node) : nil
    }
}

extension PageCensus: CustomStringConvertible {
    /// For people: `16 pages on node 0, 2 untouched`.
    public var description: String {
        switch self {
        case .refused(let reason): "unknown (\(reason))"
        case .counted(let counts):
            counts.isEmpty
                ? "no pages"
                : counts.map { count in
                    count.node.map { "\(count.pages) pages on node \($0)" } ?? "\(count.pages) untouched"
                }.joined(separator: ", ")
        }
    }
}
