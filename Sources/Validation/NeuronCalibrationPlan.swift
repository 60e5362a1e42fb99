//===----------------------------------------------------------------------===//
// Stages that Trainium and Inferentia rows decide.
//===----------------------------------------------------------------------===//

import StepModel

extension CalibrationPlan {
    private static func free(
        _ coefficient: Coefficient, _ scope: String, _ prior: Double, _ width: Double, most: Double = .infinity
    ) -> Free { Free(coefficient: coefficient, scope: scope, prior: prior, width: width, most: most) }

    static var neuron: [Stage] { [tables("trainium1", "Trn1", 160e-6), tables("inferentia2", "Inf2", 160e-6), trainium2] }

    /// SDK tables of 2.18: static batches, decode and prefill.
    private static func tables(_ generation: String, _ platform: String, _ layer: Double) -> Stage {
        let stack = "\(generation)/tnx"
        return Stage(
            name: "\(platform) tables of SDK 2.18",
            free: [
                free(.weightBandwidth16, generation, 0.8, 0.2, most: 1), free(.weightBandwidth8, generation, 0.7, 0.3, most: 1),
                free(.cacheBandwidth, generation, 0.6, 0.3, most: 1), free(.layerSeconds, generation, layer, 0.4),
                free(.layerSequenceSeconds, generation, 1e-6, 1.0), free(.stepSeconds, generation, 0.5e-3, 0.7),
                free(.matrixCompute16, generation, 0.4, 0.4, most: 0.95), free(.attentionCompute, stack, 0.05, 1.0, most: 0.9),
                free(.attentionCompute, "\(stack)/neuron-2.18.1", 0.1, 1.0, most: 0.9),
            ],
            admits: {
                $0.platform == platform && $0.group == "SDK tables" && ($0.quantity == .tpot || $0.quantity == .ttft)
                    && ($0.deployment.release?.hasPrefix("neuron-2.18") ?? false)
            },
            scatters: [
                (.decodeScatter, generation, { $0.quantity == .tpot }), (.prefillScatter, generation, { $0.quantity == .ttft }),
            ],
            rangeScope: generation
        )
    }

    /// Trainium2: single-stream decode and prefill of tutorials and contributed READMEs.
    private static var trainium2: Stage {
        Stage(
            name: "Trn2 single stream",
            free: [
                free(.weightBandwidth16, "trainium2", 0.9, 0.15, most: 1), free(.cacheBandwidth, "trainium2", 0.5, 0.4, most: 1),
                free(.layerSeconds, "trainium2", 120e-6, 0.4), free(.layerSequenceSeconds, "trainium2", 3e-6, 1.0),
                free(.stepSeconds, "trainium2", 0.5e-3, 0.7), free(.matrixCompute16, "trainium2", 0.6, 0.3, most: 0.92),
                free(.attentionCompute, "trainium2", 0.2, 0.8, most: 0.9),
                free(.collectivePerChipDoubling, "trainium2", 5e-6, 0.8), free(.requestSeconds, "trainium2", 20e-3, 0.8),
                free(.expertBandwidth16, "trainium2", 0.5, 0.4, most: 1), free(.expertLayerSeconds, "trainium2", 60e-6, 0.8),
                free(.expertPrefillTokenSeconds, "trainium2", 5e-6, 1.0),
                free(.cacheBandwidth, "trainium2/nxdi/unbucketed", 0.02, 1.0, most: 1),
            ],
            admits: {
                $0.platform == "Trn2" && ["contributed READMEs", "AWS tutorials"].contains($0.group)
                    && ($0.quantity == .tpot || $0.quantity == .ttft || ($0.quantity == .outputThroughput && $0.row.notes.contains("unbucketed")))
                    && $0.load != .closedLoop(4) && $0.load != .closedLoop(8)
            },
            scatters: [
                (.decodeScatter, "trainium2", { $0.quantity == .tpot }), (.prefillScatter, "trainium2", { $0.quantity == .ttft }),
            ],
            rangeScope: "trainium2"
        )
    }
}
