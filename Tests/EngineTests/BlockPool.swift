//===----------------------------------------------------------------------===//
// The oracle's KV memory: every block an object, vLLM's free queue as an array.
//===----------------------------------------------------------------------===//

import Workload

@testable import Engine

/// Rules 20 to 25, block by block. Hashes that stand for as many tokens as a block holds are the only ones it knows.
final class BlockPool {
    final class Block {
        /// What a lookup can find it by; 0 for nothing.
        var key: UInt64 = 0
        /// Holds a full block's content, found or not.
        var isFull = false
        var isNamed = false
        var references = 0
        var releasedNanoseconds: Int64 = 0
    }

    let configuration: ReplicaConfiguration
    var free: [Block]
    /// Blocks by content, the one cached first in front.
    var byKey: [UInt64: [Block]] = [:]
    /// Blocks in host memory, the one kept first in front.
    var host: [(key: UInt64, releasedNanoseconds: Int64)] = []

    init(_ configuration: ReplicaConfiguration) {
        self.configuration = configuration
        var blocks = configuration.kvBlocks
        if case .phased(let rules) = configuration.stack { blocks *= rules.dataParallelRanks }
        free = (0..<blocks).map { _ in Block() }
    }

    private func key(_ sequence: SteppingReplica.Sequence, _ index: Int) -> (key: UInt64, isNamed: Bool) {
        let prefix = sequence.request.prefix
        if configuration.prefixCaching == .blocks, let hashes = prefix.blockHashes, index < Int(prefix.blockHashCount),
            index < Int(sequence.request.promptTokens / configuration.kvBlockTokens)
        {
            precondition(prefix.tokensPerHash == configuration.kvBlockTokens)
            let salt = UInt64(sequence.request.adapter) << 32 | UInt64(sequence.rank) << 48
            return (PrefixChain.mix(hashes[index], salt), true)
        }
        return (PrefixChain.mix(sequence.request.id &* 1_000_003 &+ UInt64(index), 99), false)
    }

    /// The cached blocks at the start of what a sequence has to compute, at most all but one token.
    func hits(_ sequence: SteppingReplica.Sequence, at now: Int64, probing: Bool = false) -> [Block] {
        guard configuration.prefixCaching != .off else { return [] }
        if !probing { expire(at: now) }
        var found: [Block] = []
        while found.count < Int((sequence.goalTokens - 1) / configuration.kvBlockTokens),
            let block = byKey[key(sequence, found.count).key]?.first, !isExpired(block, at: now)
        {
            found.append(block)
        }
        return found
    }

    /// How many blocks behind the first `found` ones the host holds.
    func hostHits(_ sequence: SteppingReplica.Sequence, found: Int, at now: Int64) -> Int32 {
        let since = configuration.prefixLifetimeNanoseconds.map { now - $0 } ?? Int64.min
        var count = 0
        while found + count < Int((sequence.goalTokens - 1) / configuration.kvBlockTokens) {
            let (key, isNamed) = key(sequence, found + count)
            guard isNamed && host.contains(where: { $0.key == key && $0.releasedNanoseconds > since }) else { break }
            count += 1
        }
        return Int32(count)
    }

    private func keepInHost(_ block: Block) {
        guard configuration.hostKVBlocks > 0 && block.isNamed else { return }
        host.removeAll { $0.key == block.key }
        host.append((block.key, block.releasedNanoseconds))
        var capacity = Int(configuration.hostKVBlocks)
        if case .phased(let rules) = configuration.stack { capacity *= Int(rules.dataParallelRanks) }
        if host.count > capacity { host.removeFirst() }
    }

    func touch(_ hits: [Block], for sequence: SteppingReplica.Sequence) {
        for block in hits {
            if block.references == 0 { free.removeAll { $0 === block } }
            block.references += 1
            sequence.blocks.append(block)
        }
    }

    func take(_ count: Int32, for sequence: SteppingReplica.Sequence) {
        precondition(count <= free.count, "more blocks taken than are free")
        for _ in 0..<max(0, count) {
            let block = free.removeFirst()
            keepInHost(block)
            forget(block)
            block.references = 1
            sequence.blocks.append(block)
        }
    }

    private func forget(_ block: Block) {
        if block.key != 0 { byKey[block.key]!.removeAll { $0 === block } }
        block.key = 0
        block.isFull = false
        block.isNamed = false
    }

    func remember(_ sequence: SteppingReplica.Sequence, tokens: Int32) {
        guard configuration.prefixCaching != .off else { return }
        for index in 0..<Int(tokens / configuration.kvBlockTokens) where !sequence.blocks[index].isFull {
            let block = sequence.blocks[index]
            let (key, isNamed) = key(sequence, index)
            block.isFull = true
            block.isNamed = isNamed
            block.key = key
            byKey[key, default: []].append(block)
        }
    }

    func release(_ sequence: SteppingReplica.Sequence, at now: Int64) {
        for block in sequence.blocks.reversed() {
            block.references -= 1
            precondition(block.references >= 0)
            guard block.references == 0 else { continue }
            block.releasedNanoseconds = now
            if block.isFull { free.append(block) } else { free.insert(block, at: 0) }
        }
        sequence.blocks = []
    }

    private func isExpired(_ block: Block, at now: Int64) -> Bool {
        guard let lifetime = configuration.prefixLifetimeNanoseconds else { return false }
        return block.isFull && block.references == 0 && block.releasedNanoseconds + lifetime <= now
    }

    private func expire(at now: Int64) {
        let expired = free.filter { isExpired($0, at: now) }
        guard !expired.isEmpty else { return }
        free.removeAll { block in expired.contains { $0 === block } }
        for block in expired {
            keepInHost(block)
            forget(block)
            free.insert(block, at: 0)
        }
    }
}
