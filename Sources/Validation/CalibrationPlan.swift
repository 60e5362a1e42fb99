//===----------------------------------------------------------------------===//
// What is assumed, what is taken from measured kernels, and what each group of rows decides.
//===----------------------------------------------------------------------===//

import Catalog
import StepModel

/// The plan of the calibration: starting values with their sources, and the stages that fit them.
///
/// Each stage's priors are physical (what the kernel measurements and references say), so a value that the rows do not
/// decide stays where physics puts it, with the width of the prior as its error.
enum CalibrationPlan {
    typealias Free = Calibrator.Free
    typealias Stage = Calibrator.Stage

    // MARK: Starting values

    static func start(catalog: Catalog) -> Calibration {
        var values: [Calibration.Value] = []
        func assume(_ coefficient: Coefficient, _ scope: String, _ value: Double, _ deviation: Double, _ source: String)
        {
            values.append(
                .init(
                    coefficient: coefficient, scope: scope, value: value, logDeviation: deviation, grade: .assumed,
                    rows: 0,
                    source: source))
        }
        for (coefficient, value, deviation, source) in defaults { assume(coefficient, "any", value, deviation, source) }
        for generation in ["trainium1", "inferentia2", "trainium2", "trainium3"] {
            assume(.sequenceSeconds, generation, 0, 0, "host work is part of the compiled step")
            assume(
                .draftSeconds, generation, 2.8e-3, 0.4,
                "EAGLE3 on Trn2: 20.6 ms a step instead of 10.5 with three drafts, 9.8 instead of 7.0 with one")
            assume(
                .prefillSeconds, generation, 4e-3, 0.8,
                "short prompts take 13–27 ms whatever the model on Trn1 and Inf2")
            assume(.activationTraffic, generation, 4, 0.5, "fused layers keep activations in SBUF")
            assume(.collectiveBase, generation, 2e-6, 0.5, "1–2 us per hop inside the server")
            assume(.collectivePerDoubling, generation, 1e-6, 0.5, "1–2 us per hop inside the server")
            assume(
                .collectivePerChipDoubling, generation, 3e-6, 0.7,
                "1–2 us per hop; two hops for each doubling of a torus")
            assume(.rooflineExponent, generation, 2.5, 0.5, "DMA queues run beside the matrix engine")
            assume(.expertSpread, generation, 0.8, 0.3, "tokens of one batch share experts")
            if generation == "trainium1" || generation == "inferentia2" {
                assume(
                    .selectiveLoadingLimit, generation, 1, 0.2,
                    "NxDI loads the experts of each visit while there are fewer visits than experts")
            } else {
                assume(
                    .selectiveLoadingLimit, generation, 0.2, 0.2,
                    "NxDI documents 1; Mixtral 8x7B and 8x22B at one token (0.25) read all experts, models at 1/8 and below do not"
                )
            }
            assume(.recurrentPrefillTokenSeconds, generation, 2e-6, 0.7, "scan of linear attention in prefill graphs")
            assume(.powerFloor, generation, 0.45, 0.2, "same form as GPUs; no public phase-resolved Trainium power")
            assume(.powerMemory, generation, 0.5, 0.3, "same form as GPUs; no public phase-resolved Trainium power")
            assume(.powerCompute, generation, 1.2, 0.3, "same form as GPUs; no public phase-resolved Trainium power")
            assume(.powerCap, generation, 1, 0.05, "same form as GPUs; no public phase-resolved Trainium power")
        }
        assume(
            .liveSequenceSeconds, "tgi-neuron", 0.5e-3, 0.5,
            "TGI of 2025: tokens of live sequences are selected and streamed in turn")
        for release in ["neuron-2.18", "neuron-2.19"] {
            assume(
                .liveSequenceSeconds, "tgi-neuron/\(release)", 1.5e-3, 0.3,
                "TGI of early 2024 selects the token of each live sequence in Python: 1.5 ms fits the llmperf curves")
        }
        assume(
            .prefillStallSeconds, "tgi-neuron/neuron-2.20", 0.7, 0.3,
            "TGI of late 2024: gaps grow by 0.7 s for each arrival whose own first token comes at once; no source says why"
        )
        // B200 under ML.ENERGY's dense chat runs, fitted in the references: 74 runs, 8.4 % in sample, 10.1 % without the
        // run's model.
        for (coefficient, value, deviation) in [
            (Coefficient.powerFloor, 0.443, 0.1), (.powerMemory, 0.72, 0.3), (.powerCompute, 1.24, 0.15),
            (.powerCap, 0.975, 0.02), (.powerWaiting, 0.443, 0.15), (.energyScatter, 0.12, 0),
        ] {
            values.append(
                .init(
                    coefficient: coefficient, scope: "blackwell", value: value, logDeviation: deviation,
                    grade: .derived, rows: 74, source: "fit of the references to B200 runs of ML.ENERGY"))
        }
        values += collectives(catalog: catalog)
        return Calibration(values: values)
    }

