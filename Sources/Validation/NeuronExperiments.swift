//===----------------------------------------------------------------------===//
// Rules that turn Trainium and Inferentia rows into experiments.
//===----------------------------------------------------------------------===//

import Catalog
import StepModel

/// Reads the conventions of each source of Neuron results.
///
/// - `batch_size` is the compiled batch: every decode step runs all slots. Live concurrency stands in the notes
/// (`conc=`).
/// - SDK tables (Transformers NeuronX) are static batches at the compiled `seq_len`; tables before 2.18 count input and
///   output tokens in their throughput (`total_throughput`, `latency_per_total_token`).
/// - Hugging Face rows are servers under guidellm (synchronous, rate, throughput at 128 clients) or llmperf (closed
/// loop)
///   behind a balancer over `dp` replicas, compiled for 4096 tokens.
/// - Contributed READMEs of Trainium2 run contiguous KV with context buckets of powers of two, unless a table over
///   compiled lengths shows that they do not.
/// - Contributed profiles of March 2026 are untuned ports of 128 compiled tokens: reported, fitted apart.
/// - Rows with `suspect=` contradict themselves: refused.
enum NeuronExperiments {
    /// - Parameter ownOutput: output tokens of a request as the row's own run gives them, tokens over requests per
    /// second.
    static func experiment(
        _ row: MeasuredRow, catalog: Catalog, ownOutput: Double? = nil
    ) -> Result<Experiment, RefusalReason> {
        if let problem = RowReading.problem(row) { return .failure(problem) }
        if let reason = row.note("suspect") { return .failure(.init("suspect: \(reason)")) }
        guard let quantity = quantity(row) else {
            return .failure(.init("the metric '\(row.metric)' is not predicted"))
        }
        guard let printed = row.value else {
            return .failure(
                .init(row.percentile99 == nil ? "the row has no value" : "only a 99th percentile was printed"))
        }
        guard let instance = try? catalog.instance(row.hardware), let chip = try? catalog.accelerator(of: instance)
        else {
            return .failure(.init("the catalogue has no instance '\(row.hardware)'"))
        }
        guard chip.family == .neuron else {
            return .failure(.init("\(row.hardware) has no NeuronCores: rows of GPUs have a column 'gpu'"))
        }
        if let reason = RowReading.model(row.model, in: catalog) { return .failure(reason) }
        guard let tensor = RowReading.count(row.parallelism) else { return .failure(.init("no tensor degree")) }
        guard let slots = row.batch.isEmpty ? 1 : RowReading.count(row.batch) else {
            return .failure(.init("the batch size '\(row.batch)' is not in 1...\(RowReading.mostSequences)"))
        }
        guard let precision = precision(row) else {
            return .failure(.init("the precision '\(row.precision)' is not known"))
        }
        let scale: Double
        switch RowReading.scale(row, for: quantity, chips: row.chips) {
        case .success(let found): scale = found
        case .failure(let reason): return .failure(reason)
        }
        let source = Source(row)
        if source == .encoderDecoder { return .failure(.init("encoder–decoder models are not modelled")) }
        if row.notes.contains("timeouts") { return .failure(.init("the run exceeded device memory and timed out")) }
        if row.notes.contains("chunked prefill") {
            return .failure(.init("an experimental chunked-prefill kernel that no release has"))
        }

        var deployment = Deployment(instance: row.hardware, model: row.model, stack: source.stack)
        // Tutorials of SDK 2.32 run vLLM-neuron; everything before it in these tables is NxD Inference.
        if row.notes.contains("vLLM-neuron") { deployment.stack = .vllmNeuron }
        deployment.parallelism.tensor = tensor
        // Cores of the first generation have one mode, whatever the column says.
        deployment.logicalCore = chip.logicalCoreModes.count > 1 ? row.logicalCore : nil
        deployment.precision = precision
        deployment.expertPrecision = precision
        deployment.release = release(row, source: source)
        deployment.samplesOnDevice = !(row.notes.contains("CPU sampling"))
        deployment.maxSequences = slots
        // Every check of memory is the row's own: it ran.
        deployment.memoryFraction = 1
        if let speculation = speculation(row) {
            deployment.speculation = speculation
        } else if mentionsSpeculation(row) {
            return .failure(.init("speculation without a published acceptance length"))
        }
        if row.notes.contains("prefix_caching") { return .failure(.init("prefix-cache hit lengths are not published")) }

        let prompt = max(1, row.inputTokens ?? 128)
        let output = max(1, ownOutput ?? row.outputTokens ?? 128)
        var remarks: [String] = []
        if let ownOutput, let nominal = row.outputTokens, abs(ownOutput / nominal - 1) > 0.02 {
            remarks.append("\(Int(ownOutput)) output tokens a request by the run's own rates, not \(Int(nominal))")
        }
        if row.inputTokens == nil || row.outputTokens == nil { remarks.append("lengths not printed; 128 assumed") }
        let lengths = compiledLengths(row, source: source, prompt: prompt, output: output)
        deployment.maxModelTokens = lengths.compiled
        deployment.contextBuckets = lengths.contextBuckets
        deployment.prefillBuckets = lengths.prefillBuckets
        let (load, replicas) = load(row, source: source, slots: slots)
        switch load {
        case .closedLoop(let clients) where !(1...RowReading.mostSequences).contains(clients):
            return .failure(.init("\(clients) clients; they must lie in 1...\(RowReading.mostSequences)"))
        case .rate(let rate) where !(rate > 0 && rate <= 1000):
            return .failure(.init("\(rate) requests a second; they must lie in 0...1000"))
        default: break
        }
        if deployment.stack == .vllmNeuron { deployment.cacheFraction = 1 }
        // A table over compiled lengths prints the compiled length as the prompt's.
        let promptTokens =
            source == .profile || row.notes.contains("input_len =") ? min(prompt, Double(lengths.compiled)) : prompt
        var experiment = Experiment(
            row: row, quantity: quantity, measured: printed * scale, deployment: deployment, replicas: replicas,
            load: load,
            promptTokens: promptTokens, outputTokens: output,
            platform: platform(row), group: source.rawValue, isCalibration: true, remarks: remarks
        )
        experiment.reportsMedian = source == .contributed || source == .tutorial
        if source == .huggingFaceTGI || source == .huggingFaceVLLM {
            describeClient(row, &experiment)
            // One request at a time behind a balancer meets each replica's first, slow call.
            if source == .huggingFaceVLLM, replicas > 1, quantity == .ttft { experiment.isCalibration = false }
        }
        return .success(experiment)
    }

