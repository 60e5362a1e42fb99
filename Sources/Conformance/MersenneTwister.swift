//===----------------------------------------------------------------------===//
// Python's random numbers.
//===----------------------------------------------------------------------===//

/// MT19937 (Matsumoto and Nishimura, 1998) seeded and read as CPython's `random` module does, so that what a Python
/// program drew can be drawn again.
struct MersenneTwister {
    private static let size = 624
    private static let middle = 397
    private var state: [UInt32]
    private var next = size

    /// `init_genrand` of the authors' C program.
    init(word: UInt32) {
        state = [word]
        state.reserveCapacity(Self.size)
        for index in 1..<Self.size {
            let previous = state[index - 1]
            state.append(1_812_433_253 &* (previous ^ previous >> 30) &+ UInt32(index))
        }
    }

    /// `init_by_array` of the authors' C program.
    init(key: [UInt32]) {
        precondition(!key.isEmpty)
        self.init(word: 19_650_218)
        var index = 1
        for round in 0..<max(Self.size, key.count) {
            let previous = state[index - 1]
            let word = round % key.count
            state[index] = (state[index] ^ (previous ^ previous >> 30) &* 1_664_525) &+ key[word] &+ UInt32(word)
            advance(&index)
        }
        for _ in 1..<Self.size {
            let previous = state[index - 1]
            state[index] = (state[index] ^ (previous ^ previous >> 30) &* 1_566_083_941) &- UInt32(index)
            advance(&index)
        }
        state[0] = 0x8000_0000
    }

    /// `random.seed(seed)` of a whole number: its 32-bit words, lowest first.
    init(pythonSeed seed: UInt64) {
        let high = UInt32(truncatingIfNeeded: seed >> 32)
        self.init(key: [UInt32(truncatingIfNeeded: seed)] + (high == 0 ? [] : [high]))
    }

    private mutating func advance(_ index: inout Int) {
        index += 1
        if index == Self.size {
            state[0] = state[Self.size - 1]
            index = 1
        }
    }

    mutating func nextWord() -> UInt32 {
        if next == Self.size { refill() }
        var word = state[next]
        next += 1
        word ^= word >> 11
        word ^= word << 7 & 0x9D2C_5680
        word ^= word << 15 & 0xEFC6_0000
        return word ^ word >> 18
    }

    private mutating func refill() {
        for index in 0..<Self.size {
            let mixed = state[index] & 0x8000_0000 | state[(index + 1) % Self.size] & 0x7FFF_FFFF
            let twisted = mixed >> 1 ^ (mixed & 1 == 0 ? 0 : 0x9908_B0DF)
            state[index] = state[(index + Self.middle) % Self.size] ^ twisted
        }
        next = 0
    }

    /// `random.random()`: 53 bits in [0, 1).
    mutating func nextUnit() -> Double {
        let high = nextWord() >> 5
        let low = nextWord() >> 6
        return (Double(high) * 67_108_864 + Double(low)) / 9_007_199_254_740_992
    }

    /// `random.randrange(bound)` (since Python 3.2): as many bits as the bound has, drawn until they are below it.
    mutating func next(below bound: Int) -> Int {
        precondition(bound > 0 && bound < 1 << 31)
        let shift = UInt32(32 - (Int.bitWidth - bound.leadingZeroBitCount))
        while true {
            let drawn = Int(nextWord() >> shift)
            if drawn < bound { return drawn }
        }
    }
}
