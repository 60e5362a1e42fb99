//===----------------------------------------------------------------------===//
// A figure that is written as null when it cannot be known.
//===----------------------------------------------------------------------===//

/// An optional number whose key is always there: scripts that read a report find null, not a missing key.
@propertyWrapper
public struct KnownOrNull: Codable, Sendable, Equatable {
    public var wrappedValue: Double?

    public init(wrappedValue: Double?) { self.wrappedValue = wrappedValue }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Double.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
    }
}
