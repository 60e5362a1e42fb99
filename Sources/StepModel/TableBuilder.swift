//===----------------------------------------------------------------------===//
// Fills a step table from the operators of a deployment.
//===----------------------------------------------------------------------===//

import Foundation

/// Evaluates the operator model at every index that a step table has.
struct TableBuilder {
    let blueprint: Blueprint
    let maxBatchedTokens: Int
    /// Compiled decode-slot buckets, ascending; empty for mixed stacks.
    let decodeBuckets: [Int]
    /// Compiled prefill buckets, ascending; empty for mixed stacks.
    let prefillBuckets: [Int]
    /// Compiled context lengths of decode, ascending; empty for mixed stacks.
    let contextBuckets: [Int]

    private var operators: OperatorModel { blueprint.operators }
    private var deployment: Deployment { blueprint.deployment }
    private var sequences: Int { blueprint.memory.maxSequences }
    /// Tokens that a decode step carries for each sequence, and steps' worth of a token that it yields.
    private var proposed: Double { Double(deployment.speculation?.proposedTokens ?? 0) }
    private var accepted: Double { deployment.speculation?.acceptedLength ?? 1 }

    init(blueprint: Blueprint) {
        self.blueprint = blueprint
        let deployment = blueprint.deployment
        let most = blueprint.memory.maxSequences
        if deployment.stack.isPhased {
            let longest = min(deployment.maxBatchedTokens ?? deployment.maxModelTokens, deployment.maxModelTokens)
            let buckets = Set(deployment.prefillBuckets ?? Self.powersOfTwo(from: min(128, longest), to: longest))
                .sorted()
            prefillBuckets = buckets
            maxBatchedTokens = buckets.last!
            decodeBuckets = deployment.stack.hasSingleDecodeBucket ? [most] : Self.powersOfTwo(from: 1, to: most)
            let contexts = (deployment.contextBuckets ?? []).filter { $0 < deployment.maxModelTokens }.sorted()
            contextBuckets = contexts + [deployment.maxModelTokens]
        } else {
            // vLLM's default on GPUs of 70 GiB and more, TensorRT-LLM's and SGLang's chunk: 8192; vLLM on smaller GPUs
            // 2048.
            let usual = blueprint.hardware.memoryBytes < 70e9 && deployment.stack == .vllm ? 2048 : 8192
            maxBatchedTokens = max(deployment.maxBatchedTokens ?? usual, most)
            prefillBuckets = []
            decodeBuckets = []
            contextBuckets = []
        }
    }

    /// `first`, doubled until `last`, which closes the list whether or not it is a power of two.
    static func powersOfTwo(from first: Int, to last: Int) -> [Int] {
        var buckets: [Int] = []
        var bucket = first
        while bucket < last {
            buckets.append(bucket)
            bucket *= 2
        }
        return buckets + [last]
    }

    func build() -> StepTable { deployment.stack.isPhased ? phased() : mixed() }

    // MARK: Mixed stacks

    private func mixed() -> StepTable {
        let overlaps = deployment.schedulesAsynchronously ?? false
        let host = overlaps ? 0 : operators.coefficients[.stepSeconds]
        var tokens: [StepCost] = []
        tokens.reserveCapacity(maxBatchedTokens + 1)
        for count in 0...maxBatchedTokens {
            var work = operators.tokenWork(Double(count), prefillTokens: 0)
            var waits = host
            if count <= sequences, deployment.speculation != nil, count > 0 {
                work = speculativeTokenWork(sequences: Double(count))
                waits /= accepted
            }
            tokens.append(blueprint.cost(work, hostSeconds: waits))
        }
        let rows = (0...sequences).map { count in
            let host = overlaps ? 0 : operators.hostSeconds(rows: Double(count)) - operators.hostSeconds(rows: 0)
            let logits = operators.logitsWork(rows: Double(count) * (1 + proposed)) * (1 / accepted)
            return blueprint.cost(logits, hostSeconds: host)
        }
        let decode = meanContextAttention()
        var floors: [StepCost] = []
        if overlaps {
            floors = (0...sequences).map { count in
                let middle = Double(deployment.maxModelTokens) / 4
                let work =
                    operators.tokenWork(Double(count), prefillTokens: 0)
                    + operators.decodeAttentionWork(sequences: Double(count), context: count > 0 ? middle : 0)
                let seconds = operators.hostSeconds(rows: Double(count)) / accepted
                return StepCost(
                    picoseconds: Int64((seconds * 1e12).rounded()),
                    nanojoules: Int64(
                        blueprint.nanojoules(work * min(1, seconds / max(work.seconds, 1e-9)), seconds: seconds)
                            .rounded())
                )
            }
        }
        return StepTable(
            tokens: tokens, sequences: rows, decodeAttention: decode, prefillAttention: linearPrefillAttention(),
            hostFloor: floors
        )
    }

