//===----------------------------------------------------------------------===//
// Measured results, read from CSV.
//===----------------------------------------------------------------------===//

import Foundation

/// Why a file of measurements could not be read: file, line, and what was expected.
public struct MeasurementError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}

/// One published result. GPU and Neuron tables differ in their columns; this is what they have in common.
public struct MeasuredRow: Sendable, Hashable {
    public enum Table: String, Sendable, Hashable { case gpu, neuron }
    public var table: Table
    /// Line in the file, from 1.
    public var line: Int
    public var source: String
    public var model: String
    /// GPU's name, or the Neuron instance.
    public var hardware: String
    /// GPUs or chips; fractions where ranks do not fill a chip.
    public var chips: Double?
    /// Serving software (GPU) or SDK version (Neuron).
    public var software: String
    public var precision: String
    /// `TP2EP1DP1` and the like (GPU), or the tensor degree (Neuron).
    public var parallelism: String
    public var logicalCore: Int?
    /// Batch, client concurrency or MLPerf scenario (GPU); compiled batch (Neuron).
    public var batch: String
    public var inputTokens: Double?
    public var outputTokens: Double?
    public var metric: String
    /// Nil where only a 99th percentile was printed.
    public var value: Double?
    public var percentile99: Double?
    public var unit: String
    public var notes: String
    /// A cell that cannot be read, in words; the row is refused for it.
    public var problem: String?

    /// `key=value` entries of the notes, which are separated by semicolons.
    public func note(_ key: String) -> String? {
        for entry in notes.split(separator: ";") {
            let trimmed = entry.drop { $0 == " " }
            if trimmed.hasPrefix(key + "=") { return String(trimmed.dropFirst(key.count + 1)) }
        }
        return nil
    }
}

extension MeasuredRow {
    /// Columns without which no row says anything. The others may be absent, and are then empty.
    static let neededColumns: [Table: [String]] = [
        .gpu: ["gpu", "model", "metric", "value"], .neuron: ["instance", "model", "metric", "p50"],
    ]
    /// All columns, as the error about a missing one lists them.
    static let allColumns: [Table: [String]] = [
        .gpu: [
            "source", "system", "gpu", "count", "model", "framework", "precision", "tp", "batch_or_concurrency",
            "input_len", "output_len", "metric", "value", "unit", "notes",
        ],
        .neuron: [
            "source", "neuron_version", "model", "instance", "chips", "tp_degree", "lnc", "precision", "batch_size",
            "input_len", "output_len", "metric", "p50", "p99", "unit", "notes",
        ],
    ]

    /// Reads a table of either kind; columns may come in any order, and unknown ones are ignored.
    public static func read(path: String) throws(MeasurementError) -> [MeasuredRow] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw MeasurementError("cannot read \(path)")
        }
        guard data.count < 1 << 28 else { throw MeasurementError("\(path) is larger than 256 MiB") }
        return try parse(String(decoding: data, as: UTF8.self), name: path)
    }

    static func parse(_ text: String, name: String) throws(MeasurementError) -> [MeasuredRow] {
        var records = try SeparatedValues.records(of: text, name: name)[...]
        guard let header = records.popFirst() else { throw MeasurementError("\(name) is empty") }
        let columns = header.fields.map { $0.lowercased() }
        let table: Table
        if columns.contains("gpu") {
            table = .gpu
        } else if columns.contains("instance") {
            table = .neuron
        } else {
            throw MeasurementError(
                "\(name):\(header.line): neither a column 'gpu' (\(Self.list(.gpu))) nor 'instance' (\(Self.list(.neuron)))"
            )
        }
        var position: [String: Int] = [:]
        for (index, column) in columns.enumerated() where position[column] == nil { position[column] = index }
        if let missing = neededColumns[table]!.first(where: { position[$0] == nil }) {
            throw MeasurementError(
                "\(name):\(header.line): the column '\(missing)' is missing; expected \(Self.list(table))")
        }
        return try records.map { record throws(MeasurementError) in
            guard record.fields.count == columns.count else {
                throw MeasurementError(
                    "\(name):\(record.line): \(record.fields.count) fields, where the header has \(columns.count)")
            }
            return row(table, Cells(record: record, position: position))
        }
    }

    private static func list(_ table: Table) -> String { allColumns[table]!.joined(separator: ",") }

    /// Cells of one line by column, and the first that could not be read.
    private struct Cells {
        var record: SeparatedValues.Record
        var position: [String: Int]
        var problem: String?

        func text(_ column: String) -> String {
            position[column].map { record.fields[$0].trimmingCharacters(in: .whitespaces) } ?? ""
        }

        /// A number, nil for an empty cell. What is not a finite number between 0 and a million million is a problem.
        mutating func number(_ column: String) -> Double? {
            let text = text(column)
            if ["", "n/a", "na", "nan", "none", "null", "-"].contains(text.lowercased()) { return nil }
            if let value = Double(text), value.isFinite, value >= 0, value <= 1e12 { return value }
            problem = problem ?? "'\(text)' in column \(column) is not a number"
            return nil
        }
    }

    private static func row(_ table: Table, _ cells: Cells) -> MeasuredRow {
        var cells = cells
        let isGPU = table == .gpu
        var row = MeasuredRow(
            table: table, line: cells.record.line, source: cells.text("source"), model: cells.text("model"),
            hardware: cells.text(isGPU ? "gpu" : "instance"), chips: cells.number(isGPU ? "count" : "chips"),
            software: cells.text(isGPU ? "framework" : "neuron_version"), precision: cells.text("precision"),
            parallelism: cells.text(isGPU ? "tp" : "tp_degree"), logicalCore: isGPU ? nil : Int(cells.text("lnc")),
            batch: cells.text(isGPU ? "batch_or_concurrency" : "batch_size"),
            inputTokens: cells.number("input_len"), outputTokens: cells.number("output_len"),
            metric: cells.text("metric"), value: cells.number(isGPU ? "value" : "p50"),
            percentile99: isGPU ? nil : cells.number("p99"), unit: cells.text("unit"), notes: cells.text("notes"))
        row.problem = cells.problem
        return row
    }
}
