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

    /// `key=value` entries of the notes, which are separated by semicolons.
    public func note(_ key: String) -> String? {
        for entry in notes.split(separator: ";") {
            let trimmed = entry.drop { $0 == " " }
            if trimmed.hasPrefix(key + "=") { return String(trimmed.dropFirst(key.count + 1)) }
        }
        return nil
    }

    static let gpuColumns = [
        "source", "system", "gpu", "count", "model", "framework", "precision", "tp", "batch_or_concurrency",
        "input_len", "output_len",
        "metric", "value", "unit", "notes",
    ]
    static let neuronColumns = [
        "source", "neuron_version", "model", "instance", "chips", "tp_degree", "lnc", "precision", "batch_size",
        "input_len",
        "output_len", "metric", "p50", "p99", "unit", "notes",
    ]

    /// Reads a table of either kind; columns may come in any order, all must be there.
    public static func read(path: String) throws(MeasurementError) -> [MeasuredRow] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw MeasurementError("cannot read \(path)")
        }
        guard data.count < 1 << 28 else { throw MeasurementError("\(path) is larger than 256 MiB") }
        return try parse(String(decoding: data, as: UTF8.self), name: path)
    }

    static func parse(_ text: String, name: String) throws(MeasurementError) -> [MeasuredRow] {
        var lines = text.split(whereSeparator: \.isNewline)[...]
        guard let first = lines.popFirst() else { throw MeasurementError("\(name) is empty") }
        let header = try fields(first, place: "\(name):1")
        let table: Table = header.contains("gpu") ? .gpu : .neuron
        let wanted = table == .gpu ? gpuColumns : neuronColumns
        var position: [String: Int] = [:]
        for (index, column) in header.enumerated() { position[column] = index }
        if let missing = wanted.first(where: { position[$0] == nil }) {
            throw MeasurementError(
                "\(name):1: the column '\(missing)' is missing; expected \(wanted.joined(separator: ","))")
        }
        var rows: [MeasuredRow] = []
        for (index, line) in lines.enumerated() {
            let place = "\(name):\(index + 2)"
            let cells = try fields(line, place: place)
            guard cells.count == header.count else {
                throw MeasurementError("\(place): \(cells.count) fields, where the header has \(header.count)")
            }
            func cell(_ column: String) -> String { cells[position[column]!] }
            func number(_ column: String) throws(MeasurementError) -> Double? {
                let text = cell(column)
                if text.isEmpty { return nil }
                if let value = Double(text), value.isFinite { return value }
                throw MeasurementError("\(place): '\(text)' in column \(column) is not a number")
            }
            if table == .gpu {
                rows.append(
                    MeasuredRow(
                        table: .gpu, line: index + 2, source: cell("source"), model: cell("model"),
                        hardware: cell("gpu"),
                        chips: try number("count"), software: cell("framework"), precision: cell("precision"),
                        parallelism: cell("tp"), logicalCore: nil, batch: cell("batch_or_concurrency"),
                        inputTokens: try number("input_len"), outputTokens: try number("output_len"),
                        metric: cell("metric"),
                        value: try number("value"), percentile99: nil, unit: cell("unit"), notes: cell("notes")
                    )
                )
            } else {
                rows.append(
                    MeasuredRow(
                        table: .neuron, line: index + 2, source: cell("source"), model: cell("model"),
                        hardware: cell("instance"),
                        chips: try number("chips"), software: cell("neuron_version"), precision: cell("precision"),
                        parallelism: cell("tp_degree"), logicalCore: Int(cell("lnc")), batch: cell("batch_size"),
                        inputTokens: try number("input_len"), outputTokens: try number("output_len"),
                        metric: cell("metric"),
                        value: try number("p50"), percentile99: try number("p99"), unit: cell("unit"),
                        notes: cell("notes")
                    )
                )
            }
        }
        return rows
    }

    /// Fields of one line; quoted ones may hold commas and doubled quotes, not line breaks.
    static func fields(_ line: Substring, place: String) throws(MeasurementError) -> [String] {
        var fields: [String] = []
        var field = ""
        var quoted = false
        var characters = line.makeIterator()
        var pending: Character? = characters.next()
        while let character = pending {
            pending = characters.next()
            switch character {
            case "\"" where quoted && pending == "\"":
                field.append("\"")
                pending = characters.next()
            case "\"": quoted.toggle()
            case "," where !quoted:
                fields.append(field)
                field = ""
            default: field.append(character)
            }
        }
        if quoted { throw MeasurementError("\(place): a quoted field is not closed") }
        return fields + [field]
    }
}
