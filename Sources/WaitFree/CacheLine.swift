/// The unit in which processors trade memory with one another, as far as this module cares.
///
/// Lines are 64 bytes on x86-64, but its prefetcher fetches them in pairs, and Apple and some Arm server cores have
/// lines of 128 bytes. Two locations that are 128 bytes apart, in memory aligned to 128 bytes, never disturb one
/// another.
@frozen public enum CacheLine {
    /// Bytes from one padded location to the next.
    @inlinable public static var byteCount: Int { 128 }

    /// Allocates zeroed memory that starts on a line. To be given back with `deallocate()`.
    public static func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        precondition(byteCount > 0, "memory of \(byteCount) bytes asked for")
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: self.byteCount)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        return memory
    }

    /// Stops with a message when memory handed in by a caller does not start on a line.
    @inlinable
    static func requireAligned(_ memory: UnsafeMutableRawPointer) {
        precondition(
            UInt(bitPattern: memory) % UInt(byteCount) == 0,
            "shared memory must be aligned to \(byteCount) bytes, got \(memory)")
    }
}
