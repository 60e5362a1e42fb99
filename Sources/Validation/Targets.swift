//===----------------------------------------------------------------------===//
// What the step model promises, and whether it keeps it.
//===----------------------------------------------------------------------===//

import Foundation

/// A promise on the median absolute error of a group of rows.
public struct ValidationTarget: Sendable {
    public var name: String
    public var medianAbsolute: Double
    var admits: @Sendable (Experiment) -> Bool

    /// Errors of the rows that the promise is about; nil without rows.
    public func summary(_ outcomes: [Validator.Outcome]) -> ErrorSummary? {
        let errors = outcomes.filter { admits($0.experiment) }.map(\.error)
        return errors.isEmpty ? nil : ErrorSummary(errors)
    }

    private static func isGPUServer(_ experiment: Experiment) -> Bool {
        ["silicon sample", "ML.ENERGY"].contains(experiment.group)
            && (experiment.quantity == .tpot || experiment.quantity == .interTokenLatency)
    }

    private static func isSingleStream(_ experiment: Experiment) -> Bool {
        switch experiment.load {
        case .staticBatch, .closedLoop(1): true
        case .closedLoop, .rate, .decodeOnly, .idle, .saturated: false
        }
    }

    private static func isUnderLoad(_ experiment: Experiment) -> Bool {
        experiment.group.hasPrefix("Hugging Face") && ReplicaRun.applies(to: experiment)
    }

    public static let all: [ValidationTarget] = [
        .init(name: "GPU dense TPOT", medianAbsolute: 0.07) { isGPUServer($0) && !$0.isMixture },
        .init(name: "GPU gpt-oss-120b TPOT", medianAbsolute: 0.12) {
            isGPUServer($0) && $0.row.model.contains("gpt-oss-120b")
        },
        .init(name: "Trn2 single-stream decode", medianAbsolute: 0.08) {
            $0.platform == "Trn2" && $0.quantity == .tpot && isSingleStream($0) && !$0.group.hasPrefix("Hugging Face")
        },
        .init(name: "Trn1 and Inf2 decode", medianAbsolute: 0.08) { $0.group == "SDK tables" && $0.quantity == .tpot },
        .init(name: "Trn1 and Inf2 prefill", medianAbsolute: 0.20) { $0.group == "SDK tables" && $0.quantity == .ttft },
        .init(name: "Hugging Face servers, throughput", medianAbsolute: 0.12) {
            isUnderLoad($0) && $0.quantity == .outputThroughput
        },
        .init(name: "Hugging Face servers, ITL", medianAbsolute: 0.12) {
            isUnderLoad($0) && ($0.quantity == .tpot || $0.quantity == .latencyPerToken)
        },
        .init(name: "Hugging Face servers, TTFT", medianAbsolute: 0.25) { isUnderLoad($0) && $0.quantity == .ttft },
        .init(name: "H100 chip energy per token", medianAbsolute: 0.08) {
            $0.platform == "H100" && $0.quantity == .energyPerToken
        },
        .init(name: "H200 wall power", medianAbsolute: 0.06) {
            $0.platform == "H200" && ($0.quantity == .wallPower || $0.quantity == .idleWallPower)
        },
    ]
}
