/// The choices of one run: first those of a script, then others, all of them written down.
struct Decisions {
    /// A choice that was made: which, out of how many.
    struct Made: Equatable {
        var pick: Int
        var of: Int
    }
    enum Rest {
        /// The first possibility, which never takes a turn away from a thread and never delays a store.
        case first
        /// Any, by a generator.
        case random(SeededGenerator)
    }

    private let script: [Int]
    private var rest: Rest
    private(set) var made: [Made] = []

    init(script: [Int] = [], rest: Rest = .first) {
        self.script = script
        self.rest = rest
    }

    /// One of `count` possibilities. Where there is only one, nothing is decided or written down.
    mutating func choose(_ count: Int) -> Int {
        if count == 1 { return 0 }
        let pick: Int
        if made.count < script.count {
            pick = min(script[made.count], count - 1)
        } else if case .random(var generator) = rest {
            pick = Int.random(in: 0..<count, using: &generator)
            rest = .random(generator)
        } else {
            pick = 0
        }
        made.append(Made(pick: pick, of: count))
        return pick
    }
}
