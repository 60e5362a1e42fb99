//===----------------------------------------------------------------------===//
// YAML with places: every typed read can say the file, line and column it failed at.
//===----------------------------------------------------------------------===//

import Spelling
import Yams

/// One node of a YAML document, with its file and its path from the root ("pools[0].deployment").
public struct YAMLValue {
    /// Largest file that is read at all.
    public static let maxBytes = 4 << 20

    let node: Yams.Node
    let file: String
    public let path: String

    /// Parses one document.
    /// - Throws: `FleetError` with the place of a syntax error, or when the text is empty or larger than `maxBytes`.
    public init(parsing text: String, file: String) throws {
        let start = Place(file: file, line: 1, column: 1)
        guard text.utf8.count <= Self.maxBytes else {
            throw FleetError(
                "the file has \(text.utf8.count) bytes, more than the \(Self.maxBytes) that are read", at: start)
        }
        do {
            guard let node = try Yams.compose(yaml: text) else { throw FleetError("the file is empty", at: start) }
            self.init(node: node, file: file, path: "")
        } catch let error as YamlError {
            throw Self.describe(error, file: file)
        }
    }

    init(node: Yams.Node, file: String, path: String) {
        self.node = node
        self.file = file
        self.path = path
    }

    public var place: Place {
        let mark = node.mark
        return Place(file: file, line: mark?.line ?? 1, column: mark?.column ?? 1)
    }

