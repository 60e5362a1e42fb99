//===----------------------------------------------------------------------===//
// What a replica remembers of earlier prompts.
//===----------------------------------------------------------------------===//

/// One remembered piece of a prompt: consecutive KV blocks that live and die together.
struct PrefixSegment: BitwiseCopyable {
    /// 0 for blocks that nothing can ask for again (the output of a finished request): they only take up memory.
    var key: UInt64
    /// When the last reference went, for the time to live.
    var releasedNanoseconds: Int64
    var blocks: Int32
    /// First block of the piece in its prompt.
    var firstBlock: Int32
    var references: Int32
    /// Scratch of `Replica`'s search for surplus: blocks that a holder uses.
    var neededBlocks: Int32 = 0
    /// Neighbours in the list of unreferenced segments, oldest first.
    var previous: Int32
    var next: Int32
}

/// The prefix cache of one replica: segments by key, and the unreferenced ones in the order in which they are given up.
///
/// With one source hash per KV block this is vLLM's free queue block by block (rules 20 to 26): a hit takes a segment
/// out of the queue, the end of a request appends its chain in reverse, and memory is taken from the front. Coarser
/// hashes and sessions put several blocks into one segment, which is given up from its end.
///
/// A piece that was computed twice (the last block of a full hit, two equal prompts in flight) is there twice, and a
/// lookup finds the older one, as in vLLM. A coarse segment differs in one thing: a reference to part of it holds all.
struct PrefixCache: ~Copyable {
    private(set) var segments: UnsafeMutablePointer<PrefixSegment>
    private var capacity: Int32
    private var used: Int32 = 0
    private var free: Int32 = -1
    /// Open addressing by key: segment + 1, 0 for empty. Holds at most half its slots. A later segment of the same key
    /// stands behind an earlier one in the probe sequence, always.
    private var table: UnsafeMutablePointer<Int32>
    private var tableMask: Int
    private var keyed = 0
    private(set) var oldest: Int32 = -1
    private var newest: Int32 = -1
    /// References of running sequences: each sequence has a chain of them, last piece first.
    private var links: UnsafeMutablePointer<Link>
    private var linkCapacity: Int32
    private var linksUsed: Int32 = 0
    private var freeLink: Int32 = -1

    struct Link: BitwiseCopyable {
        var segment: Int32
        var previous: Int32
    }

    /// Blocks of unreferenced segments.
    private(set) var evictableBlocks: Int32 = 0
    /// Blocks of referenced segments.
    private(set) var pinnedBlocks: Int32 = 0

    init() {
        capacity = 4
        segments = .allocate(capacity: 4)
        tableMask = 7
        table = .allocate(capacity: 8)
        table.initialize(repeating: 0, count: 8)
        linkCapacity = 4
        links = .allocate(capacity: 4)
    }

    deinit {
        segments.deallocate()
        table.deallocate()
        links.deallocate()
    }

    /// Asks for what is read whichever prompt comes: the queue's two ends and the next free places (`Foresight`).
    func askForParts() {
        ask(oldest)
        ask(newest)
        ask(free)
        if freeLink >= 0 { Replica.ask(for: UnsafeRawPointer(links + Int(freeLink)), byteCount: 1) }
    }

    @inline(__always) private func ask(_ index: Int32) {
        guard index >= 0 else { return }
        Replica.ask(for: UnsafeRawPointer(segments + Int(index)), byteCount: MemoryLayout<PrefixSegment>.stride)
    }

    // MARK: Finding

    @inline(__always) func find(_ key: UInt64) -> Int32 {
        var place = Int(truncatingIfNeeded: key >> 20) & tableMask
        while true {
            let entry = table[place]
            if entry == 0 { return -1 }
            if segments[Int(entry &- 1)].key == key { return entry &- 1 }
            place = (place &+ 1) & tableMask
        }
    }

    // MARK: References

    /// Refers to a segment, in front of the chain `chain` (-1 for an empty one).
    /// - Returns: the longer chain.
    @inline(__always) mutating func reference(_ index: Int32, chain: Int32) -> Int32 {
        let segment = segments + Int(index)
        if segment.pointee.references == 0 {
            unlink(index)
            evictableBlocks &-= segment.pointee.blocks
            pinnedBlocks &+= segment.pointee.blocks
        }
        segment.pointee.references &+= 1
        return link(index, chain)
    }

