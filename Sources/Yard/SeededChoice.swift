//===----------------------------------------------------------------------===//
// The only dice in the yard: handed in by seed.
//===----------------------------------------------------------------------===//

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): 64 bits of state,
/// every seed is good, and neighbouring seeds are independent.
public struct SeededChoice: BitwiseCopyable, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// Uniform in 0..<bound by multiplication (the bias is below bound ÷ 2⁶⁴).
    public mutating func next(below bound: Int) -> Int {
        assert(bound > 0)
        return Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A bijection of 64-bit words that spreads every input bit over all output bits; also used to hash.
    public static func mix(_ word: UInt64) -> UInt64 {
        var word = word
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
