//===----------------------------------------------------------------------===//
// The LoRA adapters that a replica holds.
//===----------------------------------------------------------------------===//

/// Resident adapters: those in use by running sequences, and idle ones kept until their place is needed, the least
/// recently used first.
struct AdapterShelf: ~Copyable {
    private struct Place: BitwiseCopyable {
        var adapter: UInt16
        var users: Int32
        var lastUse: Int64
    }
    private let capacity: Int
    let loadPicoseconds: Int64
    private let places: UnsafeMutablePointer<Place>
    private var count = 0
    private var uses: Int64 = 0

    init(_ rules: AdapterRules?) {
        capacity = Int(rules?.maxResident ?? 0)
        loadPicoseconds = rules?.loadPicoseconds ?? 0
        places = .allocate(capacity: max(capacity, 1))
    }

    deinit { places.deallocate() }

    private func find(_ adapter: UInt16) -> Int? {
        for index in 0..<count where places[index].adapter == adapter { return index }
        return nil
    }

    /// Whether a sequence with this adapter could run now. Without rules every adapter is always there.
    func hasPlace(for adapter: UInt16) -> Bool {
        if adapter == 0 || capacity == 0 || count < capacity || find(adapter) != nil { return true }
        for index in 0..<count where places[index].users == 0 { return true }
        return false
    }

    /// - Returns: whether the adapter had to be brought in.
    mutating func use(_ adapter: UInt16) -> Bool {
        guard adapter != 0 && capacity > 0 else { return false }
        uses += 1
        if let index = find(adapter) {
            (places + index).pointee.users += 1
            (places + index).pointee.lastUse = uses
            return false
        }
        var index = count
        if count < capacity {
            count += 1
        } else {
            index = -1
            for idle in 0..<count where places[idle].users == 0 {
                if index < 0 || places[idle].lastUse < places[index].lastUse { index = idle }
            }
            precondition(index >= 0, "an adapter is brought in without a place for it")
        }
        (places + index).initialize(to: Place(adapter: adapter, users: 1, lastUse: uses))
        return true
    }

    mutating func release(_ adapter: UInt16) {
        guard adapter != 0 && capacity > 0 else { return }
        guard let index = find(adapter), places[index].users > 0 else {
            preconditionFailure("an adapter is released that nobody uses")
        }
        (places + index).pointee.users -= 1
    }
}