    /// Gives all references of a chain back, from its last piece to its first (rule 24); a segment that loses its last
    /// one goes to the young end of the queue.
    @inline(__always) mutating func release(chain: Int32, at nanoseconds: Int64) {
        var place = chain
        while place >= 0 {
            let link = links[Int(place)]
            let segment = segments + Int(link.segment)
            precondition(
                segment.pointee.references > 0, "a prefix segment is released more often than it is referred to")
            segment.pointee.references &-= 1
            if segment.pointee.references == 0 {
                pinnedBlocks &-= segment.pointee.blocks
                evictableBlocks &+= segment.pointee.blocks
                segment.pointee.releasedNanoseconds = nanoseconds
                append(link.segment)
            }
            links[Int(place)].previous = freeLink
            freeLink = place
            place = link.previous
        }
    }

    /// Forgets what the segments of a chain were needed for.
    func clearNeeds(ofChain chain: Int32) {
        var place = chain
        while place >= 0 {
            segments[Int(links[Int(place)].segment)].neededBlocks = 0
            place = links[Int(place)].previous
        }
    }

    /// Notes what the holder of a chain uses, which reaches up to `endBlock` of its prompt.
    func noteNeeds(ofChain chain: Int32, endBlock: Int32) {
        var place = chain
        var end = endBlock
        while place >= 0 {
            let segment = segments + Int(links[Int(place)].segment)
            segment.pointee.neededBlocks = max(segment.pointee.neededBlocks, end - segment.pointee.firstBlock)
            end = segment.pointee.firstBlock
            place = links[Int(place)].previous
        }
    }

    /// Takes off the ends of a chain's segments what none of those that noted their needs uses.
    /// - Returns: the blocks taken off.
    mutating func dropUnneeded(ofChain chain: Int32) -> Int32 {
        var dropped: Int32 = 0
        var place = chain
        while place >= 0 {
            let index = links[Int(place)].segment
            let surplus = segments[Int(index)].blocks - segments[Int(index)].neededBlocks
            if surplus > 0 {
                resize(index, by: -surplus)
                dropped += surplus
            }
            place = links[Int(place)].previous
        }
        return dropped
    }

    /// The last segment of a chain, -1 for an empty one.
    @inline(__always) func last(of chain: Int32) -> Int32 { chain < 0 ? -1 : links[Int(chain)].segment }

    @inline(__always) private mutating func link(_ segment: Int32, _ previous: Int32) -> Int32 {
        let place: Int32
        if freeLink >= 0 {
            place = freeLink
            freeLink = links[Int(place)].previous
        } else {
            if linksUsed == linkCapacity { growLinks() }
            place = linksUsed
            linksUsed &+= 1
        }
        links[Int(place)] = Link(segment: segment, previous: previous)
        return place
    }

    private mutating func growLinks() {
        precondition(linkCapacity < Int32.max / 2, "a prefix cache holds too many references")
        let larger = UnsafeMutablePointer<Link>.allocate(capacity: Int(linkCapacity) * 2)
        larger.update(from: links, count: Int(linksUsed))
        links.deallocate()
        links = larger
        linkCapacity *= 2
    }

    /// Makes a segment with one reference, in front of the chain `chain`. Key 0 makes one that cannot be found.
    /// - Returns: the longer chain.
    mutating func insert(key: UInt64, firstBlock: Int32, blocks: Int32, chain: Int32) -> Int32 {
        let index: Int32
        if free >= 0 {
            index = free
            free = segments[Int(index)].next
        } else {
            if used == capacity { growSegments() }
            index = used
            used += 1
        }
        (segments + Int(index)).initialize(
            to: PrefixSegment(
                key: key, releasedNanoseconds: 0, blocks: blocks, firstBlock: firstBlock, references: 1, previous: -1,
                next: -1))
        pinnedBlocks += blocks
        if key != 0 {
            if 2 * (keyed + 1) > tableMask + 1 { growTable() }
            place(index)
            keyed += 1
        }
        return link(index, chain)
    }

    /// Adds blocks at the end of a referenced segment, or takes them off its end when negative.
    @inline(__always) mutating func resize(_ index: Int32, by blocks: Int32) {
        segments[Int(index)].blocks &+= blocks
        pinnedBlocks &+= blocks
    }

