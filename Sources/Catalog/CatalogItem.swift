/// One entry of any kind: what a name on the command line can mean.
public enum CatalogItem: Sendable {
    case accelerator(Accelerator)
    case instance(Instance)
    case model(Model)
    case region(Region)
    case fact(Fact)

    public var id: String {
        switch self {
        case .accelerator(let entry): entry.id
        case .instance(let entry): entry.id
        case .model(let entry): entry.id
        case .region(let entry): entry.id
        case .fact(let entry): entry.id
        }
    }

    /// "accelerator", "instance", "model", "region" or "fact".
    public var kind: String {
        switch self {
        case .accelerator: Accelerator.kind
        case .instance: Instance.kind
        case .model: Model.kind
        case .region: Region.kind
        case .fact: Fact.kind
        }
    }
}

extension Catalog {
    /// Every entry, kind by kind, in file order.
    public var items: [CatalogItem] {
        accelerators.map { .accelerator($0) } + instances.map { .instance($0) } + models.map { .model($0) }
            + regions.map { .region($0) } + facts.map { .fact($0) }
    }

    /// The entries of every kind that bear a name, or the model of a configuration at a path. Throws with the nearest
    /// name of any kind when there is none.
    public func items(named name: String) throws(CatalogError) -> [CatalogItem] {
        var found: [CatalogItem] = []
        if let entry = try? accelerator(name) { found.append(.accelerator(entry)) }
        if let entry = try? instance(name) { found.append(.instance(entry)) }
        if let entry = try? region(name) { found.append(.region(entry)) }
        if let entry = try? fact(name) { found.append(.fact(entry)) }
        do {
            found.append(.model(try model(nameOrPath: name)))
        } catch {
            // A path that cannot be read, and a configuration that cannot be understood, say more than "unknown name".
            if error.kind != .unknownName { throw error }
        }
        guard found.isEmpty else { return found }
        throw unknownName(name)
    }
}

extension CatalogItem: Encodable {
    private enum CodingKeys: String, CodingKey { case kind, entry }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .kind)
        switch self {
        case .accelerator(let entry): try container.encode(entry, forKey: .entry)
        case .instance(let entry): try container.encode(entry, forKey: .entry)
        case .model(let entry): try container.encode(entry, forKey: .entry)
        case .region(let entry): try container.encode(entry, forKey: .entry)
        case .fact(let entry): try container.encode(entry, forKey: .entry)
        }
    }
}

/// A model is written with its sizes and its distinct layers: what people ask a shape for.
extension Model: Encodable {
    private enum CodingKeys: String, CodingKey {
        case id, aliases, architecture, source, grade, date, note, publishedParameters, publishedActiveParameters,
            hidden
        case vocabulary, hasTiedEmbeddings, maximumPositions, predictionLayers, nativePrecision, nativeExpertPrecision
        case parameters, activeParameters, routedParameters, keyValueElementsPerToken, stateElements, nativeWeightBytes
        case layers
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(aliases, forKey: .aliases)
        try container.encode(architecture, forKey: .architecture)
        try container.encode(source, forKey: .source)
        try container.encode(grade, forKey: .grade)
        try container.encodeIfPresent(date, forKey: .date)
        try container.encodeIfPresent(note, forKey: .note)
        try container.encodeIfPresent(publishedParameters, forKey: .publishedParameters)
        try container.encodeIfPresent(publishedActiveParameters, forKey: .publishedActiveParameters)
        try container.encode(hidden, forKey: .hidden)
        try container.encode(vocabulary, forKey: .vocabulary)
        try container.encode(hasTiedEmbeddings, forKey: .hasTiedEmbeddings)
        try container.encodeIfPresent(maximumPositions, forKey: .maximumPositions)
        try container.encode(predictionLayers, forKey: .predictionLayers)
        try container.encode(nativePrecision, forKey: .nativePrecision)
        try container.encodeIfPresent(nativeExpertPrecision, forKey: .nativeExpertPrecision)
        try container.encode(parameters, forKey: .parameters)
        try container.encode(activeParameters, forKey: .activeParameters)
        try container.encode(routedParameters, forKey: .routedParameters)
        try container.encode(keyValueElementsPerToken, forKey: .keyValueElementsPerToken)
        try container.encode(stateElements, forKey: .stateElements)
        try container.encode(nativeWeightBytes, forKey: .nativeWeightBytes)
        try container.encode(layerGroups, forKey: .layers)
    }
}
