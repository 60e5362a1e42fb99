//===----------------------------------------------------------------------===//
// A pull parser for the JSON lines of traces: no tree, no copies.
//===----------------------------------------------------------------------===//

/// What a line of JSON should have had at some place.
package struct JSONFault: Error {
    package var expected: String
    /// Byte within the line, from 0.
    package var offset: Int
}

/// Goes through one JSON value from front to back. Callers ask for what they expect; everything else is skipped.
package struct JSONScanner {
    private static let deepest = 64

    private let bytes: Field
    package private(set) var offset = 0

    package init(_ bytes: Field) { self.bytes = bytes }

    /// A fault at the present place.
    package func fault(_ expected: String) -> JSONFault { JSONFault(expected: expected, offset: offset) }

    @inline(__always)
    private mutating func skipBlanks() {
        while offset < bytes.count, bytes[offset] == 32 || (bytes[offset] >= 9 && bytes[offset] <= 13) { offset += 1 }
    }

    /// The next byte that is not blank, without taking it; 0 at the end.
    @inline(__always)
    private mutating func peek() -> UInt8 {
        skipBlanks()
        return offset < bytes.count ? bytes[offset] : 0
    }

    @inline(__always)
    private mutating func take(_ byte: UInt8, _ expected: @autoclosure () -> String) throws(JSONFault) {
        guard peek() == byte else { throw fault(expected()) }
        offset += 1
    }

    /// Whether the next value is an object, or a string.
    package mutating func isObject() -> Bool { peek() == UInt8(ascii: "{") }
    package mutating func isString() -> Bool { peek() == UInt8(ascii: "\"") }

    /// Whether the next value is an array.
    package mutating func isArray() -> Bool { peek() == UInt8(ascii: "[") }

    /// Calls `body` with each key of an object; `body` must take or skip the value.
    package mutating func object(_ body: (Field, inout JSONScanner) throws(JSONFault) -> Void) throws(JSONFault) {
        try take(UInt8(ascii: "{"), "an object")
        if peek() == UInt8(ascii: "}") {
            offset += 1
            return
        }
        while true {
            let key = try string()
            try take(UInt8(ascii: ":"), "':' after a key")
            try body(key, &self)
            if peek() == UInt8(ascii: ",") {
                offset += 1
                continue
            }
            try take(UInt8(ascii: "}"), "',' or '}'")
            return
        }
    }

    /// Calls `body` at each element of an array; `body` must take or skip it.
    @inline(__always)
    package mutating func array(_ body: (inout JSONScanner) throws(JSONFault) -> Void) throws(JSONFault) {
        try take(UInt8(ascii: "["), "an array")
        if peek() == UInt8(ascii: "]") {
            offset += 1
            return
        }
        while true {
            try body(&self)
            if peek() == UInt8(ascii: ",") {
                offset += 1
                continue
            }
            try take(UInt8(ascii: "]"), "',' or ']'")
            return
        }
    }

    /// The bytes of a string between its quotes, escapes left as they are.
    package mutating func string() throws(JSONFault) -> Field {
        try take(UInt8(ascii: "\""), "a string")
        let start = offset
        while offset < bytes.count, bytes[offset] != UInt8(ascii: "\"") {
            offset += bytes[offset] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard offset < bytes.count else {
            offset = bytes.count
            throw fault("the end of a string")
        }
        offset += 1
        return Field(rebasing: bytes[start..<offset - 1])
    }

    /// The bytes of a number.
    @inline(__always)
    private mutating func numberField() throws(JSONFault) -> Field {
        skipBlanks()
        let start = offset
        while offset < bytes.count, JSONScanner.isNumberByte(bytes[offset]) { offset += 1 }
        guard offset > start else { throw fault("a number") }
        return Field(rebasing: bytes[start..<offset])
    }

    @inline(__always)
    private static func isNumberByte(_ byte: UInt8) -> Bool {
        (byte >= 48 && byte <= 57) || byte == 45 || byte == 43 || byte == 46 || byte == 101 || byte == 69
    }

    /// A whole number from 0 to `largest`.
    @inline(__always)
    package mutating func integer(upTo largest: Int64, _ what: @autoclosure () -> String) throws(JSONFault) -> Int64 {
        skipBlanks()
        let start = offset
        guard let field = try? numberField(), let value = FieldParsing.integer(field), value <= largest else {
            offset = start
            throw fault("\(what()) (a whole number from 0 to \(largest))")
        }
        return value
    }

    /// A number times 10 to the `scale`, rounded.
    package mutating func decimal(scale: Int, _ what: @autoclosure () -> String) throws(JSONFault) -> Int64 {
        skipBlanks()
        let start = offset
        guard let field = try? numberField(), let value = FieldParsing.decimal(field, scale: scale) else {
            offset = start
            throw fault("\(what()) (a number)")
        }
        return value
    }

    /// Passes over one value of any kind.
    package mutating func skip() throws(JSONFault) {
        var depth = 0
        repeat {
            switch peek() {
            case UInt8(ascii: "\""): _ = try string()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= JSONScanner.deepest else { throw fault("at most \(JSONScanner.deepest) levels") }
                offset += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { throw fault("a value") }
                depth -= 1
                offset += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                guard depth > 0 else { throw fault("a value") }
                offset += 1
            case 0: throw fault("a value")
            default:
                let start = offset
                while offset < bytes.count, JSONScanner.isNumberByte(bytes[offset]) || isLetter(bytes[offset]) {
                    offset += 1
                }
                guard offset > start else { throw fault("a value") }
            }
        } while depth > 0
    }

    private func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 97 && (byte | 0x20) <= 122 }

    /// Nothing but blanks may follow.
    package mutating func end() throws(JSONFault) {
        skipBlanks()
        guard offset == bytes.count else { throw fault("the end of the line") }
    }
}

extension Field {
    /// Whether the bytes are those of `text`.
    @inline(__always)
    package func spells(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        let other = text.utf8Start
        for index in 0..<count where self[index] != other[index] { return false }
        return true
    }
}

extension LineReader {
    /// The malformed row that a JSON fault in the present line amounts to.
    func malformed(_ fault: JSONFault, in line: Field) -> RowFault {
        let found =
            fault.offset < line.count
            ? "'\(excerpt(Field(rebasing: line[fault.offset...]), limit: 24))'" : "the end of the line"
        return .malformed(error("expected \(fault.expected) at column \(fault.offset + 1), found \(found)"))
    }

    /// The next line that is not blank, any failure to read being final.
    func nextRow() throws(RowFault) -> Field? {
        do {
            while let line = try next() {
                if line.contains(where: { $0 != 32 && $0 != 9 }) { return line }
            }
            return nil
        } catch {
            throw .unreadable(error)
        }
    }
}