    private static let defaults: [(Coefficient, Double, Double, String)] = [
        (.weightBandwidth16, 0.80, 0.15, "kernel tables: small-m GEMM at 0.72–0.90 of bandwidth"),
        (.weightBandwidth8, 0.75, 0.2, "kernel tables: small-m FP8 GEMM at 0.50–0.86"),
        (.weightBandwidth4, 0.60, 0.25, "kernel tables: small-m NVFP4 GEMM at 0.29–0.65"),
        (.matrixCompute16, 0.75, 0.15, "kernel tables: large BF16 GEMM at 0.64–0.94 of peak"),
        (.matrixCompute8, 0.58, 0.2, "kernel tables: large FP8 GEMM at 0.48–0.72"),
        (.matrixCompute4, 0.42, 0.25, "kernel tables: large NVFP4 GEMM at 0.30–0.52"),
        (.expertBandwidth16, 0.60, 0.3, "below dense: an expert's matrices are small"),
        (.expertBandwidth8, 0.55, 0.3, "below dense: an expert's matrices are small"),
        (.expertBandwidth4, 0.50, 0.3, "below dense: an expert's matrices are small"),
        (.expertCompute16, 0.40, 0.4, "below dense: grouped GEMM with ragged groups"),
        (.expertCompute8, 0.35, 0.4, "below dense: grouped GEMM with ragged groups"),
        (.expertCompute4, 0.25, 0.4, "below dense: grouped GEMM with ragged groups"),
        (.cacheBandwidth, 0.72, 0.2, "kernel tables: decode attention at 0.65–0.80 for large reads"),
        (.attentionCompute, 0.47, 0.25, "kernel tables: prefill attention at 0.42–0.62 of peak"),
        (.rooflineExponent, 2.5, 0.5, "between a sum (1) and a hard roofline"),
        (.activationTraffic, 20, 0.5, "reads and writes of residual, norms, gates and rotary embedding"),
        (.expertTokenTraffic, 8, 0.6, "permute, gather and scatter of routed tokens"),
        (.expertSpread, 0.8, 0.3, "tokens of one batch share experts"),
        (.layerSeconds, 40e-6, 0.5, "ten kernels of 2–5 us with their gaps"),
        (.layerSequenceSeconds, 1e-12, 1, "none on GPUs"),
        (.expertLayerSeconds, 15e-6, 0.7, "routing and sorting kernels"),
        (.expertPrefillTokenSeconds, 1e-12, 1, "none on GPUs"),
        (.expertVisitSeconds, 1e-12, 1, "none on GPUs, which gather tokens by expert"),
        (.collectiveBase, 5e-6, 0.3, "NVLink all-reduce of a small message"),
        (.collectivePerDoubling, 0.6e-6, 0.3, "NVLink all-reduce of a small message"),
        (.collectivePerChipDoubling, 1e-12, 1, "counted in the doubling on GPUs"),
        (.collectiveBandwidth, 0.7, 0.2, "large all-reduce over link bandwidth"),
        (.networkLatency, 15e-6, 0.5, "EFA: ~15 us from memory to memory"),
        (.stepSeconds, 1e-3, 0.7, "scheduler, input preparation and output of one step"),
        (.sequenceSeconds, 20e-6, 0.6, "detokenising and streaming of one sequence"),
        (.liveSequenceSeconds, 1e-12, 1, "counted in sequenceSeconds, or hidden by the compiled step"),
        (.prefillStallSeconds, 1e-12, 1, "decoding goes on at once"),
        (.prefillSeconds, 1e-3, 0.8, "a step with a prompt leaves the captured graphs"),
        (.draftSeconds, 0.3e-3, 0.7, "one more launch of a small graph"),
        (.requestSeconds, 15e-3, 0.7, "tokenising, queueing and first response of one request"),
        (.hostLogitSeconds, 6e-9, 0.5, "CPU sampling cost 24 ms for 32 × 128,256 logits"),
        (.recurrentPrefillTokenSeconds, 1e-12, 1, "none on GPUs: chunked scans"),
        (.selectiveLoadingLimit, 1e9, 0, "GPUs never read experts that no token visits"),
        (.powerWaiting, 0.35, 0.3, "near-empty launch loops on B200 draw 0.25–0.36 of design power"),
        (.powerFloor, 0.5, 0.15, "GPU fits of the references: 0.43–0.56"),
        (.powerMemory, 0.4, 0.5, "GPU fits of the references: 0.19–0.72"),
        (.powerCompute, 1.2, 0.3, "GPU fits of the references: 1.22–1.24"),
        (.powerCache, 1e-12, 1, "counted in powerMemory where it was not fitted apart"),
        (.powerWidening, 1e-12, 1, "counted in powerMemory where it was not fitted apart"),
        (.powerCap, 0.98, 0.02, "GPU fits of the references: 0.975–0.985"),
        (.decodeScatter, 0.12, 0, "typical of fitted groups"),
        (.prefillScatter, 0.35, 0, "typical of fitted groups"),
        (.energyScatter, 0.15, 0, "typical of fitted groups"),
    ]

