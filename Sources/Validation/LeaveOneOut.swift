//===----------------------------------------------------------------------===//
// Errors on what was held back.
//===----------------------------------------------------------------------===//

public import Catalog
import StepModel

/// Fits without one model, platform or source at a time, and predicts what was left out.
public struct LeaveOneOut {
    public enum Axis: String, Sendable, Hashable, CaseIterable { case model, platform, source }

    let catalog: Catalog
    public var report: (String) -> Void = { _ in }
    public init(catalog: Catalog) { self.catalog = catalog }

    private func key(_ experiment: Experiment, _ axis: Axis) -> String {
        switch axis {
        case .model: (try? catalog.model(nameOrPath: experiment.deployment.model).id) ?? experiment.row.model
        case .platform: experiment.platform
        case .source: experiment.group
        }
    }

    /// Outcomes of every experiment, each predicted by a calibration that never saw its like.
    public func run(_ experiments: [Experiment], axis: Axis) -> [Validator.Outcome] {
        let keys = Set(experiments.map { key($0, axis) }).sorted()
        let validator = Validator(catalog: catalog)
        let calibrator = Calibrator(catalog: catalog)
        let full = calibrator.calibrate(experiments)
        var outcomes: [Validator.Outcome] = []
        for key in keys {
            let held = experiments.filter { self.key($0, axis) == key }
            let rest = experiments.filter { self.key($0, axis) != key }
            let found = validator.predict(held, calibration: calibrator.refit(full, without: held, on: rest)).outcomes
            outcomes += found
            if !found.isEmpty {
                report(
                    "without \(axis.rawValue) \(key): \(found.count) rows, median error \(ErrorTable.percent(ErrorSummary(found.map(\.error)).medianAbsolute))"
                )
            }
        }
        return outcomes
    }
}
