import Spelling

/// The catalogue's CSV files: a header line, one entry a line, `source` being a key of `sources.json`.
struct TableReader {
    let file: CatalogFile
    let columns: [String]
    /// Line number and cells.
    let rows: [(line: Int, cells: [String])]

    /// Lines that are empty or begin with `#` are skipped. Cells that hold a comma or a quote are quoted as in RFC
    /// 4180, within one line.
    init(_ file: CatalogFile, columns: [String]) throws(CatalogError) {
        guard String(validating: file.bytes, as: UTF8.self) != nil else {
            throw CatalogError(.malformed, "\(file.path):1: the file is not valid UTF-8")
        }
        var rows: [(line: Int, cells: [String])] = []
        var header: [String]?
        let lines = file.bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, whole) in lines.enumerated() {
            let line = whole.last == UInt8(ascii: "\r") ? whole.dropLast() : whole
            if line.isEmpty || line.first == UInt8(ascii: "#") { continue }
            let cells = try Self.cells(of: line, at: "\(file.path):\(index + 1)")
            guard let header else {
                guard cells == columns else {
                    throw CatalogError(
                        .malformed,
                        "\(file.path):\(index + 1): the columns are \(cells.joined(separator: ",")); expected \(columns.joined(separator: ","))"
                    )
                }
                header = cells
                continue
            }
            guard cells.count == header.count else {
                throw CatalogError(
                    .malformed, "\(file.path):\(index + 1): \(cells.count) cells; expected \(header.count)")
            }
            rows.append((index + 1, cells))
        }
        guard header != nil else {
            throw CatalogError(.malformed, "\(file.path):1: no header; expected \(columns.joined(separator: ","))")
        }
        self.file = file
        self.columns = columns
        self.rows = rows
    }

    private static func cells(of line: ArraySlice<UInt8>, at place: String) throws(CatalogError) -> [String] {
        var cells: [String] = []
        var cell: [UInt8] = []
        var isQuoted = false
        var bytes = line
        while let byte = bytes.popFirst() {
            switch byte {
            case UInt8(ascii: "\"") where !isQuoted && cell.isEmpty: isQuoted = true
            case UInt8(ascii: "\"") where isQuoted:
                if bytes.first == UInt8(ascii: "\"") {
                    cell.append(byte)
                    bytes.removeFirst()
                } else {
                    guard bytes.isEmpty || bytes.first == UInt8(ascii: ",") else {
                        throw CatalogError(.malformed, "\(place): text after a closing quote")
                    }
                    isQuoted = false
                }
            case UInt8(ascii: ",") where !isQuoted:
                cells.append(String(decoding: cell, as: UTF8.self))
                cell = []
            default: cell.append(byte)
            }
        }
        guard !isQuoted else { throw CatalogError(.malformed, "\(place): a quote is not closed") }
        cells.append(String(decoding: cell, as: UTF8.self))
        return cells
    }

    func problem(_ line: Int, _ text: String) -> CatalogError {
        CatalogError(.malformed, "\(file.path):\(line): \(text)")
    }

    /// A cell by column name. Asking for a column that was not declared is a mistake of the program.
    func cell(_ row: (line: Int, cells: [String]), _ column: String) -> String {
        guard let index = columns.firstIndex(of: column) else { preconditionFailure("no column \(column)") }
        return row.cells[index]
    }

    func number(_ row: (line: Int, cells: [String]), _ column: String) throws(CatalogError) -> Double {
        let text = cell(row, column)
        guard let number = Double(text), number.isFinite, number >= 0 else {
            throw problem(row.line, "\(column) is \"\(text)\"; expected a number of 0 or more")
        }
        return number
    }

    func integer(_ row: (line: Int, cells: [String]), _ column: String) throws(CatalogError) -> Int {
        let text = cell(row, column)
        guard let number = Int(text), number >= 0 else {
            throw problem(row.line, "\(column) is \"\(text)\"; expected a whole number of 0 or more")
        }
        return number
    }

    func word<Word: RawRepresentable & CaseIterable>(
        _ row: (line: Int, cells: [String]), _ column: String
    ) throws(CatalogError) -> Word where Word.RawValue == String {
        let text = cell(row, column)
        guard let word = Word(rawValue: text) else {
            throw problem(
                row.line, "\"\(text)\" is no \(column)\(suggestion(for: text, among: Word.allCases.map(\.rawValue)))")
        }
        return word
    }

    func source(_ row: (line: Int, cells: [String]), _ sources: Sources) throws(CatalogError) -> Sources.Source {
        try sources.source(named: cell(row, "source")) { problem(row.line, $0) }
    }
}

