//===----------------------------------------------------------------------===//
// A real server's run, replayed request by request on its own operator profile.
//===----------------------------------------------------------------------===//

import CZlib
public import Catalog
import Engine
import Foundation
import StepModel
import Workload

/// Replays what a vLLM server did: the same requests at the same times, on a step table compiled from a profile of the
/// same machine, with the server's own limits and number of KV blocks.
public struct GroundTruth {
    /// One latency, measured and replayed, in seconds.
    public struct Comparison: Sendable, Hashable, Codable {
        public var name: String
        public var measured: Double
        public var predicted: Double
        public var error: Double { predicted / measured - 1 }
    }

    /// What a replay found.
    public struct Report: Sendable {
        public var name: String
        public var requests: Int
        public var kvBlocks: Int
        public var comparisons: [Comparison]
        /// Mean within 2 % and 99th percentile within 5 %, for each latency.
        public var keepsPromise: Bool {
            comparisons.allSatisfy { comparison in
                if comparison.name.hasSuffix("mean") { return abs(comparison.error) <= 0.02 }
                return comparison.name.hasSuffix("p99") ? abs(comparison.error) <= 0.05 : true
            }
        }
    }

    let catalog: Catalog
    /// Host time of a step that the device waits for, seconds: what lies between two steps of a server and in no
    /// operator's profile. 0.1 ms brings the mean TPOT of both machines, which is 0.5 % short without it, within 0.1 %.
    public var hostSeconds = 0.1e-3
    /// A request is admitted when blocks for its whole prompt are free, not only for its next chunk.
    public var reservesWholePrompts = true
    /// Decode batches run at the captured graph that holds them.
    public var padsToCapturedGraphs = true
    public init(catalog: Catalog) { self.catalog = catalog }

    /// Replays every run of a folder: `NAME_MODEL/` holds a run, `profile_NAME_…/` the profile of its machine.
    public func replay(folder: String) throws(MeasurementError) -> [Report] {
        let entries = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        let runs = entries.filter {
            !$0.hasPrefix("profile_")
                && FileManager.default.fileExists(atPath: "\(folder)/\($0)/vllm_requests.jsonl.gz")
        }
        guard !runs.isEmpty else {
            throw MeasurementError("\(folder) holds no run (a folder with vllm_requests.jsonl.gz)")
        }
        var reports: [Report] = []
        for run in runs {
            let machine = run.prefix { $0 != "_" }
            guard let profile = entries.first(where: { $0.hasPrefix("profile_\(machine)_") }) else {
                throw MeasurementError("\(folder) holds no profile of \(machine) for the run \(run)")
            }
            reports.append(try replay(run: "\(folder)/\(run)", profile: "\(folder)/\(profile)", name: run))
        }
        return reports
    }

    private struct Observed {
        var promptTokens: Int32
        var outputTokens: Int32
        var queued: Double
        var firstToken: Double
        var lastToken: Double
    }

    private func replay(run: String, profile: String, name: String) throws(MeasurementError) -> Report {
        let meta = try Self.object(try Self.text("\(run)/vllm_meta.json"), place: "\(run)/vllm_meta.json")
        guard let engine = meta["engine_kwargs"] as? [String: Any], let modelName = engine["model"] as? String,
            let sequences = engine["max_num_seqs"] as? Int, let budget = engine["max_num_batched_tokens"] as? Int
        else {
            throw MeasurementError(
                "\(run)/vllm_meta.json: engine_kwargs with model, max_num_seqs and max_num_batched_tokens expected")
        }
        let model: Model
        do throws(CatalogError) { model = try catalog.model(nameOrPath: modelName) } catch {
            throw MeasurementError(error.description)
        }
        let blocks = try kvBlocks(meta, run: run, model: model)
        let requests = try observed("\(run)/vllm_requests.jsonl.gz")
        var measuredProfile = try operatorProfile(profile, layers: model.layers.count)
        measuredProfile.unevenness = try ContextSpread(profile: profile).unevenness(
            of: requests.map { ($0.promptTokens, $0.outputTokens) })
        let table = measuredProfile.table(
            OperatorProfile.Options(
                maxTokens: budget, maxSequences: sequences,
                capturedTokens: padsToCapturedGraphs
                    ? OperatorProfile.Options.vllmCaptureSizes(upTo: min(512, 2 * sequences)) : [],
                hostPicoseconds: Int64(hostSeconds * 1e12), chipWatts: 400)
        )
        let longest = requests.map { $0.promptTokens + $0.outputTokens }.max()!
        let replica = Replica(
            number: 0,
            configuration: ReplicaConfiguration(
                stack: .mixed(MixedRules(reserveFullSequence: reservesWholePrompts)), maxSequences: Int32(sequences),
                maxModelTokens: longest + 1,
                maxBatchedTokens: Int32(budget), kvBlocks: Int32(blocks), kvBlockTokens: 16,
                // What a preempted sequence had computed is found again while its blocks last, as in the server.
                prefixCaching: .blocks),
            table: table
        )
        let completions = Self.run(replica, requests)
        return Report(
            name: name, requests: requests.count, kvBlocks: blocks, comparisons: Self.compare(requests, completions))
    }

