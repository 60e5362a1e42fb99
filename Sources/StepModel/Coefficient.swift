//===----------------------------------------------------------------------===//
// The numbers of the step model that are fitted rather than looked up.
//===----------------------------------------------------------------------===//

/// One calibrated quantity. Its raw value is its name in `calibration.csv`.
///
/// Fractions are of the data sheet's peak; seconds are floors or increments; the rest is said with each.
public enum Coefficient: Int, Sendable, Hashable, CaseIterable {
    // Dense matrices: fraction of memory bandwidth that streams weights, fraction of peak arithmetic.
    case weightBandwidth16, weightBandwidth8, weightBandwidth4
    case matrixCompute16, matrixCompute8, matrixCompute4
    // Routed experts: the same two, lower because each expert's matrix is small.
    case expertBandwidth16, expertBandwidth8, expertBandwidth4
    case expertCompute16, expertCompute8, expertCompute4
    /// Fraction of memory bandwidth that decode attention reads KV entries with.
    case cacheBandwidth
    /// Fraction of 16-bit peak that prefill attention reaches.
    case attentionCompute
    /// Exponent p of the soft maximum (memoryᵖ + computeᵖ)^(1/p); infinity would be the textbook roofline.
    case rooflineExponent
    /// Residual-stream reads and writes of one layer for one token, in multiples of the hidden size (16-bit values).
    case activationTraffic
    /// The same for routing, gathering and scattering, for each expert that a token visits.
    case expertTokenTraffic
    /// Expected distinct experts are those of `expertSpread × tokens` independent tokens: below 1 when tokens of a
    /// batch prefer the same experts.
    case expertSpread
    /// Launches, synchronisation and pipeline fill of one layer, seconds.
    case layerSeconds
    /// Added to a layer for each token that a decode step carries, seconds.
    case layerSequenceSeconds
    /// Added to a layer with routed experts, seconds.
    case expertLayerSeconds
    /// Added to a layer with routed experts for each expert that a prefill token visits, seconds: gathers of Neuron's
    /// selective loading, which take the same time whatever the expert's size. Graphs compiled for more visits than
    /// experts (slots × active > experts) load all experts at once and do not pay it.
    case expertPrefillTokenSeconds
    /// Added to a recurrent layer (linear attention, state space) for each prefill token, seconds: a scan in order.
    case recurrentPrefillTokenSeconds
    /// Visits per expert, tokens × active / experts, from which on every expert's weights are read whether visited or
    /// not: selective loading of Neuron stacks switches off there.
    case selectiveLoadingLimit
    /// What loading the experts of one visit costs besides their bytes, seconds: stacks that load selectively gather them
    /// for each token apart.
    case expertVisitSeconds
    /// All-reduce over two ranks of an empty message, seconds, and what each further doubling of ranks adds.
    case collectiveBase, collectivePerDoubling
    /// The same added for each doubling beyond one chip (NeuronCores), seconds.
    case collectivePerChipDoubling
    /// Fraction of scale-up link bandwidth that a large all-reduce reaches.
    case collectiveBandwidth
    /// One exchange over the network, seconds.
    case networkLatency
    /// Host work of a step, seconds, and of each sequence in it.
    case stepSeconds, sequenceSeconds
    /// Host work of each live sequence in a decode step of a server whose compiled step is the same for any number of
    /// them, seconds.
    case liveSequenceSeconds
    /// What running sequences wait after a prefill beside them, besides the prefill itself, seconds.
    case prefillStallSeconds
    /// Host and launch work that a step with a prefill has more than one without, seconds.
    case prefillSeconds
    /// One pass of a draft head, seconds, besides what its layer and logits take.
    case draftSeconds
    /// From a request's arrival to its first step and from the first token to the client, seconds.
    case requestSeconds
    /// Sampling on the host: seconds for each logit of each sequence.
    case hostLogitSeconds
    // Chip power: TDP × min(cap, floor + memory × MBU + compute × MFU).
    case powerFloor, powerMemory, powerCompute, powerCap
    /// Added for the share of MBU that reads cache entries: attention multiplies whole tiles for a few queries.
    case powerCache
    /// Added for the share of MBU that reads weights which are widened before they are multiplied.
    case powerWidening
    /// Fraction of design power while the device waits for the host within a step.
    case powerWaiting
    /// Scatter of the fitted rows about the fit, as standard deviations of logarithms.
    case decodeScatter, prefillScatter, energyScatter
    /// What the fitted rows cover: parameters in billions, sequences at once, context tokens.
    case calibratedLeastParameters, calibratedMostParameters, calibratedSequences, calibratedContext

    /// Describes the fit rather than a step.
    var isDescription: Bool { rawValue >= Coefficient.decodeScatter.rawValue }

    public var name: String { String(describing: self) }

    static func named(_ name: String) -> Coefficient? { allCases.first { $0.name == name } }

    static func weightBandwidth(_ width: WidthClass) -> Coefficient {
        [.weightBandwidth16, .weightBandwidth8, .weightBandwidth4][width.rawValue]
    }
    static func matrixCompute(_ width: WidthClass) -> Coefficient {
        [.matrixCompute16, .matrixCompute8, .matrixCompute4][width.rawValue]
    }
    static func expertBandwidth(_ width: WidthClass) -> Coefficient {
        [.expertBandwidth16, .expertBandwidth8, .expertBandwidth4][width.rawValue]
    }
    static func expertCompute(_ width: WidthClass) -> Coefficient {
        [.expertCompute16, .expertCompute8, .expertCompute4][width.rawValue]
    }
}

/// A value for every coefficient: what one deployment runs with.
public struct Coefficients: Sendable, Hashable {
    private var values: [Double]

    public init() { values = [Double](repeating: 0, count: Coefficient.allCases.count) }

    public subscript(coefficient: Coefficient) -> Double {
        get { values[coefficient.rawValue] }
        set { values[coefficient.rawValue] = newValue }
    }
}
