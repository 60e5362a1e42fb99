//===----------------------------------------------------------------------===//
// A profile of operators measured on a real machine, compiled to a step table.
//===----------------------------------------------------------------------===//

/// Times of a model's operators on one machine, as profilers of serving engines write them: dense operators by tokens,
/// the output projection and the sampler by sequences, and attention over a grid of mixed batches. All times are of one
/// layer, or of one call where an operator runs once a step.
public struct OperatorProfile: Sendable {
    /// A time in microseconds at some number of tokens or sequences.
    public struct Point: Sendable, Hashable {
        public var count: Int
        public var microseconds: Double
        public init(count: Int, microseconds: Double) {
            self.count = count
            self.microseconds = microseconds
        }
    }

    /// One measured attention call.
    public struct AttentionPoint: Sendable, Hashable {
        public var chunk: Int
        public var prefillContext: Int
        public var decodes: Int
        public var decodeContext: Int
        public var microseconds: Double
        public init(chunk: Int, prefillContext: Int, decodes: Int, decodeContext: Int, microseconds: Double) {
            self.chunk = chunk
            self.prefillContext = prefillContext
            self.decodes = decodes
            self.decodeContext = decodeContext
            self.microseconds = microseconds
        }
    }

    /// What attention over unequal contexts costs more than over equal ones of the same mean: a batch costs
    /// `1 − weight` of one in which all contexts are the mean, and `weight` of one in which all are `stretch` × the mean.
    public struct Unevenness: Sendable, Hashable {
        public var weight: Double
        public var stretch: Double
        public init(weight: Double, stretch: Double) {
            precondition((0...1).contains(weight) && stretch >= 1)
            self.weight = weight
            self.stretch = stretch
        }
        public static let none = Unevenness(weight: 0, stretch: 1)
    }

    public var layers: Int
    /// Sum over the operators that run in every layer, by tokens; ascending.
    public var perLayer: [Point]
    /// Sum over the operators that run once a step, by tokens; ascending.
    public var once: [Point]
    /// Output projection and sampler, by sequences that need logits; ascending.
    public var perSequence: [Point]
    public var attention: [AttentionPoint]
    public var unevenness: Unevenness

    public init(
        layers: Int, perLayer: [Point], once: [Point], perSequence: [Point], attention: [AttentionPoint],
        unevenness: Unevenness = .none
    ) {
        precondition(layers > 0 && !perLayer.isEmpty && !once.isEmpty && !perSequence.isEmpty && !attention.isEmpty)
        self.layers = layers
        self.perLayer = perLayer
        self.once = once
        self.perSequence = perSequence
        self.attention = attention
        self.unevenness = unevenness
    }

    /// What a table of this profile is compiled with.
    public struct Options: Sendable, Hashable {
        public var maxTokens: Int
        public var maxSequences: Int
        /// Token counts that graphs were captured for, ascending; a step runs at the next larger one. Empty for none.
        public var capturedTokens: [Int]
        /// Host time that a step waits for, picoseconds.
        public var hostPicoseconds: Int64
        /// Host time for each sequence that a step waits for, picoseconds.
        public var hostPicosecondsPerSequence: Int64
        /// Chip power while a step runs, watts.
        public var chipWatts: Double

        public init(
            maxTokens: Int, maxSequences: Int, capturedTokens: [Int] = [], hostPicoseconds: Int64 = 0,
            hostPicosecondsPerSequence: Int64 = 0, chipWatts: Double
        ) {
            self.maxTokens = maxTokens
            self.maxSequences = maxSequences
            self.capturedTokens = capturedTokens
            self.hostPicoseconds = hostPicoseconds
            self.hostPicosecondsPerSequence = hostPicosecondsPerSequence
            self.chipWatts = chipWatts
        }

        /// vLLM's default capture sizes up to `most`: 1, 2, 4, then every 8 up to 256 and every 16 beyond.
        public static func vllmCaptureSizes(upTo most: Int) -> [Int] {
            [1, 2, 4].filter { $0 <= most } + stride(from: 8, to: min(256, most + 1), by: 8)
                + stride(from: 256, through: most, by: 16)
        }
    }

