/// Why the catalogue could not answer: one sentence that names the thing, the place and what to do.
public struct CatalogError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable {
        /// A file could not be opened or read.
        case unreadable
        /// A file is not what its format says; the description begins with `file:line`.
        case malformed
        /// No entry of that name; the description offers the nearest one.
        case unknownName
        /// The entry exists and lacks the figure that was needed.
        case missingFigure
        /// No price for that instance, basis, region and date; the description lists those that exist.
        case noPrice
        /// A model configuration of an architecture that the reader does not know.
        case unsupportedArchitecture
    }

    public let kind: Kind
    public let description: String

    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
