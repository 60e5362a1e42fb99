//===----------------------------------------------------------------------===//
// The step table: what a deployment is compiled to.
//===----------------------------------------------------------------------===//

/// How long a step of one replica takes and what it burns, for every shape of step: the only thing the engine knows
/// about hardware.
///
/// Costs are additive over four surfaces, each an array read by index:
///
///     step = tokens[total tokens] + sequences[sequences that need logits]
///          + decode attention (sequences, mean or longest context) + prefill attention (shape)
///
/// All values are integers (picoseconds, nanojoules), so sums do not depend on the order of addition.
public final class StepTable: Sendable {
    /// Everything that depends on the tokens in the step only: projections, MLP or experts, norms, collectives,
    /// per-layer floors. Index: total tokens, 0...maxTokens.
    public let tokens: [StepCost]
    /// LM head, sampling and host work per sequence. Index: decoding plus completing sequences, 0...maxSequences.
    public let sequences: [StepCost]
    public let decodeAttention: DecodeAttention
    public let prefillAttention: PrefillAttention
    public let maxTokens: Int32
    public let maxSequences: Int32

    public init(
        tokens: [StepCost],
        sequences: [StepCost],
        decodeAttention: DecodeAttention,
        prefillAttention: PrefillAttention
    ) {
        precondition(!tokens.isEmpty && !sequences.isEmpty)
        precondition(decodeAttention.maxSequences >= sequences.count - 1)
        self.tokens = tokens
        self.sequences = sequences
        self.decodeAttention = decodeAttention
        self.prefillAttention = prefillAttention
        self.maxTokens = Int32(tokens.count - 1)
        self.maxSequences = Int32(sequences.count - 1)
    }

    /// Attention of the decoding sequences: for each batch size, a chain of straight pieces over the context.
    ///
    /// The context that selects the piece is the mean (total ÷ sequences, rounded down) or the longest one (compiled
    /// context buckets). Both grow by exactly one per step, so the number of steps that a piece still holds is known.
    public struct DecodeAttention: Sendable {
        public enum Axis: Sendable { case meanContext, longestContext }
        /// Cost of a piece: `base + slope × total decode context tokens`.
        public struct Piece: BitwiseCopyable, Sendable {
            public var base: StepCost
            public var slope: StepCost
            public init(base: StepCost, slope: StepCost) {
                self.base = base
                self.slope = slope
            }
        }
        public let axis: Axis
        /// `pieces[batch × piecesPerBatch + index]`, batch 0...maxSequences; row 0 is unused.
        public let pieces: [Piece]
        public let piecesPerBatch: Int
        /// Context `c` lies in piece `(c + roundUp) >> shift`, clamped to the last piece.
        public let shift: Int
        public let roundUp: Int
        public var maxSequences: Int { pieces.count / piecesPerBatch - 1 }

        public init(axis: Axis, pieces: [Piece], piecesPerBatch: Int, shift: Int, roundUp: Int) {
            precondition(piecesPerBatch > 0 && pieces.count.isMultiple(of: piecesPerBatch))
            self.axis = axis
            self.pieces = pieces
            self.piecesPerBatch = piecesPerBatch
            self.shift = shift
            self.roundUp = roundUp
        }
    }

    /// Attention of the prefill chunks of a step.
    public enum PrefillAttention: Sendable {
        /// `base + perPair × query–key pairs + perContextToken × context tokens`, in units of 2⁻²⁰ pico- or nanojoules
        /// per pair so that a pair may cost less than one unit.
        case linear(base: StepCost, perPairShifted20: StepCost, perContextTokenShifted20: StepCost)
        /// A grid over (Σ context rounded up to 64) ÷ 64 and round(√Σ chunk²), as Vidur measures it.
        case grid(values: [StepCost], chunkColumns: Int)
    }

    // MARK: What the engine calls

    /// Cost of one step of any shape.
    public func cost(of shape: StepShape) -> StepCost {
        precondition(shape.totalTokens <= maxTokens, "a step of \(shape.totalTokens) tokens exceeds the table's \(maxTokens)")
        var cost = tokens[Int(shape.totalTokens)]
        let rows = sequences[Int(min(shape.decodeSequences &+ shape.completingSequences, maxSequences))]
        cost.picoseconds += rows.picoseconds
        cost.nanojoules += rows.nanojoules
        if shape.decodeSequences > 0 {
            let (piece, _) = decodePiece(shape)
            cost.picoseconds += piece.base.picoseconds + piece.slope.picoseconds * shape.decodeContextTokens
            cost.nanojoules += piece.base.nanojoules + piece.slope.nanojoules * shape.decodeContextTokens
        }
        if shape.prefillSequences > 0 {
            let attention = prefillAttentionCost(shape)
            cost.picoseconds += attention.picoseconds
            cost.nanojoules += attention.nanojoules
        }
        return cost
    }

    /// Costs of the coming decode-only steps of an unchanged batch, as the longest straight line that holds.
    /// - Precondition: the shape has decoding sequences and no prefill.
    public func run(of shape: StepShape) -> StepRun {
        precondition(shape.decodeSequences > 0 && shape.prefillSequences == 0)
        let (piece, steps) = decodePiece(shape)
        let growth = Int64(shape.decodeSequences)
        return StepRun(
            first: cost(of: shape),
            increment: StepCost(
                picoseconds: piece.slope.picoseconds * growth,
                nanojoules: piece.slope.nanojoules * growth
            ),
            steps: steps
        )
    }

    private func decodePiece(_ shape: StepShape) -> (DecodeAttention.Piece, steps: Int32) {
        let attention = decodeAttention
        let context: Int
        switch attention.axis {
        case .meanContext: context = Int(shape.decodeContextTokens / Int64(shape.decodeSequences))
        case .longestContext: context = Int(shape.longestDecodeContextTokens)
        }
        let index = (context + attention.roundUp) >> attention.shift
        let last = attention.piecesPerBatch - 1
        let row = Int(shape.decodeSequences) * attention.piecesPerBatch
        guard index < last else { return (attention.pieces[row + last], Int32.max) }
        let firstContextOfNext = ((index + 1) << attention.shift) - attention.roundUp
        return (attention.pieces[row + index], Int32(clamping: firstContextOfNext - context))
    }

    private func prefillAttentionCost(_ shape: StepShape) -> StepCost {
        switch prefillAttention {
        case .linear(let base, let perPair, let perContextToken):
            let picoseconds =
                Int128(shape.prefillPairs) * Int128(perPair.picoseconds)
                + Int128(shape.prefillContextTokens) * Int128(perContextToken.picoseconds)
            let nanojoules =
                Int128(shape.prefillPairs) * Int128(perPair.nanojoules)
                + Int128(shape.prefillContextTokens) * Int128(perContextToken.nanojoules)
            return StepCost(
                picoseconds: base.picoseconds + Int64(picoseconds >> 20),
                nanojoules: base.nanojoules + Int64(nanojoules >> 20)
            )
        case .grid(let values, let chunkColumns):
            let row = Int(shape.prefillContextTokensBy64 >> 6)
            let column = min(Int(Double(shape.prefillChunkSquares).squareRoot().rounded(.toNearestOrEven)), chunkColumns - 1)
            let index = row * chunkColumns + column
            return values[min(index, values.count - 1)]
        }
    }
}
