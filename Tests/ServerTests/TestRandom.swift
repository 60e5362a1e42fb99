/// SplitMix64, so that a failing seed can be run again.
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    /// One to four random edits: flip, insert, delete, duplicate, splice in a troublesome token.
    mutating func mutated(_ text: [UInt8]) -> [UInt8] {
        let troublesome = [
            "null", "-1", "1e400", "99999999999999999999", "\"\"", "[", "]", "{", "}", "\\u0000", "\\ud800", "\u{FFFD}",
            ",", ":", "true",
            "\"max_tokens\":-5,", "\"n\":0,", "1.5",
        ]
        var text = text
        for _ in 0...below(4) {
            guard !text.isEmpty else { return text }
            let place = below(text.count)
            switch below(6) {
            case 0: text[place] = UInt8(truncatingIfNeeded: next())
            case 1: text.insert(UInt8(truncatingIfNeeded: next()), at: place)
            case 2: text.remove(at: place)
            case 3: text.removeSubrange(place..<min(text.count, place + 1 + below(20)))
            case 4: text.insert(contentsOf: text[place..<min(text.count, place + 1 + below(20))], at: below(text.count))
            default: text.insert(contentsOf: troublesome[below(troublesome.count)].utf8, at: place)
            }
        }
        return text
    }
}
