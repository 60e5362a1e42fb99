//===----------------------------------------------------------------------===//
// Stages that Trainium and Inferentia rows decide.
//===----------------------------------------------------------------------===//

import StepModel

extension CalibrationPlan {
    private static func free(
        _ coefficient: Coefficient, _ scope: String, _ prior: Double, _ width: Double, most: Double = .infinity
    ) -> Free { Free(coefficient: coefficient, scope: scope, prior: prior, width: width, most: most) }

    static var neuron: [Stage] {
        [
            tables("trainium1", "Trn1", 160e-6), tables("inferentia2", "Inf2", 160e-6), dense2, mixtures2, prefill2,
            servers, optimum2, server2, untuned,
        ]
    }

    /// SDK tables of 2.18: static batches, decode and prefill.
    private static func tables(_ generation: String, _ platform: String, _ layer: Double) -> Stage {
        let stack = "\(generation)/tnx"
        return Stage(
            name: "\(platform) tables of SDK 2.18",
            free: [
                free(.weightBandwidth16, generation, 0.8, 0.2, most: 1),
                free(.weightBandwidth8, generation, 0.7, 0.3, most: 1),
                free(.cacheBandwidth, generation, 0.6, 0.3, most: 1), free(.layerSeconds, generation, layer, 0.4),
                free(.layerSequenceSeconds, generation, 1e-6, 1.0), free(.stepSeconds, generation, 0.5e-3, 0.7),
                free(.prefillSeconds, generation, 8e-3, 0.8), free(.matrixCompute16, generation, 0.4, 0.4, most: 0.95),
                free(.attentionCompute, stack, 0.05, 1.0, most: 0.9),
                free(.attentionCompute, "\(stack)/neuron-2.18.1", 0.1, 1.0, most: 0.9),
            ],
            admits: {
                $0.platform == platform && $0.group == "SDK tables" && ($0.quantity == .tpot || $0.quantity == .ttft)
                    && ($0.deployment.release?.hasPrefix("neuron-2.18") ?? false)
            },
            scatters: [
                (.decodeScatter, generation, { $0.quantity == .tpot }),
                (.prefillScatter, generation, { $0.quantity == .ttft }),
            ],
            rangeScopes: [generation]
        )
    }

    /// Trainium2, one sequence at a time: decode of dense models.
    private static var dense2: Stage {
        Stage(
            name: "Trn2 dense decode",
            free: [
                free(.weightBandwidth16, "trainium2", 0.93, 0.06, most: 1),
                free(.cacheBandwidth, "trainium2", 0.6, 0.3, most: 1),
                free(.layerSeconds, "trainium2", 125e-6, 0.3), free(.layerSequenceSeconds, "trainium2", 3e-6, 1.0),
                free(.stepSeconds, "trainium2", 0.3e-3, 0.5), free(.collectivePerChipDoubling, "trainium2", 5e-6, 0.8),
                free(.cacheBandwidth, "trainium2/nxdi/unbucketed", 0.02, 1.5, most: 1),
            ],
            admits: { isSingleStream($0) && !$0.isMixture && ($0.quantity == .tpot || isDecodeRate($0)) },
            scatters: [(.decodeScatter, "trainium2", { _ in true })],
            rangeScopes: ["trainium2"]
        )
    }

    private static var mixtures2: Stage {
        Stage(
            name: "Trn2 mixture decode",
            free: [
                free(.expertBandwidth16, "trainium2", 0.5, 0.4, most: 1),
                free(.expertLayerSeconds, "trainium2", 60e-6, 0.8),
            ],
            admits: { isSingleStream($0) && $0.isMixture && $0.quantity == .tpot }
        )
    }

