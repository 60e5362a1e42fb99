//===----------------------------------------------------------------------===//
// Propagates fit errors to a deployment's figures.
//===----------------------------------------------------------------------===//

import Catalog
import Foundation

extension Blueprint {
    /// A typical decode step: half of the slots, at a quarter of the longest context.
    private func typicalDecode(_ operators: OperatorModel) -> (seconds: Double, joules: Double) {
        let batch = Double(max(1, memory.maxSequences / 2))
        let context = Double(deployment.maxModelTokens) / 4
        let work =
            operators.tokenWork(batch, prefillTokens: 0)
            + operators.decodeAttentionWork(sequences: batch, context: context) + operators.logitsWork(rows: batch)
        let seconds = work.seconds + operators.hostSeconds(rows: batch)
        var copy = self
        copy.operators = operators
        return (seconds, copy.nanojoules(work, seconds: seconds))
    }

    /// A typical prefill: a quarter of the longest length.
    private func typicalPrefill(_ operators: OperatorModel) -> Double {
        let tokens = max(64, Double(deployment.maxModelTokens) / 4)
        let work =
            operators.tokenWork(tokens, prefillTokens: tokens)
            + operators.prefillAttentionWork(pairs: tokens * tokens / 2, tokens: tokens, context: 0)
            + operators.logitsWork(rows: 1)
        return work.seconds + operators.hostSeconds(rows: 1) + operators.coefficients[.requestSeconds]
    }

    func uncertainty() -> Uncertainty {
        var decode = 0.0
        var prefill = 0.0
        var energy = 0.0
        let base = typicalDecode(operators)
        let basePrefill = typicalPrefill(operators)
        for value in calibrated where value.logDeviation > 0 && value.value > 0 {
            var moved = operators
            moved.coefficients[value.coefficient] = value.value * exp(value.logDeviation)
            let changed = typicalDecode(moved)
            decode += square(log(changed.seconds / base.seconds))
            energy += square(log(changed.joules / base.joules))
            prefill += square(log(typicalPrefill(moved) / basePrefill))
        }
        let range = extrapolations()
        // Each kind of extrapolation adds as much again as the scatter of the rows: assumed, and said in the notes.
        let widening = 1 + 0.5 * Double(range.count)
        let scatter = calibration.scatter(scopes: scopes)
        let power = (thermalDesignRange.upperBound - thermalDesignRange.lowerBound) / 2
        return Uncertainty(
            decodeLogDeviation: (decode + square(scatter.decode)).squareRoot() * widening,
            prefillLogDeviation: (prefill + square(scatter.prefill)).squareRoot() * widening,
            energyLogDeviation: (energy + square(scatter.energy) + square(power)).squareRoot() * widening,
            extrapolations: range
        )
    }

    private func square(_ value: Double) -> Double { value * value }

    /// What lies outside the calibrated range.
    private func extrapolations() -> [String] {
        var notes: [String] = []
        let range = calibration.range(scopes: scopes)
        let billions = Double(model.parameters) / 1e9
        if let parameters = range.parameters,
            !(parameters.lowerBound * 0.8...parameters.upperBound * 1.25).contains(billions)
        {
            notes.append(
                "\(model.id) has \(Self.short(billions)) billion parameters; calibrated on \(Self.short(parameters.lowerBound)) to \(Self.short(parameters.upperBound))"
            )
        }
        if let most = range.sequences, Double(memory.maxSequences) > most * 1.25 {
            notes.append("\(memory.maxSequences) sequences at once; calibrated up to \(Int(most))")
        }
        if let longest = range.context, Double(deployment.maxModelTokens) > longest * 2 {
            notes.append("contexts up to \(deployment.maxModelTokens) tokens; calibrated up to \(Int(longest))")
        }
        if range.parameters == nil { notes.append("nothing was measured for \(scopes[0])") }
        return notes
    }

    private static func short(_ value: Double) -> String { String(format: "%.3g", value) }
}

extension Calibration {
    /// Scatter of the calibrated rows about the fit, as standard deviations of logarithms, by what was fitted.
    func scatter(scopes: [String]) -> (decode: Double, prefill: Double, energy: Double) {
        func of(_ coefficient: Coefficient) -> Double { value(coefficient, scopes: scopes)?.value ?? 0.3 }
        return (of(.decodeScatter), of(.prefillScatter), of(.energyScatter))
    }

    /// What the calibrated rows cover; nil where no rows were fitted for any of the scopes but `any`.
    func range(scopes: [String]) -> (parameters: ClosedRange<Double>?, sequences: Double?, context: Double?) {
        let own = scopes.filter { $0 != "any" }
        let least = value(.calibratedLeastParameters, scopes: own)?.value
        let most = value(.calibratedMostParameters, scopes: own)?.value
        var parameters: ClosedRange<Double>?
        if let least, let most, least <= most { parameters = least...most }
        return (
            parameters, value(.calibratedSequences, scopes: own)?.value, value(.calibratedContext, scopes: own)?.value
        )
    }
}