    private struct Collector: OutcomeSink {
        var completions: [Completion] = []
        mutating func completed(_ completion: Completion) { completions.append(completion) }
        mutating func produced(_ token: TokenEvent) {}
        mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
    }

    private static func run(_ replica: Replica, _ requests: [Observed]) -> [Completion] {
        let start = requests.map(\.queued).min()!
        var sink = Collector()
        for (index, request) in requests.enumerated() {
            let now = Int64(((request.queued - start) * 1e9).rounded())
            replica.advance(until: now, into: &sink)
            replica.submit(
                Request(
                    id: UInt64(index), arrivalNanoseconds: now, promptTokens: request.promptTokens,
                    outputTokens: request.outputTokens),
                at: now)
        }
        while replica.nextEventNanoseconds < .max { replica.advance(until: replica.nextEventNanoseconds, into: &sink) }
        return sink.completions
    }

    private static func compare(_ requests: [Observed], _ completions: [Completion]) -> [Comparison] {
        let measured = requests.map { request in
            (
                first: request.firstToken - request.queued,
                each: (request.lastToken - request.firstToken) / Double(max(1, request.outputTokens - 1)),
                all: request.lastToken - request.queued
            )
        }
        let predicted = completions.map { completion in
            let first = Double(completion.firstTokenNanoseconds - completion.arrivalNanoseconds) * 1e-9
            let last = Double(completion.lastTokenNanoseconds - completion.arrivalNanoseconds) * 1e-9
            return (first: first, each: (last - first) / Double(max(1, completion.outputTokens - 1)), all: last)
        }
        var comparisons: [Comparison] = []
        for (name, real, replayed) in [
            ("TTFT", measured.map(\.first), predicted.map(\.first)),
            ("TPOT", measured.map(\.each), predicted.map(\.each)),
            ("E2E", measured.map(\.all), predicted.map(\.all)),
        ] {
            let left = real.sorted()
            let right = replayed.sorted()
            comparisons.append(
                Comparison(
                    name: "\(name) mean", measured: left.reduce(0, +) / Double(left.count),
                    predicted: right.reduce(0, +) / Double(right.count)))
            for (label, fraction) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
                comparisons.append(
                    Comparison(
                        name: "\(name) \(label)", measured: ErrorSummary.quantile(left, fraction),
                        predicted: ErrorSummary.quantile(right, fraction)))
            }
        }
        return comparisons
    }

    // MARK: Files

    /// Blocks that requests can use: the run's own count less vLLM's null block, else what its memory share leaves.
    private func kvBlocks(_ meta: [String: Any], run: String, model: Model) throws(MeasurementError) -> Int {
        if let cache = meta["kv_cache"] as? [String: Any], let blocks = cache["num_gpu_blocks"] as? Int {
            return blocks - 1
        }
        let place = "\(run)/sim_config.json"
        let config = try Self.object(try Self.text(place), place: place)
        guard let nodes = config["nodes"] as? [[String: Any]],
            let instances = nodes.first?["instances"] as? [[String: Any]],
            let memory = instances.first?["npu_mem"] as? [String: Any], let size = memory["mem_size"] as? Double,
            let share = memory["mem_util"] as? Double
        else { throw MeasurementError("\(place): nodes[0].instances[0].npu_mem with mem_size and mem_util expected") }
        let gibibyte = 1_073_741_824.0
        let free = size * share * gibibyte - model.weightBytes(.bf16) - 1.5 * gibibyte
        return max(1, Int(free / (model.keyValueBytesPerToken(.bf16) * 16)))
    }

    private func observed(_ path: String) throws(MeasurementError) -> [Observed] {
        var requests: [Observed] = []
        for (index, line) in try Self.text(path).split(whereSeparator: \.isNewline).enumerated() {
            let place = "\(path):\(index + 1)"
            let object = try Self.object(String(line), place: place)
            guard let prompt = object["input_toks"] as? Int, let output = object["output_toks"] as? Int,
                let queued = object["queued_ts"] as? Double, let first = object["first_token_ts"] as? Double,
                let last = object["last_token_ts"] as? Double
            else {
                throw MeasurementError(
                    "\(place): input_toks, output_toks, queued_ts, first_token_ts and last_token_ts expected")
            }
            requests.append(
                Observed(
                    promptTokens: Int32(prompt), outputTokens: Int32(output), queued: queued, firstToken: first,
                    lastToken: last))
        }
        guard !requests.isEmpty else { throw MeasurementError("\(path) holds no request") }
        return requests.sorted { $0.queued < $1.queued }
    }

    /// Operators that run once a step; every other dense operator runs in each layer, norms twice.
    private static let onceOperators: Set<String> = ["embedding", "final_layernorm"]

    private func operatorProfile(_ folder: String, layers: Int) throws(MeasurementError) -> OperatorProfile {
        var perLayer: [Int: Double] = [:]
        var once: [Int: Double] = [:]
        for row in try Self.table("\(folder)/dense.csv.gz", columns: ["layer", "tokens", "time_us"]) {
            guard let tokens = Int(row[1]), let time = Double(row[2]) else {
                throw MeasurementError("\(folder)/dense.csv.gz: numbers expected")
            }
            if Self.onceOperators.contains(row[0]) {
                once[tokens, default: 0] += time
            } else {
                perLayer[tokens, default: 0] += time * (row[0] == "layernorm" ? 2 : 1)
            }
        }
        var sequences: [Int: Double] = [:]
        for row in try Self.table("\(folder)/per_sequence.csv.gz", columns: ["layer", "sequences", "time_us"]) {
            guard let count = Int(row[1]), let time = Double(row[2]) else {
                throw MeasurementError("\(folder)/per_sequence.csv.gz: numbers expected")
            }
            sequences[count, default: 0] += time
        }
        var attention: [OperatorProfile.AttentionPoint] = []
        let columns = ["prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us"]
        for row in try Self.table("\(folder)/attention.csv.gz", columns: columns) {
            let values = row.compactMap(Double.init)
            guard values.count == 5 else { throw MeasurementError("\(folder)/attention.csv.gz: numbers expected") }
            attention.append(
                .init(
                    chunk: Int(values[0]), prefillContext: Int(values[1]), decodes: Int(values[2]),
                    decodeContext: Int(values[3]),
                    microseconds: values[4]))
        }
        func points(_ values: [Int: Double]) -> [OperatorProfile.Point] {
            values.keys.sorted().map { .init(count: $0, microseconds: values[$0]!) }
        }
        guard !perLayer.isEmpty, !once.isEmpty, !sequences.isEmpty, !attention.isEmpty else {
            throw MeasurementError("\(folder): dense, per_sequence and attention tables must not be empty")
        }
        return OperatorProfile(
            layers: layers, perLayer: points(perLayer), once: points(once), perSequence: points(sequences),
            attention: attention)
    }

    private static func table(_ path: String, columns: [String]) throws(MeasurementError) -> [[String]] {
        var records = try SeparatedValues.records(of: try text(path), name: path)[...]
        guard let names = records.popFirst()?.fields else { throw MeasurementError("\(path) is empty") }
        var positions: [Int] = []
        for column in columns {
            guard let position = names.firstIndex(of: column) else {
                throw MeasurementError("\(path): the column '\(column)' is missing")
            }
            positions.append(position)
        }
        return try records.map { record throws(MeasurementError) in
            guard record.fields.count == names.count else {
                throw MeasurementError("\(path):\(record.line): \(record.fields.count) fields of \(names.count)")
            }
            return positions.map { record.fields[$0] }
        }
    }

    private static func object(_ text: String, place: String) throws(MeasurementError) -> [String: Any] {
        guard let value = try? JSONSerialization.jsonObject(with: Data(text.utf8)), let object = value as? [String: Any]
        else {
            throw MeasurementError("\(place): a JSON object was expected")
        }
        return object
    }

    /// The text of a file, gzip undone; at most 256 MiB.
    static func text(_ path: String) throws(MeasurementError) -> String {
        guard let file = gzopen(path, "rb") else { throw MeasurementError("cannot read \(path)") }
        defer { gzclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Int(gzread(file, &buffer, UInt32(buffer.count)))
            guard count >= 0 else { throw MeasurementError("\(path) is not a whole gzip file") }
            if count == 0 { break }
            bytes.append(contentsOf: buffer[0..<count])
            guard bytes.count < 1 << 28 else { throw MeasurementError("\(path) is larger than 256 MiB") }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
