//===----------------------------------------------------------------------===//
// Whether a tenant may have one more request.
//===----------------------------------------------------------------------===//

public import Workload

/// A tenant's limits; nil is none.
public struct TenantLimits: Sendable, Equatable {
    public var requestsPerMinute: Int64?
    /// Prompt plus allowed output tokens.
    public var tokensPerMinute: Int64?
    public var maxConcurrent: Int64?

    public init(requestsPerMinute: Int64? = nil, tokensPerMinute: Int64? = nil, maxConcurrent: Int64? = nil) {
        self.requestsPerMinute = requestsPerMinute
        self.tokensPerMinute = tokensPerMinute
        self.maxConcurrent = maxConcurrent
    }

    public var isUnlimited: Bool { requestsPerMinute == nil && tokensPerMinute == nil && maxConcurrent == nil }

    /// One front end's share of the limits, rounded up so that none becomes zero. Front ends share nothing, so a fleet
    /// with several lets a tenant have its full rate only when its requests reach all of them.
    public func share(ofFrontEnds frontEnds: Int) -> TenantLimits {
        func dealt(_ limit: Int64?) -> Int64? { limit.map { ($0 + Int64(frontEnds) - 1) / Int64(frontEnds) } }
        return TenantLimits(
            requestsPerMinute: dealt(requestsPerMinute), tokensPerMinute: dealt(tokensPerMinute),
            maxConcurrent: dealt(maxConcurrent)
        )
    }
}

/// A refusal with what the client should be told.
public struct GateRefusal: Sendable, Equatable {
    public var refusal: Refusal
    public var retryAfterNanoseconds: Int64
}

/// One front end's gate: the limits of every tenant, told the time. A tenant without limits always passes.
public struct TenantGate: Sendable {
    private struct Tenant: Sendable {
        var requests: TokenBucket?
        var tokens: TokenBucket?
        var maxConcurrent: Int64
        var concurrent: Int64 = 0
    }
    private var tenants: [Tenant]
    public let isOpen: Bool

    /// - Parameter limits: by tenant number; tenants beyond the list have none.
    public init(limits: [TenantLimits]) {
        tenants = limits.map {
            Tenant(
                requests: $0.requestsPerMinute.map { TokenBucket(perMinute: $0) },
                tokens: $0.tokensPerMinute.map { TokenBucket(perMinute: $0) }, maxConcurrent: $0.maxConcurrent ?? .max
            )
        }
        isOpen = limits.allSatisfy(\.isUnlimited)
    }

    /// Takes a request's share of its tenant's limits, or says why not and when to come back; a refused request takes
    /// nothing.
    public mutating func admit(_ request: Request, at nowNanoseconds: Int64) -> GateRefusal? {
        let index = Int(request.tenant)
        if isOpen || index >= tenants.count { return nil }
        if tenants[index].concurrent >= tenants[index].maxConcurrent {
            return GateRefusal(refusal: .concurrency, retryAfterNanoseconds: 1_000_000_000)
        }
        let wait = tenants[index].requests?.waitNanoseconds(for: 1, at: nowNanoseconds) ?? 0
        if wait > 0 { return GateRefusal(refusal: .requestRate, retryAfterNanoseconds: wait) }
        let units = Int64(request.promptTokens) + Int64(request.maxOutputTokens)
        let tokenWait = tenants[index].tokens?.waitNanoseconds(for: units, at: nowNanoseconds) ?? 0
        if tokenWait > 0 { return GateRefusal(refusal: .tokenRate, retryAfterNanoseconds: tokenWait) }
        tenants[index].requests?.take(1)
        tenants[index].tokens?.take(units)
        tenants[index].concurrent += 1
        return nil
    }

    /// An admitted request of the tenant has ended, in whatever way.
    public mutating func ended(tenant: UInt16) {
        let index = Int(tenant)
        if isOpen || index >= tenants.count { return }
        tenants[index].concurrent -= 1
        assert(tenants[index].concurrent >= 0)
    }
}
