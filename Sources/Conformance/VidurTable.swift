//===----------------------------------------------------------------------===//
// A pack's batch-time model as a step table.
//===----------------------------------------------------------------------===//

import Foundation
public import StepModel

/// What `table/` of a Vidur pack says: per layer, in milliseconds,
///
///     linear[tokens rounded up to 8] + kv_save[tokens]
///     + decode[sequences, mean context rounded up to 64]
///     + prefill[Σ context each rounded up to 64, round(√Σ chunk²)]
///
/// times the number of layers. The pack knows nothing of energy, so the table gives none.
public struct VidurTable: Sendable {
    public let steps: StepTable
    public let kvBlocks: Int
    public let blockTokens: Int
    /// Largest mean context of a decode step that the table has a time for.
    let largestContext: Int

    private struct Meta: Decodable {
        var layers: Double
        var blocks: Double
        var blockTokens: Double
        var overheads: [Double]?

        enum CodingKeys: String, CodingKey {
            case layers
            case blocks = "num_blocks"
            case blockTokens = "block_size"
            case overheads = "gqa_overheads"
        }
    }

    public init(folder: String) throws(ConformanceError) {
        let metaPath = "\(folder)/meta.json"
        let meta: Meta
        do {
            meta = try JSONDecoder().decode(Meta.self, from: Data(contentsOf: URL(fileURLWithPath: metaPath)))
        } catch {
            throw ConformanceError(place: metaPath, message: "needs layers, num_blocks and block_size: \(error)")
        }
        guard (1...1e9).contains(meta.blocks), (1...1024).contains(meta.blockTokens), (1...1e4).contains(meta.layers)
        else {
            throw ConformanceError(
                place: metaPath,
                message:
                    "num_blocks \(meta.blocks), block_size \(meta.blockTokens) or layers \(meta.layers) is impossible")
        }
        if let overheads = meta.overheads, overheads.contains(where: { $0 != 0 }) {
            throw ConformanceError(
                place: metaPath, message: "gqa_overheads \(overheads): only tables without them (all 0) can be replayed"
            )
        }
        kvBlocks = Int(meta.blocks)
        blockTokens = Int(meta.blockTokens)
        largestContext =
            try PackTable(path: PackTable.existing("\(folder)/attn_decode_ms_per_layer.csv"))
            .integers("mean_kv_rounded_up_to_64").max() ?? 0
        func cost(_ milliseconds: Double) -> StepCost {
            StepCost(picoseconds: Int64((milliseconds * meta.layers * 1e9).rounded()), nanojoules: 0)
        }
        steps = StepTable(
            tokens: try VidurTable.tokens(folder).map(cost),
            sequences: [StepCost](repeating: cost(0), count: try VidurTable.largestBatch(folder) + 1),
            decodeAttention: try VidurTable.decode(folder, cost: cost),
            prefillAttention: try VidurTable.prefill(folder, cost: cost))
    }

    /// linear + kv_save by exact number of tokens.
    private static func tokens(_ folder: String) throws(ConformanceError) -> [Double] {
        let linear = try PackTable(path: PackTable.existing("\(folder)/linear_ms_per_layer.csv"))
        let linearTokens = try linear.integers("num_tokens_rounded_up_to_8")
        let linearTimes = try linear.numbers("sum")
        var byEight: [Int: Double] = [:]
        for (tokens, time) in zip(linearTokens, linearTimes) { byEight[tokens] = time }
        let save = try PackTable(path: PackTable.existing("\(folder)/kv_save_ms_per_layer.csv"))
        let saveTokens = try save.integers("num_tokens_exact")
        let saveTimes = try save.numbers("ms")
        var times = [Double](repeating: 0, count: (saveTokens.max() ?? 0) + 1)
        for (tokens, time) in zip(saveTokens, saveTimes) {
            guard tokens > 0, let rest = byEight[(tokens + 7) / 8 * 8] else {
                throw ConformanceError(place: linear.path, message: "has no time for \(tokens) tokens")
            }
            times[tokens] = time + rest
        }
        return times
    }

    private static func largestBatch(_ folder: String) throws(ConformanceError) -> Int {
        try PackTable(path: PackTable.existing("\(folder)/attn_decode_ms_per_layer.csv")).integers("decode_batch_size")
            .max() ?? 0
    }

    private static func decode(
        _ folder: String, cost: (Double) -> StepCost
    ) throws(ConformanceError) -> StepTable.DecodeAttention {
        let table = try PackTable(path: PackTable.existing("\(folder)/attn_decode_ms_per_layer.csv"))
        let batches = try table.integers("decode_batch_size")
        let contexts = try table.integers("mean_kv_rounded_up_to_64")
        let times = try table.numbers("ms")
        let columns = (contexts.max() ?? 0) / 64 + 1
        let nothing = StepCost(picoseconds: 0, nanojoules: 0)
        var pieces = [StepTable.DecodeAttention.Piece](
            repeating: StepTable.DecodeAttention.Piece(base: nothing, slope: nothing),
            count: ((batches.max() ?? 0) + 1) * columns)
        for row in 0..<table.count {
            pieces[batches[row] * columns + contexts[row] / 64] =
                StepTable.DecodeAttention.Piece(base: cost(times[row]), slope: nothing)
        }
        return StepTable.DecodeAttention(
            axis: .meanContext, pieces: pieces, piecesPerBatch: columns, shift: 6, roundUp: 63)
    }

    private static func prefill(
        _ folder: String, cost: (Double) -> StepCost
    ) throws(ConformanceError) -> StepTable.PrefillAttention {
        let table = try PackTable(path: PackTable.existing("\(folder)/attn_prefill_ms_per_layer_rle.csv"))
        let contexts = try table.integers("sum_kv_each_rounded_up_to_64")
        let from = try table.integers("chunk_from")
        let to = try table.integers("chunk_to")
        let times = try table.numbers("ms")
        let columns = (to.max() ?? 0) + 1
        var values = [StepCost](
            repeating: StepCost(picoseconds: 0, nanojoules: 0), count: ((contexts.max() ?? 0) / 64 + 1) * columns)
        for row in 0..<table.count where from[row] <= to[row] {
            let start = contexts[row] / 64 * columns
            for chunk in from[row]...to[row] { values[start + chunk] = cost(times[row]) }
        }
        return .grid(values: values, chunkColumns: columns)
    }
}
