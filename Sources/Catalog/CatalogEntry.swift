/// A thing that the catalogue knows under a name.
public protocol CatalogEntry: Sendable {
    /// "accelerator", "instance", "model" or "region".
    static var kind: String { get }
    /// Which file it stands in.
    static var file: String { get }
    /// The name it is printed under.
    var id: String { get }
    /// Other names that find it.
    var aliases: [String] { get }
}

/// A thing with optional figures that can be asked for by key path.
public protocol FiguredEntry: CatalogEntry {
    /// The name in the file of each optional figure.
    static var figureNames: [PartialKeyPath<Self>: String] { get }
}

extension FiguredEntry {
    /// The figure, or an error that names the thing, the figure and the file to supply it in. Nothing is guessed.
    public func needed<Value>(_ figure: KeyPath<Self, Figure<Value>?>) throws(CatalogError) -> Figure<Value> {
        if let found = self[keyPath: figure] { return found }
        throw missing(Self.figureNames[figure] ?? "\(figure)")
    }

    /// The error for a figure that this thing lacks.
    func missing(_ name: String) -> CatalogError {
        CatalogError(
            .missingFigure,
            "\(Self.kind) \(id): no figure for \"\(name)\" was found in any source; supply it in \(Self.file) of a "
                + "catalogue directory (--catalog DIR), with value, grade and source"
        )
    }
}
