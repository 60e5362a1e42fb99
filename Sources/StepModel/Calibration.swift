//===----------------------------------------------------------------------===//
// Calibrated values with their scope, fit error and provenance.
//===----------------------------------------------------------------------===//

import CCatalogData
public import Catalog
import Foundation

/// The fitted values of every coefficient, each for the scope it was fitted on.
///
/// A deployment takes, for each coefficient, the value with the most specific scope that applies. From specific to
/// general: `GENERATION/STACK/RELEASE`, `GENERATION/STACK`, `STACK/RELEASE`, `GENERATION`, `STACK`, `any`.
public struct Calibration: Sendable, Hashable {
    /// One fitted value.
    public struct Value: Sendable, Hashable {
        public var coefficient: Coefficient
        public var scope: String
        public var value: Double
        /// One standard deviation of the value's logarithm: fit error, or the width of the assumption.
        public var logDeviation: Double
        public var grade: Grade
        /// Rows that it rests on; 0 for an assumption.
        public var rows: Int
        public var source: String

        public init(
            coefficient: Coefficient, scope: String, value: Double, logDeviation: Double, grade: Grade, rows: Int,
            source: String
        ) {
            self.coefficient = coefficient
            self.scope = scope
            self.value = value
            self.logDeviation = logDeviation
            self.grade = grade
            self.rows = rows
            self.source = source
        }
    }

    public private(set) var values: [Value]
    private var index: [Key: Int] = [:]

    private struct Key: Hashable {
        var coefficient: Coefficient
        var scope: String
    }

    public init(values: [Value]) {
        self.values = []
        for value in values { set(value) }
    }

    /// Adds a value, or replaces the one of the same coefficient and scope.
    public mutating func set(_ value: Value) {
        let key = Key(coefficient: value.coefficient, scope: value.scope)
        if let position = index[key] {
            values[position] = value
        } else {
            index[key] = values.count
            values.append(value)
        }
    }

    /// The value of `coefficient` for the most specific of `scopes`.
    public func value(_ coefficient: Coefficient, scopes: [String]) -> Value? {
        for scope in scopes {
            if let position = index[Key(coefficient: coefficient, scope: scope)] { return values[position] }
        }
        return nil
    }

    public func value(_ coefficient: Coefficient, scope: String) -> Value? { value(coefficient, scopes: [scope]) }

    /// Scopes that apply to a deployment, most specific first.
    public static func scopes(generation: DeviceGeneration, stack: ServingStack, release: String?) -> [String] {
        var scopes: [String] = []
        if let release { scopes.append("\(generation.rawValue)/\(stack.rawValue)/\(release)") }
        scopes.append("\(generation.rawValue)/\(stack.rawValue)")
        if let release { scopes.append("\(stack.rawValue)/\(release)") }
        scopes.append(generation.rawValue)
        scopes.append(stack.rawValue)
        scopes.append("any")
        return scopes
    }

    /// Every coefficient for a deployment, and the values that they came from.
    func resolved(scopes: [String]) throws(DeploymentError) -> (coefficients: Coefficients, values: [Value]) {
        var coefficients = Coefficients()
        var used: [Value] = []
        for coefficient in Coefficient.allCases where !coefficient.isDescription {
            guard let found = value(coefficient, scopes: scopes) else {
                throw DeploymentError.calibrationMissing(coefficient: coefficient.name, scopes: scopes)
            }
            coefficients[coefficient] = found.value
            used.append(found)
        }
        return (coefficients, used)
    }

    // MARK: The file

    /// Columns of `calibration.csv`.
    static let header = "coefficient,scope,value,log_deviation,grade,rows,source"

    /// Reads the text of a calibration file.
    /// - Throws: `DeploymentError.malformedCalibration` naming the line.
    public init(csv text: String) throws(DeploymentError) {
        var values: [Value] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty || line.hasPrefix("#") || line == Self.header { continue }
            let fields = line.split(separator: ",", maxSplits: 6, omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 7, let coefficient = Coefficient.named(fields[0]), let value = Double(fields[2]),
                let deviation = Double(fields[3]), let grade = Grade(rawValue: fields[4]), let rows = Int(fields[5]),
                value.isFinite, deviation >= 0
            else { throw DeploymentError.malformedCalibration(line: number + 1, text: String(line)) }
            values.append(
                Value(
                    coefficient: coefficient, scope: fields[1], value: value, logDeviation: deviation, grade: grade,
                    rows: rows,
                    source: fields[6]
                )
            )
        }
        self.init(values: values)
    }

    /// The text of a calibration file, in the order of coefficients and then of scopes.
    public var csv: String {
        let ordered = values.sorted {
            $0.coefficient.rawValue == $1.coefficient.rawValue
                ? $0.scope < $1.scope : $0.coefficient.rawValue < $1.coefficient.rawValue
        }
        let lines = ordered.map {
            "\($0.coefficient.name),\($0.scope),\(Self.number($0.value)),\(Self.number($0.logDeviation)),"
                + "\($0.grade.rawValue),\($0.rows),\($0.source)"
        }
        return ([Self.header] + lines).joined(separator: "\n") + "\n"
    }

    /// Four significant digits: below the fit error, and the same text on every machine.
    static func number(_ value: Double) -> String { String(format: "%.4g", value) }

    /// What is compiled in.
    public static let builtIn: Calibration = {
        for index in 0..<trainyard_catalog_file_count() {
            let file = trainyard_catalog_file_at(index)
            guard String(cString: file.name) == "calibration.csv" else { continue }
            let text = String(decoding: UnsafeBufferPointer(start: file.bytes, count: file.size), as: UTF8.self)
            do { return try Calibration(csv: text) } catch { preconditionFailure("built-in calibration: \(error)") }
        }
        preconditionFailure("no calibration is built in")
    }()
}
