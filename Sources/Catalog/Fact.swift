/// A figure with a name and a unit of its own, for what has no field: software defaults, claims, odd hardware facts.
public struct Fact: CatalogEntry, Hashable, Encodable {
    public static let kind = "fact"
    public static let file = "facts.json"

    /// Dotted: `vllm-neuron.kv-cache.fraction-of-memory`.
    public var id: String
    public var aliases: [String] { [] }
    /// What it is, in words.
    public var about: String
    /// `W`, `s`, `bytes`, `bytes/s`, `1` for a pure number, `text` when only `text` is given.
    public var unit: String
    /// Nil when the fact is a text.
    public var number: Figure<Double>?
    public var text: Figure<String>?

    init(reading reader: ObjectReader) throws(CatalogError) {
        id = try reader.string("id")
        about = try reader.string("about")
        unit = try reader.string("unit")
        number = nil
        text = nil
        if unit == "text" {
            text = try reader.requiredFigure("figure")
        } else {
            number = try reader.requiredFigure("figure")
        }
        try reader.finish()
    }

    private enum CodingKeys: String, CodingKey { case id, about, unit, figure }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(about, forKey: .about)
        try container.encode(unit, forKey: .unit)
        if let number {
            try container.encode(number, forKey: .figure)
        } else {
            try container.encodeIfPresent(text, forKey: .figure)
        }
    }
}
