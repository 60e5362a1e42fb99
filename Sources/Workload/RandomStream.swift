//===----------------------------------------------------------------------===//
// Random numbers from an explicit seed, the same on every platform.
//===----------------------------------------------------------------------===//

/// A stream of random numbers (xoshiro256++ by Blackman and Vigna, seeded through SplitMix64).
///
/// A generator takes one stream for each thing that it draws (gaps, prompt lengths, ...), so that changing how one is
/// drawn leaves the others as they were: two runs that differ only in their rate have the same lengths in the same
/// order.
public struct RandomStream: Sendable {
    private var s0: UInt64
    private var s1: UInt64
    private var s2: UInt64
    private var s3: UInt64
    /// The second normal deviate of the pair that the polar method makes.
    private var spareNormal: Double?

    /// The stream numbered `stream` of `seed`; different numbers give independent streams.
    public init(seed: UInt64, stream: UInt64 = 0) {
        var state = seed ^ RandomStream.mix(stream &+ 0x9E37_79B9_7F4A_7C15)
        func draw() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            return RandomStream.mix(state)
        }
        s0 = draw()
        s1 = draw()
        s2 = draw()
        s3 = draw()
    }

    /// A stream from a raw state, which must not be all 0; for tests against published vectors.
    init(state: (UInt64, UInt64, UInt64, UInt64)) { (s0, s1, s2, s3) = state }

    /// SplitMix64's finaliser: a bijection that spreads each input bit over the whole word.
    public static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z &>> 31)
    }

    public mutating func next() -> UInt64 {
        let sum = s0 &+ s3
        let result = ((sum &<< 23) | (sum &>> 41)) &+ s0
        let t = s1 &<< 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= t
        s3 = (s3 &<< 45) | (s3 &>> 19)
        return result
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    public mutating func unit() -> Double { Double(next() &>> 11) * 0x1p-53 }

    /// Uniform in (0, 1].
    public mutating func positiveUnit() -> Double { Double((next() &>> 11) &+ 1) * 0x1p-53 }

    /// Uniform in 0 ..< `bound`, without bias (Lemire's method).
    public mutating func below(_ bound: UInt64) -> UInt64 {
        precondition(bound > 0, "a range to draw from must not be empty")
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        }
        return product.high
    }

    /// Exponential with mean 1.
    public mutating func exponential() -> Double { -PortableMath.ln(positiveUnit()) }

    /// Normal with mean 0 and standard deviation 1 (Marsaglia's polar method).
    public mutating func normal() -> Double {
        if let spare = spareNormal {
            spareNormal = nil
            return spare
        }
        while true {
            let u = 2 * unit() - 1
            let v = 2 * unit() - 1
            let square = u * u + v * v
            guard square > 0, square < 1 else { continue }
            let factor = (-2 * PortableMath.ln(square) / square).squareRoot()
            spareNormal = v * factor
            return u * factor
        }
    }

    /// Gamma with the given shape and mean 1 (Marsaglia and Tsang, ACM TOMS 26(3), 2000; boosted for shapes below 1).
    public mutating func gamma(shape: Double) -> Double {
        precondition(shape > 0, "the shape of a gamma distribution is positive")
        if shape < 1 {
            let boosted = standardGamma(shape: shape + 1)
            return boosted * PortableMath.exp(PortableMath.ln(positiveUnit()) / shape) / shape
        }
        return standardGamma(shape: shape) / shape
    }

    /// Gamma with `shape` of at least 1 and scale 1.
    private mutating func standardGamma(shape: Double) -> Double {
        let d = shape - 1.0 / 3
        let c = 1 / (9 * d).squareRoot()
        while true {
            let x = normal()
            let root = 1 + c * x
            guard root > 0 else { continue }
            let v = root * root * root
            let u = positiveUnit()
            if PortableMath.ln(u) < 0.5 * x * x + d - d * v + d * PortableMath.ln(v) { return d * v }
        }
    }
}
