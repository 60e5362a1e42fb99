//===----------------------------------------------------------------------===//
// Seconds and utilisation of each operator of a step.
//===----------------------------------------------------------------------===//

import Catalog
import Foundation

/// The operators of one deployment: projections, attention, feed-forward or experts, collectives, output projection,
/// host work. Everything is per rank, and ranks work in lockstep.
///
/// A step's device time is the sum over layers of
///
///     matrices:    soft maximum of weight bytes / (fraction × bandwidth) and 2 × tokens × weights / (fraction × peak)
///     experts:     the same with the expected number of distinct experts, E (1 − (1 − k/E)^(spread × tokens))
///     attention:   KV bytes / (fraction × bandwidth) to decode, causal query–key pairs / (fraction × peak) to prefill
///     collectives: 2 all-reduces, latency (ranks) + 2 (n − 1)/n bytes / (fraction × link)
///     the rest:    a floor per layer, activation traffic, and on NeuronCores a part per decode slot
///
/// plus the output projection for the tokens that need logits, plus host work.
struct OperatorModel: Sendable {
    var layers: [LayerProfile]
    var hidden: Double
    var vocabulary: Double
    var device: DeviceFigures
    var parallelism: Parallelism
    var weightPrecision: Precision
    /// Of routed experts; often lower than the rest (gpt-oss: MXFP4 beside BF16).
    var expertPrecision: Precision
    /// What routed experts multiply in; lower formats are widened on devices that do not multiply in them.
    var expertArithmetic: WidthClass
    var weightArithmetic: WidthClass
    var keyValuePrecision: Precision
    var coefficients: Coefficients
    /// Logits are sampled on the host.
    var samplesOnHost: Bool
    /// Decode slots that a phased stack is compiled for; 0 for others.
    var compiledSlots: Double

    private var tensor: Double { Double(parallelism.tensor) }
    /// Ranks that routed experts are dealt to.
    private var expertRanks: Double { Double(parallelism.tensor * parallelism.data) }

    // MARK: Surfaces

    /// Everything that depends on how many tokens the step carries, over all layers.
    /// - Parameters:
    ///   - tokens: tokens of the step, over all groups.
    ///   - prefillTokens: how many of them belong to prompts.
    func tokenWork(_ tokens: Double, prefillTokens: Double) -> Work {
        guard tokens > 0 else { return Work() }
        // A data-parallel group and a pipeline's micro-batch carry their share, at least one token.
        let share = max(1, tokens / Double(parallelism.data * parallelism.pipeline))
        let split = prefillTokens > 0 ? max(1, share / Double(parallelism.context)) : share
        var total = Work()
        for layer in layers {
            var work = matrix(
                elements: (layer.mixerElements + layer.commonElements) / tensor,
                tokens: split,
                bytesPerElement: weightPrecision.bytesPerElement,
                bandwidth: coefficients[.weightBandwidth(WidthClass(weightPrecision))],
                compute: coefficients[.matrixCompute(weightArithmetic)] * device.peak(weightArithmetic),
                peak: device.peak(weightArithmetic)
            )
            if layer.experts > 0 {
                work =
                    work
                    + expertWork(layer, tokens: tokens / Double(parallelism.pipeline), prefillTokens: prefillTokens)
            }
            let traffic = split * hidden * 2 * coefficients[.activationTraffic] / device.bytesPerSecond
            work.seconds += traffic + coefficients[.layerSeconds]
            work.memorySeconds += traffic
            work.seconds += coefficients[.layerSequenceSeconds] * max(0, share - prefillTokens)
            if layer.stateElements > 0 { work.seconds += coefficients[.recurrentPrefillTokenSeconds] * prefillTokens }
            let message = split * hidden * 2
            work.seconds += Double(layer.reductions) * allReduceSeconds(bytes: message, ranks: parallelism.tensor)
            if parallelism.context > 1, prefillTokens > 0 {
                work.seconds += allReduceSeconds(bytes: message, ranks: parallelism.context)
            }
            total = total + work * Double(layer.count)
        }
        if parallelism.pipeline > 1 {
            let boundary = share * hidden * 2 / device.networkBytesPerSecond + coefficients[.networkLatency]
            total.seconds += Double(parallelism.pipeline - 1) * boundary
        }
        return total
    }