    /// The load generator of a Hugging Face run. llmperf draws lengths from normal distributions of 8–10 %, for which
    /// uniform ones of the same variance stand; guidellm's `variance=150` is a variance, under 2 %.
    private static func describeClient(_ row: MeasuredRow, _ experiment: inout Experiment) {
        if row.notes.contains("llmperf") {
            experiment.generator = .llmperf
            experiment.leastLengthFraction = 0.84
        } else {
            experiment.generator = .guidellm(timeoutSeconds: row.notes.contains("60 s request timeout") ? 60 : nil)
            experiment.leastLengthFraction = 0.98
        }
        // Text Generation Inference 1.4 waited for more requests before it interrupted decoding than 2.0 does.
        experiment.routerWaitingRatio = row.notes.contains("2024-04") ? 1.2 : 0.3
    }

    enum Source: String {
        case sdk = "SDK tables"
        case encoderDecoder = "SDK encoder–decoder"
        case huggingFaceTGI = "Hugging Face TGI"
        case huggingFaceVLLM = "Hugging Face vLLM"
        case profile = "contributed profiles"
        case contributed = "contributed READMEs"
        case tutorial = "AWS tutorials"

        init(_ row: MeasuredRow) {
            if row.source.contains("encoder_decoder") {
                self = .encoderDecoder
            } else if row.source.contains("general/benchmarks") {
                self = .sdk
            } else if row.source.contains("text-generation-inference") {
                self = .huggingFaceTGI
            } else if row.source.contains("optimum-neuron") {
                self = .huggingFaceVLLM
            } else if row.notes.contains("contrib_profile") {
                self = .profile
            } else if row.notes.contains("contrib") || row.source.contains("contrib") {
                self = .contributed
            } else {
                self = .tutorial
            }
        }

