//===----------------------------------------------------------------------===//
// Reports as JSON.
//===----------------------------------------------------------------------===//

import Foundation

/// Writes reports as JSON: keys sorted, two spaces of indentation, a newline at the end; the same report gives the
/// same bytes.
public enum ReportJSON {
    /// - Throws: only when a figure is not a number, which a report must never hold.
    public static func text(_ report: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(report), as: UTF8.self) + "\n"
    }
}
