/// The catalogue as text for a terminal: each figure with its grade, source, notes and the other sources' values.
struct CatalogText {
    private(set) var text = ""
    /// What the numbers in brackets mean, in order of first use.
    private var sources: [String] = []

    /// The number under which a source stands at the end of the page.
    mutating func reference(_ source: String, _ date: CalendarDay?) -> Int {
        let text = date.map { "\(source), \($0)" } ?? source
        if let index = sources.firstIndex(of: text) { return index + 1 }
        sources.append(text)
        return sources.count
    }

    /// Writes out the sources that the page referred to.
    mutating func endPage() {
        if !sources.isEmpty { line("  sources") }
        for (index, source) in sources.enumerated() { line("  [\(index + 1)] \(source)") }
        sources = []
    }

    mutating func line(_ line: String) { text += line + "\n" }

    mutating func title(kind: String, id: String, name: String?, aliases: [String]) {
        line("\(kind) \(id)\(name.map { ": \($0)" } ?? "")")
        if !aliases.isEmpty { line("  also called \(aliases.joined(separator: ", "))") }
    }

    /// A line for the value, then lines for its note and for what other sources say.
    mutating func figure<Value>(_ name: String, _ figure: Figure<Value>?, unit: (Value) -> String) {
        guard let figure else { return }
        let label = "  " + name + String(repeating: " ", count: Swift.max(1, 34 - name.count))
        line("\(label)\(unit(figure.value))  \(figure.grade.rawValue) [\(reference(figure.source, figure.date))]")
        if let note = figure.note { line("      \(note)") }
        for other in figure.alternatives {
            let note = other.note.map { " (\($0))" } ?? ""
            line(
                "      or \(unit(other.value))  \(other.grade.rawValue) [\(reference(other.source, other.date))]\(note)"
            )
        }
    }

    mutating func number(_ name: String, _ figure: Figure<Double>?, _ unit: String) {
        self.figure(name, figure) { Self.quantity($0, unit) }
    }

    mutating func count(_ name: String, _ figure: Figure<Int>?) { self.figure(name, figure) { String($0) } }

    mutating func words(_ name: String, _ figure: Figure<String>?) { self.figure(name, figure) { $0 } }

    mutating func fact(_ fact: Fact) {
        number(fact.id, fact.number, fact.unit)
        words(fact.id, fact.text)
        line("      \(fact.about)")
    }

