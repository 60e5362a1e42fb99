//===----------------------------------------------------------------------===//
// Logarithm, exponential and gamma function that give the same bits on every machine.
//===----------------------------------------------------------------------===//

/// The C library picks its `log` and `exp` by processor, and variants differ in the last bit; a workload generated from
/// a seed must not. These use only the operations that IEEE 754 defines exactly (+, -, x, /, square root), in a fixed
/// order.
enum PortableMath {
    /// ln 2, split so that `k * high` is exact for the exponents of a `Double` (as in fdlibm's e_log.c).
    private static let ln2High = 6.93147180369123816490e-01
    private static let ln2Low = 1.90821492927058770002e-10

    /// Natural logarithm of a positive finite `x`; error below 2 units in the last place.
    ///
    /// `x = 2^k (1 + f)` with `sqrt(1/2) <= 1 + f < sqrt(2)`; `ln(1 + f) = 2 atanh(s)` with `s = f / (2 + f)`, by its
    /// series.
    static func ln(_ x: Double) -> Double {
        precondition(x > 0 && x.isFinite, "the logarithm is taken of positive numbers only")
        var exponent = Double(x.exponent)
        var significand = x.significand
        if significand > 1.4142135623730951 {
            significand *= 0.5
            exponent += 1
        }
        let f = significand - 1
        let s = f / (2 + f)
        let z = s * s
        // 2 (z/3 + z^2/5 + ...): |s| < 0.1716, so the term after z^10 / 21 is below 1e-17 of the sum.
        var series = 2.0 / 21
        series = series * z + 2.0 / 19
        series = series * z + 2.0 / 17
        series = series * z + 2.0 / 15
        series = series * z + 2.0 / 13
        series = series * z + 2.0 / 11
        series = series * z + 2.0 / 9
        series = series * z + 2.0 / 7
        series = series * z + 2.0 / 5
        series = series * z + 2.0 / 3
        return exponent * ln2High + (2 * s + (s * z * series + exponent * ln2Low))
    }

    /// e to the power `x`; 0 below -745, infinity above 709.78; relative error below 4e-16 between.
    static func exp(_ x: Double) -> Double {
        if x > 709.78 { return .infinity }
        if x < -745 { return 0 }
        let k = (x * 1.4426950408889634).rounded()
        let r = (x - k * ln2High) - k * ln2Low
        // Taylor's series of e^r, |r| <= 0.3466: the term after r^13 / 13! is below 1e-17.
        var sum = 1.0 / 6_227_020_800
        sum = sum * r + 1.0 / 479_001_600
        sum = sum * r + 1.0 / 39_916_800
        sum = sum * r + 1.0 / 3_628_800
        sum = sum * r + 1.0 / 362_880
        sum = sum * r + 1.0 / 40_320
        sum = sum * r + 1.0 / 5_040
        sum = sum * r + 1.0 / 720
        sum = sum * r + 1.0 / 120
        sum = sum * r + 1.0 / 24
        sum = sum * r + 1.0 / 6
        sum = sum * r + 1.0 / 2
        let result = 1 + (r + r * r * sum)
        return Double(sign: .plus, exponent: Int(k), significand: result)
    }

    /// P(normal deviate > x), to a relative error of 1.2e-7: half of erfc(x / sqrt 2) by the Chebyshev fit of Press et
    /// al., Numerical Recipes, section 6.2.
    static func normalTail(_ x: Double) -> Double {
        let z = abs(x) / 1.4142135623730951
        let t = 1 / (1 + 0.5 * z)
        let coefficients = (
            -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
            -0.82215223, 0.17087277
        )
        var sum = coefficients.9
        sum = sum * t + coefficients.8
        sum = sum * t + coefficients.7
        sum = sum * t + coefficients.6
        sum = sum * t + coefficients.5
        sum = sum * t + coefficients.4
        sum = sum * t + coefficients.3
        sum = sum * t + coefficients.2
        sum = sum * t + coefficients.1
        sum = sum * t + coefficients.0
        let tail = t * exp(sum - z * z) / 2
        return x >= 0 ? tail : 1 - tail
    }

    /// `x` to the power `y`, for positive `x`.
    static func power(_ x: Double, _ y: Double) -> Double { exp(y * ln(x)) }

    /// Gamma function for `x > 0`, by Lanczos' approximation (g = 7, nine terms); relative error below 1e-13.
    static func gamma(_ x: Double) -> Double {
        precondition(x > 0, "the gamma function is taken of positive numbers only")
        if x < 0.5 { return gamma(x + 1) / x }
        let coefficients = [
            676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
            -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
        ]
        let shifted = x - 1
        var sum = 0.99999999999980993
        for (index, coefficient) in coefficients.enumerated() { sum += coefficient / (shifted + Double(index + 1)) }
        let t = shifted + 7.5
        return 2.5066282746310002 * exp((shifted + 0.5) * ln(t) - t) * sum
    }
}
