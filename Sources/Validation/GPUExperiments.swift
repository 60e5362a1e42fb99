//===----------------------------------------------------------------------===//
// Rules that turn GPU rows into experiments.
//===----------------------------------------------------------------------===//

import Catalog
import StepModel

/// Reads the conventions of each source of GPU results.
///
/// - InferenceX draws lengths from 80–100 % of nominal, so the mean is 0.9 × nominal; `batch_or_concurrency` is the
/// number
///   of clients, each with one request open.
/// - ML.ENERGY reports a steady state; the average batch stands in the notes, and prompt lengths are not published: 150
///   tokens for chat, 250 for GPQA, 500 for fill-in-the-middle are assumed.
/// - Splitwise rows are static batches of vLLM in 2023, without CUDA graphs for prefill; zeros in power were dropped at
/// the source.
/// - MLPerf power rows: GPUs of the MaxQ configuration are capped at 500 W; the -99 and -99.9 variants are the same
/// run.
enum GPUExperiments {
    static let assumedPromptTokens: [String: Double] = [
        "lm-arena-chat": 150, "gpqa": 250, "sourcegraph-fim": 500,
    ]

    static func experiment(_ row: MeasuredRow, catalog: Catalog) -> Result<Experiment, RefusalReason> {
        if let problem = RowReading.problem(row) { return .failure(problem) }
        guard let value = row.value else { return .failure(.init("the row has no value")) }
        let source = Source(row)
        let instance: String
        switch self.instance(row, catalog: catalog) {
        case .success(let found): instance = found
        case .failure(let reason): return .failure(reason)
        }
        if source == .mlperf { return mlperf(row, value: value, instance: instance, catalog: catalog) }
        if let reason = RowReading.model(row.model, in: catalog) { return .failure(reason) }
        if let reason = serving(row) { return .failure(reason) }
        guard let stack = stack(row.software) else {
            return .failure(.init("the software '\(row.software)' is not vLLM, TensorRT-LLM or SGLang"))
        }
        var deployment = Deployment(instance: instance, model: row.model, stack: stack)
        guard let precisions = precisions(row, deployment: deployment) else {
            return .failure(.init("the precision '\(row.precision)' is not known"))
        }
        (deployment.precision, deployment.expertPrecision, deployment.keyValuePrecision) = precisions
        guard let parallelism = parallelism(row) else {
            return .failure(.init("the parallelism '\(row.parallelism)' over \(row.chips ?? 0) GPUs cannot be read"))
        }
        deployment.parallelism = parallelism
        deployment.release = release(row, source: source)
        guard let quantity = quantity(row.metric) else {
            return .failure(.init("the metric '\(row.metric)' is not predicted"))
        }
        var measured = value
        switch RowReading.scale(row, for: quantity, chips: row.chips ?? Double(parallelism.ranks)) {
        case .success(let scale): measured *= scale
        case .failure(let reason): return .failure(reason)
        }
        guard let batch = Double(row.batch), RowReading.count(row.batch) != nil else {
            return .failure(.init("the batch or concurrency '\(row.batch)' is not in 1...\(RowReading.mostSequences)"))
        }

        var prompt = row.inputTokens ?? 0
        var output = row.outputTokens ?? 0
        var load: Experiment.Load
        var least = 1.0
        var remarks: [String] = []
        var average = batch
        switch source {
        case .siliconSample:
            load = .closedLoop(Int(batch))
            if row.notes.contains("origin=InferenceX") {
                prompt *= 0.9
                output *= 0.9
                least = 0.8 / 0.9
                remarks.append("lengths drawn from 80–100 % of nominal")
            }
        case .mlEnergy:
            let task = row.note("task") ?? ""
            guard let assumed = assumedPromptTokens[task] else {
                return .failure(.init("no prompt length for the task '\(task)'"))
            }
            prompt = assumed
            remarks.append("prompt length assumed: \(Int(assumed)) tokens")
            average = row.note("avg batch").flatMap(Double.init) ?? batch
            load = .decodeOnly(average)
        case .splitwise, .other:
            load = source == .splitwise ? .staticBatch(Int(batch)) : .closedLoop(Int(batch))
        case .mlperf: preconditionFailure("handled above")
        }
        if row.metric.hasSuffix("fraction_of_tdp") {
            guard let accelerator = try? catalog.accelerator(of: catalog.instance(instance)),
                let watts = accelerator.thermalDesignWatts?.value
            else { return .failure(.init("no design power for \(instance)")) }
            measured *= watts * (row.chips ?? 1)
        }
        guard prompt > 0 || quantity == .interTokenLatency, output > 0 || quantity == .prefill else {
            return .failure(.init("the row has no lengths"))
        }
        deployment.maxSequences = max(256, Int(batch.rounded(.up)))
        deployment.maxModelTokens = max(2048, Int((prompt + output) * 1.3) + 64)
        if row.hardware.contains("pcap") { return .failure(.init("power-capped GPUs whose cap is not published")) }
        if row.metric == "peak_gpu_power_fraction_of_tdp" { load = .saturated }
        return .success(
            Experiment(
                row: row, quantity: quantity, measured: measured, deployment: deployment, load: load,
                promptTokens: prompt,
                outputTokens: output, leastLengthFraction: least,
                platform: platform(row), group: source.rawValue,
                isCalibration: !isOutlier(row), remarks: remarks
            )
        )
    }

