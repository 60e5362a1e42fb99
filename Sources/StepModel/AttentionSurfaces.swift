//===----------------------------------------------------------------------===//
// The attention surfaces of a step table.
//===----------------------------------------------------------------------===//

extension StepTable {
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
            @usableFromInline static let zero = Piece(
                base: StepCost(picoseconds: 0, nanojoules: 0),
                slope: StepCost(picoseconds: 0, nanojoules: 0)
            )
            @inlinable func cost(_ contextTokens: Int64) -> StepCost {
                StepCost(
                    picoseconds: base.picoseconds &+ slope.picoseconds &* contextTokens,
                    nanojoules: base.nanojoules &+ slope.nanojoules &* contextTokens
                )
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

        @inlinable func cost(of shape: StepShape) -> StepCost {
            switch self {
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
                let root = Double(shape.prefillChunkSquares).squareRoot().rounded(.toNearestOrEven)
                let column = min(Int(root), chunkColumns - 1)
                return values[min(row * chunkColumns + column, values.count - 1)]
            }
        }
    }

    /// Prefill on compiled buckets: a chunk of `n` tokens costs what its bucket costs, whatever its real length.
    public struct PaddedPrefill: Sendable {
        /// One chunk length: the whole step of its bucket (projections, its own attention, host), and the cost per
        /// context token that the chunk attends to (earlier segments, prefix-cache hits), in units of 2⁻²⁰.
        public struct Chunk: BitwiseCopyable, Sendable {
            public var base: StepCost
            public var perContextTokenShifted20: StepCost
            public init(base: StepCost, perContextTokenShifted20: StepCost) {
                self.base = base
                self.perContextTokenShifted20 = perContextTokenShifted20
            }
        }
        /// Index: chunk tokens, 0...the longest compiled bucket.
        public let chunks: [Chunk]

        public init(chunks: [Chunk]) {
            precondition(!chunks.isEmpty)
            self.chunks = chunks
        }

        /// Several sequences in one step (stacks that prefill a batch at a time) are taken as their summed length.
        @inlinable func cost(of shape: StepShape) -> StepCost {
            precondition(Int(shape.prefillTokens) < chunks.count, "a prefill chunk exceeds the longest compiled bucket")
            let chunk = chunks[Int(shape.prefillTokens)]
            let context = Int128(shape.prefillContextTokens)
            return StepCost(
                picoseconds: chunk.base.picoseconds
                    &+ Int64((Int128(chunk.perContextTokenShifted20.picoseconds) * context) >> 20),
                nanojoules: chunk.base.nanojoules
                    &+ Int64((Int128(chunk.perContextTokenShifted20.nanojoules) * context) >> 20)
            )
        }
    }

    /// Attention of a step that holds prefill chunks and perhaps decodes, as profilers of one fused kernel measure it:
    /// a grid over Σ chunk, mean context of the prefilling sequences, decoding sequences, and mean decode context.
    ///
    /// Between grid points the value is interpolated linearly on each axis; beyond the last point it is extrapolated
    /// from the last two.
    public struct JointAttention: Sendable {
        public let chunks: [Int32]
        public let prefillContexts: [Int32]
        public let decodeSequences: [Int32]
        public let decodeContexts: [Int32]
        /// Picoseconds over all layers, row-major in the order of the axes above.
        public let picoseconds: [Double]
        /// Chip power while attention runs, in nanojoules per picosecond (kilowatts).
        public let nanojoulesPerPicosecond: Double

        public init(
            chunks: [Int32],
            prefillContexts: [Int32],
            decodeSequences: [Int32],
            decodeContexts: [Int32],
            picoseconds: [Double],
            nanojoulesPerPicosecond: Double
        ) {
            let cells = chunks.count * prefillContexts.count * decodeSequences.count * decodeContexts.count
            precondition(cells > 0 && picoseconds.count == cells)
            self.chunks = chunks
            self.prefillContexts = prefillContexts
            self.decodeSequences = decodeSequences
            self.decodeContexts = decodeContexts
            self.picoseconds = picoseconds
            self.nanojoulesPerPicosecond = nanojoulesPerPicosecond
        }

        @usableFromInline func cost(of shape: StepShape) -> StepCost {
            let prefillContext =
                shape.prefillSequences > 0 ? Double(shape.prefillContextTokens) / Double(shape.prefillSequences) : 0
            let decodeContext =
                shape.decodeSequences > 0 ? Double(shape.decodeContextTokens) / Double(shape.decodeSequences) : 0
            let tokens = Double(shape.prefillTokens)
            let decodes = Double(shape.decodeSequences)
            var time = value(
                chunk: tokens, prefillContext: prefillContext, decodes: decodes, decodeContext: decodeContext)
            if shape.prefillSequences > 1 {
                // The profile holds one prompt a call; several attend only to themselves. They cost as `prompts` equal
                // chunks with the same sum of squares, of which each brings what it adds to an empty call.
                let chunk = Double(shape.prefillChunkSquares) / tokens
                let prompts = tokens / chunk
                let whole = value(chunk: tokens, prefillContext: prefillContext, decodes: 0, decodeContext: 0)
                let single = value(chunk: chunk, prefillContext: prefillContext, decodes: 0, decodeContext: 0)
                let empty = value(
                    chunk: Double(chunks.first { $0 > 0 } ?? 0), prefillContext: 0, decodes: 0, decodeContext: 0)
                time += min(0, single + (prompts - 1) * max(0, single - empty) - whole)
            }
            time = max(0, time)
            return StepCost(
                picoseconds: Int64(time.rounded()),
                nanojoules: Int64((time * nanojoulesPerPicosecond).rounded())
            )
        }

        /// Interpolated picoseconds.
        func value(chunk: Double, prefillContext: Double, decodes: Double, decodeContext: Double) -> Double {
            let a = Self.bracket(chunks, chunk)
            let b = Self.bracket(prefillContexts, prefillContext)
            let c = Self.bracket(decodeSequences, decodes)
            let d = Self.bracket(decodeContexts, decodeContext)
            var sum = 0.0
            for corner in 0..<16 {
                let (ia, wa) = corner & 1 == 0 ? (a.lower, 1 - a.weight) : (a.upper, a.weight)
                let (ib, wb) = corner & 2 == 0 ? (b.lower, 1 - b.weight) : (b.upper, b.weight)
                let (ic, wc) = corner & 4 == 0 ? (c.lower, 1 - c.weight) : (c.upper, c.weight)
                let (id, wd) = corner & 8 == 0 ? (d.lower, 1 - d.weight) : (d.upper, d.weight)
                let weight = wa * wb * wc * wd
                if weight == 0 { continue }
                let index = ((ia * prefillContexts.count + ib) * decodeSequences.count + ic) * decodeContexts.count + id
                sum += weight * picoseconds[index]
            }
            return sum
        }

        /// The grid points around `value`, and how far it lies towards the upper one (above 1 beyond the axis).
        static func bracket(_ axis: [Int32], _ value: Double) -> (lower: Int, upper: Int, weight: Double) {
            guard axis.count > 1 else { return (0, 0, 0) }
            var upper = 1
            while upper < axis.count - 1 && Double(axis[upper]) < value { upper += 1 }
            let low = Double(axis[upper - 1])
            let high = Double(axis[upper])
            return (upper - 1, upper, max(0, (value - low) / (high - low)))
        }
    }
}
