//===----------------------------------------------------------------------===//
// Comma-separated values.
//===----------------------------------------------------------------------===//

/// Reads comma-separated values: quoted fields may hold commas, doubled quotes and line breaks.
enum SeparatedValues {
    struct Record: Sendable, Hashable {
        /// Line on which it starts, from 1.
        var line: Int
        var fields: [String]
    }

    /// All records that are not blank.
    /// - Throws: a quoted field that is not closed, with the line on which its record starts.
    static func records(of text: String, name: String) throws(MeasurementError) -> [Record] {
        var records: [Record] = []
        var record = Record(line: 1, fields: [])
        var field = ""
        var line = 1
        var quoted = false
        func finish() {
            record.fields.append(field)
            field = ""
            if record.fields != [""] { records.append(record) }
        }
        var characters = text.drop { $0 == "\u{FEFF}" }.makeIterator()
        var pending: Character? = characters.next()
        while let character = pending {
            pending = characters.next()
            switch character {
            case "\"" where quoted && pending == "\"":
                field.append("\"")
                pending = characters.next()
            case "\"": quoted.toggle()
            case "," where !quoted:
                record.fields.append(field)
                field = ""
            case _ where character.isNewline:
                line += 1
                if quoted {
                    field.append(character)
                } else {
                    finish()
                    record = Record(line: line, fields: [])
                }
            default: field.append(character)
            }
        }
        if quoted { throw MeasurementError("\(name):\(record.line): a quoted field is not closed") }
        finish()
        return records
    }
}