    /// Routed experts of one layer.
    private func expertWork(_ layer: LayerProfile, tokens: Double, prefillTokens: Double) -> Work {
        let experts = Double(layer.experts)
        let active = Double(layer.activeExperts)
        let ways = Double(min(parallelism.expert, layer.experts))
        // Each rank holds `experts / ways` experts, split over the ranks that share them.
        let sharing = expertRanks / ways
        let visited = tokens * active
        // Graphs of phased stacks compiled for more visits than experts run every token through every expert.
        let isDense = compiledSlots * active > experts
        let total = isDense ? tokens * experts : visited
        let distinct: Double
        if isDense || visited / experts >= coefficients[.selectiveLoadingLimit] {
            distinct = experts
        } else {
            distinct = experts * (1 - pow(1 - active / experts, max(1, tokens * coefficients[.expertSpread])))
        }
        let load = RankLoad(ways: ways, experts: experts, distinct: distinct, visits: total)
        let weights = layer.expertElements / sharing
        let memoryEach = weights * expertPrecision.bytesPerElement / device.bytesPerSecond
        let arithmeticEach = 2 * weights / device.peak(expertArithmetic)
        // Power follows what ranks carry on average, time what the fullest of them carries.
        var work = Work(
            memorySeconds: distinct / ways * memoryEach,
            computeSeconds: total / ways * arithmeticEach)
        if expertArithmetic != WidthClass(expertPrecision) { work.widenedSeconds = work.memorySeconds }
        work.seconds = softMaximum(
            load.distinct * memoryEach / coefficients[.expertBandwidth(WidthClass(expertPrecision))],
            load.visits * arithmeticEach
                / coefficients[isDense ? .matrixCompute(expertArithmetic) : .expertCompute(expertArithmetic)]
        )
        let visits = load.visits
        let traffic = visits * hidden * 2 * coefficients[.expertTokenTraffic] / device.bytesPerSecond
        work.seconds += traffic + coefficients[.expertLayerSeconds]
        if compiledSlots * active <= experts {
            work.seconds += coefficients[.expertPrefillTokenSeconds] * prefillTokens * active
        }
        if prefillTokens == 0 {
            work.seconds += coefficients[.expertVisitSeconds] * (distinct < experts ? visited : experts) / ways
        }
        work.memorySeconds += traffic
        if parallelism.data > 1 {
            // Tokens travel to their experts and back.
            let exchanged = 2 * tokens * active * hidden * 2 / expertRanks
            work.seconds +=
                2 * latency(ranks: Int(expertRanks)) + exchanged / linkBytesPerSecond(ranks: Int(expertRanks))
        }
        return work
    }

    /// Attention of `sequences` decoding sequences with `context` tokens each (the mean), over all layers.
    func decodeAttentionWork(sequences: Double, context: Double) -> Work {
        var total = Work()
        let share = max(1, sequences / Double(parallelism.data * parallelism.pipeline))
        for layer in layers {
            var work = Work()
            for attention in layer.attentions {
                let seen =
                    min(context, Double(attention.window ?? .max)) / attention.tokensPerEntry
                    / Double(parallelism.context)
                let entryHeads = Double((attention.entryHeads + parallelism.tensor - 1) / parallelism.tensor)
                let bytes = share * seen * entryHeads * attention.valuesPerEntryHead * keyValuePrecision.bytesPerElement
                let heads = attention.queryHeads / tensor
                let pairWork =
                    attention.entryHeads == 1 && attention.queryHeads > 1
                    ? max(attention.workPerPair, 2 * attention.valuesPerEntryHead) : attention.workPerPair
                let memory = bytes / device.bytesPerSecond
                let arithmetic = 2 * share * seen * heads * pairWork / device.peak(.sixteen)
                work.memorySeconds += memory
                work.cacheSeconds += memory
                work.computeSeconds += arithmetic
                work.seconds += softMaximum(
                    memory / coefficients[.cacheBandwidth], arithmetic / coefficients[.attentionCompute])
            }
            // State is read and written once a step.
            let state = 2 * share * layer.stateElements / tensor * 2 / device.bytesPerSecond
            work.memorySeconds += state
            work.seconds += state / coefficients[.cacheBandwidth]
            total = total + work * Double(layer.count)
        }
        return total
    }

