//===----------------------------------------------------------------------===//
// The block hashes of a prompt, for as long as a request points to them.
//===----------------------------------------------------------------------===//

import Workload

/// Hashes of one prompt's blocks, at an address that stays the same while a request points to them.
final class PromptBlocks {
    private let hashes: UnsafeMutablePointer<UInt64>
    let count: Int
    let first: UInt64

    init(_ values: [UInt64]) {
        count = values.count
        first = values.first ?? 0
        hashes = .allocate(capacity: max(1, count))
        for (index, value) in values.enumerated() { (hashes + index).initialize(to: value) }
    }

    deinit { hashes.deallocate() }

    func identity(tokensPerHash: Int32) -> PrefixIdentity {
        PrefixIdentity(
            blockHashes: UnsafePointer(hashes), blockHashCount: Int32(count), tokensPerHash: tokensPerHash, session: 0,
            sessionTokens: 0, sharedHeadTokens: 0, sharedHead: 0)
    }
}