    // MARK: Giving up

    /// Part of a piece that is not in the cache any more.
    struct GivenUp {
        var key: UInt64
        var firstBlock: Int32
        var blocks: Int32
        var releasedNanoseconds: Int64
    }

    /// Gives up `count` unreferenced blocks, oldest first and from the end of each segment.
    /// - Precondition: that many are evictable.
    mutating func evict(_ count: Int32) {
        precondition(count <= evictableBlocks, "more cached blocks are given up than nothing refers to")
        var left = count
        while left > 0 { left -= evictFromOldest(left).blocks }
    }

    /// Gives up at most `limit` blocks from the end of the oldest unreferenced segment.
    /// - Returns: what was given up.
    /// - Precondition: something is evictable.
    mutating func evictFromOldest(_ limit: Int32) -> GivenUp {
        let index = oldest
        let segment = segments[Int(index)]
        let count = min(limit, segment.blocks)
        evictableBlocks -= count
        if count < segment.blocks {
            segments[Int(index)].blocks -= count
        } else {
            unlink(index)
            remove(index)
        }
        return GivenUp(
            key: segment.key, firstBlock: segment.firstBlock + segment.blocks - count, blocks: count,
            releasedNanoseconds: segment.releasedNanoseconds)
    }

    /// Gives up one unreferenced segment whole.
    mutating func drop(_ index: Int32) {
        precondition(segments[Int(index)].references == 0)
        evictableBlocks -= segments[Int(index)].blocks
        unlink(index)
        remove(index)
    }

    private mutating func remove(_ index: Int32) {
        let key = segments[Int(index)].key
        if key != 0 {
            unplace(key, index)
            keyed -= 1
        }
        segments[Int(index)].next = free
        free = index
    }

    // MARK: The queue

    @inline(__always) private mutating func append(_ index: Int32) {
        segments[Int(index)].previous = newest
        segments[Int(index)].next = -1
        if newest >= 0 { segments[Int(newest)].next = index } else { oldest = index }
        newest = index
    }

    @inline(__always) private mutating func unlink(_ index: Int32) {
        let previous = segments[Int(index)].previous
        let next = segments[Int(index)].next
        if previous >= 0 { segments[Int(previous)].next = next } else { oldest = next }
        if next >= 0 { segments[Int(next)].previous = previous } else { newest = previous }
    }

    // MARK: The table

    @inline(__always) private mutating func place(_ index: Int32) {
        var place = Int(truncatingIfNeeded: segments[Int(index)].key >> 20) & tableMask
        while table[place] != 0 { place = (place &+ 1) & tableMask }
        table[place] = index &+ 1
    }

    /// Deletes by moving later entries of the probe sequence back, so that no tombstones pile up.
    private mutating func unplace(_ key: UInt64, _ index: Int32) {
        var hole = Int(truncatingIfNeeded: key >> 20) & tableMask
        while table[hole] != index + 1 { hole = (hole + 1) & tableMask }
        var next = (hole + 1) & tableMask
        while table[next] != 0 {
            let home = Int(truncatingIfNeeded: segments[Int(table[next] - 1)].key >> 20) & tableMask
            if (next &- home) & tableMask >= (next &- hole) & tableMask {
                table[hole] = table[next]
                hole = next
            }
            next = (next + 1) & tableMask
        }
        table[hole] = 0
    }

    private mutating func growSegments() {
        precondition(capacity < Int32.max / 2, "a prefix cache holds too many segments")
        let larger = UnsafeMutablePointer<PrefixSegment>.allocate(capacity: Int(capacity) * 2)
        larger.moveInitialize(from: segments, count: Int(used))
        segments.deallocate()
        segments = larger
        capacity *= 2
    }

    private mutating func growTable() {
        let old = table
        let oldCount = tableMask + 1
        tableMask = oldCount * 2 - 1
        table = .allocate(capacity: oldCount * 2)
        table.initialize(repeating: 0, count: oldCount * 2)
        // From a gap on, so that a probe sequence that wraps around keeps its order.
        var start = 0
        while old[start] != 0 { start += 1 }
        for offset in 1...oldCount where old[(start + offset) & (oldCount - 1)] != 0 {
            place(old[(start + offset) & (oldCount - 1)] - 1)
        }
        old.deallocate()
    }
}
