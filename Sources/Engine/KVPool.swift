//===----------------------------------------------------------------------===//
// The KV blocks of one replica.
//===----------------------------------------------------------------------===//

/// Counts KV blocks: those that sequences hold alone, those that the prefix cache holds for several, and free ones.
///
/// Blocks have no identity of their own: a free one is as good as another, and what a cached one holds is the prefix
/// cache's business. Blocks that hold nothing are used first, then the oldest unreferenced prefix.
struct KVPool: ~Copyable {
    let total: Int32
    /// Free blocks that hold nothing.
    private(set) var empty: Int32
    var cache = PrefixCache()
    private(set) var peakUsed: Int32 = 0

    init(blocks: Int32) {
        total = blocks
        empty = blocks
    }

    /// Blocks that an allocation can take.
    var available: Int32 {
        @inline(__always) get { empty &+ cache.evictableBlocks }
    }

    @inline(__always) mutating func take(_ blocks: Int32) {
        if blocks <= empty {
            empty &-= blocks
        } else {
            cache.evict(blocks &- empty)
            empty = 0
        }
    }

    @inline(__always) mutating func give(back blocks: Int32) {
        empty &+= blocks
        assert(empty >= 0 && available <= total, "more blocks are free than there are")
    }

    @inline(__always) mutating func notePeak() {
        let used = total &- available
        if used > peakUsed { peakUsed = used }
    }
}