    enum Source: String {
        case siliconSample = "silicon sample"
        case mlEnergy = "ML.ENERGY"
        case splitwise = "Splitwise"
        case mlperf = "MLPerf power"
        case other

        init(_ row: MeasuredRow) {
            let name = row.source.lowercased()
            if name.contains("silicon_sample") || name.contains("inferencex") || name.contains("inferencemax") {
                self = .siliconSample
            } else if name.contains("ml-energy") || name.contains("ml.energy") {
                self = .mlEnergy
            } else if name.contains("splitwise") {
                self = .splitwise
            } else if name.contains("mlperf") {
                self = .mlperf
            } else {
                self = .other
            }
        }
    }

    /// A server with the row's GPUs: by the GPU's name, else the catalogue's instance of that name.
    static func instance(_ row: MeasuredRow, catalog: Catalog) -> Result<String, RefusalReason> {
        let name = row.hardware.lowercased().replacing("_", with: "-").replacing(" ", with: "-")
        let table: [(String, String)] = [
            ("gb200", "u-p6e-gb200x72"), ("gb300", "gb300-nvl72-rack"), ("b200", "p6-b200.48xlarge"),
            ("b300", "p6-b300.48xlarge"), ("h100-pcie", "8xh100-pcie"), ("a100-pcie", "8xa100-pcie"),
            ("h200", "p5en.48xlarge"), ("h100", "p5.48xlarge"), ("a100-40", "p4d.24xlarge"), ("a100", "p4de.24xlarge"),
            ("rtx-pro-6000", "8xrtx-pro-6000"), ("l40s", "g6e.48xlarge"), ("a10g", "g5.48xlarge"),
            ("mi300x", "8xmi300x"), ("mi325x", "8xmi325x"), ("mi355x", "8xmi355x"),
        ]
        if let known = table.first(where: { name.contains($0.0) }) { return .success(known.1) }
        guard let instance = try? catalog.instance(row.hardware), let chip = try? catalog.accelerator(of: instance)
        else {
            return .failure(.init("no instance in the catalogue has the GPU '\(row.hardware)'"))
        }
        guard chip.family != .neuron else {
            return .failure(.init("\(row.hardware) has no GPUs: rows of NeuronCores have a column 'instance'"))
        }
        return .success(instance.id)
    }

    /// Ways of serving that no deployment of this model describes.
    private static func serving(_ row: MeasuredRow) -> RefusalReason? {
        let words = (row.notes + ";" + row.software).lowercased()
        if words.contains("disagg") {
            return .init("prefill and decode apart: a row does not say how they are divided")
        }
        if ["mtp", "eagle", "medusa", "speculat", "spec_dec", "spec-dec"].contains(where: words.contains) {
            return .init("speculation without a published acceptance length")
        }
        return nil
    }

    static func platform(_ row: MeasuredRow) -> String {
        let name = row.hardware.uppercased()
        return ["GB200", "GB300", "B200", "B300", "H200", "H100", "A100", "L40S", "MI300X", "MI325X", "MI355X"].first {
            name.contains($0)
        } ?? name
    }

    /// The serving stack of a framework's name; vLLM where a table names none.
    static func stack(_ software: String) -> ServingStack? {
        let name = software.lowercased()
        if name.contains("trt") || name.contains("tensorrt") { return .trtllm }
        if name.contains("sglang") { return .sglang }
        return name.isEmpty || name.contains("vllm") ? .vllm : nil
    }

    /// Software generations that differ in host cost: vLLM 0.11 of ML.ENERGY streams through its API server on the same
    /// host, vLLM of 2023 (Splitwise) has no CUDA graphs in the version that was profiled.
    static func release(_ row: MeasuredRow, source: Source) -> String? {
        switch source {
        case .mlEnergy: "vllm-0.11"
        case .splitwise: "vllm-2023"
        case .siliconSample, .mlperf, .other: nil
        }
    }

    /// Weights, routed experts, KV. gpt-oss stores experts in MXFP4 and the rest in BF16 whatever the column says; the
    /// InferenceX recipes run an FP8 cache with FP8 and FP4 weights, and for gpt-oss on Blackwell only.
    static func precisions(_ row: MeasuredRow, deployment: Deployment) -> (Precision, Precision?, Precision)? {
        if row.model.lowercased().contains("gpt-oss") {
            let blackwell = platform(row).contains("B200") || platform(row).contains("B300")
            return (.bf16, .mxfp4, blackwell && Source(row) == .siliconSample ? .fp8 : .bf16)
        }
        switch RowReading.precision(row.precision) {
        case .fp8: return (.fp8, nil, .fp8)
        case .nvfp4: return (.nvfp4, nil, .fp8)
        case .mxfp4: return (.bf16, .mxfp4, .bf16)
        case let known?: return (known, nil, .bf16)
        case nil: return nil
        }
    }