        var stack: ServingStack {
            switch self {
            case .sdk, .encoderDecoder: .tnx
            case .huggingFaceTGI: .tgiNeuron
            case .huggingFaceVLLM, .profile, .contributed, .tutorial: .nxdi
            }
        }
    }

    static func platform(_ row: MeasuredRow) -> String {
        let name = row.hardware.lowercased()
        return ["Trn1", "Inf2", "Trn2", "Trn3"].first { name.contains($0.lowercased()) } ?? row.hardware
    }

    /// SDK tables print the format that weights are stored in before what they are cast to: `FP16 (weights int8)`. Wider
    /// formats are cast to 16 bit, and checkpoints of MXFP4 are widened to it.
    static func precision(_ row: MeasuredRow) -> Precision? {
        let text = row.precision.lowercased()
        if text.contains("int8") { return .int8 }
        if text.contains("upcast") || text.contains("autocast") { return .bf16 }
        switch RowReading.precision(row.precision) {
        case .fp32: return .bf16
        case .fp8, .mxfp8: return .fp8
        case .mxfp4, .nvfp4, .int4: return nil
        case let known: return known
        }
    }

    static func release(_ row: MeasuredRow, source: Source) -> String? {
        switch source {
        case .sdk, .encoderDecoder:
            // 2.18.1 brought another attention for the Llama 3 family; before 2.18 the tables have other columns.
            let version = row.software.split(separator: ".").prefix(2).joined(separator: ".")
            return row.software.hasPrefix("2.18.1") ? "neuron-2.18.1" : "neuron-\(version)"
        case .huggingFaceTGI:
            if row.notes.contains("2024-04") || row.notes.contains("2024-05") { return "neuron-2.18" }
            if row.notes.contains("2024-06") || row.notes.contains("2024-07") { return "neuron-2.19" }
            return row.notes.contains("2024-1") ? "neuron-2.20" : nil
        case .huggingFaceVLLM: return "optimum"
        case .profile: return "untuned"
        case .contributed:
            return row.notes.contains("without context bucketing") || row.notes.contains("compiled seq_len=")
                ? "unbucketed" : nil
        case .tutorial: return nil
        }
    }

    static func quantity(_ row: MeasuredRow) -> Experiment.Quantity? {
        switch row.metric {
        case "tpot": .tpot
        case "itl": .tpot
        case "ttft": .ttft
        case "e2e_latency", "e2e_latency_derived": .endToEnd
        case "output_throughput", "output_throughput_overall": .outputThroughput
        case "output_throughput_per_request": .requestSpeed
        case "request_throughput": .requestThroughput
        case "inter_token_latency_llmperf": .latencyPerToken
        case "total_throughput": .totalThroughput
        default: nil
        }
    }

    static func load(_ row: MeasuredRow, source: Source, slots: Int) -> (Experiment.Load, replicas: Int) {
        let replicas = min(256, max(1, row.note("dp").flatMap { Int($0.prefix { $0.isNumber }) } ?? 1))
        if let profile = row.note("profile") {
            if profile.hasPrefix("synchronous") { return (.closedLoop(1), replicas) }
            if profile.hasPrefix("asynchronous@"),
                let rate = Double(profile.dropFirst(13).prefix { $0.isNumber || $0 == "." })
            {
                return (.rate(rate), replicas)
            }
            let stated = (row.note("users") ?? row.note("conc")).flatMap { Int($0.prefix { $0.isNumber }) }
            if let stated { return (.closedLoop(stated), replicas) }
            // Behind a balancer guidellm kept its limit of 128 open; runs against one server were given its slots.
            let isBalanced = row.note("dp") != nil || row.notes.contains("data parallel")
            return (.closedLoop(isBalanced ? LoadGenerator.guidellmMostClients : slots), replicas)
        }
        if let concurrency = row.note("conc").flatMap({ Int($0.prefix { $0.isNumber }) }) {
            return (.closedLoop(concurrency), replicas)
        }
        return (.staticBatch(slots), replicas)
    }

