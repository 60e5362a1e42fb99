/// A count squeezed into a few bits, so that several fit into one word that can be published at once.
///
/// The code is a floating point number without a sign: the lowest `mantissaBits` bits hold the leading digits, the bits
/// above the exponent. Counts below 2^(mantissaBits + 1) are exact. Larger ones are rounded down by less than one part
/// in 2^mantissaBits. What is beyond the largest code is held at the largest code.
///
/// Codes are in the order of their counts: comparing codes compares counts as well as their precision allows, and
/// encoding what a code stands for gives the code again.
@frozen public struct FloatingCount: Sendable, Hashable {
    /// Width of a code.
    public let bits: Int
    /// How many of the bits hold digits.
    public let mantissaBits: Int

    /// - Parameters:
    ///   - bits: width of a code, 2 ... 32
    ///   - mantissaBits: at least 1 and less than `bits`
    @inlinable
    public init(bits: Int, mantissaBits: Int) {
        precondition(
            bits <= 32 && mantissaBits >= 1 && mantissaBits < bits,
            "no code of \(bits) bits with \(mantissaBits) for digits")
        precondition(
            (1 << (bits - mantissaBits)) - 2 + mantissaBits < 63,
            "codes of \(bits) bits with \(mantissaBits) for digits pass 2^63")
        self.bits = bits
        self.mantissaBits = mantissaBits
    }

    /// The largest code.
    @inlinable public var largestCode: UInt64 { (1 << UInt64(bits)) - 1 }

    /// The code of a count, rounded down; of a negative one, zero.
    @inlinable
    public func code(_ count: Int64) -> UInt64 {
        if count <= 0 { return 0 }
        let value = UInt64(count)
        let shift = max(0, 63 &- value.leadingZeroBitCount &- mantissaBits)
        return min(UInt64(shift) &<< UInt64(mantissaBits) &+ (value &>> UInt64(shift)), largestCode)
    }

    /// The smallest count that has this code.
    @inlinable
    public func count(_ code: UInt64) -> Int64 {
        let shift = Int(truncatingIfNeeded: code &>> UInt64(mantissaBits)) &- 1
        if shift <= 0 { return Int64(code) }
        let digits = code & ((1 &<< UInt64(mantissaBits)) &- 1) | (1 &<< UInt64(mantissaBits))
        return Int64(digits &<< UInt64(shift))
    }
}