    /// The step table of this profile.
    public func table(_ options: Options) -> StepTable {
        let nanojoulesPerPicosecond = options.chipWatts / 1000
        func cost(_ picoseconds: Double) -> StepCost {
            StepCost(
                picoseconds: Int64(picoseconds.rounded()),
                nanojoules: Int64((picoseconds * nanojoulesPerPicosecond).rounded())
            )
        }
        let tokens = (0...options.maxTokens).map { count -> StepCost in
            guard count > 0 else { return cost(0) }
            let padded = options.capturedTokens.first { $0 >= count } ?? count
            let layer = Self.interpolate(perLayer, at: padded) * Double(layers)
            let picoseconds = (layer + Self.interpolate(once, at: padded)) * 1e6 + Double(options.hostPicoseconds)
            return cost(picoseconds)
        }
        let rows = (0...options.maxSequences).map { count in
            count == 0
                ? cost(0)
                : cost(
                    Self.interpolate(perSequence, at: count) * 1e6 + Double(options.hostPicosecondsPerSequence)
                        * Double(count))
        }
        let joint = jointAttention(nanojoulesPerPicosecond: nanojoulesPerPicosecond)
        return StepTable(
            tokens: tokens,
            sequences: rows,
            decodeAttention: decodePieces(joint, options: options, cost: cost),
            prefillAttention: .linear(
                base: cost(0), perPairShifted20: cost(0), perContextTokenShifted20: cost(0)
            ),
            jointAttention: joint
        )
    }

    /// Straight line between the points around `count`; beyond the last, through the last two.
    static func interpolate(_ points: [Point], at count: Int) -> Double {
        guard points.count > 1 else { return points[0].microseconds }
        var upper = points.firstIndex { $0.count >= count } ?? points.count - 1
        upper = max(1, upper)
        let low = points[upper - 1]
        let high = points[upper]
        let weight = Double(count - low.count) / Double(high.count - low.count)
        return max(0, low.microseconds + max(0, weight) * (high.microseconds - low.microseconds))
    }

    // MARK: Attention

    /// The grid over powers of two, holes filled.
    ///
    /// A profile has no points without decodes beyond context 0, none with decodes at context 0, and none where chunk
    /// and decodes exceed the token budget: the first two do not depend on the missing axis, and the last adds what the
    /// decodes add to the largest chunk that was measured with them.
    private func jointAttention(nanojoulesPerPicosecond: Double) -> StepTable.JointAttention {
        func axis(_ value: (AttentionPoint) -> Int) -> [Int32] {
            Set(attention.map(value)).filter { $0 == 0 || $0.nonzeroBitCount == 1 }.sorted().map(Int32.init)
        }
        let chunks = axis(\.chunk)
        let prefillContexts = axis(\.prefillContext)
        let decodes = axis(\.decodes)
        let decodeContexts = axis(\.decodeContext)
        var measured: [SIMD4<Int32>: Double] = [:]
        for point in attention {
            let key = SIMD4(
                Int32(point.chunk), Int32(point.prefillContext), Int32(point.decodes), Int32(point.decodeContext))
            measured[key] = point.microseconds
        }
        let leastDecodeContext = decodeContexts.first { $0 > 0 } ?? 0
        func lookup(_ chunk: Int32, _ prefillContext: Int32, _ decodes: Int32, _ decodeContext: Int32) -> Double? {
            measured[
                SIMD4(
                    chunk, chunk == 0 ? 0 : prefillContext, decodes,
                    decodes == 0 ? 0 : max(decodeContext, leastDecodeContext)
                )]
        }
        func filled(_ chunkIndex: Int, _ prefillContext: Int32, _ decodes: Int32, _ decodeContext: Int32) -> Double {
            let chunk = chunks[chunkIndex]
            if chunk == 0 && decodes == 0 { return 0 }
            if let found = lookup(chunk, prefillContext, decodes, decodeContext) { return found }
            guard chunkIndex > 0 else { return 0 }
            let smaller = filled(chunkIndex - 1, prefillContext, decodes, decodeContext)
            let alone = lookup(chunks[chunkIndex - 1], prefillContext, 0, 0) ?? 0
            return (lookup(chunk, prefillContext, 0, 0) ?? alone) + max(0, smaller - alone)
        }
        var picoseconds: [Double] = []
        picoseconds.reserveCapacity(chunks.count * prefillContexts.count * decodes.count * decodeContexts.count)
        for chunk in chunks.indices {
            for prefillContext in prefillContexts {
                for count in decodes {
                    for decodeContext in decodeContexts {
                        picoseconds.append(filled(chunk, prefillContext, count, decodeContext) * 1e6 * Double(layers))
                    }
                }
            }
        }
        return uneven(
            StepTable.JointAttention(
                chunks: chunks, prefillContexts: prefillContexts, decodeSequences: decodes,
                decodeContexts: decodeContexts, picoseconds: picoseconds,
                nanojoulesPerPicosecond: nanojoulesPerPicosecond
            ))
    }

