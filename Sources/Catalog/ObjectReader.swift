import Spelling

/// Reads one object of a catalogue file: each key is asked for once, and `finish()` complains about any that nobody
/// asked for, so that a misspelt key is an error and never a missing figure.
final class ObjectReader {
    let document: JSONDocument
    let node: JSONNode
    let sources: Sources
    private let members: [JSONNode.Member]
    private var asked: [String] = []

    init(_ node: JSONNode, in document: JSONDocument, sources: Sources) throws(CatalogError) {
        guard case .object(let members) = node.value else {
            throw document.problem(at: node, "expected an object, found \(node.kindName)")
        }
        self.document = document
        self.node = node
        self.sources = sources
        self.members = members
    }

    /// The node of that key; nil when absent or null.
    func optional(_ key: String) -> JSONNode? {
        asked.append(key)
        guard let found = members.first(where: { $0.key == key })?.node, found.value != .null else { return nil }
        return found
    }

    func required(_ key: String) throws(CatalogError) -> JSONNode {
        guard let found = optional(key) else {
            let nearest = members.map(\.key).filter { !asked.contains($0) }
            let hint = nearestName(to: key, among: nearest).map { " (is \"\($0)\" meant?)" } ?? ""
            throw document.problem(at: node, "the key \"\(key)\" is missing\(hint)")
        }
        return found
    }

    func string(_ key: String) throws(CatalogError) -> String { try document.string(try required(key)) }

    func optionalString(_ key: String) throws(CatalogError) -> String? {
        guard let found = optional(key) else { return nil }
        return try document.string(found)
    }

    func integer(_ key: String) throws(CatalogError) -> Int { try document.integer(try required(key)) }

    func optionalInteger(_ key: String) throws(CatalogError) -> Int? {
        guard let found = optional(key) else { return nil }
        return try document.integer(found)
    }

    func double(_ key: String) throws(CatalogError) -> Double { try document.double(try required(key)) }

    func strings(_ key: String) throws(CatalogError) -> [String] {
        guard let found = optional(key) else { return [] }
        var strings: [String] = []
        for element in try document.array(found) { strings.append(try document.string(element)) }
        return strings
    }

    /// The objects of an array; none when the key is absent.
    func objects(_ key: String) throws(CatalogError) -> [ObjectReader] {
        guard let found = optional(key) else { return [] }
        var readers: [ObjectReader] = []
        for element in try document.array(found) {
            readers.append(try ObjectReader(element, in: document, sources: sources))
        }
        return readers
    }

    /// A word out of a fixed set.
    func word<Word: RawRepresentable & CaseIterable>(_ key: String) throws(CatalogError) -> Word
    where Word.RawValue == String {
        try word(at: try required(key), key)
    }

    func word<Word: RawRepresentable & CaseIterable>(at node: JSONNode, _ key: String) throws(CatalogError) -> Word
    where Word.RawValue == String {
        let text = try document.string(node)
        guard let word = Word(rawValue: text) else {
            let hint = suggestion(for: text, among: Word.allCases.map(\.rawValue))
            throw document.problem(at: node, "\"\(text)\" is no \(key)\(hint)")
        }
        return word
    }

    func figure<Value: FigureValue>(_ key: String) throws(CatalogError) -> Figure<Value>? {
        guard let found = optional(key) else { return nil }
        return try Figure(reading: ObjectReader(found, in: document, sources: sources))
    }

    func requiredFigure<Value: FigureValue>(_ key: String) throws(CatalogError) -> Figure<Value> {
        try Figure(reading: ObjectReader(try required(key), in: document, sources: sources))
    }

    /// The keys of this object, for objects that are tables.
    var keys: [String] { members.map(\.key) }

    /// Throws for the first key that nobody asked for.
    func finish() throws(CatalogError) {
        for member in members where !asked.contains(member.key) {
            let hint = suggestion(for: member.key, among: asked)
            throw document.problem(at: member.node, "unknown key \"\(member.key)\"\(hint)")
        }
    }
}

/// The texts and dates that figures refer to by key.
struct Sources: Sendable {
    struct Source: Sendable, Hashable {
        var text: String
        var date: CalendarDay
    }

    private(set) var byKey: [String: Source] = [:]

    /// `sources.json`: `{"key": {"text": "…", "date": "2026-08-21"}, …}`. A key given again is replaced.
    mutating func read(_ document: JSONDocument) throws(CatalogError) {
        let table = try ObjectReader(document.root, in: document, sources: Sources())
        for key in table.keys {
            let entry = try ObjectReader(try table.required(key), in: document, sources: Sources())
            let text = try entry.string("text")
            guard !text.isEmpty else { throw document.problem(at: entry.node, "the source \"\(key)\" has no text") }
            byKey[key] = Source(text: text, date: try day(entry, "date"))
            try entry.finish()
        }
    }

    /// A source by key, or written out where a date stands beside it.
    func source(of reader: ObjectReader) throws(CatalogError) -> Source {
        let text = try reader.string("source")
        if reader.optional("date") != nil {
            guard !text.isEmpty else { throw reader.document.problem(at: reader.node, "the source is empty") }
            return Source(text: text, date: try day(reader, "date"))
        }
        return try source(named: text) { reader.document.problem(at: reader.node, $0) }
    }

    func source(named key: String, else problem: (String) -> CatalogError) throws(CatalogError) -> Source {
        guard let found = byKey[key] else {
            let hint = nearestName(to: key, among: byKey.keys.sorted()).map { ", the nearest is \"\($0)\"" } ?? ""
            throw problem("\"\(key)\" is no source in sources.json\(hint); write a date beside it to give it in full")
        }
        return found
    }

    private func day(_ reader: ObjectReader, _ key: String) throws(CatalogError) -> CalendarDay {
        let text = try reader.string(key)
        guard let day = CalendarDay(text) else {
            throw reader.document.problem(at: reader.node, "\"\(text)\" is no date; write 2026-10-03 or 2026-10")
        }
        return day
    }
}

extension Figure {
    /// `{"value": …, "grade": "published", "source": "key"}`, and where they are known `note`, `date`, `alternatives`.
    init(reading reader: ObjectReader) throws(CatalogError) {
        let origin = try reader.sources.source(of: reader)
        value = try Value(reading: try reader.required("value"), in: reader.document)
        grade = try reader.word("grade")
        source = origin.text
        date = origin.date
        note = try reader.optionalString("note")
        alternatives = []
        for other in try reader.objects("alternatives") {
            let origin = try other.sources.source(of: other)
            alternatives.append(
                Alternative(
                    value: try Value(reading: try other.required("value"), in: other.document),
                    grade: try other.word("grade"), source: origin.text, date: origin.date,
                    note: try other.optionalString("note")
                )
            )
            try other.finish()
        }
        try reader.finish()
    }
}
