//===----------------------------------------------------------------------===//
// Bounds and order of the requests that no replica has room for.
//===----------------------------------------------------------------------===//

/// How a cell's waiting room is bounded and in which order it empties.
public struct WaitingRoomRules: Sendable, Equatable {
    /// One priority class. Classes are served strictly in the order of their list, first first, but for promotion.
    public struct PriorityClass: Sendable, Equatable {
        public var name: String
        /// Most requests of this class that wait at once.
        public var maxWaitingRequests: Int
        /// A request that has waited this long is served before any class, oldest first, so that a busy urgent class
        /// cannot starve the others. 0: never.
        public var promoteAfterNanoseconds: Int64

        public init(name: String, maxWaitingRequests: Int = .max, promoteAfterNanoseconds: Int64 = 0) {
            self.name = name
            self.maxWaitingRequests = maxWaitingRequests
            self.promoteAfterNanoseconds = promoteAfterNanoseconds
        }
    }

    /// At least one. A request whose class lies beyond the list counts as the last, least urgent one.
    public var classes: [PriorityClass] = [PriorityClass(name: "default")]
    /// Most requests, and most tokens (prompt plus output), that wait at once over all classes and tenants.
    public var maxWaitingRequests: Int = 65_536
    public var maxWaitingTokens: Int64 = .max
    /// Most requests of one tenant that wait at once in one class.
    public var maxWaitingRequestsPerTenant: Int = .max
    /// Share of each tenant within a class, in tokens of work; a tenant beyond the list has weight 1.
    public var tenantWeights: [Int64] = []
    /// Tokens that a tenant of weight 1 may take per turn of the round robin.
    public var quantumTokens: Int64 = 4_096

    public init() {}
}
