import Spelling

/// How each kind of entry is read from its file.
extension ObjectReader {
    /// A table of figures by precision.
    func figuresByPrecision(_ key: String) throws(CatalogError) -> [Precision: Figure<Double>] {
        guard let found = optional(key) else { return [:] }
        let table = try ObjectReader(found, in: document, sources: sources)
        var figures: [Precision: Figure<Double>] = [:]
        for name in table.keys {
            guard let precision = Precision(rawValue: name) else {
                let hint = suggestion(for: name, among: Precision.allCases.map(\.rawValue))
                throw document.problem(at: found, "\"\(name)\" is no precision\(hint)")
            }
            figures[precision] = try table.figure(name)
        }
        return figures
    }

    func facts() throws(CatalogError) -> [Fact] {
        var facts: [Fact] = []
        for reader in try objects("facts") { facts.append(try Fact(reading: reader)) }
        return facts
    }
}

extension Accelerator {
    init(reading reader: ObjectReader) throws(CatalogError) {
        id = try reader.string("id")
        name = try reader.string("name")
        aliases = try reader.strings("aliases")
        family = try reader.word("family")
        peakFlopsPerSecond = try reader.figuresByPrecision("peakFlopsPerSecond")
        sparseFlopsPerSecond = try reader.figuresByPrecision("sparseFlopsPerSecond")
        memoryBytes = try reader.figure("memoryBytes")
        usableMemoryBytes = try reader.figure("usableMemoryBytes")
        memoryBytesPerSecond = try reader.figure("memoryBytesPerSecond")
        cores = try reader.figure("cores")
        logicalCoreModes = []
        for mode in try reader.objects("logicalCoreModes") {
            logicalCoreModes.append(try LogicalCoreMode(reading: mode))
        }
        tensorClockHertz = try reader.figure("tensorClockHertz")
        scratchpadBytesPerCore = try reader.figure("scratchpadBytesPerCore")
        accumulatorBytesPerCore = try reader.figure("accumulatorBytesPerCore")
        dmaEngines = try reader.figure("dmaEngines")
        dmaBytesPerSecondPerCore = try reader.figure("dmaBytesPerSecondPerCore")
        collectiveCores = try reader.figure("collectiveCores")
        links = []
        for link in try reader.objects("links") { links.append(try Link(reading: link)) }
        thermalDesignWatts = try reader.figure("thermalDesignWatts")
        idleWatts = try reader.figure("idleWatts")
        power = try reader.figure("power")
        facts = try reader.facts()
        try reader.finish()
    }
}

extension Accelerator.LogicalCoreMode {
    init(reading reader: ObjectReader) throws(CatalogError) {
        coresPerLogicalCore = try reader.integer("coresPerLogicalCore")
        isDefault =
            try reader.optional("isDefault").map { node throws(CatalogError) in try reader.document.boolean(node) }
            ?? false
        logicalCores = try reader.requiredFigure("logicalCores")
        memoryBytesPerLogicalCore = try reader.requiredFigure("memoryBytesPerLogicalCore")
        try reader.finish()
    }
}

extension Accelerator.Link {
    init(reading reader: ObjectReader) throws(CatalogError) {
        level = try reader.string("level")
        direction = try reader.word("direction")
        bytesPerSecond = try reader.requiredFigure("bytesPerSecond")
        try reader.finish()
    }
}

extension Instance {
    init(reading reader: ObjectReader) throws(CatalogError) {
        id = try reader.string("id")
        name = try reader.string("name")
        aliases = try reader.strings("aliases")
        accelerator = try reader.string("accelerator")
        acceleratorCount = try reader.requiredFigure("acceleratorCount")
        topology = try Topology(
            reading: try ObjectReader(try reader.required("topology"), in: reader.document, sources: reader.sources)
        )
        scaleUpDomain = try reader.requiredFigure("scaleUpDomain")
        blastRadius = try reader.figure("blastRadius")
        virtualCPUs = try reader.figure("virtualCPUs")
        hostMemoryBytes = try reader.figure("hostMemoryBytes")
        hostProcessor = try reader.figure("hostProcessor")
        networkBytesPerSecond = try reader.figure("networkBytesPerSecond")
        localStorageBytes = try reader.figure("localStorageBytes")
        hostBaseWatts = try reader.figure("hostBaseWatts")
        wallWattsPerAcceleratorWatt = try reader.figure("wallWattsPerAcceleratorWatt")
        idleWallWatts = try reader.figure("idleWallWatts")
        nameplateWatts = try reader.figure("nameplateWatts")
        allInWattsPerAccelerator = try reader.figure("allInWattsPerAccelerator")
        availability = try reader.figure("availability")
        facts = try reader.facts()
        try reader.finish()
        guard acceleratorCount.value > 0, scaleUpDomain.value > 0 else {
            throw reader.document.problem(at: reader.node, "instance \(id): accelerators are counted from 1")
        }
    }
}

extension Instance.Topology {
    init(reading reader: ObjectReader) throws(CatalogError) {
        kind = try reader.word("kind")
        dimensions = []
        for node in try reader.document.array(try reader.required("dimensions")) {
            dimensions.append(try reader.document.integer(node))
        }
        let origin = try reader.sources.source(of: reader)
        source = origin.text
        date = origin.date
        try reader.finish()
        guard !dimensions.isEmpty, dimensions.allSatisfy({ $0 > 0 }) else {
            throw reader.document.problem(at: reader.node, "the dimensions of a topology are counts from 1")
        }
    }
}

extension Region {
    init(reading reader: ObjectReader) throws(CatalogError) {
        id = try reader.string("id")
        name = try reader.string("name")
        aliases = try reader.strings("aliases")
        powerUsageEffectiveness = try reader.figure("powerUsageEffectiveness")
        waterLitresPerKilowattHour = try reader.figure("waterLitresPerKilowattHour")
        carbonGramsPerKilowattHour = try reader.figure("carbonGramsPerKilowattHour")
        balancingAuthority = try reader.optionalString("balancingAuthority")
        try reader.finish()
    }
}

extension Model {
    /// An entry of `models.json`: names, a source, and the shape as the keys of its Hugging Face configuration.
    init(reading reader: ObjectReader) throws(CatalogError) {
        let id = try reader.string("id")
        let origin = try reader.sources.source(of: reader)
        let config = try HuggingFaceConfig(document: reader.document, root: try reader.required("config"))
        self = try config.model(id: id, source: origin.text, grade: try reader.word("grade"), date: origin.date)
        aliases = try reader.strings("aliases")
        publishedParameters = try reader.figure("publishedParameters")
        publishedActiveParameters = try reader.figure("publishedActiveParameters")
        note = try reader.optionalString("note") ?? note
        try reader.finish()
    }
}