    /// The grid with what unequal contexts cost.
    private func uneven(_ even: StepTable.JointAttention) -> StepTable.JointAttention {
        guard unevenness.weight > 0 else { return even }
        var picoseconds: [Double] = []
        picoseconds.reserveCapacity(even.picoseconds.count)
        for chunk in even.chunks {
            for prefillContext in even.prefillContexts {
                for count in even.decodeSequences {
                    for context in even.decodeContexts {
                        func value(_ context: Double) -> Double {
                            even.value(
                                chunk: Double(chunk), prefillContext: Double(prefillContext), decodes: Double(count),
                                decodeContext: context)
                        }
                        let mean = Double(context)
                        picoseconds.append(
                            (1 - unevenness.weight) * value(mean)
                                + unevenness.weight * value(mean * unevenness.stretch))
                    }
                }
            }
        }
        return StepTable.JointAttention(
            chunks: even.chunks, prefillContexts: even.prefillContexts, decodeSequences: even.decodeSequences,
            decodeContexts: even.decodeContexts, picoseconds: picoseconds,
            nanojoulesPerPicosecond: even.nanojoulesPerPicosecond)
    }

    /// Decode-only attention as straight pieces of 128 tokens of mean context.
    private func decodePieces(
        _ joint: StepTable.JointAttention, options: Options, cost: (Double) -> StepCost
    ) -> StepTable.DecodeAttention {
        let shift = 7
        let longest = Int(joint.decodeContexts.last ?? 0)
        let count = max(1, longest >> shift) + 1
        let zero = StepCost(picoseconds: 0, nanojoules: 0)
        var pieces = [StepTable.DecodeAttention.Piece](repeating: .init(base: zero, slope: zero), count: count)
        pieces.reserveCapacity((options.maxSequences + 1) * count)
        for batch in 1...options.maxSequences {
            for index in 0..<count {
                let start = Double(index << shift)
                let end = Double((index + 1) << shift)
                let low = joint.value(chunk: 0, prefillContext: 0, decodes: Double(batch), decodeContext: start)
                let high = joint.value(chunk: 0, prefillContext: 0, decodes: Double(batch), decodeContext: end)
                let slope = cost(((high - low) / (end - start) / Double(batch)).rounded())
                let base = cost(low)
                let total = Int64(start) * Int64(batch)
                pieces.append(
                    .init(
                        base: StepCost(
                            picoseconds: base.picoseconds - slope.picoseconds * total,
                            nanojoules: base.nanojoules - slope.nanojoules * total
                        ),
                        slope: slope
                    )
                )
            }
        }
        return StepTable.DecodeAttention(
            axis: .meanContext, pieces: pieces, piecesPerBatch: count, shift: shift, roundUp: 0)
    }
}
