//===----------------------------------------------------------------------===//
// A prompt as a chain of pieces that the prefix cache can recognise.
//===----------------------------------------------------------------------===//

import Workload

/// Cuts a request's KV blocks into the pieces that its prefix identity names.
///
/// *Hashes*: a piece is the run of KV blocks whose last token lies in one source block, so equal hashes mean equal
/// pieces whatever the two block sizes are. *Sessions*: the first piece is the shared head, the second the
/// conversation.
struct PrefixChain {
    struct Piece {
        var key: UInt64
        /// First KV block of the piece and the one after its last; `Int32.max` while the piece can still grow.
        var firstBlock: Int32
        var endBlock: Int32
        /// Blocks from the prompt's start that earlier work can have left behind.
        var knownEndBlock: Int32
    }

    private let hashes: UnsafePointer<UInt64>?
    private let hashCount: Int32
    /// Full blocks of the prompt: what a hash says of the last, partly filled one is not in any block.
    private let promptBlocks: Int32
    private let tokensPerHash: Int32
    private let blockTokens: Int32
    private let headKey: UInt64
    private let headBlocks: Int32
    private let sessionKey: UInt64
    private let sessionBlocks: Int32

    /// Inlined, so that a request is read where it lies: a few of its words instead of a copy of all.
    @inline(__always)
    init(_ request: Request, blockTokens: Int32, caching: ReplicaConfiguration.PrefixCaching, rank: UInt8 = 0) {
        let prefix = request.prefix
        self.blockTokens = blockTokens
        promptBlocks = request.promptTokens / blockTokens
        let named = prefix.session != 0 || prefix.sharedHead != 0
        let byHashes: Bool
        switch caching {
        case .off: byHashes = false
        case .blocks: byHashes = prefix.blockHashes != nil && prefix.blockHashCount > 0
        case .sessions: byHashes = !named && prefix.blockHashes != nil && prefix.blockHashCount > 0
        }
        // An adapter changes what the blocks hold, so it is part of every key (rule 21); a rank has blocks of its own.
        let adapter = UInt64(request.adapter) << 32 | UInt64(rank) << 48
        if byHashes {
            precondition(prefix.tokensPerHash > 0, "block hashes without the tokens that one stands for")
            hashes = prefix.blockHashes
            hashCount = prefix.blockHashCount
            tokensPerHash = prefix.tokensPerHash
            headKey = adapter
            headBlocks = 0
            sessionKey = 0
            sessionBlocks = 0
        } else {
            hashes = nil
            hashCount = 0
            tokensPerHash = 1
            let caches = caching != .off
            headKey = Self.mix(UInt64(prefix.sharedHead) ^ adapter, 0x5348_4152_4544)
            headBlocks =
                caches && prefix.sharedHead != 0 ? min(prefix.sharedHeadTokens, request.promptTokens) / blockTokens : 0
            sessionKey = caches && prefix.session != 0 ? Self.mix(prefix.session ^ adapter, 0x5345_5353) : 0
            sessionBlocks = prefix.sessionTokens / blockTokens
        }
    }

    /// The piece that holds a block; nil when nothing names it.
    @inline(__always) func piece(at block: Int32) -> Piece? {
        if let hashes {
            let index = ((block &+ 1) &* blockTokens &- 1) / tokensPerHash
            guard index < hashCount && block < promptBlocks else { return nil }
            let first = index &* tokensPerHash / blockTokens
            let end = Int32(clamping: Int64(index &+ 1) &* Int64(tokensPerHash) / Int64(blockTokens))
            return Piece(
                key: Self.mix(hashes[Int(index)], headKey), firstBlock: first, endBlock: min(end, promptBlocks),
                knownEndBlock: Int32.max)
        }
        if block < headBlocks {
            return Piece(key: headKey, firstBlock: 0, endBlock: headBlocks, knownEndBlock: headBlocks)
        }
        guard sessionKey != 0 else { return nil }
        return Piece(key: sessionKey, firstBlock: headBlocks, endBlock: Int32.max, knownEndBlock: sessionBlocks)
    }

    /// Whether output extends the last piece, so that the next turn of the conversation finds it.
    var outputExtendsChain: Bool { sessionKey != 0 }

    /// Key of blocks that nothing names, from `firstBlock` on: only the request's own resumption can ask for them.
    static func ownKey(_ request: Request, firstBlock: Int32) -> UInt64 {
        max(2, mix(request.id, 0x4F55_5450_5554 &+ UInt64(truncatingIfNeeded: firstBlock)) & ~1)
    }

    /// Whether a key names a piece that other requests can have: those are odd.
    static func isNamed(_ key: UInt64) -> Bool { key & 1 == 1 }

    /// SplitMix64's finaliser over both words, made odd; 0 marks a segment without a key.
    @inline(__always) static func mix(_ value: UInt64, _ salt: UInt64) -> UInt64 {
        var word = value &+ salt &* 0x9E37_79B9_7F4A_7C15 &+ 0x9E37_79B9_7F4A_7C15
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return (word ^ (word >> 31)) | 1
    }
}
