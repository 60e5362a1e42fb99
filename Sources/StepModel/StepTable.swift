//===----------------------------------------------------------------------===//
// The step table: what a deployment is compiled to.
//===----------------------------------------------------------------------===//

/// How long a step of one replica takes and what it burns, for every shape of step: the only thing the engine knows
/// about hardware.
///
/// Costs are additive over surfaces, each an array read by index:
///
///     step = tokens[total tokens] + sequences[sequences that need logits]
///          + decode attention (sequences, mean or longest context) + prefill attention (shape)
///     step = max(step, hostFloor[sequences that need logits])
///
/// Three optional surfaces change that sum:
/// - `paddedPrefill` (phased stacks with compiled buckets) replaces it for a step without decoding sequences;
/// - `jointAttention` (profiled tables) replaces decode and prefill attention for a step that has prefill chunks;
/// - `hostFloor` (asynchronous scheduling) is what the host needs for a step while the device works on the last one.
///
/// All values are integers (picoseconds, nanojoules), so sums do not depend on the order of addition.
public final class StepTable: Sendable {
    /// Everything that depends on the tokens in the step only: projections, MLP or experts, norms, collectives,
    /// per-layer floors, host work per step. Index: total tokens. Where slots are compiled, entry `n` is the cost of
    /// the slot bucket that holds `n`.
    public let tokens: [StepCost]
    /// LM head, sampling and host work per sequence. Index: decoding plus completing sequences, 0...maxSequences.
    public let sequences: [StepCost]
    public let decodeAttention: DecodeAttention
    public let prefillAttention: PrefillAttention
    /// Prefill of compiled buckets; nil where prefill is not padded.
    public let paddedPrefill: PaddedPrefill?
    /// Attention measured for mixed batches; nil where decode and prefill attention add up.
    public let jointAttention: JointAttention?
    /// Least cost of a step by sequences that need logits, or empty. A floor's energy is that of a step as long as the
    /// floor, so the cost of a host-bound step does not change while its contexts grow.
    public let hostFloor: [StepCost]
    /// The most tokens that a step may carry.
    public let maxTokens: Int32
    /// The most sequences that a step may decode.
    public let maxSequences: Int32

    public init(
        tokens: [StepCost],
        sequences: [StepCost],
        decodeAttention: DecodeAttention,
        prefillAttention: PrefillAttention,
        paddedPrefill: PaddedPrefill? = nil,
        jointAttention: JointAttention? = nil,
        hostFloor: [StepCost] = []
    ) {
        precondition(!tokens.isEmpty && !sequences.isEmpty)
        precondition(decodeAttention.maxSequences >= sequences.count - 1)
        precondition(hostFloor.isEmpty || hostFloor.count == sequences.count)
        self.tokens = tokens
        self.sequences = sequences
        self.decodeAttention = decodeAttention
        self.prefillAttention = prefillAttention
        self.paddedPrefill = paddedPrefill
        self.jointAttention = jointAttention
        self.hostFloor = hostFloor
        self.maxTokens = Int32(max(tokens.count, paddedPrefill?.chunks.count ?? 0) - 1)
        self.maxSequences = Int32(sequences.count - 1)
    }

    // MARK: What the engine calls

    /// Cost of one step of any shape.
    /// - Precondition: the step carries at most `maxTokens` tokens.
    @inlinable public func cost(of shape: StepShape) -> StepCost {
        if shape.prefillSequences == 0 {
            return floored(decodeStep(shape, piece: decodePiece(shape).piece), shape)
        }
        if let paddedPrefill, shape.decodeSequences == 0 {
            var cost = paddedPrefill.cost(of: shape)
            cost.add(sequences[Int(min(shape.completingSequences, maxSequences))])
            return cost
        }
        precondition(Int(shape.totalTokens) < tokens.count, "a step carries more tokens than its table holds")
        var cost = tokens[Int(shape.totalTokens)]
        cost.add(sequences[Int(min(shape.decodeSequences &+ shape.completingSequences, maxSequences))])
        if let jointAttention {
            cost.add(jointAttention.cost(of: shape))
        } else {
            if shape.decodeSequences > 0 { cost.add(decodePiece(shape).piece.cost(shape.decodeContextTokens)) }
            cost.add(prefillAttention.cost(of: shape))
        }
        return floored(cost, shape)
    }

    /// Costs of the coming decode-only steps of an unchanged batch, as the longest straight line that holds.
    /// - Precondition: the shape has decoding sequences and no prefill.
    @inlinable public func run(of shape: StepShape) -> StepRun {
        precondition(shape.decodeSequences > 0 && shape.prefillSequences == 0)
        let (piece, steps) = decodePiece(shape)
        let growth = Int64(shape.decodeSequences)
        let first = decodeStep(shape, piece: piece)
        let increment = StepCost(
            picoseconds: piece.slope.picoseconds &* growth,
            nanojoules: piece.slope.nanojoules &* growth
        )
        guard !hostFloor.isEmpty else { return StepRun(first: first, increment: increment, steps: steps) }
        let floor = hostFloor[Int(min(shape.decodeSequences, maxSequences))]
        guard first.picoseconds < floor.picoseconds else {
            return StepRun(first: first, increment: increment, steps: steps)
        }
        // The floor holds until the growing step passes it, or the piece ends.
        var hold = steps
        if increment.picoseconds > 0 {
            let short = floor.picoseconds &- first.picoseconds
            hold = min(steps, Int32(clamping: (short &+ increment.picoseconds &- 1) / increment.picoseconds))
        }
        return StepRun(first: floor, increment: StepCost(picoseconds: 0, nanojoules: 0), steps: max(hold, 1))
    }

    // MARK: Parts

    @inlinable func decodeStep(_ shape: StepShape, piece: DecodeAttention.Piece) -> StepCost {
        precondition(Int(shape.decodeSequences) < tokens.count, "a step decodes more sequences than its table holds")
        var cost = tokens[Int(shape.decodeSequences)]
        cost.add(sequences[Int(min(shape.decodeSequences, maxSequences))])
        cost.add(piece.cost(shape.decodeContextTokens))
        return cost
    }

    @inlinable func floored(_ cost: StepCost, _ shape: StepShape) -> StepCost {
        guard !hostFloor.isEmpty else { return cost }
        let floor = hostFloor[Int(min(shape.decodeSequences &+ shape.completingSequences, maxSequences))]
        return cost.picoseconds < floor.picoseconds ? floor : cost
    }

    @inlinable func decodePiece(_ shape: StepShape) -> (piece: DecodeAttention.Piece, steps: Int32) {
        guard shape.decodeSequences > 0 else { return (DecodeAttention.Piece.zero, Int32.max) }
        let context: Int
        switch decodeAttention.axis {
        case .meanContext: context = Int(shape.decodeContextTokens / Int64(shape.decodeSequences))
        case .longestContext: context = Int(shape.longestDecodeContextTokens)
        }
        let index = (context &+ decodeAttention.roundUp) >> decodeAttention.shift
        let last = decodeAttention.piecesPerBatch &- 1
        let row = Int(shape.decodeSequences) &* decodeAttention.piecesPerBatch
        guard index < last else { return (decodeAttention.pieces[row + last], Int32.max) }
        let firstContextOfNext = ((index &+ 1) << decodeAttention.shift) &- decodeAttention.roundUp
        return (decodeAttention.pieces[row + index], Int32(clamping: firstContextOfNext &- context))
    }
}

extension StepCost {
    @inlinable mutating func add(_ other: StepCost) {
        picoseconds &+= other.picoseconds
        nanojoules &+= other.nanojoules
    }
}
