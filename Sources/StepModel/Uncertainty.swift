//===----------------------------------------------------------------------===//
// How far a deployment's figures can be off.
//===----------------------------------------------------------------------===//

import Foundation

/// Bands for what a deployment's table predicts, as standard deviations of logarithms.
///
/// They come from propagating each coefficient's fit error through a typical step, added in squares to the scatter of
/// the rows about the fit. Extrapolation (a batch, context or model size outside the calibrated range, a scope without
/// rows) widens them and is listed.
public struct Uncertainty: Sendable, Hashable {
    /// Of a decode step's time: TPOT, and of throughput where decode bounds it.
    public var decodeLogDeviation: Double
    /// Of a prefill step's time: TTFT without queueing.
    public var prefillLogDeviation: Double
    /// Of joules per token.
    public var energyLogDeviation: Double
    /// What lies outside the calibrated range, in words; empty when all lies inside.
    public var extrapolations: [String]

    public init(
        decodeLogDeviation: Double, prefillLogDeviation: Double, energyLogDeviation: Double, extrapolations: [String]
    ) {
        self.decodeLogDeviation = decodeLogDeviation
        self.prefillLogDeviation = prefillLogDeviation
        self.energyLogDeviation = energyLogDeviation
        self.extrapolations = extrapolations
    }

    /// Quantities that reports give bands for.
    public enum Quantity: String, Sendable, Hashable, CaseIterable {
        case ttft, tpot, throughput, cost, energy
    }

    /// The factors below and above which one in ten outcomes lies: the 10th and 90th percentile of a log-normal band.
    /// Cost per token follows throughput.
    public func band(_ quantity: Quantity) -> ClosedRange<Double> {
        let deviation =
            switch quantity {
            case .ttft: prefillLogDeviation
            case .tpot, .throughput, .cost: decodeLogDeviation
            case .energy: energyLogDeviation
            }
        // 1.2816 standard deviations hold 80 % of a normal distribution.
        let factor = exp(1.2816 * deviation)
        return 1 / factor...factor
    }
}