    /// Attention of prefill chunks with `pairs` query–key pairs under a causal mask, `tokens` queries, and `context`
    /// tokens read from the cache.
    func prefillAttentionWork(pairs: Double, tokens: Double, context: Double) -> Work {
        var total = Work()
        let split = Double(parallelism.data * parallelism.context)
        for layer in layers {
            var work = Work()
            for attention in layer.attentions {
                let seen =
                    (attention.window.map { min(pairs, tokens * Double($0)) } ?? pairs) / attention.tokensPerEntry
                let arithmetic =
                    2 * seen * attention.queryHeads / tensor * attention.workPerPair / split / device.peak(.sixteen)
                let entryHeads = Double((attention.entryHeads + parallelism.tensor - 1) / parallelism.tensor)
                let read =
                    min(context, Double(attention.window ?? .max)) / attention.tokensPerEntry * entryHeads
                    * attention.valuesPerEntryHead
                let memory = read * keyValuePrecision.bytesPerElement / split / device.bytesPerSecond
                work.computeSeconds += arithmetic
                work.memorySeconds += memory
                work.seconds += arithmetic / coefficients[.attentionCompute] + memory / coefficients[.cacheBandwidth]
            }
            total = total + work * Double(layer.count)
        }
        return total
    }

    /// Output projection for `rows` tokens.
    func logitsWork(rows: Double) -> Work {
        guard rows > 0 else { return Work() }
        return matrix(
            elements: hidden * vocabulary / tensor,
            tokens: max(1, rows / Double(parallelism.data)),
            bytesPerElement: 2,
            bandwidth: coefficients[.weightBandwidth16],
            compute: coefficients[.matrixCompute16] * device.peak(.sixteen),
            peak: device.peak(.sixteen)
        )
    }

    /// Host work of a step that samples `rows` tokens.
    func hostSeconds(rows: Double) -> Double {
        let sampling = samplesOnHost ? rows * vocabulary * coefficients[.hostLogitSeconds] : 0
        return coefficients[.stepSeconds] + rows * coefficients[.sequenceSeconds] + sampling
    }

    // MARK: Parts

    /// One matrix product on `tokens` rows.
    private func matrix(
        elements: Double, tokens: Double, bytesPerElement: Double, bandwidth: Double, compute: Double, peak: Double
    ) -> Work {
        let memory = elements * bytesPerElement / device.bytesPerSecond
        let arithmetic = 2 * tokens * elements
        let seconds = softMaximum(memory / bandwidth, arithmetic / compute)
        return Work(
            seconds: seconds,
            memorySeconds: memory,
            computeSeconds: arithmetic / peak
        )
    }

    /// (aᵖ + bᵖ)^(1/p): near the larger of the two, and above both where they are alike.
    private func softMaximum(_ first: Double, _ second: Double) -> Double {
        let larger = max(first, second)
        guard larger > 0 else { return 0 }
        let exponent = coefficients[.rooflineExponent]
        return larger * pow(1 + pow(min(first, second) / larger, exponent), 1 / exponent)
    }

    /// Ring or mesh all-reduce of `bytes` over `ranks`.
    func allReduceSeconds(bytes: Double, ranks: Int) -> Double {
        guard ranks > 1 else { return 0 }
        let wire = 2 * Double(ranks - 1) / Double(ranks) * bytes
        return latency(ranks: ranks) + wire / linkBytesPerSecond(ranks: ranks)
    }

    /// Seconds of an empty all-reduce: a base, what each doubling of ranks adds, and a network exchange beyond the
    /// fabric.
    private func latency(ranks: Int) -> Double {
        guard ranks > 1 else { return 0 }
        let chips = max(1, (ranks + device.ranksPerChip - 1) / device.ranksPerChip)
        var seconds = coefficients[.collectiveBase] + coefficients[.collectivePerDoubling] * (log2(Double(ranks)) - 1)
        seconds += coefficients[.collectivePerChipDoubling] * log2(Double(min(chips, device.scaleUpChips)))
        if chips > device.scaleUpChips { seconds += 2 * coefficients[.networkLatency] }
        return seconds
    }

    private func linkBytesPerSecond(ranks: Int) -> Double {
        let chips = (ranks + device.ranksPerChip - 1) / device.ranksPerChip
        let scaleUp = device.scaleUpBytesPerSecond * coefficients[.collectiveBandwidth]
        return chips > device.scaleUpChips ? min(scaleUp, device.networkBytesPerSecond) : scaleUp
    }
}