    /// Verification of the proposed tokens and the draft's own passes, for each token that comes out.
    func speculativeTokenWork(sequences: Double) -> Work {
        let verify = operators.tokenWork(sequences * (1 + proposed), prefillTokens: 0)
        // A draft head is one layer of the target and its output projection, run once for each proposed token.
        let layer =
            operators.tokenWork(sequences, prefillTokens: 0)
            * (1 / Double(operators.layers.reduce(0) { $0 + $1.count }))
        var draft = (layer + operators.logitsWork(rows: sequences)) * proposed
        draft.seconds += operators.coefficients[.draftSeconds] * proposed
        return (verify + draft) * (1 / accepted)
    }

    /// Straight pieces between the contexts at which a layer's window fills.
    private func meanContextAttention() -> StepTable.DecodeAttention {
        let windows = operators.layers.flatMap { $0.attentions.compactMap(\.window) }.filter {
            $0 < deployment.maxModelTokens
        }
        var shift = 20
        var count = 1
        if let smallest = windows.min(), let largest = windows.max() {
            shift = max(4, Int(log2(Double(smallest)).rounded(.down)))
            count = min(64, (largest + (1 << shift) - 1) >> shift) + 1
        }
        var pieces: [StepTable.DecodeAttention.Piece] = []
        pieces.reserveCapacity((sequences + 1) * count)
        for batch in 0...sequences {
            for index in 0..<count {
                guard batch > 0 else {
                    pieces.append(
                        .init(
                            base: StepCost(picoseconds: 0, nanojoules: 0),
                            slope: StepCost(picoseconds: 0, nanojoules: 0)))
                    continue
                }
                let start = Double(index << shift)
                let end =
                    index == count - 1
                    ? max(start + 4096, Double(deployment.maxModelTokens)) : Double((index + 1) << shift)
                let low = attentionCost(batch: Double(batch), context: start)
                let high = attentionCost(batch: Double(batch), context: end)
                let growth = (end - start) * Double(batch)
                let slope = StepCost(
                    picoseconds: Int64((Double(high.picoseconds - low.picoseconds) / growth).rounded()),
                    nanojoules: Int64((Double(high.nanojoules - low.nanojoules) / growth).rounded())
                )
                let total = Int64(start) * Int64(batch)
                pieces.append(
                    .init(
                        base: StepCost(
                            picoseconds: low.picoseconds - slope.picoseconds * total,
                            nanojoules: low.nanojoules - slope.nanojoules * total
                        ),
                        slope: slope
                    )
                )
            }
        }
        return StepTable.DecodeAttention(
            axis: .meanContext, pieces: pieces, piecesPerBatch: count, shift: shift, roundUp: 0)
    }

    /// A verification reads the cache once for all its tokens.
    private func attentionCost(batch: Double, context: Double) -> StepCost {
        blueprint.cost(operators.decodeAttentionWork(sequences: batch, context: context) * (1 / accepted))
    }

    private func linearPrefillAttention() -> StepTable.PrefillAttention {
        // Costs are linear in pairs; a large number of them keeps the digits of the slope.
        let pairs = 1e9
        let perPair = operators.prefillAttentionWork(pairs: pairs, tokens: 1e9, context: 0)
        let unwindowed = perPair
        let context = operators.prefillAttentionWork(pairs: 0, tokens: 0, context: 1e6)
        return .linear(
            base: blueprint.cost(
                Work(), hostSeconds: deployment.stack.isPhased ? 0 : operators.coefficients[.prefillSeconds]),
            perPairShifted20: shifted(unwindowed, units: pairs),
            perContextTokenShifted20: shifted(context, units: 1e6)
        )
    }

    /// Cost of one unit in 2⁻²⁰ pico- and nanojoules.
    private func shifted(_ work: Work, units: Double) -> StepCost {
        let scale = Double(1 << 20) / units
        return StepCost(
            picoseconds: Int64((work.seconds * 1e12 * scale).rounded()),
            nanojoules: Int64((blueprint.nanojoules(work, seconds: work.seconds) * scale).rounded())
        )
    }