    /// A number with a prefix where its unit takes one: `4.8 TB/s`, `141 GiB`, `989 TFLOP/s`, `65 us`, `0.3`.
    static func quantity(_ value: Double, _ unit: String) -> String {
        switch unit {
        case "bytes":
            let units = ["B", "KiB", "MiB", "GiB", "TiB"]
            return scaled(value, 1024, units)
        case "bytes/s": return scaled(value, 1000, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"])
        case "FLOP/s": return scaled(value, 1000, ["FLOP/s", "kFLOP/s", "MFLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s"])
        case "Hz": return scaled(value, 1000, ["Hz", "kHz", "MHz", "GHz"])
        case "s" where value < 1 && value > 0:
            return value < 1e-3 ? "\(short(value * 1e6)) us" : "\(short(value * 1e3)) ms"
        case "1": return short(value)
        default: return "\(short(value)) \(unit)"
        }
    }

    private static func scaled(_ value: Double, _ step: Double, _ units: [String]) -> String {
        var value = value
        var index = 0
        while value >= step, index + 1 < units.count {
            value /= step
            index += 1
        }
        return "\(short(value)) \(units[index])"
    }

    /// Four significant digits, without a decimal point that says nothing.
    static func short(_ value: Double) -> String {
        guard value != 0, value.isFinite else { return value == 0 ? "0" : "\(value)" }
        var digits = 1.0
        var magnitude = abs(value)
        while magnitude < 1000, digits < 1e12 {
            magnitude *= 10
            digits *= 10
        }
        let rounded = (value * digits).rounded() / digits
        if rounded == rounded.rounded(), abs(rounded) < 1e15 { return String(Int64(rounded)) }
        return "\(rounded)"
    }

    /// `35.7608` for 35,760,800 micro-dollars: at least two decimals, no trailing noughts beyond them.
    static func dollars(_ microDollars: Int64) -> String {
        var decimals = String(1_000_000 + microDollars % 1_000_000).dropFirst()
        while decimals.count > 2, decimals.last == "0" { decimals.removeLast() }
        return "\(microDollars / 1_000_000).\(decimals)"
    }
}

extension Catalog {
    /// A line for each entry, by kind.
    public var listing: String {
        var page = CatalogText()
        page.line("accelerators")
        for entry in accelerators { page.line("  \(padded(entry.id, 30)) \(entry.name)") }
        page.line("instances")
        for entry in instances {
            page.line("  \(padded(entry.id, 30)) \(entry.acceleratorCount.value) x \(entry.accelerator)")
        }
        page.line("models")
        for entry in models {
            let size = entry.isMixture ? " (\(Self.billions(entry.activeParameters)) a token)" : ""
            page.line("  \(padded(entry.id, 30)) \(Self.billions(entry.parameters)) parameters\(size)")
        }
        page.line("regions")
        for entry in regions { page.line("  \(padded(entry.id, 30)) \(entry.name)") }
        page.line("facts")
        for entry in facts { page.line("  \(padded(entry.id, 60)) \(entry.about)") }
        let counts =
            "\(prices.prices.count) prices, \(allReduceFits.count) all-reduce fits, \(matrixEfficiencies.count) matrix sweeps"
        page.line("\(counts) stand with the instances and accelerators (`trainyard catalog NAME`)")
        return page.text
    }