    private static var prefill2: Stage {
        Stage(
            name: "Trn2 prefill",
            free: [
                free(.matrixCompute16, "trainium2", 0.6, 0.3, most: 0.92),
                free(.attentionCompute, "trainium2", 0.2, 0.8, most: 0.9),
                free(.prefillSeconds, "trainium2", 4e-3, 0.8),
                free(.requestSeconds, "trainium2", 40e-3, 0.8),
                free(.expertPrefillTokenSeconds, "trainium2", 3e-6, 1.0),
                free(.recurrentPrefillTokenSeconds, "trainium2", 2e-6, 0.7),
                free(.expertCompute16, "trainium2", 0.2, 0.7, most: 0.9),
            ],
            admits: { isSingleStream($0) && $0.quantity == .ttft },
            scatters: [(.prefillScatter, "trainium2", { _ in true })]
        )
    }

    private static func isSingleStream(_ experiment: Experiment) -> Bool {
        guard experiment.platform == "Trn2", experiment.deployment.stack != .vllmNeuron,
            ["contributed READMEs", "AWS tutorials"].contains(experiment.group)
        else { return false }
        switch experiment.load {
        case .staticBatch, .closedLoop(1): return true
        default: return false
        }
    }

    /// A throughput printed without output lengths is the speed of decoding.
    private static func isDecodeRate(_ experiment: Experiment) -> Bool {
        experiment.quantity == .outputThroughput && experiment.deployment.release == "unbucketed"
    }

    /// Hugging Face servers with one request at a time: what they do under load follows from that, and is simulated.
    /// Both generations have the same core and ran the same software, so their values resemble each other.
    private static var servers: Stage {
        var values: [Free] = []
        for scope in serverScopes {
            values += [
                free(.layerSeconds, scope, 110e-6, 0.4), free(.cacheBandwidth, scope, 0.5, 0.4, most: 1),
                free(.matrixCompute16, scope, 0.25, 0.5, most: 0.9),
                free(.attentionCompute, scope, 0.05, 1.0, most: 0.9),
                free(.requestSeconds, scope, 15e-3, 0.4), free(.stepSeconds, scope, 1e-3, 0.8),
                free(.layerSequenceSeconds, scope, 1e-6, 1.0),
            ]
        }
        // Servers of SDK 2.18 read their caches slower and prefilled slower than later ones; those of 2.19 were slow over
        // many chips.
        for release in ["neuron-2.18", "neuron-2.19"] {
            let scope = "inferentia2/tgi-neuron/\(release)"
            values += [
                free(.cacheBandwidth, scope, 0.5, 0.4, most: 1), free(.matrixCompute16, scope, 0.25, 0.5, most: 0.9),
                free(.layerSeconds, scope, 110e-6, 0.5),
            ]
        }
        values += [
            free(.collectivePerChipDoubling, "inferentia2/tgi-neuron/neuron-2.19", 10e-6, 1.0),
            free(.collectiveBandwidth, "inferentia2/tgi-neuron/neuron-2.19", 0.5, 0.8, most: 1),
        ]
        for generation in ["inferentia2", "trainium1"] {
            values += [
                free(.hostLogitSeconds, generation, 6e-9, 0.5),
                free(.expertBandwidth16, generation, 0.5, 0.5, most: 1),
                free(.expertLayerSeconds, generation, 60e-6, 0.8),
                // One DMA transfer costs about 2 us before its first byte.
                free(.expertVisitSeconds, generation, 2e-6, 0.5),
                // Small experts cost their gathering, large ones their arithmetic.
                free(.expertPrefillTokenSeconds, generation, 3e-6, 0.5),
                free(.expertCompute16, generation, 0.05, 1.2, most: 0.9),
            ]
        }
        return Stage(
            name: "Hugging Face servers on Inf2 and Trn1",
            free: values, links: serverLinks,
            admits: {
                ["Inf2", "Trn1"].contains($0.platform) && $0.group.hasPrefix("Hugging Face") && isUnloaded($0)
                    && [.tpot, .ttft, .latencyPerToken, .outputThroughput].contains($0.quantity)
            },
            scale: 0.1
        )
    }

