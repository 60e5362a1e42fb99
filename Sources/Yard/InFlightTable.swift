//===----------------------------------------------------------------------===//
// Which requests a cell has taken and not yet ended, by their number.
//===----------------------------------------------------------------------===//

import Workload

/// Requests of one cell that have been accepted and have not ended.
///
/// Open addressing with linear probing and backward-shift deletion: one cache miss per insertion and per removal. It
/// starts at `initialCapacity` and doubles until the cell's own bounds stop it, so that it does not allocate in steady
/// state.
struct InFlightTable: ~Copyable {
    struct Entry: BitwiseCopyable {
        var requestID: UInt64
        /// Index of the replica in its cell, or `-1 - node` while it waits in the waiting room's `node`.
        var place: Int32
        /// Tokens that it was counted with: prompt plus output asked for. 0 marks a free slot.
        var tokens: Int32
    }

    private var entries: UnsafeMutablePointer<Entry>
    /// The requests themselves, only kept when a failed replica's requests may have to be placed again.
    private var requests: UnsafeMutablePointer<Request>?
    private var capacity: Int
    private(set) var count = 0

    init(initialCapacity: Int, keepsRequests: Bool) {
        capacity = 64
        while capacity < initialCapacity { capacity *= 2 }
        entries = .allocate(capacity: capacity)
        entries.initialize(repeating: Entry(requestID: 0, place: 0, tokens: 0), count: capacity)
        requests = keepsRequests ? .allocate(capacity: capacity) : nil
    }

    deinit {
        entries.deallocate()
        requests?.deallocate()
    }

    private func home(_ requestID: UInt64) -> Int {
        var hash = requestID &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 32
        return Int(truncatingIfNeeded: hash) & (capacity - 1)
    }

    private func slot(of requestID: UInt64) -> Int? {
        var slot = home(requestID)
        while entries[slot].tokens != 0 {
            if entries[slot].requestID == requestID { return slot }
            slot = (slot + 1) & (capacity - 1)
        }
        return nil
    }

    func find(_ requestID: UInt64) -> Entry? { slot(of: requestID).map { entries[$0] } }

    /// The request itself.
    /// - Precondition: the table keeps requests.
    func request(_ requestID: UInt64) -> Request? {
        guard let requests else { preconditionFailure("the cell was not told to keep its requests") }
        return slot(of: requestID).map { requests[$0] }
    }

    /// - Returns: false when the number is already in flight.
    mutating func insert(_ request: Request, tokens: Int32, place: Int32) -> Bool {
        precondition(tokens > 0)
        if (count + 1) * 2 > capacity { grow() }
        var slot = home(request.id)
        while entries[slot].tokens != 0 {
            if entries[slot].requestID == request.id { return false }
            slot = (slot + 1) & (capacity - 1)
        }
        entries[slot] = Entry(requestID: request.id, place: place, tokens: tokens)
        requests?[slot] = request
        count += 1
        return true
    }

    mutating func setPlace(of requestID: UInt64, to place: Int32) {
        guard let slot = slot(of: requestID) else { preconditionFailure("request \(requestID) is not in flight") }
        entries[slot].place = place
    }

    mutating func remove(_ requestID: UInt64) -> Entry? {
        guard var hole = slot(of: requestID) else { return nil }
        let removed = entries[hole]
        var next = (hole + 1) & (capacity - 1)
        while entries[next].tokens != 0 {
            let wanted = home(entries[next].requestID)
            // The entry may move back into the hole unless its home lies after the hole on the way to `next`.
            if (next &- wanted) & (capacity - 1) >= (next &- hole) & (capacity - 1) {
                entries[hole] = entries[next]
                if let requests { requests[hole] = requests[next] }
                hole = next
            }
            next = (next + 1) & (capacity - 1)
        }
        entries[hole].tokens = 0
        count -= 1
        return removed
    }

    /// Everything placed on a replica, in the order of request numbers. Walks the whole table: for rare events.
    func requests(on replica: Int32) -> [Request] {
        guard let requests else { preconditionFailure("the cell was not told to keep its requests") }
        var found: [Request] = []
        for slot in 0..<capacity where entries[slot].tokens != 0 && entries[slot].place == replica {
            found.append(requests[slot])
        }
        return found.sorted { $0.id < $1.id }
    }

    private mutating func grow() {
        let old = (entries, requests, capacity)
        capacity *= 2
        entries = .allocate(capacity: capacity)
        entries.initialize(repeating: Entry(requestID: 0, place: 0, tokens: 0), count: capacity)
        if old.1 != nil { requests = .allocate(capacity: capacity) }
        for from in 0..<old.2 where old.0[from].tokens != 0 {
            var slot = home(old.0[from].requestID)
            while entries[slot].tokens != 0 { slot = (slot + 1) & (capacity - 1) }
            entries[slot] = old.0[from]
            if let source = old.1, let requests { requests[slot] = source[from] }
        }
        old.0.deallocate()
        old.1?.deallocate()
    }
}