    /// Latency and bandwidth of all-reduce from the catalogue's fits of measured kernels: base at two ranks, slope per
    /// doubling, and wire bytes over time against the link.
    private static func collectives(catalog: Catalog) -> [Calibration.Value] {
        let sources: [(accelerator: String, software: String, scope: String)] = [
            ("a100-80g", "vllm", "ampere"), ("h100", "vllm", "hopper"), ("h100", "trtllm", "hopper/trtllm"),
            ("b200", "vllm", "blackwell"), ("b200", "trtllm", "blackwell/trtllm"),
        ]
        var values: [Calibration.Value] = []
        for (accelerator, software, scope) in sources {
            let fits = [2, 4, 8].compactMap { ranks in
                catalog.allReduceFits(accelerator: accelerator, ranks: ranks)
                    .first { $0.software.hasPrefix(software) && ($0.launch == "graph" || $0.launch == "kernel") }
            }
            guard fits.count == 3, let link = try? catalog.accelerator(accelerator).links.first else { continue }
            let base = fits[0].alphaSeconds
            let slope = max(1e-7, (fits[2].alphaSeconds - fits[0].alphaSeconds) / 2)
            let fractions = fits.map { fit in
                2 * Double(fit.ranks - 1) / Double(fit.ranks) / fit.secondsPerByte / link.oneWayBytesPerSecond
            }.sorted()
            let source = "measured all-reduce fits of \(accelerator) (\(fits[0].software))"
            for (coefficient, value) in [
                (Coefficient.collectiveBase, base), (.collectivePerDoubling, slope),
                (.collectiveBandwidth, fractions[1]),
            ] {
                values.append(
                    .init(
                        coefficient: coefficient, scope: scope, value: Calibrator.rounded(value), logDeviation: 0.15,
                        grade: .derived,
                        rows: fits.count, source: source))
            }
        }
        return values
    }

    // MARK: Stages

    static var stages: [Stage] { [gpuTime, pastGPU, gpuPower, amperePower] + neuron }

    private static func free(
        _ coefficient: Coefficient, _ scope: String, _ prior: Double, _ width: Double, most: Double = .infinity
    ) -> Free { Free(coefficient: coefficient, scope: scope, prior: prior, width: width, most: most) }

    private static func isTime(_ quantity: Experiment.Quantity) -> Bool {
        quantity == .tpot || quantity == .interTokenLatency
    }