extension Catalog {
    /// `per` is `instance` or `accelerator`; dollars become whole micro-dollars.
    mutating func readPrices(_ file: CatalogFile, _ sources: Sources) throws(CatalogError) {
        let table = try TableReader(
            file, columns: ["subject", "per", "basis", "region", "date", "usd_per_hour", "grade", "source", "note"]
        )
        for row in table.rows {
            let per = table.cell(row, "per")
            guard per == "instance" || per == "accelerator" else {
                throw table.problem(row.line, "per is \"\(per)\"; expected instance or accelerator")
            }
            guard let date = CalendarDay(table.cell(row, "date")) else {
                throw table.problem(row.line, "\"\(table.cell(row, "date"))\" is no date; write 2026-10-03 or 2026-10")
            }
            let dollars = try table.number(row, "usd_per_hour")
            guard dollars <= 1e9 else {
                throw table.problem(row.line, "\(dollars) dollars an hour is no sensible price")
            }
            let note = table.cell(row, "note")
            let name = table.cell(row, "subject")
            add(
                Price(
                    subject: per == "instance"
                        ? try instanceID(name, row.line, table) : try acceleratorID(name, row.line, table),
                    isPerAccelerator: per == "accelerator", basis: try table.word(row, "basis"),
                    region: table.cell(row, "region"), date: date,
                    microDollarsPerHour: Int64((dollars * 1e6).rounded()), grade: try table.word(row, "grade"),
                    source: try table.source(row, sources).text, note: note.isEmpty ? nil : note
                )
            )
        }
    }

    private func instanceID(_ name: String, _ line: Int, _ table: TableReader) throws(CatalogError) -> String {
        do { return try instance(name).id } catch { throw table.problem(line, error.description) }
    }

    private func acceleratorID(_ name: String, _ line: Int, _ table: TableReader) throws(CatalogError) -> String {
        do { return try accelerator(name).id } catch { throw table.problem(line, error.description) }
    }

    mutating func readAllReduceFits(_ file: CatalogFile, _ sources: Sources) throws(CatalogError) {
        let table = try TableReader(
            file,
            columns: [
                "accelerator", "software", "launch", "ranks", "alpha_s", "s_per_byte", "smallest_s",
                "large_bytes_per_s",
                "grade", "source",
            ]
        )
        for row in table.rows {
            let origin = try table.source(row, sources)
            add(
                AllReduceFit(
                    accelerator: try acceleratorID(table.cell(row, "accelerator"), row.line, table),
                    software: table.cell(row, "software"), launch: table.cell(row, "launch"),
                    ranks: try table.integer(row, "ranks"), alphaSeconds: try table.number(row, "alpha_s"),
                    secondsPerByte: try table.number(row, "s_per_byte"),
                    smallestSeconds: try table.number(row, "smallest_s"),
                    largeMessageBytesPerSecond: try table.number(row, "large_bytes_per_s"),
                    grade: try table.word(row, "grade"), source: origin.text, date: origin.date
                )
            )
        }
    }

    mutating func readMatrixEfficiencies(_ file: CatalogFile, _ sources: Sources) throws(CatalogError) {
        let table = try TableReader(
            file,
            columns: [
                "accelerator", "software", "format", "shapes", "compute_p50", "compute_p90", "compute_max",
                "memory_p50",
                "memory_p90", "memory_max", "floor_s", "grade", "source",
            ]
        )
        for row in table.rows {
            let origin = try table.source(row, sources)
            add(
                MatrixEfficiency(
                    accelerator: try acceleratorID(table.cell(row, "accelerator"), row.line, table),
                    software: table.cell(row, "software"), format: table.cell(row, "format"),
                    shapes: try table.integer(row, "shapes"), computeMedian: try table.number(row, "compute_p50"),
                    computeTopTenth: try table.number(row, "compute_p90"),
                    computeMaximum: try table.number(row, "compute_max"),
                    memoryMedian: try table.number(row, "memory_p50"),
                    memoryTopTenth: try table.number(row, "memory_p90"),
                    memoryMaximum: try table.number(row, "memory_max"), floorSeconds: try table.number(row, "floor_s"),
                    grade: try table.word(row, "grade"), source: origin.text, date: origin.date
                )
            )
        }
    }
}
