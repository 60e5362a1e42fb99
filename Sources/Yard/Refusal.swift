//===----------------------------------------------------------------------===//
// Why the yard turned a request away.
//===----------------------------------------------------------------------===//

/// Why a request was turned away before any replica saw it. Each refused request still ends once, with a `Completion`
/// whose status is `rejected`.
public enum Refusal: UInt8, BitwiseCopyable, Sendable, Equatable, CaseIterable {
    /// The waiting room is full: as a whole, for the class, or for the tenant in its class.
    case roomFull, classFull, tenantFull
    /// Prompt plus allowed output exceed what the cell's replicas can hold.
    case tooLong
    /// The cell takes nothing any more.
    case closed
    /// The ring from the front end to the cell is full.
    case pathFull
    /// The tenant's own limits: requests per second, tokens per second, requests in flight.
    case requestRate, tokenRate, concurrency

    /// Whether the yard had no room.
    public var isForRoom: Bool { self == .roomFull || self == .classFull || self == .tenantFull }

    /// Whether the same request may be accepted later.
    public var mayRetry: Bool { self != .tooLong && self != .closed }
}
