//===----------------------------------------------------------------------===//
// Which sequence holds which KV, and what is remembered of it.
//===----------------------------------------------------------------------===//

import Workload

extension ReplicaCore {
    /// What of a waiting sequence is in the prefix cache. Its segments are in `path`, first one first.
    struct PrefixHit {
        var blocks: Int32 = 0
        /// Blocks of the hit segments that count as available until they are referred to.
        var idleBlocks: Int32 = 0
        /// Blocks behind those, which host memory holds.
        var hostBlocks: Int32 = 0
    }

    @inline(__always) func blocks(forTokens tokens: Int32) -> Int32 { (tokens &+ blockTokens &- 1) / blockTokens }

    /// Blocks that a running sequence holds, when its next `extraTokens` have theirs already.
    @inline(__always) func heldBlocks(_ slot: SlotIndex, extraTokens: Int32) -> Int32 {
        growsBlocks ? blocks(forTokens: slots[slot].computedTokens &+ extraTokens) : slots[slot].reservedBlocks
    }

    @inline(__always) private func chain(of request: Request, rank: UInt8) -> PrefixChain {
        PrefixChain(request, blockTokens: blockTokens, caching: configuration.prefixCaching, rank: rank)
    }

    /// Blocks that a sequence lacks to hold `tokens` tokens; drafts may have left it some.
    @inline(__always) func lack(_ slot: SlotIndex, tokens: Int32) -> Int32 {
        max(0, blocks(forTokens: tokens) &- heldBlocks(slot, extraTokens: 0))
    }

    /// Takes blocks for a running sequence that are not counted through the batch.
    @inline(__always) mutating func grow(_ slot: SlotIndex, by blocks: Int32) {
        if blocks > pool.available { _ = dropSurplus() }
        pool.take(blocks)
        if speculates { slots[slot].reservedBlocks &+= blocks }
    }

    // MARK: Finding

    /// Rule 11: the longest cached prefix of what a sequence has to compute, at most all but one token.
    @inline(__always) mutating func lookUp(_ slot: SlotIndex) -> PrefixHit {
        caches ? walk(slot) : PrefixHit()
    }

    private mutating func walk(_ slot: SlotIndex) -> PrefixHit {
        expirePrefixes()
        path.removeAll()
        let sequence = slots.base + Int(slot)
        let chain = chain(of: sequence.pointee.request, rank: sequence.pointee.rank)
        let limit = (sequence.pointee.goalTokens &- 1) / blockTokens
        var hit = PrefixHit()
        while hit.blocks < limit {
            guard let piece = chain.piece(at: hit.blocks) else {
                if sequence.pointee.preemptions > 0 { addOwn(of: sequence.pointee.request, limit: limit, to: &hit) }
                break
            }
            guard let usable = usableBlocks(of: piece, at: hit.blocks, limit: limit) else { break }
            extend(&hit, by: usable.segment, blocks: usable.blocks)
            if hit.blocks < piece.endBlock { break }
        }
        if pool.host.capacity > 0 { addHost(chain, limit: limit, at: clock.nanoseconds, to: &hit) }
        return hit
    }

    /// What host memory holds right behind the hit.
    private func addHost(_ chain: PrefixChain, limit: Int32, at nanoseconds: Int64, to hit: inout PrefixHit) {
        let since = configuration.prefixLifetimeNanoseconds.map { nanoseconds - $0 } ?? Int64.min
        while hit.blocks + hit.hostBlocks < limit, let piece = chain.piece(at: hit.blocks + hit.hostBlocks) {
            let block = hit.blocks + hit.hostBlocks
            let held = pool.host.blocks(of: piece.key, from: block, usedAfter: since)
            let end = min(block + held, min(limit, min(piece.endBlock, piece.knownEndBlock)))
            guard end > block else { return }
            hit.hostBlocks += end - block
            if end < piece.endBlock { return }
        }
    }

    /// The segment of a piece and how many of its blocks serve a prompt that reaches it at `block`.
    @inline(__always)
    private func usableBlocks(
        of piece: PrefixChain.Piece, at block: Int32, limit: Int32
    ) -> (segment: Int32, blocks: Int32)? {
        let index = pool.cache.find(piece.key)
        guard index >= 0 else { return nil }
        let segment = pool.cache.segments + Int(index)
        let end = min(segment.pointee.blocks &+ piece.firstBlock, min(limit, piece.knownEndBlock))
        guard segment.pointee.firstBlock == piece.firstBlock, end > block else { return nil }
        // Without preemption the worst case counts what a sequence uses, so it must not hold more than that.
        if neverPreempts && segment.pointee.references > 0 && end < segment.pointee.firstBlock &+ segment.pointee.blocks
        {
            return nil
        }
        return (index, end &- block)
    }

    @inline(__always) private mutating func extend(_ hit: inout PrefixHit, by segment: Int32, blocks: Int32) {
        hit.blocks &+= blocks
        if pool.cache.segments[Int(segment)].references == 0 { hit.idleBlocks &+= blocks }
        path.append(segment)
    }