    private static let serverScopes = [
        "inferentia2/tgi-neuron", "inferentia2/nxdi/optimum", "trainium1/tgi-neuron", "trainium1/nxdi/optimum",
    ]

    private static var serverLinks: [Calibrator.Link] {
        let kept: [(Coefficient, Double)] = [
            (.layerSeconds, 0.25), (.cacheBandwidth, 0.2), (.matrixCompute16, 0.3), (.attentionCompute, 0.5),
        ]
        let releases: [(Coefficient, Double)] = [
            (.layerSeconds, 0.25), (.cacheBandwidth, 0.4), (.matrixCompute16, 0.4),
        ]
        func alike(_ scope: String, _ other: String, _ kept: [(Coefficient, Double)]) -> [Calibrator.Link] {
            kept.map { .init(coefficient: $0.0, scope: scope, other: $0.0, otherScope: other, width: $0.1) }
        }
        return alike("trainium1/nxdi/optimum", "inferentia2/nxdi/optimum", kept)
            + alike("inferentia2/tgi-neuron", "inferentia2/nxdi/optimum", kept)
            + alike("trainium1/tgi-neuron", "inferentia2/tgi-neuron", kept)
            + alike("inferentia2/tgi-neuron/neuron-2.18", "inferentia2/tgi-neuron", releases)
            + alike("inferentia2/tgi-neuron/neuron-2.19", "inferentia2/tgi-neuron", releases)
            + alike(
                "trainium1", "inferentia2",
                [
                    (.expertBandwidth16, 0.3), (.expertLayerSeconds, 0.5), (.expertVisitSeconds, 0.3),
                    (.expertCompute16, 0.3),
                ])
    }

    /// vLLM of optimum-neuron on Trainium2: the whole compiled context is read every step.
    private static var optimum2: Stage {
        Stage(
            name: "Hugging Face servers on Trn2",
            free: [
                free(.layerSeconds, "trainium2/nxdi/optimum", 125e-6, 0.2),
                free(.cacheBandwidth, "trainium2/nxdi/optimum", 0.6, 0.3, most: 1),
                free(.requestSeconds, "trainium2/nxdi/optimum", 15e-3, 0.4),
            ],
            admits: {
                $0.platform == "Trn2" && $0.group.hasPrefix("Hugging Face") && isUnloaded($0)
                    && [.tpot, .ttft].contains($0.quantity)
            }
        )
    }

    /// vLLM-neuron of SDK 2.32 on Trainium2.
    private static var server2: Stage {
        Stage(
            name: "Trn2 on vLLM-neuron",
            free: [
                free(.layerSeconds, "trainium2/vllm-neuron", 125e-6, 0.3),
                free(.expertLayerSeconds, "trainium2/vllm-neuron", 30e-6, 0.8),
                free(.expertBandwidth16, "trainium2/vllm-neuron", 0.6, 0.3, most: 1),
                free(.draftSeconds, "trainium2", 2.8e-3, 0.3),
            ],
            admits: { $0.platform == "Trn2" && $0.deployment.stack == .vllmNeuron && $0.quantity == .tpot }
        )
    }

    private static func isUnloaded(_ experiment: Experiment) -> Bool {
        if case .closedLoop(1) = experiment.load { return true }
        return false
    }

    private static var untuned: Stage {
        Stage(
            name: "contributed profiles on Trn1",
            free: [
                free(.layerSeconds, "trainium1/nxdi/untuned", 250e-6, 0.7),
                free(.weightBandwidth16, "trainium1/nxdi/untuned", 0.6, 0.4, most: 1),
                free(.stepSeconds, "trainium1/nxdi/untuned", 1e-3, 0.8),
            ],
            admits: { $0.group == "contributed profiles" },
            scatters: [(.decodeScatter, "trainium1/nxdi/untuned", { _ in true })]
        )
    }
}
