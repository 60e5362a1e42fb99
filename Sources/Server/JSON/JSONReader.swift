//===----------------------------------------------------------------------===//
// A pull parser for JSON request bodies: one pass, no tree, bounded depth.
//===----------------------------------------------------------------------===//

/// Why a body is not JSON, and at which byte.
struct JSONError: Error, Equatable {
    var message: String
    var offset: Int
}

/// A string literal inside a body: its bytes between the quotes, not yet unescaped.
struct JSONString: Equatable {
    var range: Range<Int>
    var hasEscapes: Bool
}

/// A number literal. `integer` is nil when it has a fraction or an exponent that does not vanish, or exceeds 64 bits.
struct JSONNumber: Equatable {
    var integer: Int64?
    var double: Double
}

/// What the next value is.
enum JSONKind { case object, array, string, number, boolean, null }

/// Reads RFC 8259 JSON from a buffer that outlives the reader.
///
/// The caller walks the document: `enterObject`, then `nextKey` until nil, taking each value with the matching `read`
/// function or `skipValue`. Nothing is allocated except what the caller asks for (`text`). Nesting is limited to
/// `maximumDepth`, so a body of brackets cannot exhaust the stack. The bytes must be valid UTF-8 (see `validateUTF8`).
struct JSONReader {
    static let maximumDepth = 64

    let bytes: UnsafeRawBufferPointer
    private(set) var position = 0
    private var depth = 0
    /// Whether the container being read has had a member, so that the next one needs a comma. One bit for each depth.
    private var hasMember: (UInt64, UInt64) = (0, 0)

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// RFC 8259 wants UTF-8; checking once up front lets the rest of the reader work on bytes.
    func validateUTF8() throws(JSONError) {
        do {
            _ = try UTF8Span(validating: bytes.assumingMemoryBound(to: UInt8.self).span)
        } catch {
            throw JSONError(message: "the body is not valid UTF-8", offset: error.byteOffsets.lowerBound)
        }
    }

    // MARK: Containers

    mutating func enterObject() throws(JSONError) { try enter(UInt8(ascii: "{"), "an object") }

    mutating func enterArray() throws(JSONError) { try enter(UInt8(ascii: "["), "an array") }

    /// The next key of the object being read, with the reader placed before its value, or nil past the last one.
    mutating func nextKey() throws(JSONError) -> JSONString? {
        guard try nextMember(closing: UInt8(ascii: "}")) else { return nil }
        guard peekByte() == UInt8(ascii: "\"") else { throw error("expected a key in double quotes") }
        let key = try readString()
        skipWhitespace()
        guard peekByte() == UInt8(ascii: ":") else { throw error("expected ':' after a key") }
        position += 1
        return key
    }

    /// Whether the array being read has another element; the reader then stands before it.
    mutating func nextElement() throws(JSONError) -> Bool { try nextMember(closing: UInt8(ascii: "]")) }

    /// Checks that nothing but white space follows the document.
    mutating func expectEnd() throws(JSONError) {
        skipWhitespace()
        if position < bytes.count { throw error("unexpected text after the end of the document") }
    }

    private mutating func enter(_ opening: UInt8, _ what: String) throws(JSONError) {
        skipWhitespace()
        guard peekByte() == opening else { throw error("expected \(what)") }
        guard depth < Self.maximumDepth else { throw error("nested deeper than \(Self.maximumDepth) levels") }
        position += 1
        depth += 1
        setHasMember(false)
    }

    private mutating func nextMember(closing: UInt8) throws(JSONError) -> Bool {
        skipWhitespace()
        guard let byte = peekByte() else { throw error("the document ends inside a container") }
        if byte == closing {
            position += 1
            depth -= 1
            return false
        }
        if memberSeen {
            guard byte == UInt8(ascii: ",") else {
                throw error("expected ',' or '\(Character(UnicodeScalar(closing)))'")
            }
            position += 1
            skipWhitespace()
            if peekByte() == closing { throw error("a comma before the end of a container") }
        }
        setHasMember(true)
        return true
    }

