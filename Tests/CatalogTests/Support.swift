import Foundation

@testable import Catalog

/// Pseudo-random numbers from a seed (SplitMix64), so that a failure can be run again.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Reference data beside the checkout (`../shared`), which not every machine has.
enum Reference {
    static let folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("shared")

    static var isThere: Bool { FileManager.default.fileExists(atPath: folder.path) }

    /// The rows of a CSV file as dictionaries by column; lines that begin with `#` are left out.
    static func rows(_ path: String) throws -> [[String: String]] {
        let text = try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
        var rows: [[String: String]] = []
        var header: [String]?
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            let cells = cells(of: line)
            if let header {
                rows.append(Dictionary(uniqueKeysWithValues: zip(header, cells)))
            } else {
                header = cells
            }
        }
        return rows
    }

    private static func cells(of line: Substring) -> [String] {
        var cells = [""]
        var isQuoted = false
        for character in line {
            switch character {
            case "\"": isQuoted.toggle()
            case "," where !isQuoted: cells.append("")
            default: cells[cells.count - 1].append(character)
            }
        }
        return cells
    }
}

/// A folder of files that is gone when the closure returns.
func withFolder<Result>(_ files: [String: String], _ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("catalog-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files {
        try Data(text.utf8).write(to: folder.appendingPathComponent(name))
    }
    return try body(folder.path)
}

/// The error that `body` throws; nil when it throws none or another kind.
func catalogError(_ body: () throws -> Void) -> CatalogError? {
    do {
        try body()
        return nil
    } catch {
        return error as? CatalogError
    }
}