    /// Rule 17: what a preempted sequence had computed beyond what its prompt's identity names may still be there.
    private mutating func addOwn(of request: Request, limit: Int32, to hit: inout PrefixHit) {
        while hit.blocks < limit {
            let index = pool.cache.find(PrefixChain.ownKey(request, firstBlock: hit.blocks))
            guard index >= 0 else { return }
            extend(&hit, by: index, blocks: min(pool.cache.segments[Int(index)].blocks, limit - hit.blocks))
        }
    }

    func cachedPromptTokens(of request: Request) -> Int32 {
        guard caches else { return 0 }
        let chain = chain(of: request, rank: UInt8(max(0, rankStates.emptiest(below: Int32.max))))
        let limit = (request.promptTokens - 1) / blockTokens
        var hit = PrefixHit()
        while hit.blocks < limit, let piece = chain.piece(at: hit.blocks),
            let usable = usableBlocks(of: piece, at: hit.blocks, limit: limit),
            !isExpired(pool.cache.segments[Int(usable.segment)], at: advancedNanoseconds)
        {
            hit.blocks += usable.blocks
            if hit.blocks < piece.endBlock { break }
        }
        if pool.host.capacity > 0 { addHost(chain, limit: limit, at: advancedNanoseconds, to: &hit) }
        return (hit.blocks + hit.hostBlocks) * blockTokens
    }

    // MARK: Taking

    /// Rule 22: refers to the segments in `path`, so that nothing evicts them.
    mutating func takeHit(_ hit: PrefixHit, for slot: SlotIndex) {
        var chain: Int32 = -1
        var place: Int32 = 0
        while place < path.count {
            chain = pool.cache.reference(path[place], chain: chain)
            place += 1
        }
        slots[slot].prefixChain = chain
        slots[slot].sharedBlocks = hit.blocks
        guard chain >= 0 else { return }
        // What nobody else refers to and this prompt does not go on with is dropped: the tail of a conversation that
        // went on from before its cached end, or of a coarse piece whose last block is computed again (rule 11).
        let last = pool.cache.last(of: chain)
        let segment = pool.cache.segments[Int(last)]
        let stale = segment.firstBlock + segment.blocks - hit.blocks
        if stale > 0, segment.references == 1 {
            pool.cache.resize(last, by: -stale)
            pool.give(back: stale)
        }
    }

    /// The step waits for blocks that come from host memory.
    mutating func bringBack(_ blocks: Int32) {
        loadingPicoseconds += Int64(blocks) * configuration.hostTransferPicosecondsPerBlock
        usage.prefixHostHitTokens += Int64(blocks) * Int64(blockTokens)
    }

    /// Rule 21: the full blocks of a prompt are remembered when they are allocated.
    mutating func remember(_ slot: SlotIndex, computedTokens: Int32) {
        let sequence = slots.base + Int(slot)
        let full = computedTokens / blockTokens
        guard caches, sequence.pointee.sharedBlocks < full else { return }
        let chain = chain(of: sequence.pointee.request, rank: sequence.pointee.rank)
        extendChain(sequence, chain, to: full)
    }

    /// Puts a sequence's own blocks into the cache, piece by piece, up to `full` blocks from its start. Where another
    /// sequence went on with the same piece, the rest goes in without a key: it takes up memory, in its turn, and
    /// cannot be found.
    private mutating func extendChain(
        _ sequence: UnsafeMutablePointer<SequenceSlot>, _ chain: PrefixChain, to full: Int32
    ) {
        while sequence.pointee.sharedBlocks < full {
            let block = sequence.pointee.sharedBlocks
            guard let piece = chain.piece(at: block) else { return }
            let grow = min(full, piece.endBlock) &- block
            let last = pool.cache.last(of: sequence.pointee.prefixChain)
            if last >= 0, continues(pool.cache.segments[Int(last)], piece, at: block) {
                pool.cache.resize(last, by: grow)
            } else {
                sequence.pointee.prefixChain = pool.cache.insert(
                    key: block == piece.firstBlock ? piece.key : 0, firstBlock: block, blocks: grow,
                    chain: sequence.pointee.prefixChain)
            }
            sequence.pointee.sharedBlocks &+= grow
        }
    }

    /// Whether a sequence's last segment is the one that a further block of `piece` belongs to.
    @inline(__always)
    private func continues(_ segment: PrefixSegment, _ piece: PrefixChain.Piece, at block: Int32) -> Bool {
        segment.firstBlock &+ segment.blocks == block
            && (segment.key == piece.key || (segment.key == 0 && segment.firstBlock >= piece.firstBlock))
    }

    /// Tokens whose full blocks have been remembered: blocks are registered when they are allocated (rule 21), before
    /// anybody knows which drafts will be accepted.
    @inline(__always) func rememberedTokens(_ slot: SlotIndex, extraTokens: Int32) -> Int32 {
        slots[slot].computedTokens &+ (extraTokens > 0 ? extraTokens : -slots[slot].acceptedDrafts)
    }