    /// TPOT and gaps of Hopper and Blackwell servers.
    private static var gpuTime: Stage {
        var values: [Free] = [
            free(.rooflineExponent, "any", 2.5, 0.4, most: 8), free(.activationTraffic, "any", 20, 0.5),
            free(.expertTokenTraffic, "any", 8, 0.6), free(.expertSpread, "any", 0.8, 0.2, most: 1),
            // Tokens of real conversations share experts more than the random ones of InferenceX do.
            free(.expertSpread, "vllm/vllm-0.11", 0.5, 0.3, most: 1),
            free(.expertLayerSeconds, "vllm/vllm-0.11", 15e-6, 0.7),
        ]
        for generation in ["hopper", "blackwell"] {
            values += [
                free(.weightBandwidth16, generation, generation == "hopper" ? 0.87 : 0.84, 0.1, most: 1),
                free(.weightBandwidth8, generation, generation == "hopper" ? 0.85 : 0.77, 0.15, most: 1),
                free(.matrixCompute16, generation, generation == "hopper" ? 0.84 : 0.76, 0.1, most: 0.95),
                free(.matrixCompute8, generation, generation == "hopper" ? 0.68 : 0.66, 0.2, most: 0.95),
                // Hopper widens four-bit weights before it multiplies; Blackwell streams them as it does others.
                free(.expertBandwidth4, generation, generation == "hopper" ? 0.6 : 0.85, 0.2, most: 1),
                free(.expertBandwidth8, generation, generation == "hopper" ? 0.6 : 0.85, 0.3, most: 1),
                free(.cacheBandwidth, generation, 0.74, 0.15, most: 0.95),
                free(.attentionCompute, generation, generation == "hopper" ? 0.52 : 0.45, 0.2, most: 0.9),
                free(.layerSeconds, generation, 40e-6, 0.5),
                // Router, sorting and two grouped products in place of a dense block's two.
                free(.expertLayerSeconds, generation, 8e-6, 0.7),
                // TensorRT-LLM fuses more of a layer's kernels, and brings its own attention.
                free(.layerSeconds, "\(generation)/trtllm", 36e-6, 0.5),
                free(.cacheBandwidth, "\(generation)/trtllm", 0.74, 0.15, most: 0.95),
            ]
        }
        values += [
            free(.expertBandwidth16, "hopper", 0.6, 0.3, most: 0.95),
            free(.expertCompute16, "hopper", 0.4, 0.4, most: 0.95),
            free(.weightBandwidth4, "blackwell", 0.65, 0.2, most: 1),
            free(.matrixCompute4, "blackwell", 0.45, 0.2, most: 0.95),
            free(.expertCompute8, "blackwell", 0.45, 0.4, most: 0.95),
        ]
        for (scope, host, sequence) in [
            ("vllm", 0.5e-3, 20e-6), ("trtllm", 0.4e-3, 15e-6), ("vllm/vllm-0.11", 1.5e-3, 50e-6),
        ] {
            values += [
                free(.stepSeconds, scope, host, 0.3), free(.sequenceSeconds, scope, sequence, 0.3),
                free(.prefillSeconds, scope, 2e-3, 0.8),
            ]
        }
        values.append(free(.layerSeconds, "vllm/vllm-0.11", 40e-6, 0.4))
        // Without four-bit kernels for Hopper TensorRT-LLM routes and widens in kernels of their own.
        values.append(free(.expertLayerSeconds, "hopper/trtllm", 25e-6, 0.7))
        let hopper: (Experiment) -> Bool = { ["H100", "H200"].contains($0.platform) }
        return Stage(
            name: "GPU decode", free: values, links: gpuLinks,
            admits: {
                (isTime($0.quantity) || ($0.quantity == .outputThroughput && $0.group == "ML.ENERGY"))
                    && ["H100", "H200", "B200"].contains($0.platform)
                    && ["silicon sample", "ML.ENERGY"].contains($0.group)
            },
            scatters: [
                (.decodeScatter, "hopper", { hopper($0) && isTime($0.quantity) }),
                (.decodeScatter, "blackwell", { $0.platform == "B200" }),
            ],
            rangeScopes: ["hopper", "blackwell"]
        )
    }

