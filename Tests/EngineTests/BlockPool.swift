//===----------------------------------------------------------------------===//
// The oracle's KV memory: every block an object, vLLM's free queue as an array.
//===----------------------------------------------------------------------===//

@testable import Engine

import Workload

/// Rules 20 to 25, block by block. Hashes that stand for as many tokens as a block holds are the only ones it knows.
final class BlockPool {
    final class Block {
        /// What a lookup can find it by; 0 for nothing.
        var key: UInt64 = 0
        /// Holds a full block's content, found or not.
        var isFull = false
        var references = 0
        var releasedNanoseconds: Int64 = 0
    }

    let configuration: ReplicaConfiguration
    var free: [Block]
    /// Blocks by content, the one cached first in front.
    var byKey: [UInt64: [Block]] = [:]

    init(_ configuration: ReplicaConfiguration) {
        self.configuration = configuration
        free = (0..<configuration.kvBlocks).map { _ in Block() }
    }

    private func key(_ sequence: SteppingReplica.Sequence, _ index: Int) -> UInt64 {
        let prefix = sequence.request.prefix
        if configuration.prefixCaching == .blocks, let hashes = prefix.blockHashes, index < Int(prefix.blockHashCount),
            index < Int(sequence.request.promptTokens / configuration.kvBlockTokens)
        {
            precondition(prefix.tokensPerHash == configuration.kvBlockTokens)
            return PrefixChain.mix(hashes[index], UInt64(sequence.request.adapter) << 32)
        }
        return PrefixChain.mix(sequence.request.id &* 1_000_003 &+ UInt64(index), 99)
    }

    /// The cached blocks at the start of what a sequence has to compute, at most all but one token.
    func hits(_ sequence: SteppingReplica.Sequence, at now: Int64) -> [Block] {
        guard configuration.prefixCaching != .off else { return [] }
        expire(at: now)
        var found: [Block] = []
        while found.count < Int((sequence.goalTokens - 1) / configuration.kvBlockTokens),
            let block = byKey[key(sequence, found.count)]?.first
        {
            found.append(block)
        }
        return found
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
            forget(block)
            block.references = 1
            sequence.blocks.append(block)
        }
    }

    private func forget(_ block: Block) {
        if block.key != 0 { byKey[block.key]!.removeAll { $0 === block } }
        block.key = 0
        block.isFull = false
    }

    func remember(_ sequence: SteppingReplica.Sequence, tokens: Int32) {
        guard configuration.prefixCaching != .off else { return }
        for index in 0..<Int(tokens / configuration.kvBlockTokens) where !sequence.blocks[index].isFull {
            let block = sequence.blocks[index]
            let key = key(sequence, index)
            block.isFull = true
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

    private func expire(at now: Int64) {
        guard let lifetime = configuration.prefixLifetimeNanoseconds else { return }
        let expired = free.filter { $0.isFull && $0.releasedNanoseconds + lifetime <= now }
        free.removeAll { block in expired.contains { $0 === block } }
        for block in expired {
            forget(block)
            free.insert(block, at: 0)
        }
    }
}
