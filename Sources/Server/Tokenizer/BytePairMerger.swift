//===----------------------------------------------------------------------===//
// Byte-pair encoding: merging the symbols of a word in the order that was learnt.
//===----------------------------------------------------------------------===//

/// Applies a byte-pair vocabulary's merges to a word (Sennrich, Haddow and Birch, 2016; the order of ties is that of the
/// Hugging Face library: the leftmost pair first).
///
/// Work is O(n log n) in the word's symbols, so that a body made of one endless word cannot hold an event loop.
struct BytePairMerger: Sendable {
    private struct Merge {
        var rank: Int32
        var result: Int32
    }

    private struct Candidate {
        var rank: Int32
        var left: Int32
        /// The symbols that were to be merged; if either has changed since, the candidate is void.
        var pair: UInt64

        func comesBefore(_ other: Candidate) -> Bool { rank != other.rank ? rank < other.rank : left < other.left }
    }

    /// A word's symbols as a doubly linked list; -1 ends it.
    private struct Symbol {
        var token: Int32
        var previous: Int32
        var next: Int32
    }

    private var merges: [UInt64: Merge]

    init(capacity: Int) { merges = Dictionary(minimumCapacity: capacity) }

    /// Adds the next merge; earlier ones go first.
    mutating func add(left: Int32, right: Int32, result: Int32) {
        let rank = Int32(merges.count)
        let key = Self.key(left, right)
        if merges[key] == nil { merges[key] = Merge(rank: rank, result: result) }
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// Merges `word` as far as it goes and appends what is left to `tokens`.
    func merge(_ word: [Int32], into tokens: inout [Int32]) {
        guard word.count > 1 else {
            tokens.append(contentsOf: word)
            return
        }
        var symbols = word.indices.map { index in
            Symbol(
                token: word[index], previous: Int32(index - 1), next: index + 1 < word.count ? Int32(index + 1) : -1)
        }
        var heap: [Candidate] = []
        for index in 0..<(word.count - 1) { push(Int32(index), symbols, &heap) }
        while let best = Self.pop(&heap) {
            let left = Int(best.left)
            let right = symbols[left].next
            guard right >= 0, Self.key(symbols[left].token, symbols[Int(right)].token) == best.pair,
                let merge = merges[best.pair]
            else { continue }
            symbols[left].token = merge.result
            let after = symbols[Int(right)].next
            symbols[left].next = after
            symbols[Int(right)].token = -1
            if after >= 0 {
                symbols[Int(after)].previous = Int32(left)
                push(Int32(left), symbols, &heap)
            }
            if symbols[left].previous >= 0 { push(symbols[left].previous, symbols, &heap) }
        }
        var index: Int32 = 0
        while index >= 0 {
            tokens.append(symbols[Int(index)].token)
            index = symbols[Int(index)].next
        }
    }

    private func push(_ left: Int32, _ symbols: [Symbol], _ heap: inout [Candidate]) {
        let right = symbols[Int(left)].next
        guard right >= 0 else { return }
        let pair = Self.key(symbols[Int(left)].token, symbols[Int(right)].token)
        guard let merge = merges[pair] else { return }
        heap.append(Candidate(rank: merge.rank, left: left, pair: pair))
        var child = heap.count - 1
        while child > 0, heap[child].comesBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private static func pop(_ heap: inout [Candidate]) -> Candidate? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var best = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].comesBefore(heap[best]) {
                best = child
            }
            if best == parent { return first }
            heap.swapAt(parent, best)
            parent = best
        }
    }
}