    // MARK: Phased stacks

    private func phased() -> StepTable {
        let overlaps = deployment.schedulesAsynchronously ?? false
        var tokens = [StepCost(picoseconds: 0, nanojoules: 0)]
        var pieces = [StepTable.DecodeAttention.Piece](
            repeating: .init(
                base: StepCost(picoseconds: 0, nanojoules: 0), slope: StepCost(picoseconds: 0, nanojoules: 0)),
            count: pieceCount
        )
        var lastBucket = 0
        for count in 1...sequences {
            let bucket = decodeBuckets.first { $0 >= count }!
            if bucket != lastBucket {
                tokens.append(decodeStep(slots: Double(bucket), hidesHost: overlaps))
                pieces += decodePieces(slots: Double(bucket))
                lastBucket = bucket
            } else {
                tokens.append(tokens[count - 1])
                pieces += pieces[(pieces.count - pieceCount)...]
            }
        }
        let rows = (0...sequences).map {
            blueprint.cost(Work(), hostSeconds: Double($0) * operators.coefficients[.sequenceSeconds])
        }
        return StepTable(
            tokens: tokens,
            sequences: rows,
            decodeAttention: StepTable.DecodeAttention(
                axis: .longestContext, pieces: pieces, piecesPerBatch: pieceCount, shift: pieceShift,
                roundUp: (1 << pieceShift) - 1),
            prefillAttention: linearPrefillAttention(),
            paddedPrefill: StepTable.PaddedPrefill(chunks: prefillChunks())
        )
    }

    /// A decode step of compiled slots without its attention.
    private func decodeStep(slots: Double, hidesHost: Bool) -> StepCost {
        let work =
            deployment.speculation == nil
            ? operators.tokenWork(slots, prefillTokens: 0) : speculativeTokenWork(sequences: slots)
        let logits = operators.logitsWork(rows: slots * (1 + proposed)) * (1 / accepted)
        let sampling = operators.hostSeconds(rows: slots) - slots * operators.coefficients[.sequenceSeconds]
        let host = (hidesHost ? 0 : sampling) / accepted
        return blueprint.cost(work + logits, hostSeconds: host)
    }

    /// Pieces of equal width, so that a shift finds them: as wide as the largest power of two that divides all buckets.
    private var pieceShift: Int {
        guard contextBuckets.count > 1 else { return 30 }
        return min(20, contextBuckets.dropLast().map(\.trailingZeroBitCount).min()!)
    }

    private var pieceCount: Int {
        guard contextBuckets.count > 1 else { return 1 }
        return ((deployment.maxModelTokens + (1 << pieceShift) - 1) >> pieceShift) + 1
    }

    /// Every slot reads the whole bucket that holds the longest context. A context that is padded to its bucket already
    /// lands in the same piece, so the engine may pad or not. Piece `i` covers contexts up to `i << pieceShift`.
    private func decodePieces(slots: Double) -> [StepTable.DecodeAttention.Piece] {
        (0..<pieceCount).map { index in
            let covers = contextBuckets.count > 1 ? max(1, index << pieceShift) : deployment.maxModelTokens
            let bucket = contextBuckets.first { $0 >= covers } ?? deployment.maxModelTokens
            return .init(
                base: attentionCost(batch: slots, context: Double(bucket)),
                slope: StepCost(picoseconds: 0, nanojoules: 0))
        }
    }

    private func prefillChunks() -> [StepTable.PaddedPrefill.Chunk] {
        var chunks: [StepTable.PaddedPrefill.Chunk] = []
        chunks.reserveCapacity(maxBatchedTokens + 1)
        for bucket in prefillBuckets {
            let length = Double(bucket)
            let work =
                operators.tokenWork(length, prefillTokens: length)
                + operators.prefillAttentionWork(pairs: length * (length + 1) / 2, tokens: length, context: 0)
                + operators.logitsWork(rows: 1)
            let host = operators.coefficients[.stepSeconds] + operators.coefficients[.prefillSeconds]
            let base = blueprint.cost(work, hostSeconds: host)
            let context = operators.prefillAttentionWork(pairs: length * 1000, tokens: length, context: 1000)
            let chunk = StepTable.PaddedPrefill.Chunk(
                base: base, perContextTokenShifted20: shifted(context, units: 1000))
            while chunks.count <= bucket { chunks.append(chunk) }
        }
        return chunks
    }
}