    /// What generations and precisions share, so that a model that only one row group has still leaves values behind when
    /// it is held back: fractions of peak differ less between two generations, or between two widths on one, than from
    /// any prior.
    private static var gpuLinks: [Calibrator.Link] {
        func alike(_ coefficient: Coefficient, _ width: Double, ratio: Double = 1) -> Calibrator.Link {
            .init(
                coefficient: coefficient, scope: "blackwell", other: coefficient, otherScope: "hopper", ratio: ratio,
                width: width)
        }
        func widths(
            _ first: Coefficient, _ second: Coefficient, _ scope: String, _ width: Double, ratio: Double = 1
        ) -> Calibrator.Link {
            .init(
                coefficient: first, scope: scope, other: second, otherScope: scope, ratio: ratio, width: width)
        }
        func stacks(
            _ coefficient: Coefficient, _ generation: String, _ width: Double, ratio: Double = 1
        ) -> Calibrator.Link {
            .init(
                coefficient: coefficient, scope: "\(generation)/trtllm", other: coefficient, otherScope: generation,
                ratio: ratio, width: width)
        }
        return [
            alike(.weightBandwidth16, 0.1), alike(.weightBandwidth8, 0.1), alike(.matrixCompute16, 0.15),
            alike(.matrixCompute8, 0.15), alike(.cacheBandwidth, 0.1), alike(.attentionCompute, 0.2),
            alike(.layerSeconds, 0.2),
            stacks(.layerSeconds, "hopper", 0.2, ratio: 0.9), stacks(.layerSeconds, "blackwell", 0.2, ratio: 0.9),
            stacks(.cacheBandwidth, "hopper", 0.15), stacks(.cacheBandwidth, "blackwell", 0.15),
            .init(
                coefficient: .expertBandwidth4, scope: "blackwell", other: .weightBandwidth8, otherScope: "blackwell",
                width: 0.15),
            widths(.expertBandwidth8, .expertBandwidth16, "hopper", 0.2),
            widths(.expertBandwidth8, .expertBandwidth4, "blackwell", 0.2),
            widths(.weightBandwidth8, .weightBandwidth16, "hopper", 0.1),
            widths(.weightBandwidth8, .weightBandwidth16, "blackwell", 0.1),
            widths(.weightBandwidth4, .weightBandwidth8, "blackwell", 0.15, ratio: 0.8),
            .init(coefficient: .stepSeconds, scope: "trtllm", other: .stepSeconds, otherScope: "vllm", width: 0.4),
            .init(
                coefficient: .sequenceSeconds, scope: "trtllm", other: .sequenceSeconds, otherScope: "vllm", ratio: 0.7,
                width: 0.4),
        ]
    }

    /// Splitwise: A100, and Hopper under vLLM of 2023.
    private static var pastGPU: Stage {
        Stage(
            name: "static batches of 2023",
            free: [
                free(.weightBandwidth16, "ampere", 0.76, 0.15, most: 1),
                free(.matrixCompute16, "ampere", 0.85, 0.15, most: 0.95),
                free(.cacheBandwidth, "ampere", 0.72, 0.2, most: 0.95),
                free(.attentionCompute, "ampere", 0.5, 0.3, most: 0.9),
                free(.layerSeconds, "vllm/vllm-2023", 150e-6, 0.6), free(.stepSeconds, "vllm/vllm-2023", 3e-3, 0.7),
                free(.sequenceSeconds, "vllm/vllm-2023", 50e-6, 0.7),
                free(.matrixCompute16, "hopper/vllm/vllm-2023", 0.6, 0.4, most: 0.95),
                free(.activationTraffic, "vllm/vllm-2023", 40, 0.7),
                free(.collectiveBase, "vllm/vllm-2023", 20e-6, 0.7),
                free(.collectiveBandwidth, "vllm/vllm-2023", 0.5, 0.5, most: 1),
            ],
            admits: { $0.group == "Splitwise" && ($0.quantity == .tpot || $0.quantity == .prefill) },
            scatters: [
                (.decodeScatter, "vllm/vllm-2023", { $0.quantity == .tpot }),
                (.prefillScatter, "vllm/vllm-2023", { $0.quantity == .prefill }),
                (.decodeScatter, "ampere", { $0.quantity == .tpot && $0.platform == "A100" }),
            ]
        )
    }

    /// ML.ENERGY: joules per token on H100. Blackwell takes the references' fit of the same form.
    private static var gpuPower: Stage {
        Stage(
            name: "H100 power",
            free: [
                free(.powerFloor, "hopper", 0.45, 0.3), free(.powerMemory, "hopper", 0.25, 0.6),
                free(.powerCompute, "hopper", 1.22, 0.3), free(.powerCache, "hopper", 0.3, 1.0),
                free(.powerWidening, "hopper", 0.3, 1.0),
                free(.powerCap, "hopper", 0.985, 0.02, most: 1.05), free(.powerWaiting, "hopper", 0.35, 0.4),
            ],
            admits: { $0.group == "ML.ENERGY" && $0.quantity == .energyPerToken },
            scatters: [(.energyScatter, "hopper", { _ in true })]
        )
    }

    /// Splitwise: mean and peak power of A100.
    private static var amperePower: Stage {
        Stage(
            name: "A100 power",
            free: [
                free(.powerFloor, "ampere", 0.35, 0.2), free(.powerMemory, "ampere", 0.2, 0.6),
                free(.powerCompute, "ampere", 1.2, 0.3),
            ],
            admits: { $0.platform == "A100" && $0.quantity == .chipPower },
            scatters: [(.energyScatter, "ampere", { _ in true })]
        )
    }
}
