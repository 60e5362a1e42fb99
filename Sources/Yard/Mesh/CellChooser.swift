//===----------------------------------------------------------------------===//
// How a front end chooses a cell, from what cells have published.
//===----------------------------------------------------------------------===//

public import WaitFree
public import Workload

/// How front ends choose between cells.
public struct CellChoice: Sendable, Equatable {
    /// Requests of one session (or with one beginning) go to one cell as long as its load stays below `affinityBound`
    /// times the mean.
    public var affinity = true
    public var affinityBound = 1.25
    /// How old a front end lets its picture of the cells become before it looks at the board again.
    public var stalenessNanoseconds: Int64 = 1_000_000

    public init() {}
}

/// One front end's picture of the cells, and its choice among them.
///
/// Related requests go where they went before: a key that names their session, or else their first block, is hashed to
/// a cell, and to another one by the next hash while the cell's load exceeds the bound (consistent hashing with bounded
/// loads, Mirrokni, Thorup and Zadimoghaddam, SODA 2018). All others go to the less loaded of two cells drawn at
/// random. A cell without a free place loses against one that has some.
///
/// Between two looks at the board the front end adds what it sent itself, so that a burst does not all go to the cell
/// that was empty at the last look. Choosing takes a fixed number of steps; looking takes one load per cell.
public struct CellChooser: Sendable {
    public let cells: Int
    public let choice: CellChoice
    private var dice: SeededChoice
    private var posts: [PublishedLoad]
    /// Tokens published plus tokens sent since.
    private var tokens: [Int64]
    private var places: [Int64]
    private var totalTokens: Int64 = 0
    private var lookedAtNanoseconds = Int64.min

    public init(cells: Int, choice: CellChoice, seed: UInt64, frontEnd: Int) {
        precondition(cells > 0)
        self.cells = cells
        self.choice = choice
        dice = SeededChoice(seed: SeededChoice.mix(seed ^ 0x6365_6C6C) &+ UInt64(frontEnd))
        posts = Array(repeating: PublishedLoad(), count: cells)
        tokens = Array(repeating: 0, count: cells)
        places = Array(repeating: 1, count: cells)
    }

    /// Looks at the board when the last look is too old.
    public mutating func look(at board: LoadBoard<PublishedLoad>, nowNanoseconds: Int64) {
        if cells == 1 || nowNanoseconds < lookedAtNanoseconds &+ choice.stalenessNanoseconds { return }
        lookedAtNanoseconds = nowNanoseconds
        var total: Int64 = 0
        for cell in 0..<cells {
            let post = board.read(row: cell)
            if post.generation != posts[cell].generation {
                tokens[cell] = post.outstandingTokens
                places[cell] = post.freePlaces
                posts[cell] = post
            }
            total += tokens[cell]
        }
        totalTokens = total
    }

    /// The cell for a request; the choice is remembered as load.
    public mutating func choose(for request: Request) -> Int {
        if cells == 1 { return 0 }
        let chosen = affineCell(for: request) ?? lessLoadedOfTwo()
        let added = Int64(request.promptTokens) + Int64(request.outputTokens)
        tokens[chosen] += added
        places[chosen] -= 1
        totalTokens += added
        return chosen
    }

    /// How long a client refused by this cell should wait.
    public func retryAfterNanoseconds(cell: Int) -> Int64 { posts[cell].retryAfterNanoseconds }

    private mutating func lessLoadedOfTwo() -> Int {
        let first = dice.next(below: cells)
        var second = dice.next(below: cells - 1)
        if second >= first { second += 1 }
        if (places[first] > 0) != (places[second] > 0) { return places[first] > 0 ? first : second }
        return tokens[second] < tokens[first] ? second : first
    }

    private func affineCell(for request: Request) -> Int? {
        guard choice.affinity, let key = Affinity.key(of: request) else { return nil }
        let bound = Int64((Double(totalTokens) / Double(cells) * choice.affinityBound).rounded(.up))
        for attempt in 0..<4 {
            let cell = Affinity.place(of: key, attempt: attempt, places: cells)
            if tokens[cell] <= bound && places[cell] > 0 { return cell }
        }
        return nil
    }
}
