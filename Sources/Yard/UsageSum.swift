//===----------------------------------------------------------------------===//
// Adding up what replicas used.
//===----------------------------------------------------------------------===//

public import Engine

extension ReplicaUsage {
    /// Counts add up; the peak is the larger one.
    public static func + (left: ReplicaUsage, right: ReplicaUsage) -> ReplicaUsage {
        var sum = left
        sum.busyPicoseconds += right.busyPicoseconds
        sum.activeNanojoules += right.activeNanojoules
        sum.steps += right.steps
        sum.decodeSteps += right.decodeSteps
        sum.preemptions += right.preemptions
        sum.peakKVBlocks = max(left.peakKVBlocks, right.peakKVBlocks)
        sum.realTokens += right.realTokens
        sum.paddedTokens += right.paddedTokens
        sum.prefixQueryTokens += right.prefixQueryTokens
        sum.prefixHitTokens += right.prefixHitTokens
        sum.prefixHostHitTokens += right.prefixHostHitTokens
        sum.adapterLoads += right.adapterLoads
        sum.draftTokens += right.draftTokens
        sum.acceptedDraftTokens += right.acceptedDraftTokens
        return sum
    }
}
