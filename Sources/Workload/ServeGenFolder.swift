//===----------------------------------------------------------------------===//
// Finding the files of one model in a ServeGen folder.
//===----------------------------------------------------------------------===//

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The files of one model. The path is the folder, when it holds one model, or `FOLDER/MODEL`.
struct ServeGenFolder {
    let model: String
    let rates: String
    let lengths: [String]

    init(_ path: String) throws(WorkloadError) {
        var folder = path
        var wanted: String?
        var names = ServeGenFolder.list(folder)
        if names == nil, let slash = path.lastIndex(of: "/") {
            folder = String(path[..<slash])
            wanted = String(path[path.index(after: slash)...])
            names = ServeGenFolder.list(folder)
        }
        guard let names else {
            throw WorkloadError(
                place: path, "is no folder, where a folder of ServeGen data (or FOLDER/MODEL) was expected")
        }
        let models = names.compactMap { name in
            [".client_rates.csv", ".client_rates.csv.gz"].first { name.hasSuffix($0) }.map {
                String(name.dropLast($0.count))
            }
        }.sorted()
        guard let first = models.first else {
            throw WorkloadError(place: folder, "holds no MODEL.client_rates.csv[.gz], where ServeGen data was expected")
        }
        let chosen = wanted ?? first
        guard models.contains(chosen), wanted != nil || models.count == 1 else {
            throw WorkloadError(
                place: path,
                "name one of its models after the folder: \(models.map { "\(folder)/\($0)" }.joined(separator: ", "))")
        }
        model = chosen
        rates = "\(folder)/" + names.first { $0.hasPrefix("\(chosen).client_rates.csv") }!
        lengths = names.filter { $0.hasPrefix("\(chosen).client_lengths") }.sorted().map { "\(folder)/\($0)" }
        guard !lengths.isEmpty else {
            throw WorkloadError(place: folder, "holds no \(chosen).client_lengths*.jsonl[.gz]")
        }
    }

    static func lines(_ path: String) throws(WorkloadError) -> LineReader {
        LineReader(MaybeGzip(try FileBytes(path: path), name: path), name: path)
    }

    private static func list(_ path: String) -> [String]? {
        guard let folder = opendir(path) else { return nil }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            names.append(name)
        }
        return names
    }
}
