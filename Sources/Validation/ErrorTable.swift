//===----------------------------------------------------------------------===//
// Errors, summed up.
//===----------------------------------------------------------------------===//

import Foundation

/// Errors of one group of rows.
public struct ErrorSummary: Sendable, Hashable, Codable {
    public var rows: Int
    /// Median of predicted / measured − 1: the bias.
    public var medianSigned: Double
    /// Of its absolute value.
    public var medianAbsolute: Double
    public var meanAbsolute: Double
    public var percentile90Absolute: Double

    /// - Precondition: `errors` is not empty.
    public init(_ errors: [Double]) {
        precondition(!errors.isEmpty)
        let signed = errors.sorted()
        let absolute = errors.map(abs).sorted()
        rows = errors.count
        medianSigned = Self.quantile(signed, 0.5)
        medianAbsolute = Self.quantile(absolute, 0.5)
        meanAbsolute = absolute.reduce(0, +) / Double(absolute.count)
        percentile90Absolute = Self.quantile(absolute, 0.9)
    }

    /// Linear interpolation between the closest ranks.
    static func quantile(_ sorted: [Double], _ fraction: Double) -> Double {
        let position = fraction * Double(sorted.count - 1)
        let low = Int(position)
        let high = min(low + 1, sorted.count - 1)
        return sorted[low] + (position - Double(low)) * (sorted[high] - sorted[low])
    }
}

/// Errors by metric × platform × model × source, and every coarser cut that a reader asks for.
public struct ErrorTable: Sendable {
    public struct Line: Sendable, Hashable, Codable {
        public var quantity: String
        public var platform: String
        public var model: String
        public var source: String
        public var errors: ErrorSummary
    }

    public private(set) var lines: [Line]

    /// Which columns are kept apart; the others are summed up as "all".
    public struct Columns: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let platform = Columns(rawValue: 1)
        public static let model = Columns(rawValue: 2)
        public static let source = Columns(rawValue: 4)
    }

    public init(_ outcomes: [Validator.Outcome], by columns: Columns) {
        var groups: [[String]: [Double]] = [:]
        for outcome in outcomes {
            let experiment = outcome.experiment
            let key = [
                experiment.quantity.rawValue, columns.contains(.platform) ? experiment.platform : "all",
                columns.contains(.model) ? experiment.row.model : "all",
                columns.contains(.source) ? experiment.group : "all",
            ]
            groups[key, default: []].append(outcome.error)
        }
        lines = groups.keys.sorted { $0.lexicographicallyPrecedes($1) }.map { key in
            Line(quantity: key[0], platform: key[1], model: key[2], source: key[3], errors: ErrorSummary(groups[key]!))
        }
    }

    /// A table in columns.
    public var text: String {
        var rows = [["metric", "platform", "model", "source", "rows", "bias", "median", "mean", "p90"]]
        for line in lines {
            rows.append([
                line.quantity, line.platform, line.model, line.source, String(line.errors.rows),
                Self.percent(line.errors.medianSigned, signed: true),
                Self.percent(line.errors.medianAbsolute), Self.percent(line.errors.meanAbsolute),
                Self.percent(line.errors.percentile90Absolute),
            ])
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
        return rows.map { row in
            row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column < 4 ? cell + padding : padding + cell
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    static func percent(_ value: Double, signed: Bool = false) -> String {
        String(format: signed ? "%+.1f %%" : "%.1f %%", value * 100)
    }
}
