//===----------------------------------------------------------------------===//
// Why a deployment cannot be compiled.
//===----------------------------------------------------------------------===//

public import Catalog

/// One clear reason, with the fix.
public enum DeploymentError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A name that nothing bears; `hint` begins with "; ".
    case unknownName(kind: String, name: String, hint: String)
    /// The catalogue could not answer.
    case catalog(CatalogError)
    /// A setting that cannot be.
    case invalid(String)
    /// Weights, or weights and the smallest KV cache, exceed a rank's memory.
    case doesNotFit(DoesNotFit)
    /// No calibrated value applies.
    case calibrationMissing(coefficient: String, scopes: [String])
    case malformedCalibration(line: Int, text: String)

    /// By how much a deployment exceeds memory, and what would make it fit.
    public struct DoesNotFit: Sendable, Hashable {
        public var deployment: String
        public var missingGiBPerRank: Double
        public var weightGiBPerRank: Double
        public var memoryGiBPerRank: Double
        public var advice: String
    }

    public var description: String {
        switch self {
        case .unknownName(let kind, let name, let hint): "there is no \(kind) named '\(name)'\(hint)"
        case .catalog(let error): error.description
        case .invalid(let reason): reason
        case .doesNotFit(let facts):
            "\(facts.deployment) does not fit: each rank needs \(Self.gibibytes(facts.missingGiBPerRank)) GiB more than it has "
                + "(weights \(Self.gibibytes(facts.weightGiBPerRank)) GiB of \(Self.gibibytes(facts.memoryGiBPerRank)) GiB); "
                + facts.advice
        case .calibrationMissing(let coefficient, let scopes):
            "the calibration has no \(coefficient) for any of: \(scopes.joined(separator: ", "))"
        case .malformedCalibration(let line, let text):
            "calibration line \(line): expected '\(Calibration.header)', found '\(text)'"
        }
    }

    private static func gibibytes(_ value: Double) -> String {
        let tenths = (value * 10).rounded(.up) / 10
        return String(tenths)
    }
}