    struct Lengths {
        var compiled: Int
        var contextBuckets: [Int]?
        var prefillBuckets: [Int]?
    }

    static func compiledLengths(_ row: MeasuredRow, source: Source, prompt: Double, output: Double) -> Lengths {
        let printed = row.note("seq_len").flatMap { Int($0.prefix { $0.isNumber }) }
        let total = Int(prompt + output)
        func nextPower(_ value: Int) -> Int {
            var power = 128
            while power < value { power *= 2 }
            return power
        }
        func powers(upTo last: Int) -> [Int] {
            var powers: [Int] = []
            var power = 128
            while power <= last {
                powers.append(power)
                power *= 2
            }
            return powers
        }
        switch source {
        case .sdk, .encoderDecoder:
            let compiled = max(printed ?? total, total)
            return Lengths(
                compiled: compiled, contextBuckets: nil,
                prefillBuckets: powers(upTo: compiled / 2).filter { $0 < compiled } + [compiled])
        case .huggingFaceTGI, .huggingFaceVLLM:
            return Lengths(compiled: max(4096, nextPower(total)), contextBuckets: nil, prefillBuckets: nil)
        case .profile:
            let compiled = max(Int(prompt), 128)
            return Lengths(compiled: compiled, contextBuckets: nil, prefillBuckets: [compiled])
        case .contributed:
            if row.notes.contains("compiled seq_len="),
                let text = row.note("compiled seq_len")?.prefix(while: { $0.isNumber }),
                let compiled = Int(text)
            {
                return Lengths(compiled: max(compiled, 32), contextBuckets: nil, prefillBuckets: [max(compiled, 32)])
            }
            if row.notes.contains("without context bucketing") || row.notes.contains("compiled seq_len") {
                return Lengths(compiled: Int(prompt), contextBuckets: nil, prefillBuckets: [Int(prompt)])
            }
            // A compiled prefill of one bucket: "CTE bucket=512", "max ctx=512", "seq_len=512 bucket".
            var bucket = (row.note("CTE bucket") ?? row.note("max ctx")).flatMap { Int($0.prefix { $0.isNumber }) }
            if row.note("seq_len")?.contains("bucket") ?? false { bucket = printed }
            if let bucket, Double(bucket) < prompt {
                return Lengths(compiled: max(nextPower(total), bucket), contextBuckets: nil, prefillBuckets: nil)
            }
            let compiled = max(printed ?? 0, nextPower(total))
            return Lengths(
                compiled: compiled, contextBuckets: powers(upTo: compiled), prefillBuckets: bucket.map { [$0] })
        case .tutorial:
            // Beyond 8192 tokens the tutorials name their own buckets; multiples of 2048 stand for them.
            let compiled = total > 8192 ? (total + 2047) / 2048 * 2048 : max(printed ?? 0, nextPower(total))
            let long = stride(from: 2048, through: compiled, by: 2048).map { $0 }
            return Lengths(
                compiled: compiled, contextBuckets: powers(upTo: compiled),
                prefillBuckets: total > 8192 ? [128, 256, 512, 1024] + long : nil)
        }
    }

    static func mentionsSpeculation(_ row: MeasuredRow) -> Bool {
        let notes = row.notes.lowercased()
        if notes.contains("no speculation") { return false }
        return notes.contains("spec decode") || notes.contains("eagle") || notes.contains("medusa")
            || notes.contains("speculative")
    }

    /// Acceptance that a source publishes beside its results: EAGLE3 on Llama-3.1-8B (k = 3, 3.22 tokens a step) and on
    /// gpt-oss-120b (k = 1, 1.68).
    static func speculation(_ row: MeasuredRow) -> Deployment.Speculation? {
        guard row.notes.contains("EAGLE3") else { return nil }
        if row.notes.contains("k=3"), row.model.lowercased().contains("llama-3.1-8b") {
            return .init(proposedTokens: 3, acceptedLength: 3.22)
        }
        if row.notes.contains("k=1"), row.model.lowercased().contains("gpt-oss-120b") {
            return .init(proposedTokens: 1, acceptedLength: 1.68)
        }
        return nil
    }
}
