//===----------------------------------------------------------------------===//
// The smallest of many keys, each of which changes often.
//===----------------------------------------------------------------------===//

/// A tournament over `count` players, each with an `Int64` key: who has the smallest, and what is it?
///
/// Eight players meet in one group, and a group fills one cache line. A changed key costs one group per level, and
/// climbing stops at the first group whose winner did not change, so that most updates touch one or two lines; finding
/// the winner reads one line per level (5 levels for 32,768 players). Nothing is allocated after `init`.
///
/// Cells keep two: over the replicas' next events (an exact event queue in which every replica has one entry, and a
/// changed entry needs no search) and over their loads. Equal keys go to the lowest number, so that order never
/// depends on history.
///
/// A handle to memory that the owner frees with `deallocate()`; copies share it.
struct TournamentTree: BitwiseCopyable {
    /// A key that never wins against a real one.
    static let never = Int64.max

    private nonisolated(unsafe) let keys: UnsafeMutablePointer<Int64>
    /// Where each level starts in `keys`; level 0 holds the players, the last one the single winner.
    private nonisolated(unsafe) let levelStarts: UnsafeMutablePointer<Int>
    private let levels: Int
    let count: Int

    init(count: Int) {
        precondition(count > 0)
        self.count = count
        var starts = [0]
        var width = count
        var total = 0
        while width > 1 || starts.count == 1 {
            total += (width + 7) & ~7
            starts.append(total)
            width = (width + 7) / 8
        }
        levels = starts.count
        levelStarts = .allocate(capacity: levels)
        levelStarts.initialize(from: starts, count: levels)
        let bytes = (total + 8) * MemoryLayout<Int64>.stride
        keys = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64).bindMemory(
            to: Int64.self, capacity: total + 8)
        keys.initialize(repeating: Self.never, count: total + 8)
    }

    func deallocate() {
        keys.deallocate()
        levelStarts.deallocate()
    }

    subscript(player: Int) -> Int64 {
        assert(player >= 0 && player < count)
        return keys[player]
    }

    /// The smallest key, `never` when no player has one.
    var minimum: Int64 { keys[levelStarts[levels - 1]] }

    func set(_ player: Int, to key: Int64) {
        assert(player >= 0 && player < count)
        var key = key
        var position = player
        var level = 0
        while true {
            let row = keys + levelStarts[level]
            if row[position] == key { return }
            row[position] = key
            level += 1
            if level == levels { return }
            let group = row + (position & ~7)
            var smallest = group[0]
            for member in 1..<8 where group[member] < smallest { smallest = group[member] }
            key = smallest
            position >>= 3
        }
    }

    /// The lowest-numbered player with the smallest key.
    /// - Precondition: `minimum` is not `never`.
    var winner: Int {
        let smallest = minimum
        assert(smallest != Self.never)
        var position = 0
        var level = levels - 2
        while level >= 0 {
            position <<= 3
            let row = keys + levelStarts[level]
            while row[position] != smallest { position += 1 }
            level -= 1
        }
        return position
    }
}
