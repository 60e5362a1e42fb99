//===----------------------------------------------------------------------===//
// Which replicas are likely to have a prefix cached.
//===----------------------------------------------------------------------===//

import Workload

/// A bounded table from the name of a prefix (a session, a shared head, a chained block hash) to replicas that were
/// given requests with it. It only suggests: a replica may have dropped the prefix since, or have failed.
///
/// Four ways to a set, one cache line; the entry used longest ago gives way. One prefix may fill several ways with
/// different replicas. Block hashes are entered at every block up to 32 and at every 8th beyond, so that a long prompt
/// costs a bounded number of entries; a chained hash names everything before it, so the deepest one that is found is
/// the longest match.
struct PrefixDirectory: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var key: UInt64 = 0
        var replica: Int32 = -1
        var usedAt: UInt32 = 0
    }
    private static let ways = 4
    private static let deepestBlock = 512
    private let entries: UnsafeMutablePointer<Entry>
    private let setMask: Int
    private var clock: UInt32 = 0

    /// - Parameter capacity: entries, rounded up to a power of two.
    init(capacity: Int) {
        var sets = 1
        while sets * Self.ways < capacity { sets *= 2 }
        setMask = sets - 1
        let bytes = sets * Self.ways * MemoryLayout<Entry>.stride
        entries = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
            .bindMemory(to: Entry.self, capacity: sets * Self.ways)
        entries.initialize(repeating: Entry(), count: sets * Self.ways)
    }

    deinit { entries.deallocate() }

    private func set(of key: UInt64) -> UnsafeMutablePointer<Entry> {
        entries + (Int(truncatingIfNeeded: key >> 20) & setMask) * Self.ways
    }

    private mutating func enter(_ key: UInt64, _ replica: Int32) {
        let set = set(of: key)
        var victim = 0
        for way in 0..<Self.ways {
            if set[way].key == key && set[way].replica == replica {
                victim = way
                break
            }
            if set[way].usedAt < set[victim].usedAt { victim = way }
        }
        set[victim] = Entry(key: key, replica: replica, usedAt: clock)
    }

    /// Appends the replicas entered under a key to `candidates`, up to four.
    private func find(_ key: UInt64, into candidates: inout CandidateList) -> Bool {
        let set = set(of: key)
        var found = false
        for way in 0..<Self.ways where set[way].key == key && set[way].replica >= 0 {
            candidates.add(Int(set[way].replica))
            found = true
        }
        return found
    }

    private static func key(session: UInt64) -> UInt64 { SeededChoice.mix(session ^ 0x5345_5353) }
    private static func key(head: UInt32) -> UInt64 { SeededChoice.mix(UInt64(head) ^ 0x4845_4144_0000_0000) }
    private static func key(block: UInt64) -> UInt64 { SeededChoice.mix(block ^ 0x424C_4F43_4B) }

    /// The `step`-th block depth that is entered, counting blocks from 1: 1...32, then 40, 48, …
    private static func depth(_ step: Int) -> Int { step < 32 ? step + 1 : 32 + (step - 31) * 8 }
    /// How many of these depths a prompt of so many blocks has.
    private static func steps(blocks: Int) -> Int {
        let blocks = min(blocks, deepestBlock)
        return blocks <= 32 ? blocks : 32 + (blocks - 32) / 8
    }

    mutating func remember(_ prefix: PrefixIdentity, on replica: Int) {
        clock &+= 1
        if prefix.session != 0 { enter(Self.key(session: prefix.session), Int32(replica)) }
        if prefix.sharedHead != 0 { enter(Self.key(head: prefix.sharedHead), Int32(replica)) }
        guard let hashes = prefix.blockHashes else { return }
        for step in 0..<Self.steps(blocks: Int(prefix.blockHashCount)) {
            enter(Self.key(block: hashes[Self.depth(step) - 1]), Int32(replica))
        }
    }

    /// Adds the replicas that may have the longest part of a prefix.
    func suggest(for prefix: PrefixIdentity, into candidates: inout CandidateList) {
        if prefix.session != 0 { _ = find(Self.key(session: prefix.session), into: &candidates) }
        if prefix.sharedHead != 0 { _ = find(Self.key(head: prefix.sharedHead), into: &candidates) }
        guard let hashes = prefix.blockHashes else { return }
        // Whoever has a block was given all blocks before it, so presence falls off once, but for entries that gave
        // way.
        var low = 0
        var high = Self.steps(blocks: Int(prefix.blockHashCount))
        while low < high {
            let middle = (low + high) / 2
            var found = CandidateList()
            if find(Self.key(block: hashes[Self.depth(middle) - 1]), into: &found) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        if low > 0 { _ = find(Self.key(block: hashes[Self.depth(low - 1) - 1]), into: &candidates) }
    }
}

/// Up to 16 different replicas to compare.
struct CandidateList {
    private var replicas: [16 of Int32] = .init(repeating: -1)
    private(set) var count = 0

    subscript(index: Int) -> Int { Int(replicas[index]) }

    mutating func add(_ replica: Int) {
        for index in 0..<count where replicas[index] == Int32(replica) { return }
        if count == 16 { return }
        replicas[count] = Int32(replica)
        count += 1
    }
}
