//===----------------------------------------------------------------------===//
// Host memory behind the KV cache.
//===----------------------------------------------------------------------===//

/// What the prefix cache gave up and the host still holds, least recently given up first.
///
/// An entry is the part of a piece that went to the host: a piece is given up from its end, so its entry grows towards
/// the piece's start, and a prompt that reaches the entry from the front can go on with it.
struct HostTier: ~Copyable {
    let capacity: Int32
    private var cache = PrefixCache()

    init(blocks: Int32) { capacity = blocks }

    var usedBlocks: Int32 { cache.evictableBlocks }

    /// Keeps what the device gave up, whatever the reason; what has expired there expires here too.
    mutating func keep(_ piece: PrefixCache.GivenUp) {
        guard capacity > 0, PrefixChain.isNamed(piece.key) else { return }
        var end = piece.firstBlock + piece.blocks
        let index = cache.find(piece.key)
        if index >= 0 {
            let old = cache.segments[Int(index)]
            // What adjoins stays with it; anything else is older content of the same name.
            if end >= old.firstBlock && piece.firstBlock <= old.firstBlock {
                end = max(end, old.firstBlock + old.blocks)
            }
            cache.drop(index)
        }
        let kept = end - piece.firstBlock
        guard kept <= capacity else { return }
        if cache.evictableBlocks + kept > capacity { cache.evict(cache.evictableBlocks + kept - capacity) }
        let entry = cache.insert(key: piece.key, firstBlock: piece.firstBlock, blocks: kept, chain: -1)
        cache.release(chain: entry, at: piece.releasedNanoseconds)
    }

    /// How many blocks the host holds of the piece `key` from `block` of the prompt on.
    /// - Parameter since: pieces last used at or before this have expired.
    func blocks(of key: UInt64, from block: Int32, usedAfter since: Int64) -> Int32 {
        guard capacity > 0 else { return 0 }
        let index = cache.find(key)
        guard index >= 0 else { return 0 }
        let segment = cache.segments[Int(index)]
        guard segment.firstBlock <= block && segment.releasedNanoseconds > since else { return 0 }
        return max(0, segment.firstBlock + segment.blocks - block)
    }
}
