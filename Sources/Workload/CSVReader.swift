//===----------------------------------------------------------------------===//
// Rows of a CSV file whose columns are found by name.
//===----------------------------------------------------------------------===//

/// Reads CSV with a header row; the fields asked for are found by column name, whatever their order.
///
/// Fields in double quotes may hold commas, not line breaks (none of the formats has them).
final class CSVReader {
    private let lines: LineReader
    /// Position in `fields` of each column of the file, or -1 for columns nobody asked for.
    private var wanted: [Int] = []
    /// How many columns a row needs for all wanted fields to be there.
    private var neededColumns = 0
    private var columnNames: [String] = []
    /// The present row's fields, in the order in which they were asked for; empty for absent optional columns.
    private let fields: UnsafeMutableBufferPointer<Field>
    private let empty = Field(start: nil, count: 0)

    /// Which of the optional columns the file has.
    private(set) var present: [Bool] = []

    /// Reads the header.
    ///
    /// - Parameters:
    ///   - columns: for each field its accepted names, the usual one first.
    ///   - optional: how many of `columns`, counted from the end, may be absent.
    init(_ lines: LineReader, format: String, columns: [[String]], optional: Int = 0) throws(WorkloadError) {
        self.lines = lines
        fields = .allocate(capacity: columns.count)
        fields.initialize(repeating: Field(start: nil, count: 0))
        guard let header = try lines.next() else {
            throw WorkloadError(
                place: lines.name, "is empty, where \(format): expects a header row with \(CSVReader.list(columns))")
        }
        var names: [String] = []
        CSVReader.split(header) { _, field in names.append(String(decoding: FieldParsing.trimmed(field), as: UTF8.self))
        }
        if let first = names.first, first.hasPrefix("\u{FEFF}") { names[0] = String(first.dropFirst()) }
        columnNames = names
        wanted = Array(repeating: -1, count: names.count)
        for (index, accepted) in columns.enumerated() {
            if let column = names.firstIndex(where: { accepted.contains($0) }) {
                wanted[column] = index
                neededColumns = max(neededColumns, column + 1)
                present.append(true)
            } else {
                present.append(false)
                guard index >= columns.count - optional else {
                    throw missing(accepted[0], format: format, columns: columns)
                }
            }
        }
    }

    deinit { fields.deallocate() }

    private func missing(_ name: String, format: String, columns: [[String]]) -> WorkloadError {
        let found = columnNames.joined(separator: ",")
        let shown = found.utf8.count > 120 ? String(found.prefix(120)) + "…" : found
        return lines.error(
            "has no column '\(name)', which \(format): expects (\(CSVReader.list(columns))); its header is '\(shown)'")
    }

    private static func list(_ columns: [[String]]) -> String { columns.map { $0[0] }.joined(separator: ",") }

    /// The fields of the next row that is not blank, valid until the next call; nil at the end.
    func next() throws(WorkloadError) -> UnsafeMutableBufferPointer<Field>? {
        repeat {
            guard let line = try lines.next() else { return nil }
            if line.isEmpty { continue }
            fields.update(repeating: empty)
            var columns = 0
            CSVReader.split(line) { column, field in
                if column < wanted.count, wanted[column] >= 0 { fields[wanted[column]] = FieldParsing.trimmed(field) }
                columns = column + 1
            }
            if columns < neededColumns { fields.update(repeating: empty) }
            return fields
        } while true
    }

    /// Calls `body` with each field of `line` and its index.
    @inline(__always)
    private static func split(_ line: Field, _ body: (Int, Field) -> Void) {
        var start = 0
        var index = 0
        var column = 0
        var quoted = false
        while index < line.count {
            let byte = line[index]
            if byte == 34 {
                quoted.toggle()
            } else if byte == 44 && !quoted {
                body(column, Field(rebasing: line[start..<index]))
                column += 1
                start = index + 1
            }
            index += 1
        }
        body(column, Field(rebasing: line[start..<line.count]))
    }

    /// An error that names the present line, the column, what was expected there and what was found.
    func error(_ column: String, _ expected: String, found field: Field) -> WorkloadError {
        field.isEmpty
            ? lines.error("expected \(expected) in column '\(column)', found nothing")
            : lines.error("expected \(expected) in column '\(column)', found '\(excerpt(field))'")
    }

    /// An error that names the present line.
    func error(_ message: String) -> WorkloadError { lines.error(message) }
}
