//===----------------------------------------------------------------------===//
// Where something stands in a file, and what is wrong with it.
//===----------------------------------------------------------------------===//

/// A position in a file that a person wrote. Lines and columns count from 1.
public struct Place: Sendable, Equatable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// For values that a program made, not a file.
    public static let nowhere = Place(file: "", line: 0, column: 0)

    public var description: String {
        if file.isEmpty { return "" }
        return line > 0 ? "\(file):\(line):\(column)" : file
    }
}

/// A value and the place it was read from, so that whoever finds it impossible later can still point at it.
public struct Located<Value: Sendable>: Sendable {
    public var value: Value
    public var place: Place

    public init(_ value: Value, at place: Place = .nowhere) {
        self.value = value
        self.place = place
    }
}

extension Located: Equatable where Value: Equatable {}

/// What is wrong with a fleet, where, and what would be right.
public struct FleetError: Error, Sendable, Equatable, CustomStringConvertible {
    public var place: Place
    public var message: String

    public init(_ message: String, at place: Place) {
        self.message = message
        self.place = place
    }

    public var description: String { place.file.isEmpty ? message : "\(place): \(message)" }
}
