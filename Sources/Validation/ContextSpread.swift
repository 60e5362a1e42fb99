//===----------------------------------------------------------------------===//
// What attention loses when the contexts of a batch differ.
//===----------------------------------------------------------------------===//

import Foundation
import StepModel

/// The measurement of unequal contexts that comes with an operator profile, and what it means for a run's requests.
///
/// The profiler ran batches in which a share p of the sequences was longer than the rest, and fitted by least squares how
/// far their time lies (α) from that of a batch at the mean context towards that of one at the longest. The longest
/// context of such a two-point batch lies √((1 − p)/p) standard deviations above the mean, and least squares weighs the
/// batches of the profiler's grid so that α belongs to
///
///     κ = Σ (1 − p)² / Σ (1 − p) √(p (1 − p))
///
/// standard deviations. Batches of real requests have a few far longer sequences, so their longest context says little; α
/// is applied at the mean plus κ standard deviations of their contexts instead.
struct ContextSpread {
    /// α; 0 where the profile did not measure it.
    private(set) var weight = 0.0
    /// κ.
    private(set) var deviations = 0.0

    /// Reads `meta.yaml` of a profile: `ratio` of `skew_profile: grid` and `alpha_default` of the fit for one rank.
    init(profile folder: String) throws(MeasurementError) {
        let path = "\(folder)/meta.yaml"
        guard FileManager.default.fileExists(atPath: path) else { return }
        var ratios: [Double] = []
        for line in try GroundTruth.text(path).split(whereSeparator: \.isNewline) {
            let fields = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard fields.count == 2 else { continue }
            if fields[0] == "ratio" {
                ratios = fields[1].split { "[], ".contains($0) }.compactMap { Double($0) }
            } else if fields[0] == "alpha_default", weight == 0 {
                guard let value = Double(fields[1]), (0...1).contains(value), !ratios.isEmpty,
                    ratios.allSatisfy({ $0 > 0 && $0 < 1 })
                else {
                    throw MeasurementError("\(path): alpha_default in 0...1 after a grid of ratios in 0...1 expected")
                }
                weight = value
            }
        }
        let squares = ratios.map { (1 - $0) * (1 - $0) }.reduce(0, +)
        let products = ratios.map { (1 - $0) * ($0 * (1 - $0)).squareRoot() }.reduce(0, +)
        deviations = products > 0 ? squares / products : 0
    }

    /// What batches of these requests cost more. Each request takes part in as many steps as it has output tokens, with
    /// contexts from its prompt's length to its whole length.
    func unevenness(of requests: [(prompt: Int32, output: Int32)]) -> OperatorProfile.Unevenness {
        var steps = 0.0
        var sum = 0.0
        var squares = 0.0
        for request in requests {
            let first = Double(request.prompt)
            let last = first + Double(request.output)
            let weight = Double(request.output)
            steps += weight
            sum += weight * (first + last) / 2
            squares += weight * (first * first + first * last + last * last) / 3
        }
        guard weight > 0, steps > 0, sum > 0 else { return .none }
        let mean = sum / steps
        let deviation = max(0, squares / steps - mean * mean).squareRoot()
        return .init(weight: weight, stretch: 1 + deviations * deviation / mean)
    }
}
