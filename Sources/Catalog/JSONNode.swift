/// A JSON value with the line it stands on, so that a complaint can name its place.
public struct JSONNode: Sendable, Hashable {
    public indirect enum Value: Sendable, Hashable {
        case null
        case boolean(Bool)
        case number(Double)
        case string(String)
        case array([JSONNode])
        case object([Member])
    }

    public struct Member: Sendable, Hashable {
        public var key: String
        public var node: JSONNode
    }

    public var value: Value
    /// Counted from 1.
    public var line: Int

    /// The member of that name, or nil: also when this is no object.
    public subscript(key key: String) -> JSONNode? {
        guard case .object(let members) = value else { return nil }
        return members.first { $0.key == key }?.node
    }

    var kindName: String {
        switch value {
        case .null: "null"
        case .boolean: "true or false"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// A parsed file and its name.
public struct JSONDocument: Sendable {
    public let file: String
    public let root: JSONNode

    /// The deepest nesting that is read; more is an error and not a stack overflow.
    static let maximumDepth = 64
    /// The longest file that is read, in bytes.
    static let maximumBytes = 64 << 20

    /// Parses RFC 8259 JSON, and besides it `NaN` and `Infinity`, which Python writes into model configurations.
    public init(parsing bytes: some Sequence<UInt8>, file: String) throws(CatalogError) {
        var parser = JSONParser(bytes: Array(bytes), file: file)
        self.file = file
        root = try parser.document()
    }

    /// The error for something wrong at a node.
    public func problem(at node: JSONNode, _ text: String) -> CatalogError {
        CatalogError(.malformed, "\(file):\(node.line): \(text)")
    }

    public func string(_ node: JSONNode) throws(CatalogError) -> String {
        guard case .string(let text) = node.value else {
            throw problem(at: node, "expected a string, found \(node.kindName)")
        }
        return text
    }

    public func double(_ node: JSONNode) throws(CatalogError) -> Double {
        guard case .number(let number) = node.value, number.isFinite else {
            throw problem(at: node, "expected a finite number, found \(node.kindName)")
        }
        return number
    }

    public func integer(_ node: JSONNode) throws(CatalogError) -> Int {
        let number = try double(node)
        guard number == number.rounded(), abs(number) < 9e15 else {
            throw problem(at: node, "expected a whole number, found \(number)")
        }
        return Int(number)
    }

    public func boolean(_ node: JSONNode) throws(CatalogError) -> Bool {
        guard case .boolean(let flag) = node.value else {
            throw problem(at: node, "expected true or false, found \(node.kindName)")
        }
        return flag
    }

    public func array(_ node: JSONNode) throws(CatalogError) -> [JSONNode] {
        guard case .array(let nodes) = node.value else {
            throw problem(at: node, "expected an array, found \(node.kindName)")
        }
        return nodes
    }
}

/// Recursive descent over the bytes of one file.
private struct JSONParser {
    let bytes: [UInt8]
    let file: String
    var position = 0
    var line = 1

    init(bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    mutating func document() throws(CatalogError) -> JSONNode {
        guard bytes.count <= JSONDocument.maximumBytes else {
            throw failure("the file is longer than \(JSONDocument.maximumBytes >> 20) MiB")
        }
        let root = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw failure("text after the end of the value") }
        return root
    }

    private func failure(_ text: String) -> CatalogError { CatalogError(.malformed, "\(file):\(line): \(text)") }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\n"): line += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
            default: return
            }
            position += 1
        }
    }

    private mutating func value(depth: Int) throws(CatalogError) -> JSONNode {
        guard depth < JSONDocument.maximumDepth else {
            throw failure("nested deeper than \(JSONDocument.maximumDepth) levels")
        }
        skipSpace()
        guard position < bytes.count else { throw failure("the file ends where a value was expected") }
        let start = line
        switch bytes[position] {
        case UInt8(ascii: "{"): return JSONNode(value: .object(try members(depth: depth)), line: start)
        case UInt8(ascii: "["): return JSONNode(value: .array(try elements(depth: depth)), line: start)
        case UInt8(ascii: "\""): return JSONNode(value: .string(try string()), line: start)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return JSONNode(value: .number(try number()), line: start)
        default: return JSONNode(value: try word(), line: start)
        }
    }

