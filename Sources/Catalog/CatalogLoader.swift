import CCatalogData
import Foundation
import Spelling

extension Catalog {
    /// The catalogue that is compiled into the program, read once.
    public static let builtIn: Catalog = {
        do {
            return try Catalog(files: embeddedFiles)
        } catch {
            // A test reads it on every build, so this cannot happen in a program that passed its tests.
            preconditionFailure("the built-in catalogue is malformed: \(error)")
        }
    }()

    /// The built-in catalogue with the files of a folder laid over it: entries of the same id are replaced, others
    /// added.
    ///
    /// The folder holds any of `sources.json`, `accelerators.json`, `instances.json`, `models.json`, `regions.json`,
    /// `facts.json`, `prices.csv`, `all-reduce.csv` and `matrix-efficiency.csv`. A file of another name with one of
    /// these endings is an error.
    public init(directory: String, over base: Catalog = .builtIn) throws(CatalogError) {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
        } catch {
            throw CatalogError(.unreadable, "\(directory): cannot be listed; give a folder with catalogue files")
        }
        var files: [CatalogFile] = []
        for name in names where name.hasSuffix(".json") || name.hasSuffix(".csv") {
            guard CatalogFile.known.contains(name) else {
                let hint = suggestion(for: name, among: CatalogFile.known)
                throw CatalogError(.malformed, "\(directory)/\(name): not a file of a catalogue\(hint)")
            }
            guard let bytes = FileManager.default.contents(atPath: "\(directory)/\(name)") else {
                throw CatalogError(.unreadable, "\(directory)/\(name): cannot be read")
            }
            files.append(CatalogFile(name: name, path: "\(directory)/\(name)", bytes: Array(bytes)))
        }
        guard !files.isEmpty else {
            throw CatalogError(
                .unreadable,
                "\(directory): no catalogue files; expected one of \(CatalogFile.known.joined(separator: ", "))")
        }
        self = try Catalog(files: files, over: base)
    }

    /// The files inside the program, in the order in which they refer to one another.
    static var embeddedFiles: [CatalogFile] {
        (0..<trainyard_catalog_file_count()).map { index in
            let file = trainyard_catalog_file_at(index)
            let bytes = UnsafeRawBufferPointer(start: file.bytes, count: file.size)
            let name = String(cString: file.name)
            return CatalogFile(name: name, path: name, bytes: Array(bytes))
        }
    }

    /// Reads files, sources first, and checks that what refers to something refers to something known.
    init(files: [CatalogFile], over base: Catalog = Catalog()) throws(CatalogError) {
        self = base
        var sources = Sources()
        if !base.accelerators.isEmpty { sources = Self.builtInSources }
        for name in CatalogFile.known {
            guard let file = files.first(where: { $0.name == name }) else { continue }
            try read(file, &sources)
        }
        try checkReferences()
    }

    /// An overlay may refer to the built-in sources by key.
    private static let builtInSources: Sources = {
        var sources = Sources()
        guard let file = embeddedFiles.first(where: { $0.name == "sources.json" }) else { return sources }
        do {
            try sources.read(try JSONDocument(parsing: file.bytes, file: file.path))
        } catch {
            preconditionFailure("the built-in sources are malformed: \(error)")
        }
        return sources
    }()

    private mutating func read(_ file: CatalogFile, _ sources: inout Sources) throws(CatalogError) {
        switch file.name {
        case "prices.csv": try readPrices(file, sources)
        case "all-reduce.csv": try readAllReduceFits(file, sources)
        case "matrix-efficiency.csv": try readMatrixEfficiencies(file, sources)
        default:
            let document = try JSONDocument(parsing: file.bytes, file: file.path)
            if file.name == "sources.json" {
                try sources.read(document)
                return
            }
            for node in try document.array(document.root) {
                let reader = try ObjectReader(node, in: document, sources: sources)
                let place = "\(file.path):\(node.line)"
                switch file.name {
                case "accelerators.json": try add(try Accelerator(reading: reader), at: place)
                case "instances.json": try add(try Instance(reading: reader), at: place)
                case "models.json": try add(try Model(reading: reader), at: place)
                case "regions.json": try add(try Region(reading: reader), at: place)
                default: try add(try Fact(reading: reader), at: place)
                }
            }
        }
    }

    private func checkReferences() throws(CatalogError) {
        for instance in instances {
            do {
                _ = try accelerator(instance.accelerator)
            } catch {
                throw CatalogError(.malformed, "instances.json: instance \(instance.id): \(error.description)")
            }
        }
        for price in prices.prices {
            do {
                if price.isPerAccelerator {
                    _ = try accelerator(price.subject)
                } else {
                    _ = try instance(price.subject)
                }
                if price.region != Price.anyRegion { _ = try region(price.region) }
            } catch {
                throw CatalogError(.malformed, "prices.csv: a price of \(price.subject): \(error.description)")
            }
        }
        for name in allReduceFits.map(\.accelerator) + matrixEfficiencies.map(\.accelerator) {
            do {
                _ = try accelerator(name)
            } catch {
                throw CatalogError(.malformed, "all-reduce.csv or matrix-efficiency.csv: \(error.description)")
            }
        }
    }
}

/// A catalogue file in memory.
struct CatalogFile: Sendable {
    /// The last part of its path, which says what it holds.
    var name: String
    /// What errors call it.
    var path: String
    var bytes: [UInt8]

    /// Every name that is read, in the order in which they refer to one another.
    static let known = [
        "sources.json", "accelerators.json", "instances.json", "models.json", "regions.json", "facts.json",
        "prices.csv",
        "all-reduce.csv", "matrix-efficiency.csv",
    ]
}
