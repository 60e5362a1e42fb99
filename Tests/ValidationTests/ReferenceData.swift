import Catalog
import Foundation
import StepModel
import Testing

@testable import Validation

/// Reference tables that lie beside the checkout; tests that need them say so and pass without.
enum ReferenceData {
    static let folder: String? = {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let folder = root.deletingLastPathComponent().appendingPathComponent("shared").path
        return FileManager.default.fileExists(atPath: folder + "/data/gpu_measured.csv") ? folder : nil
    }()

    static var root: URL {
        URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    /// Experiments of both tables, read once.
    static let experiments: [Experiment] = {
        guard let folder else { return [] }
        var experiments: [Experiment] = []
        for table in ["gpu_measured", "neuron_measured"] {
            guard let rows = try? MeasuredRow.read(path: "\(folder)/data/\(table).csv") else { continue }
            experiments += Validator(catalog: .builtIn).experiments(rows).experiments
        }
        return experiments
    }()
}

/// Skips a test with a message when the reference data are not beside the checkout.
let hasReferenceData: ConditionTrait = .enabled(
    if: ReferenceData.folder != nil, "reference data beside the checkout (../shared) are missing")