    private mutating func members(depth: Int) throws(CatalogError) -> [JSONNode.Member] {
        position += 1
        var members: [JSONNode.Member] = []
        // Objects have few keys, and searching them is quicker than hashing; tables that have many are hashed.
        var seen: Set<String> = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return members }
        while true {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw failure("expected a key in double quotes")
            }
            let key = try string()
            let isNew: Bool
            if members.count < 32 {
                isNew = !members.contains { $0.key == key }
            } else {
                if seen.isEmpty { seen = Set(members.map(\.key)) }
                isNew = seen.insert(key).inserted
            }
            guard isNew else { throw failure("the key \"\(key)\" stands twice in one object") }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("expected ':' after the key \"\(key)\"") }
            members.append(JSONNode.Member(key: key, node: try value(depth: depth + 1)))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "}")) else { throw failure("expected ',' or '}' after the value of \"\(key)\"") }
            return members
        }
    }

    private mutating func elements(depth: Int) throws(CatalogError) -> [JSONNode] {
        position += 1
        var nodes: [JSONNode] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return nodes }
        while true {
            nodes.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "]")) else { throw failure("expected ',' or ']' in an array") }
            return nodes
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func number() throws(CatalogError) -> Double {
        let start = position
        while position < bytes.count, isNumberByte(bytes[position]) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if text == "-", wordIsNext("Infinity") {
            position += 8
            return -Double.infinity
        }
        let digits = text.utf8.drop { $0 == UInt8(ascii: "-") }
        let leadingZero = digits.first == UInt8(ascii: "0") && digits.dropFirst().first.map(isDigit) == true
        guard !leadingZero, digits.first.map(isDigit) == true, digits.last.map(isDigit) == true,
            let number = Double(text)
        else {
            throw failure("\"\(text.prefix(40))\" is not a number")
        }
        return number
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private func isNumberByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    private func wordIsNext(_ word: String) -> Bool { bytes[position...].starts(with: word.utf8) }

    private mutating func word() throws(CatalogError) -> JSONNode.Value {
        let words: [(String, JSONNode.Value)] = [
            ("true", .boolean(true)), ("false", .boolean(false)), ("null", .null), ("NaN", .number(.nan)),
            ("Infinity", .number(.infinity)),
        ]
        for (word, value) in words where wordIsNext(word) {
            position += word.utf8.count
            return value
        }
        throw failure("expected a value, found '\(Character(Unicode.Scalar(bytes[position])))'")
    }

    private mutating func string() throws(CatalogError) -> String {
        position += 1
        let start = position
        // Nearly every string has no escape: find its end first and copy once.
        while position < bytes.count, bytes[position] != UInt8(ascii: "\""), bytes[position] != UInt8(ascii: "\\"),
            bytes[position] >= 0x20
        {
            position += 1
        }
        var text = Array(bytes[start..<position])
        while true {
            guard position < bytes.count else { throw failure("a string is not closed") }
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let checked = String(validating: text, as: UTF8.self) else {
                    throw failure("a string is not valid UTF-8")
                }
                return checked
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw failure("a control character stands in a string; write it as \\u00XX")
            default: text.append(byte)
            }
        }
    }

    private mutating func escape(into text: inout [UInt8]) throws(CatalogError) {
        guard position < bytes.count else { throw failure("a string is not closed") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "f"): text.append(12)
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "u"):
            var scalar = try hexadecimal()
            if (0xD800..<0xDC00).contains(scalar) {
                guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
                    throw failure("half of a surrogate pair in a string")
                }
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("half of a surrogate pair in a string") }
                scalar = 0x10000 + ((scalar - 0xD800) << 10) + (low - 0xDC00)
            }
            guard let unicode = Unicode.Scalar(scalar) else { throw failure("half of a surrogate pair in a string") }
            text.append(contentsOf: String(unicode).utf8)
        default: throw failure("'\\\(Character(Unicode.Scalar(byte)))' is not an escape in a string")
        }
    }

    private mutating func hexadecimal() throws(CatalogError) -> UInt32 {
        guard position + 4 <= bytes.count,
            let number = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
        else {
            throw failure("expected four hexadecimal digits after \\u")
        }
        position += 4
        return number
    }
}
