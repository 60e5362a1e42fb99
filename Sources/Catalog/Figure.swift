/// What a figure can be: a number, a count, a word, or a small record of numbers.
public protocol FigureValue: Sendable, Hashable, Encodable {
    /// Reads the value from a catalogue file; throws an error that names file and line.
    init(reading node: JSONNode, in document: JSONDocument) throws(CatalogError)
}

/// A value that knows where it came from.
///
/// Where sources conflict, `value` is the one the catalogue stands by and `alternatives` holds the others; a
/// model that must show a range takes it over all of them.
public struct Figure<Value: FigureValue>: Sendable, Hashable, Encodable {
    public var value: Value
    public var grade: Grade
    /// Who said so: a document, a measurement, or the rule by which it was derived or assumed.
    public var source: String
    /// When the source was published or read.
    public var date: CalendarDay
    /// What a reader must know to use it rightly; nil when nothing.
    public var note: String?
    public var alternatives: [Alternative]

    /// What another source says of the same thing.
    public struct Alternative: Sendable, Hashable, Encodable {
        public var value: Value
        public var grade: Grade
        public var source: String
        public var date: CalendarDay
        public var note: String?

        public init(value: Value, grade: Grade, source: String, date: CalendarDay, note: String? = nil) {
            self.value = value
            self.grade = grade
            self.source = source
            self.date = date
            self.note = note
        }
    }

    public init(
        value: Value, grade: Grade, source: String, date: CalendarDay, note: String? = nil,
        alternatives: [Alternative] = []
    ) {
        self.value = value
        self.grade = grade
        self.source = source
        self.date = date
        self.note = note
        self.alternatives = alternatives
    }

    /// The value and every alternative, in file order.
    public var allValues: [Value] { [value] + alternatives.map(\.value) }
}

extension Figure where Value: Comparable {
    /// The smallest and the largest that any source says.
    public var range: ClosedRange<Value> {
        let values = allValues
        return values.min()!...values.max()!
    }
}

extension Double: FigureValue {
    public init(reading node: JSONNode, in document: JSONDocument) throws(CatalogError) {
        self = try document.double(node)
    }
}

extension Int: FigureValue {
    public init(reading node: JSONNode, in document: JSONDocument) throws(CatalogError) {
        self = try document.integer(node)
    }
}

extension String: FigureValue {
    public init(reading node: JSONNode, in document: JSONDocument) throws(CatalogError) {
        self = try document.string(node)
    }
}
