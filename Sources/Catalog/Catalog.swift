import Spelling

/// Everything known about hardware, models, prices and places: values with sources and grades.
///
/// Lookups take a name or an alias in any case and punctuation, and throw an error with the nearest valid name.
public struct Catalog: Sendable {
    public private(set) var accelerators: [Accelerator] = []
    public private(set) var instances: [Instance] = []
    public private(set) var models: [Model] = []
    public private(set) var regions: [Region] = []
    public private(set) var facts: [Fact] = []
    public private(set) var prices = PriceBook()
    public private(set) var allReduceFits: [AllReduceFit] = []
    public private(set) var matrixEfficiencies: [MatrixEfficiency] = []

    private var acceleratorIndex = NameIndex()
    private var instanceIndex = NameIndex()
    private var modelIndex = NameIndex()
    private var modelVariants = ModelVariantIndex()
    private var regionIndex = NameIndex()
    private var factIndex = NameIndex()

    init() {}

    // MARK: Lookup

    public func accelerator(_ name: String) throws(CatalogError) -> Accelerator {
        try entry(name, accelerators, acceleratorIndex)
    }

    public func instance(_ name: String) throws(CatalogError) -> Instance { try entry(name, instances, instanceIndex) }

    public func region(_ name: String) throws(CatalogError) -> Region { try entry(name, regions, regionIndex) }

    public func fact(_ name: String) throws(CatalogError) -> Fact { try entry(name, facts, factIndex) }

    /// A model of the catalogue by name. A checkpoint's name that adds to a model's what was done to it, such as
    /// `-Instruct` or `-FP8`, gives the model's shape with its weights stored as the name says, and the note says so.
    public func model(_ name: String) throws(CatalogError) -> Model {
        if modelIndex.position(of: name) == nil {
            let variant = ModelVariant(String(name.prefix(200)))
            if let position = modelIndex.position(of: variant.name) ?? modelVariants.position(of: variant) {
                return models[position].stored(in: variant.precision, called: String(name.prefix(200)))
            }
        }
        return try entry(name, models, modelIndex)
    }

    /// A model of the catalogue by name, or of a Hugging Face `config.json` by path. A path ends in `.json`, or begins
    /// with `/`, `./`, `../` or `~/`; anything else is a name.
    public func model(nameOrPath: String) throws(CatalogError) -> Model {
        let looksLikePath =
            ["/", "./", "../", "~/"].contains { nameOrPath.hasPrefix($0) } || nameOrPath.hasSuffix(".json")
        return looksLikePath ? try Model(huggingFaceConfig: nameOrPath) : try model(nameOrPath)
    }

    public func accelerator(of instance: Instance) throws(CatalogError) -> Accelerator {
        try accelerator(instance.accelerator)
    }

    /// The latest price at or before `date`. `instance` and `region` are names; a region that the catalogue does not
    /// know is an error. See `PriceBook.quote` for the rule.
    public func price(
        _ instance: String, basis: PriceBasis, region: String, date: CalendarDay, orElsewhere: Bool = false
    ) throws(CatalogError) -> PriceQuote {
        try prices.quote(
            for: try self.instance(instance), basis: basis, region: try self.region(region).id, date: date,
            orElsewhere: orElsewhere
        )
    }

    /// All-reduce fits of an accelerator by id, in file order; those of one number of ranks when given.
    public func allReduceFits(accelerator: String, ranks: Int? = nil) -> [AllReduceFit] {
        allReduceFits.filter { $0.accelerator == accelerator && (ranks == nil || $0.ranks == ranks) }
    }

    /// Matrix efficiencies of an accelerator by id, in file order.
    public func matrixEfficiencies(accelerator: String) -> [MatrixEfficiency] {
        matrixEfficiencies.filter { $0.accelerator == accelerator }
    }

    private func entry<Entry: CatalogEntry>(
        _ name: String, _ entries: [Entry], _ index: NameIndex
    ) throws(CatalogError) -> Entry {
        if let position = index.position(of: name) { return entries[position] }
        let hint = index.nearest(to: name).map { "; the nearest is \"\($0)\"" } ?? ""
        throw CatalogError(
            .unknownName, "unknown \(Entry.kind) \"\(name.prefix(200))\"\(hint) (`trainyard catalog` lists all)"
        )
    }

    /// The error for a name that no entry of any kind bears.
    func unknownName(_ name: String) -> CatalogError {
        let indices = [acceleratorIndex, instanceIndex, modelIndex, regionIndex, factIndex]
        let hint = nearestName(to: name, among: indices.compactMap { $0.nearest(to: name) }).map {
            "; the nearest is \"\($0)\""
        }
        return CatalogError(
            .unknownName,
            "nothing in the catalogue is called \"\(name.prefix(200))\"\(hint ?? "") (`trainyard catalog` lists all)"
        )
    }

    // MARK: Adding

    /// Adds an entry, in place of one of the same id. A name that another entry bears is an error at `place`.
    private static func add<Entry: CatalogEntry>(
        _ entry: Entry, to entries: inout [Entry], _ index: inout NameIndex, at place: String
    ) throws(CatalogError) {
        var position = entries.count
        if let old = index.position(of: entry.id), NameIndex.fold(entries[old].id) == NameIndex.fold(entry.id) {
            position = old
            entries[old] = entry
        } else {
            entries.append(entry)
        }
        for name in [entry.id] + entry.aliases {
            if let taken = index.insert(name, at: position) {
                throw CatalogError(
                    .malformed,
                    "\(place): \(Entry.kind) \(entry.id): the name \"\(name)\" already means \(entries[taken].id)")
            }
        }
    }

    mutating func add(_ entry: Accelerator, at place: String) throws(CatalogError) {
        try Self.add(entry, to: &accelerators, &acceleratorIndex, at: place)
    }

    mutating func add(_ entry: Instance, at place: String) throws(CatalogError) {
        try Self.add(entry, to: &instances, &instanceIndex, at: place)
    }

    mutating func add(_ entry: Model, at place: String) throws(CatalogError) {
        try Self.add(entry, to: &models, &modelIndex, at: place)
        guard let position = modelIndex.position(of: entry.id) else { return }
        for name in [entry.id] + entry.aliases { modelVariants.insert(name, at: position) }
    }

    mutating func add(_ entry: Region, at place: String) throws(CatalogError) {
        try Self.add(entry, to: &regions, &regionIndex, at: place)
    }

    mutating func add(_ entry: Fact, at place: String) throws(CatalogError) {
        try Self.add(entry, to: &facts, &factIndex, at: place)
    }

    mutating func add(_ price: Price) { prices.insert(price) }

    mutating func add(_ fit: AllReduceFit) {
        allReduceFits.removeAll {
            $0.accelerator == fit.accelerator && $0.software == fit.software && $0.launch == fit.launch
                && $0.ranks == fit.ranks
        }
        allReduceFits.append(fit)
    }

    mutating func add(_ efficiency: MatrixEfficiency) {
        matrixEfficiencies.removeAll {
            $0.accelerator == efficiency.accelerator && $0.software == efficiency.software
                && $0.format == efficiency.format
        }
        matrixEfficiencies.append(efficiency)
    }
}