    /// When blocks run short: gives back the parts of shared segments that no running sequence uses. A coarse segment
    /// is held whole by whoever holds part of it, and can outlast the one that used the rest.
    /// - Returns: whether there were any.
    mutating func dropSurplus() -> Bool {
        guard caches else { return false }
        var slot = running.first
        while slot >= 0 {
            pool.cache.clearNeeds(ofChain: slots[slot].prefixChain)
            slot = slots[slot].next
        }
        slot = running.first
        while slot >= 0 {
            pool.cache.noteNeeds(ofChain: slots[slot].prefixChain, endBlock: slots[slot].sharedBlocks)
            slot = slots[slot].next
        }
        var dropped: Int32 = 0
        slot = running.first
        while slot >= 0 {
            dropped += pool.cache.dropUnneeded(ofChain: slots[slot].prefixChain)
            slot = slots[slot].next
        }
        pool.give(back: dropped)
        return dropped > 0
    }

    // MARK: Giving back

    /// Rule 24: a sequence's blocks become free from the last one to the first; full ones stay remembered.
    /// - Parameter keepsOutput: whether the sequence can come back for what it produced.
    @inline(__always)
    mutating func freeKV(
        _ slot: SlotIndex, held: Int32, computedTokens: Int32, keepsOutput: Bool, at nanoseconds: Int64
    ) {
        if caches {
            freeRemembered(slot, held: held, computedTokens: computedTokens, keepsOutput: keepsOutput, at: nanoseconds)
        } else {
            pool.give(back: held)
        }
    }

    private mutating func freeRemembered(
        _ slot: SlotIndex, held: Int32, computedTokens: Int32, keepsOutput: Bool, at nanoseconds: Int64
    ) {
        let sequence = slots.base + Int(slot)
        let full = min(computedTokens / blockTokens, held)
        let chain = chain(of: sequence.pointee.request, rank: sequence.pointee.rank)
        if chain.outputExtendsChain { extendChain(sequence, chain, to: full) }
        let own = full - sequence.pointee.sharedBlocks
        if own > 0 { keepOwn(of: sequence, blocks: own, findable: keepsOutput) }
        pool.give(back: held - sequence.pointee.sharedBlocks)
        pool.cache.release(chain: sequence.pointee.prefixChain, at: nanoseconds)
        sequence.pointee.prefixChain = -1
        sequence.pointee.sharedBlocks = 0
    }

    /// Blocks that nothing names: output, and prompts without an identity. Only the sequence itself can come back for
    /// them, after a preemption.
    private mutating func keepOwn(of sequence: UnsafeMutablePointer<SequenceSlot>, blocks: Int32, findable: Bool) {
        let end = sequence.pointee.sharedBlocks + blocks
        let last = pool.cache.last(of: sequence.pointee.prefixChain)
        if last >= 0 {
            let segment = pool.cache.segments[Int(last)]
            if segment.key == PrefixChain.ownKey(sequence.pointee.request, firstBlock: segment.firstBlock) {
                pool.cache.resize(last, by: blocks)
                sequence.pointee.sharedBlocks = end
                return
            }
        }
        while sequence.pointee.sharedBlocks < end {
            let first = sequence.pointee.sharedBlocks
            let key = findable ? PrefixChain.ownKey(sequence.pointee.request, firstBlock: first) : 0
            // Where an older copy is still there, the new one ends with it, so that what follows can be found.
            let older = findable ? pool.cache.find(key) : -1
            let count = older < 0 ? end - first : min(end - first, pool.cache.segments[Int(older)].blocks)
            sequence.pointee.prefixChain = pool.cache.insert(
                key: key, firstBlock: first, blocks: count, chain: sequence.pointee.prefixChain)
            sequence.pointee.sharedBlocks += count
        }
    }

    // MARK: Time to live

    @inline(__always) private func isExpired(_ segment: PrefixSegment, at nanoseconds: Int64) -> Bool {
        guard let lifetime = configuration.prefixLifetimeNanoseconds else { return false }
        return segment.references == 0 && segment.releasedNanoseconds + lifetime <= nanoseconds
    }

    /// Ends the flight that has just begun where the oldest unreferenced prefix expires, if somebody waits who could be
    /// admitted: of two copies of a piece the older one goes, the other is in use, and less is missing then.
    mutating func cutAtExpiry(mayAdmit: Bool) {
        guard let lifetime = configuration.prefixLifetimeNanoseconds, mayAdmit, !waiting.isEmpty, pool.cache.oldest >= 0
        else { return }
        let expiry = pool.cache.segments[Int(pool.cache.oldest)].releasedNanoseconds + lifetime
        if expiry > clock.nanoseconds { cutFlight(after: expiry - 1) }
    }

    /// Forgets what nothing has referred to for longer than the time to live. Segments were released in the order of
    /// the queue, so the expired ones are at its old end.
    private mutating func expirePrefixes() {
        guard configuration.prefixLifetimeNanoseconds != nil else { return }
        while pool.cache.oldest >= 0, isExpired(pool.cache.segments[Int(pool.cache.oldest)], at: clock.nanoseconds) {
            pool.expireOldest()
        }
    }
}