    private static func describe(_ error: YamlError, file: String) -> FleetError {
        func at(_ mark: Mark) -> Place { Place(file: file, line: mark.line, column: mark.column) }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return FleetError("not YAML: \(problem)", at: at(mark))
        case .reader(let problem, let offset, _, let yaml):
            // The reader counts bytes; the others count lines.
            let before = yaml.utf8.prefix(offset ?? 0)
            let newline = UInt8(ascii: "\n")
            let line = before.count { $0 == newline } + 1
            let column = before.reversed().prefix { $0 != newline }.count + 1
            return FleetError("not YAML: \(problem)", at: Place(file: file, line: line, column: column))
        case .duplicatedKeysInMapping(let duplicates, let context):
            return FleetError("the key '\(duplicates.min() ?? "")' is given twice", at: at(context.mark))
        default:
            let words = "\(error)".split(whereSeparator: \.isNewline).first ?? "it cannot be read"
            return FleetError("not YAML: \(words)", at: Place(file: file, line: 1, column: 1))
        }
    }

    var isList: Bool { node.sequence != nil }

    // MARK: Changes

    /// The document with one value replaced. The path's parts are keys, positions in lists, or names of a list's
    /// elements; `*` is every element.
    /// - Parameter text: YAML, so that numbers and lists keep their kind.
    /// - Throws: at the place where the path leads nowhere. The last key may be new: whoever reads it knows the valid
    ///   ones.
    func setting(_ path: [String], to text: String) throws -> YAMLValue {
        guard let value = try Yams.compose(yaml: text) else {
            throw FleetError("'\(path.joined(separator: "."))' has no value", at: place)
        }
        return YAMLValue(node: try set(path[...], of: node, to: value), file: file, path: self.path)
    }

    private func set(_ path: ArraySlice<String>, of node: Yams.Node, to value: Yams.Node) throws -> Yams.Node {
        guard let key = path.first else { return value }
        let rest = path.dropFirst()
        var changed = node
        func nowhere(_ known: [String]) -> FleetError {
            let mark = node.mark
            return FleetError(
                "the path leads nowhere at '\(key)'\(suggestion(for: key, among: known))",
                at: Place(file: file, line: mark?.line ?? 1, column: mark?.column ?? 1))
        }
        if let mapping = node.mapping {
            guard let child = mapping[Yams.Node(key)] else {
                guard rest.isEmpty else { throw nowhere(mapping.keys.compactMap(\.string)) }
                changed[key] = value
                return changed
            }
            changed[key] = try set(rest, of: child, to: value)
            return changed
        }
        guard let sequence = node.sequence else { throw nowhere([]) }
        let names = sequence.map { $0["name"]?.string ?? "" }
        let chosen =
            key == "*" ? Array(sequence.indices) : sequence.indices.filter { names[$0] == key || String($0) == key }
        guard !chosen.isEmpty else { throw nowhere(names) }
        for index in chosen { changed[index] = try set(rest, of: sequence[index], to: value) }
        return changed
    }

    // MARK: Typed reads

    /// A mapping whose keys are all among `keys`.
    /// - Throws: at the first unknown key, with the nearest valid one.
    public func mapping(keys: [String]) throws -> YAMLMapping {
        let mapping = try anyMapping()
        for (key, value) in mapping.entries where !keys.contains(key) {
            let place = mapping.keyPlaces[key] ?? value.place
            throw FleetError("unknown key '\(key)'\(inPath)\(suggestion(for: key, among: keys))", at: place)
        }
        return mapping
    }

    /// A mapping whose keys are names that the writer chose.
    public func anyMapping() throws -> YAMLMapping {
        guard let mapping = node.mapping else {
            throw FleetError("\(label) takes a mapping of keys to values, not \(kind)", at: place)
        }
        var entries: [(key: String, value: YAMLValue)] = []
        var places: [String: Place] = [:]
        for (key, value) in mapping {
            let keyPlace = Place(file: file, line: key.mark?.line ?? 1, column: key.mark?.column ?? 1)
            guard let name = key.scalar?.string else { throw FleetError("a key must be a plain word", at: keyPlace) }
            entries.append((name, YAMLValue(node: value, file: file, path: path.isEmpty ? name : "\(path).\(name)")))
            places[name] = keyPlace
        }
        return YAMLMapping(owner: self, entries: entries, keyPlaces: places)
    }

    /// A list; each element knows its index.
    public func list(atMost limit: Int = 10_000) throws -> [YAMLValue] {
        guard let sequence = node.sequence else { throw FleetError("\(label) takes a list, not \(kind)", at: place) }
        guard sequence.count <= limit else {
            throw FleetError("\(label) has \(sequence.count) elements, more than \(limit)", at: place)
        }
        return sequence.enumerated().map { YAMLValue(node: $1, file: file, path: "\(path)[\($0)]") }
    }

    public func string() throws -> String {
        guard let scalar = node.scalar, !isNull else {
            throw FleetError("\(label) takes a text, not \(kind)", at: place)
        }
        guard !scalar.string.isEmpty else { throw FleetError("\(label) is empty", at: place) }
        return scalar.string
    }

    public func located() throws -> Located<String> { Located(try string(), at: place) }

    /// One of a closed set of names.
    public func oneOf(_ names: [String]) throws -> String {
        let name = try string()
        guard names.contains(name) else {
            throw FleetError("\(label): unknown value '\(name)'\(suggestion(for: name, among: names))", at: place)
        }
        return name
    }

    public func boolean() throws -> Bool {
        switch plainScalar {
        case "true", "True", "TRUE": return true
        case "false", "False", "FALSE": return false
        default: throw FleetError("\(label) takes true or false, not \(kind)", at: place)
        }
    }

    /// A whole number. `unit` is what it counts, for messages ("tokens").
    public func integer(in range: ClosedRange<Int>, unit: String) throws -> Int {
        let value: Int
        if let text = plainScalar, let number = Int(text.filter { $0 != "_" }) {
            value = number
        } else {
            throw notANumber(wanted: "a whole number of \(unit)")
        }
        guard range.contains(value) else {
            throw FleetError(
                "\(label) must be \(range.lowerBound) to \(range.upperBound) \(unit), not \(value)", at: place)
        }
        return value
    }

    /// A number. `unit` is what it measures, for messages ("watts").
    public func number(in range: ClosedRange<Double>, unit: String) throws -> Double {
        guard let text = plainScalar, let value = Double(text.filter { $0 != "_" }), value.isFinite else {
            throw notANumber(wanted: "a number of \(unit)")
        }
        guard range.contains(value) else {
            throw FleetError(
                "\(label) must be \(plain(range.lowerBound)) to \(plain(range.upperBound)) \(unit), not \(plain(value))",
                at: place)
        }
        return value
    }

    /// A calendar day, as it is written: YYYY-MM-DD.
    public func day() throws -> Located<String> {
        let text = try string()
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Int($0) }
        guard parts.count == 3, numbers.count == 3, parts[0].count == 4, parts[1].count == 2, parts[2].count == 2,
            (1...12).contains(numbers[1]), (1...31).contains(numbers[2])
        else { throw FleetError("\(label) takes a date as YYYY-MM-DD, not '\(text)'", at: place) }
        return Located(text, at: place)
    }

    // MARK: Words for messages

    private var isNull: Bool { plainScalar.map { ["", "~", "null", "Null", "NULL"].contains($0) } ?? false }

    /// The text of an unquoted scalar; nil for anything else.
    private var plainScalar: String? {
        guard let scalar = node.scalar, scalar.style == .plain || scalar.style == .any else { return nil }
        return scalar.string
    }

    private var label: String { path.isEmpty ? "the file" : "'\(path)'" }
    private var inPath: String { path.isEmpty ? "" : " in '\(path)'" }

    private var kind: String {
        if node.mapping != nil { return "a mapping" }
        if node.sequence != nil { return "a list" }
        if isNull { return "nothing" }
        return "'\(node.scalar?.string ?? "")'"
    }

    private func notANumber(wanted: String) -> FleetError {
        if let scalar = node.scalar, let quoted = Double(scalar.string), scalar.style != .plain {
            return FleetError("\(label) takes \(wanted), not a quoted text; write \(plain(quoted))", at: place)
        }
        let text = node.scalar?.string ?? ""
        let digits = text.prefix { $0.isNumber || $0 == "." || $0 == "-" }
        if let number = Double(digits), digits.count < text.count {
            let suffix = text.dropFirst(digits.count).drop { $0 == " " }
            return FleetError(
                "\(label) takes \(wanted) without a unit, not '\(text)' (the unit is fixed; "
                    + "'\(suffix)' is not read): write a plain number such as \(plain(number))", at: place)
        }
        return FleetError("\(label) takes \(wanted), not \(kind)", at: place)
    }

    private func plain(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)
    }
}

/// A YAML mapping, in the order in which it was written.
public struct YAMLMapping {
    let owner: YAMLValue
    public let entries: [(key: String, value: YAMLValue)]
    let keyPlaces: [String: Place]

    public var place: Place { owner.place }

    public subscript(key: String) -> YAMLValue? { entries.first { $0.key == key }?.value }

    /// - Throws: at the place of the mapping, when the key is not there.
    public func required(_ key: String) throws -> YAMLValue {
        if let value = self[key] { return value }
        let path = owner.path.isEmpty ? "" : " in '\(owner.path)'"
        throw FleetError("the key '\(key)' is missing\(path)", at: owner.place)
    }
}