    /// All that is known of an entry.
    public func text(of item: CatalogItem) -> String {
        var page = CatalogText()
        switch item {
        case .accelerator(let entry): describe(entry, on: &page)
        case .instance(let entry): describe(entry, on: &page)
        case .model(let entry): describe(entry, on: &page)
        case .region(let entry):
            page.title(kind: Region.kind, id: entry.id, name: entry.name, aliases: entry.aliases)
            page.number("powerUsageEffectiveness", entry.powerUsageEffectiveness, "1")
            page.number("waterLitresPerKilowattHour", entry.waterLitresPerKilowattHour, "L/kWh")
            page.number("carbonGramsPerKilowattHour", entry.carbonGramsPerKilowattHour, "g/kWh")
            if let authority = entry.balancingAuthority { page.line("  balancing authority \(authority)") }
        case .fact(let entry): page.fact(entry)
        }
        page.endPage()
        return page.text
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func billions(_ count: Int) -> String {
        count >= 1_000_000_000
            ? CatalogText.short(Double(count) / 1e9) + "B" : CatalogText.short(Double(count) / 1e6) + "M"
    }

    private func describe(_ entry: Accelerator, on page: inout CatalogText) {
        page.title(kind: Accelerator.kind, id: entry.id, name: entry.name, aliases: entry.aliases)
        for precision in Precision.allCases {
            page.number("dense peak \(precision.rawValue)", entry.peakFlopsPerSecond[precision], "FLOP/s")
            page.number("sparse peak \(precision.rawValue)", entry.sparseFlopsPerSecond[precision], "FLOP/s")
        }
        page.number("memoryBytes", entry.memoryBytes, "bytes")
        page.number("usableMemoryBytes", entry.usableMemoryBytes, "bytes")
        page.number("memoryBytesPerSecond", entry.memoryBytesPerSecond, "bytes/s")
        page.count("cores", entry.cores)
        for mode in entry.logicalCoreModes {
            let name = "LNC=\(mode.coresPerLogicalCore)\(mode.isDefault ? " (default)" : "")"
            page.count("\(name) logical cores", mode.logicalCores)
            page.number("\(name) memory of one", mode.memoryBytesPerLogicalCore, "bytes")
        }
        page.number("tensorClockHertz", entry.tensorClockHertz, "Hz")
        page.number("scratchpadBytesPerCore", entry.scratchpadBytesPerCore, "bytes")
        page.number("accumulatorBytesPerCore", entry.accumulatorBytesPerCore, "bytes")
        page.count("dmaEngines", entry.dmaEngines)
        page.number("dmaBytesPerSecondPerCore", entry.dmaBytesPerSecondPerCore, "bytes/s")
        page.count("collectiveCores", entry.collectiveCores)
        for link in entry.links {
            page.number("link \(link.level) (\(link.direction.rawValue))", link.bytesPerSecond, "bytes/s")
        }
        page.number("thermalDesignWatts", entry.thermalDesignWatts, "W")
        page.number("idleWatts", entry.idleWatts, "W")
        page.figure("power", entry.power) { power in
            "TDP x min(\(power.cap), \(power.floor) + \(power.memory) MBU + \(power.compute) MFU)"
        }
        for fact in entry.facts { page.fact(fact) }
        describePrices(of: entry.id, on: &page)
        for fit in allReduceFits(accelerator: entry.id) {
            let alpha = CatalogText.quantity(fit.alphaSeconds, "s")
            let slope = CatalogText.short(fit.secondsPerByte * 1e12)
            page.line(
                "  all-reduce \(fit.software) \(fit.launch), \(fit.ranks) ranks: \(alpha) + \(slope) us/MB  \(fit.grade.rawValue) [\(page.reference(fit.source, fit.date))]"
            )
        }
        for sweep in matrixEfficiencies(accelerator: entry.id) {
            let shares =
                "half of shapes reach \(sweep.computeMedian) of peak FLOP/s, \(sweep.memoryMedian) of bandwidth"
            page.line(
                "  matrices \(sweep.format) \(sweep.software): \(shares)  \(sweep.grade.rawValue) [\(page.reference(sweep.source, sweep.date))]"
            )
        }
    }

    private func describe(_ entry: Instance, on page: inout CatalogText) {
        page.title(kind: Instance.kind, id: entry.id, name: entry.name, aliases: entry.aliases)
        page.count("\(entry.accelerator)", entry.acceleratorCount)
        let sides = entry.topology.dimensions.map { String($0) }.joined(separator: " x ")
        page.line(
            "  topology \(entry.topology.kind.rawValue) \(sides)  [\(page.reference(entry.topology.source, entry.topology.date))]"
        )
        page.count("scaleUpDomain", entry.scaleUpDomain)
        page.count("blastRadius", entry.blastRadius)
        page.count("virtualCPUs", entry.virtualCPUs)
        page.number("hostMemoryBytes", entry.hostMemoryBytes, "bytes")
        page.words("hostProcessor", entry.hostProcessor)
        page.number("networkBytesPerSecond", entry.networkBytesPerSecond, "bytes/s")
        page.number("localStorageBytes", entry.localStorageBytes, "bytes")
        page.number("hostBaseWatts", entry.hostBaseWatts, "W")
        page.number("wallWattsPerAcceleratorWatt", entry.wallWattsPerAcceleratorWatt, "1")
        page.number("idleWallWatts", entry.idleWallWatts, "W")
        page.number("nameplateWatts", entry.nameplateWatts, "W")
        page.number("allInWattsPerAccelerator", entry.allInWattsPerAccelerator, "W")
        page.words("availability", entry.availability)
        for fact in entry.facts { page.fact(fact) }
        describePrices(of: entry.id, on: &page)
        describePrices(of: entry.accelerator, on: &page)
    }

    private func describePrices(of subject: String, on page: inout CatalogText) {
        for price in prices.prices(of: subject).sorted(by: {
            ($0.basis.rawValue, $0.region, $0.date) < ($1.basis.rawValue, $1.region, $1.date)
        }) {
            let per = price.isPerAccelerator ? " an accelerator-hour" : " an hour"
            let note = price.note.map { " (\($0))" } ?? ""
            page.line(
                "  price \(price.basis.rawValue), \(price.region), from \(price.date): $\(CatalogText.dollars(price.microDollarsPerHour))\(per)  \(price.grade.rawValue) [\(page.reference(price.source, nil))]\(note)"
            )
        }
    }

    private func describe(_ entry: Model, on page: inout CatalogText) {
        page.title(kind: Model.kind, id: entry.id, name: entry.architecture, aliases: entry.aliases)
        page.line("  shape  \(entry.grade.rawValue) [\(page.reference(entry.source, entry.date))]")
        if let note = entry.note { page.line("      \(note)") }
        page.line(
            "  parameters \(entry.parameters) (\(Self.billions(entry.parameters))), \(Self.billions(entry.activeParameters)) a token"
        )
        page.figure("published parameters", entry.publishedParameters) { Self.billions(Int($0)) }
        page.figure("published a token", entry.publishedActiveParameters) { Self.billions(Int($0)) }
        let tied = entry.hasTiedEmbeddings ? ", head tied to the embeddings" : ""
        let positions = entry.maximumPositions.map { ", \($0) positions" } ?? ""
        page.line("  hidden \(entry.hidden), vocabulary \(entry.vocabulary)\(positions)\(tied)")
        let experts = entry.nativeExpertPrecision.map { ", experts in \($0.rawValue)" } ?? ""
        page.line(
            "  stored in \(entry.nativePrecision.rawValue)\(experts): \(CatalogText.quantity(entry.nativeWeightBytes, "bytes"))"
        )
        page.line("  cache of a token in bf16: \(CatalogText.quantity(entry.keyValueBytesPerToken(.bf16), "bytes"))")
        if entry.stateElements > 0 { page.line("  fixed state of a sequence: \(entry.stateElements) elements") }
        for group in entry.layerGroups { page.line("  \(group.count) layers: \(group.layer.summary)") }
    }
}

extension Layer {
    /// What the layer is made of, in a line.
    var summary: String {
        (mixers.map(\.summary) + [feedForward?.summary].compactMap { $0 }).joined(separator: "; ")
    }
}

extension Mixer {
    fileprivate var summary: String {
        switch self {
        case .attention(let shape):
            let window = shape.window.map { ", window \($0)" } ?? ""
            let indexer = shape.indexer.map { ", \($0.selectedTokens) tokens selected" } ?? ""
            return
                "attention \(shape.heads) heads, \(shape.keyValueHeads) key-value heads of \(shape.headDimension)\(window)\(indexer)"
        case .latentAttention(let shape):
            let indexer = shape.indexer.map { ", \($0.selectedTokens) tokens selected" } ?? ""
            return
                "latent attention \(shape.heads) heads, rank \(shape.keyValueRank) + \(shape.rotaryDimension)\(indexer)"
        case .compressedAttention(let shape):
            let entries = shape.tokensPerEntry.map { ", an entry for \($0) tokens" } ?? ""
            let indexer = shape.indexer.map { ", \($0.selectedTokens) tokens selected" } ?? ""
            return
                "compressed attention \(shape.heads) heads of \(shape.entryDimension), window \(shape.window)\(entries)\(indexer)"
        case .linearAttention(let shape):
            return
                "linear attention \(shape.keyHeads) key and \(shape.valueHeads) value heads of \(shape.keyDimension) x \(shape.valueDimension)"
        case .stateSpace(let shape):
            return "state space \(shape.heads) heads of \(shape.headDimension) x \(shape.stateDimension)"
        case .recurrence(let shape): return "recurrence, \(shape.elements) weights"
        }
    }
}

extension FeedForward {
    fileprivate var summary: String {
        switch self {
        case .dense(let shape): return "dense \(shape.intermediate)\(shape.isGated ? " gated" : "")"
        case .mixture(let shape):
            let shared = shape.sharedIntermediate > 0 ? " + shared \(shape.sharedIntermediate)" : ""
            return
                "\(shape.activeExperts) of \(shape.experts) experts of \(shape.expertIntermediate)\(shape.isGated ? " gated" : "")\(shared)"
        }
    }
}
