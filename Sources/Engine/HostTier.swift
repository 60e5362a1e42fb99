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

    /// Keeps `blocks` blocks of a piece, from `firstBlock` of the prompt on.
    mutating func keep(key: UInt64, firstBlock: Int32, blocks: Int32) {
        guard capacity > 0, PrefixChain.isNamed(key) else { return }
        var kept = blocks
        let index = cache.find(key)
        if index >= 0 {
            let old = cache.segments[Int(index)]
            // What is there already and adjoins stays with it; anything else is older content of the same name.
            if firstBlock + blocks >= old.firstBlock {
                kept = max(firstBlock + blocks, old.firstBlock + old.blocks) - min(firstBlock, old.firstBlock)
            }
            cache.drop(index)
        }
        guard kept <= capacity else { return }
        if cache.evictableBlocks + kept > capacity { cache.evict(cache.evictableBlocks + kept - capacity) }
        cache.release(chain: cache.insert(key: key, firstBlock: firstBlock, blocks: kept, chain: -1), at: 0)
    }

    /// How many blocks the host holds of the piece `key` from `block` of the prompt on.
    func blocks(of key: UInt64, from block: Int32) -> Int32 {
        guard capacity > 0 else { return 0 }
        let index = cache.find(key)
        guard index >= 0 else { return 0 }
        let segment = cache.segments[Int(index)]
        guard segment.firstBlock <= block else { return 0 }
        return max(0, segment.firstBlock + segment.blocks - block)
    }
}