    private var memberSeen: Bool {
        depth < 64 ? hasMember.0 & (1 << UInt64(depth)) != 0 : hasMember.1 & (1 << UInt64(depth - 64)) != 0
    }

    private mutating func setHasMember(_ value: Bool) {
        if depth < 64 {
            hasMember.0 = value ? hasMember.0 | (1 << UInt64(depth)) : hasMember.0 & ~(1 << UInt64(depth))
        } else {
            let bit: UInt64 = 1 << UInt64(depth - 64)
            hasMember.1 = value ? hasMember.1 | bit : hasMember.1 & ~bit
        }
    }

    // MARK: Values

    mutating func peekKind() throws(JSONError) -> JSONKind {
        skipWhitespace()
        guard let byte = peekByte() else { throw error("the document ends where a value is expected") }
        switch byte {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .boolean
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw error("expected a value")
        }
    }

    /// Takes `null` if it comes next.
    mutating func takeNull() throws(JSONError) -> Bool {
        guard try peekKind() == .null else { return false }
        try literal("null")
        return true
    }

    mutating func readBoolean() throws(JSONError) -> Bool {
        skipWhitespace()
        if peekByte() == UInt8(ascii: "t") {
            try literal("true")
            return true
        }
        try literal("false")
        return false
    }

    mutating func readString() throws(JSONError) -> JSONString {
        skipWhitespace()
        guard peekByte() == UInt8(ascii: "\"") else { throw error("expected a string") }
        position += 1
        let start = position
        var hasEscapes = false
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return JSONString(range: start..<(position - 1), hasEscapes: hasEscapes)
            }
            if byte < 0x20 { throw error("a control character inside a string; write it as an escape") }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try skipEscape()
            } else {
                position += 1
            }
        }
        throw error("the document ends inside a string")
    }

    private mutating func skipEscape() throws(JSONError) {
        guard position + 1 < bytes.count else { throw error("the document ends inside a string") }
        switch bytes[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
        case UInt8(ascii: "u"):
            guard hexadecimal(at: position + 2) != nil else { throw error("'\\u' needs four hexadecimal digits") }
            position += 6
        default: throw error("an unknown escape inside a string")
        }
    }

    mutating func readNumber() throws(JSONError) -> JSONNumber {
        skipWhitespace()
        let start = position
        if peekByte() == UInt8(ascii: "-") { position += 1 }
        let firstDigit = position
        try takeDigits()
        if bytes[firstDigit] == UInt8(ascii: "0"), position > firstDigit + 1 {
            throw error("a number with a leading zero")
        }
        var isInteger = true
        if peekByte() == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            try takeDigits()
        }
        if peekByte() == UInt8(ascii: "e") || peekByte() == UInt8(ascii: "E") {
            isInteger = false
            position += 1
            if peekByte() == UInt8(ascii: "+") || peekByte() == UInt8(ascii: "-") { position += 1 }
            try takeDigits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard let double = Double(text) else { throw error("a number out of range") }
        if isInteger { return JSONNumber(integer: Int64(text), double: double) }
        // 16.0 and 1e3 are integers to every client library that writes them.
        return JSONNumber(integer: Int64(exactly: double), double: double)
    }

    private mutating func takeDigits() throws(JSONError) {
        let start = position
        while position < bytes.count, bytes[position] >= UInt8(ascii: "0"), bytes[position] <= UInt8(ascii: "9") {
            position += 1
        }
        if position == start { throw error("expected a digit") }
    }

    /// Passes over one value of any kind, checking its syntax.
    mutating func skipValue() throws(JSONError) {
        switch try peekKind() {
        case .string: _ = try readString()
        case .number: _ = try readNumber()
        case .boolean: _ = try readBoolean()
        case .null: try literal("null")
        case .array:
            try enterArray()
            while try nextElement() { try skipValue() }
        case .object:
            try enterObject()
            while try nextKey() != nil { try skipValue() }
        }
    }

    // MARK: Text

    /// The text of a string literal, unescaped. A lone surrogate becomes U+FFFD, as in most JSON libraries.
    func text(of string: JSONString) -> String {
        guard string.hasEscapes else { return String(decoding: bytes[string.range], as: UTF8.self) }
        var scratch: [UInt8] = []
        scratch.reserveCapacity(string.range.count)
        forEachRun(of: string) { scratch.append(contentsOf: $0) }
        return String(decoding: scratch, as: UTF8.self)
    }

    /// Hands out the unescaped UTF-8 of a string literal in pieces, without building it.
    func forEachRun(of string: JSONString, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard string.hasEscapes else {
            body(UnsafeRawBufferPointer(rebasing: bytes[string.range]))
            return
        }
        var index = string.range.lowerBound
        var runStart = index
        while index < string.range.upperBound {
            guard bytes[index] == UInt8(ascii: "\\") else {
                index += 1
                continue
            }
            if index > runStart { body(UnsafeRawBufferPointer(rebasing: bytes[runStart..<index])) }
            let (scalar, next) = unescaped(at: index, limit: string.range.upperBound)
            withUnsafeBytes(of: utf8(scalar)) { body(UnsafeRawBufferPointer(rebasing: $0[0..<utf8Length(scalar)])) }
            index = next
            runStart = next
        }
        if index > runStart { body(UnsafeRawBufferPointer(rebasing: bytes[runStart..<index])) }
    }

    private func unescaped(at index: Int, limit: Int) -> (scalar: UInt32, next: Int) {
        switch bytes[index + 1] {
        case UInt8(ascii: "b"): return (0x08, index + 2)
        case UInt8(ascii: "f"): return (0x0C, index + 2)
        case UInt8(ascii: "n"): return (0x0A, index + 2)
        case UInt8(ascii: "r"): return (0x0D, index + 2)
        case UInt8(ascii: "t"): return (0x09, index + 2)
        case UInt8(ascii: "u"): break
        case let other: return (UInt32(other), index + 2)
        }
        let unit = hexadecimal(at: index + 2) ?? 0xFFFD
        guard (0xD800..<0xE000).contains(unit) else { return (unit, index + 6) }
        if unit < 0xDC00, index + 12 <= limit, bytes[index + 6] == UInt8(ascii: "\\"),
            bytes[index + 7] == UInt8(ascii: "u"),
            let low = hexadecimal(at: index + 8), (0xDC00..<0xE000).contains(low)
        {
            return (0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), index + 12)
        }
        return (0xFFFD, index + 6)
    }

    private func hexadecimal(at index: Int) -> UInt32? {
        guard index + 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for offset in index..<(index + 4) {
            let byte = bytes[offset]
            let digit: UInt32
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = UInt32(byte - UInt8(ascii: "a")) + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = UInt32(byte - UInt8(ascii: "A")) + 10
            default: return nil
            }
            value = value << 4 | digit
        }
        return value
    }

    // MARK: Bytes

    func error(_ message: String) -> JSONError { JSONError(message: message, offset: position) }

    private func peekByte() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private mutating func literal(_ word: StaticString) throws(JSONError) {
        let count = word.utf8CodeUnitCount
        guard position + count <= bytes.count else { throw error("expected '\(word)'") }
        for offset in 0..<count where bytes[position + offset] != word.utf8Start[offset] {
            throw error("expected '\(word)'")
        }
        position += count
    }
}

/// UTF-8 of a scalar, first byte in the lowest-addressed place, padded with zeros.
private func utf8(_ scalar: UInt32) -> (UInt8, UInt8, UInt8, UInt8) {
    func tail(_ shift: UInt32) -> UInt8 { 0x80 | UInt8((scalar >> shift) & 0x3F) }
    switch scalar {
    case ..<0x80: return (UInt8(scalar), 0, 0, 0)
    case ..<0x800: return (0xC0 | UInt8(scalar >> 6), tail(0), 0, 0)
    case ..<0x10000: return (0xE0 | UInt8(scalar >> 12), tail(6), tail(0), 0)
    default: return (0xF0 | UInt8(scalar >> 18), tail(12), tail(6), tail(0))
    }
}

private func utf8Length(_ scalar: UInt32) -> Int { scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4 }