    /// Reads `TP2PP1DP1moeTP2EP1` and `TP1EP2DP1`. In ML.ENERGY's notation TP1 with EP n on n GPUs is vLLM's expert
    /// parallelism, where attention is tensor parallel over the same n: attention ranks are GPUs ÷ DP ÷ PP.
    static func parallelism(_ row: MeasuredRow) -> Parallelism? {
        var values: [String: Int] = [:]
        var name = ""
        var digits = ""
        func flush() {
            if !name.isEmpty, let value = Int(digits) { values[name] = value }
            name = ""
            digits = ""
        }
        for character in row.parallelism.uppercased() {
            if character.isNumber {
                digits.append(character)
            } else {
                if !digits.isEmpty { flush() }
                if character.isLetter { name.append(character) }
            }
        }
        // A plain number is the tensor degree.
        if name.isEmpty, values.isEmpty { name = "TP" }
        flush()
        let data = max(1, values["DP"] ?? 1)
        let pipeline = max(1, values["PP"] ?? 1)
        let own = (values["TP"] ?? 1).multipliedReportingOverflow(by: data)
        guard !own.overflow, data <= 4096, pipeline <= 4096 else { return nil }
        let chips = row.chips.map { Int($0) } ?? min(own.partialValue, 4096) * pipeline
        guard chips >= 1, chips.isMultiple(of: data * pipeline), (values["TP"] ?? 1) <= chips else { return nil }
        let tensor = chips / data / pipeline
        var expert = max(1, values["EP"] ?? 1)
        if expert > tensor * data || !(tensor * data).isMultiple(of: expert) { expert = 1 }
        return Parallelism(tensor: tensor, data: data, expert: expert, pipeline: pipeline)
    }

    static func quantity(_ metric: String) -> Experiment.Quantity? {
        switch metric {
        case "tpot", "mean_tpot", "median_tpot": .tpot
        case "median_itl", "itl", "mean_itl": .interTokenLatency
        case "ttft", "mean_ttft", "median_ttft": .ttft
        case "prefill_time": .prefill
        case "e2e_latency": .endToEnd
        case "output_throughput_total", "output_throughput": .outputThroughput
        case "request_throughput": .requestThroughput
        case "energy_per_output_token_gpu": .energyPerToken
        case "energy_per_request_gpu": .energyPerRequest
        case "avg_gpu_power_all_gpus", "avg_gpu_power_fraction_of_tdp", "peak_gpu_power_fraction_of_tdp": .chipPower
        case "avg_server_wall_power": .wallPower
        case "idle_server_wall_power_median_before_test", "idle_server_wall_power_min_before_test",
            "idle_server_wall_power_min_after_test":
            .idleWallPower
        default: nil
        }
    }

    /// Rows that contradict their own series, by rule: TPOT at 512 clients below a third of what 64 clients saw means
    /// that most clients were refused; these are reported and not fitted.
    private static func isOutlier(_ row: MeasuredRow) -> Bool {
        row.metric == "tpot" && (Double(row.batch) ?? 0) >= 512 && Source(row) == .siliconSample
    }

    /// Wall power of servers. Language models saturate the chips at their cap; other networks are refused.
    private static func mlperf(
        _ row: MeasuredRow, value: Double, instance: String, catalog: Catalog
    ) -> Result<Experiment, RefusalReason> {
        guard let quantity = quantity(row.metric), quantity == .wallPower || quantity == .idleWallPower else {
            return .failure(
                .init(
                    "only mean and idle wall power of MLPerf runs are predicted: lengths and batches are not published")
            )
        }
        let language = ["llama", "mixtral", "gptj", "gpt-j", "deepseek"].contains {
            row.model.lowercased().contains($0)
        }
        guard language || quantity == .idleWallPower else { return .failure(.init("not a language model")) }
        var deployment = Deployment(instance: instance, model: "llama-3.1-8b", stack: .trtllm)
        deployment.precision = .fp8
        deployment.parallelism.tensor = 8
        if row.notes.contains("500 W") { deployment.chipPowerCapWatts = 500 }
        return .success(
            Experiment(
                row: row, quantity: quantity, measured: value, deployment: deployment,
                load: quantity == .idleWallPower ? .idle : .saturated, promptTokens: 1, outputTokens: 1,
                platform: platform(row), group: Source.mlperf.rawValue, isCalibration: true,
                remarks: ["chips taken as saturated at their cap"]
            )
        )
    }
}

/// Why a row cannot be turned into an experiment.
struct RefusalReason: Error {
    var text: String
    init(_ text: String) { self.text = text }
}
