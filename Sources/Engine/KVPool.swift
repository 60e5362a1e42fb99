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
    var host: HostTier
    private(set) var peakUsed: Int32 = 0

    init(blocks: Int32, hostBlocks: Int32 = 0) {
        total = blocks
        empty = blocks
        host = HostTier(blocks: hostBlocks)
    }

    /// Blocks that an allocation can take.
    var available: Int32 {
        @inline(__always) get { empty &+ cache.evictableBlocks }
    }

    @inline(__always) mutating func take(_ blocks: Int32) {
        if blocks <= empty {
            empty &-= blocks
        } else {
            evict(blocks &- empty)
            empty = 0
        }
    }

    private mutating func evict(_ blocks: Int32) {
        precondition(blocks <= cache.evictableBlocks, "more KV blocks are taken than are free")
        var left = blocks
        while left > 0 {
            let piece = cache.evictFromOldest(left)
            host.keep(piece)
            left &-= piece.blocks
        }
    }

    /// Empties the blocks of the oldest unreferenced prefix.
    mutating func expireOldest() {
        let piece = cache.evictFromOldest(Int32.max)
        host.keep(piece)
        empty += piece.blocks
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
