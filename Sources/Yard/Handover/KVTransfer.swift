//===----------------------------------------------------------------------===//
// What moves prompts' KV from prefill to decode replicas.
//===----------------------------------------------------------------------===//

public import Engine

/// How the KV of a finished prompt moves from a prefill replica to a decode replica.
///
/// Every replica has one port of its pool's bandwidth. A transfer goes at the rate of the slower of its two ports and
/// holds both until its last byte has left, first come, first served: prompts that leave one prefill replica, and those
/// that meet at one decode replica, wait for each other.
public struct KVTransferRules: Sendable, Equatable {
    public var mode: KVTransferLink.Mode
    /// KV of one token over all layers and ranks.
    public var bytesPerToken: Int64
    /// From the last byte's leaving until the decode replica may start.
    public var latencyNanoseconds: Int64

    public init(mode: KVTransferLink.Mode = .read, bytesPerToken: Int64, latencyNanoseconds: Int64) {
        self.mode = mode
        self.bytesPerToken = bytesPerToken
        self.latencyNanoseconds = latencyNanoseconds
    }
}

/// What a cell's transfers added up to.
public struct KVTransferUsage: BitwiseCopyable, Sendable, Equatable {
    public var transfers: Int64 = 0
    public var bytes: Int128 = 0
    /// From the end of a prompt until a decode replica had a place for it.
    public var placeWaitNanoseconds: Int128 = 0
    /// From then until all of it had arrived.
    public var crossingNanoseconds: Int128 = 0
    public var longestCrossingNanoseconds: Int64 = 0

    public init() {}

    public mutating func add(_ other: KVTransferUsage) {
        transfers += other.transfers
        bytes += other.bytes
        placeWaitNanoseconds += other.placeWaitNanoseconds
        crossingNanoseconds += other.crossingNanoseconds
        longestCrossingNanoseconds = max(longestCrossingNanoseconds, other.longestCrossingNanoseconds)
    }
}
