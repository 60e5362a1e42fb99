//===----------------------------------------------------------------------===//
// Vidur's command line.
//===----------------------------------------------------------------------===//

import Engine
import StepModel

/// `--name value` or `--name=value`; the last one counts.
struct ReferenceOptions {
    private(set) var values: [String: String] = [:]
    let place: String

    init(_ arguments: [String], place: String) {
        self.place = place
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            guard argument.hasPrefix("--") else { continue }
            if let equals = argument.firstIndex(of: "=") {
                values[String(argument[argument.index(argument.startIndex, offsetBy: 2)..<equals])] =
                    String(argument[argument.index(after: equals)...])
            } else if index < arguments.count, !arguments[index].hasPrefix("--") {
                values[String(argument.dropFirst(2))] = arguments[index]
                index += 1
            }
        }
    }

    private func problem(_ message: String) -> ConformanceError { ConformanceError(place: place, message: message) }

    func integer(_ name: String, default fallback: Int, atLeast least: Int = 1) throws(ConformanceError) -> Int {
        guard let text = values[name] else { return fallback }
        guard let value = Int(text), value >= least, value <= Int(Int32.max) else {
            throw problem("--\(name) needs a whole number of at least \(least), found '\(text)'")
        }
        return value
    }

    private func share(_ name: String, default fallback: Double) throws(ConformanceError) -> Double {
        guard let text = values[name] else { return fallback }
        guard let value = Double(text), (0..<1).contains(value) else {
            throw problem("--\(name) needs a share from 0 to below 1, found '\(text)'")
        }
        return value
    }

    /// Vidur's defaults: 128 sequences, chunks of 512 tokens, 4096 tokens in a batch of prompts, 1 % of blocks kept
    /// free.
    func configuration(table: VidurTable, longest: Int) throws(ConformanceError) -> ReplicaConfiguration {
        try requireOneDevice()
        let kind = values["replica_scheduler_config_type"] ?? "sarathi"
        guard kind == "sarathi" || kind == "vllm" else {
            throw problem("scheduler '\(kind)' is not known; sarathi and vllm are")
        }
        let prefix = "\(kind)_scheduler_config"
        let blockTokens = try integer("\(prefix)_block_size", default: table.blockTokens)
        // The same memory in other blocks.
        let blocks = try integer(
            "\(prefix)_num_blocks", default: table.kvBlocks * table.blockTokens / blockTokens)
        let watermark = try share("\(prefix)_watermark_blocks_fraction", default: 0.01)
        let chunk = try integer("sarathi_scheduler_config_chunk_size", default: 512)
        let sequences = try integer("\(prefix)_batch_size_cap", default: 128)
        let promptTokens = try integer("vllm_scheduler_config_max_tokens_in_batch", default: 4096)
        if sequences > Int(table.steps.maxSequences) {
            throw problem("a batch of \(sequences) is beyond the table, which ends at \(table.steps.maxSequences)")
        }
        let stepTokens = (kind == "sarathi" ? chunk : promptTokens)
        if stepTokens > Int(table.steps.maxTokens) {
            throw problem("a step of \(stepTokens) tokens is beyond the table, which ends at \(table.steps.maxTokens)")
        }
        if longest > table.largestContext {
            throw problem("a context of \(longest) tokens is beyond the table, which ends at \(table.largestContext)")
        }
        let configuration = ReplicaConfiguration(
            stack: kind == "sarathi" ? .sarathi(chunkTokens: Int32(chunk)) : .vllmV0,
            maxSequences: Int32(sequences), maxModelTokens: Int32(clamping: longest + 1),
            maxBatchedTokens: Int32(promptTokens), kvBlocks: Int32(clamping: blocks),
            kvBlockTokens: Int32(blockTokens), watermarkBlocks: Int32(Double(blocks) * watermark))
        if let impossible = configuration.problem { throw problem(impossible) }
        return configuration
    }

    /// The table is one device's: it has no times for a part of the model.
    private func requireOneDevice() throws(ConformanceError) {
        for name in ["tensor_parallel_size", "num_pipeline_stages"] {
            let devices = try integer("replica_config_\(name)", default: 1)
            if devices != 1 {
                throw problem("--replica_config_\(name) is \(devices), and the pack's table holds the times of 1")
            }
        }
    }
}
