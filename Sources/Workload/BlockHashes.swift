//===----------------------------------------------------------------------===//
// Where a trace keeps the block hashes that its requests point to.
//===----------------------------------------------------------------------===//

/// Memory for block hashes that never moves and lives as long as this object.
final class BlockHashes {
    private static let chunkCapacity = 1 << 16

    private var chunks: [UnsafeMutablePointer<UInt64>] = []
    private var used = 0
    private var capacity = 0

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// Copies `hashes` to a place of their own.
    func store(_ hashes: UnsafeBufferPointer<UInt64>) -> UnsafePointer<UInt64>? {
        guard hashes.count > 0 else { return nil }
        let place = reserve(hashes.count)
        place.initialize(from: hashes.baseAddress!, count: hashes.count)
        return UnsafePointer(place)
    }

    /// Room for `count` hashes, to be initialised by the caller.
    func reserve(_ count: Int) -> UnsafeMutablePointer<UInt64> {
        if count > capacity - used {
            capacity = max(count, BlockHashes.chunkCapacity)
            chunks.append(.allocate(capacity: capacity))
            used = 0
        }
        defer { used += count }
        return chunks[chunks.count - 1] + used
    }

    /// The hash that stands for block `id` of the name space `space`: spread over 64 bits, since caches use it as it
    /// is.
    @inline(__always)
    static func hash(id: UInt64, space: UInt64) -> UInt64 {
        RandomStream.mix(id &+ RandomStream.mix(space &+ 0x9E37_79B9_7F4A_7C15))
    }
}
