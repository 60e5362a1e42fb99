/// The shape of a language model: what decides its weights, its caches and its arithmetic.
public struct Model: CatalogEntry, Hashable {
    public static let kind = "model"
    public static let file = "models.json"

    public var id: String
    public var aliases: [String]
    /// The architecture's name in its public configuration, such as `LlamaForCausalLM`.
    public var architecture: String
    /// Where the shape was read, how good it is, and when; no date for a configuration read from disk.
    public var source: String
    public var grade: Grade
    public var date: CalendarDay?
    /// What its maker says the parameters are, in all and per token; nil when not looked up.
    public var publishedParameters: Figure<Double>?
    public var publishedActiveParameters: Figure<Double>?
    /// Width of the residual stream.
    public var hidden: Int
    public var vocabulary: Int
    /// The head multiplies by the embedding table instead of its own matrix.
    public var hasTiedEmbeddings: Bool
    /// Longest sequence it was trained for; nil when the configuration does not say.
    public var maximumPositions: Int?
    /// Weights besides layers, embedding table and head: learned positions, the last norm, per-layer embeddings.
    public var otherElements: Int
    /// What a reader must know, such as an encoder for images that is not in the shape.
    public var note: String?
    public var layers: [Layer]
    /// Layers of the multi-token-prediction head, not counted as parameters here.
    public var predictionLayers: Int
    /// What the published weights are stored in.
    public var nativePrecision: Precision
    /// What the routed experts' published weights are stored in; as the rest when nil.
    public var nativeExpertPrecision: Precision?

    public init(
        id: String, aliases: [String] = [], architecture: String, source: String, grade: Grade, date: CalendarDay?,
        hidden: Int, vocabulary: Int, hasTiedEmbeddings: Bool, maximumPositions: Int?, otherElements: Int,
        layers: [Layer],
        predictionLayers: Int = 0, nativePrecision: Precision, nativeExpertPrecision: Precision? = nil,
        note: String? = nil
    ) {
        self.id = id
        self.aliases = aliases
        self.architecture = architecture
        self.source = source
        self.grade = grade
        self.date = date
        self.hidden = hidden
        self.vocabulary = vocabulary
        self.hasTiedEmbeddings = hasTiedEmbeddings
        self.maximumPositions = maximumPositions
        self.otherElements = otherElements
        self.layers = layers
        self.predictionLayers = predictionLayers
        self.nativePrecision = nativePrecision
        self.nativeExpertPrecision = nativeExpertPrecision
        self.note = note
    }
}

/// Layers of a model that are alike.
public struct LayerGroup: Sendable, Hashable, Encodable {
    public var layer: Layer
    public var count: Int
}

extension Model {
    /// The distinct layers in order of first appearance, and how many of each; most models have one or two.
    public var layerGroups: [LayerGroup] {
        var groups: [LayerGroup] = []
        for layer in layers {
            if let index = groups.firstIndex(where: { $0.layer == layer }) {
                groups[index].count += 1
            } else {
                groups.append(LayerGroup(layer: layer, count: 1))
            }
        }
        return groups
    }

    public var isMixture: Bool {
        layers.contains { if case .mixture = $0.feedForward { true } else { false } }
    }

    /// Weights of the embedding table.
    public var embeddingElements: Int { vocabulary * hidden }

    /// Weights that the head multiplies by, whether or not they are the embedding table's.
    public var headElements: Int { vocabulary * hidden }

    /// All weights of the language model. Matches the published count of text-only models; image and sound encoders
    /// and multi-token-prediction layers are not in it.
    public var parameters: Int {
        let ends = embeddingElements + (hasTiedEmbeddings ? 0 : headElements) + otherElements
        return ends + layerGroups.reduce(0) { $0 + $1.count * $1.layer.elements(hidden: hidden) }
    }

    /// Weights that one token uses, embedding table and head included, as publishers count them.
    public var activeParameters: Int {
        let ends = embeddingElements + (hasTiedEmbeddings ? 0 : headElements) + otherElements
        return ends + layerGroups.reduce(0) { $0 + $1.count * $1.layer.activeElements(hidden: hidden) }
    }

    /// Weights of all routed experts of all layers; 0 for dense models.
    public var routedParameters: Int {
        layerGroups.reduce(0) { $0 + $1.count * $1.layer.routedElements(hidden: hidden) }
    }

    /// Cache elements that one more token adds in all layers while no window is full.
    public var keyValueElementsPerToken: Int {
        layerGroups.reduce(0) { sum, group in
            sum + group.count * group.layer.mixers.reduce(0) { $0 + $1.keyValueElementsPerToken }
        }
    }

    /// Cache bytes that one more token adds in all layers while no window is full, when an element takes
    /// `precision.bytesPerElement` bytes. What a paged cache must hold for a token unless it frees what left a window.
    public func keyValueBytesPerToken(_ precision: Precision) -> Double {
        Double(keyValueElementsPerToken) * precision.bytesPerElement
    }

    /// Cache elements of one sequence of `contextTokens`, windowed layers counted up to their window.
    public func keyValueElements(contextTokens: Int) -> Int {
        layerGroups.reduce(0) { sum, group in
            sum + group.count
                * group.layer.mixers.reduce(0) { $0 + $1.keyValueElements(contextTokens: contextTokens) }
        }
    }

    /// Elements of fixed per-sequence state in all layers; 0 for pure attention models.
    public var stateElements: Int {
        layerGroups.reduce(0) { sum, group in sum + group.count * group.layer.mixers.reduce(0) { $0 + $1.stateElements }
        }
    }

    /// Bytes of all weights with the routed experts at `experts` (as the rest when nil).
    public func weightBytes(_ precision: Precision, experts: Precision? = nil) -> Double {
        let routed = Double(routedParameters)
        return (Double(parameters) - routed) * precision.bytesPerElement
            + routed * (experts ?? precision).bytesPerElement
    }

    /// Bytes of all weights as published.
    public var nativeWeightBytes: Double { weightBytes(nativePrecision, experts: nativeExpertPrecision) }
}
