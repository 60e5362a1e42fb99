//===----------------------------------------------------------------------===//
// Model against measurement, row by row.
//===----------------------------------------------------------------------===//

public import Catalog
import Foundation
public import StepModel

/// Turns measured rows into experiments, predicts them, and keeps what was refused.
public struct Validator {
    let catalog: Catalog
    public init(catalog: Catalog) { self.catalog = catalog }

    /// Experiments and refusals of a table's rows, in order.
    public func experiments(_ rows: [MeasuredRow]) -> (experiments: [Experiment], refusals: [Refusal]) {
        var experiments: [Experiment] = []
        var refusals: [Refusal] = []
        for row in rows {
            let result =
                row.table == .gpu
                ? GPUExperiments.experiment(row, catalog: catalog) : NeuronExperiments.experiment(row, catalog: catalog)
            switch result {
            case .success(let experiment): experiments.append(experiment)
            case .failure(let reason): refusals.append(Refusal(row: row, reason: reason.text))
            }
        }
        return (experiments, refusals)
    }

    /// A prediction beside its measurement.
    public struct Outcome: Sendable {
        public var experiment: Experiment
        public var predicted: Double
        /// predicted / measured − 1.
        public var error: Double { predicted / experiment.measured - 1 }
    }

    /// Predicts every experiment with a calibration; those whose deployment cannot be compiled are refused.
    public func predict(
        _ experiments: [Experiment], calibration: Calibration
    ) -> (outcomes: [Outcome], refusals: [Refusal]) {
        var outcomes: [Outcome] = []
        var refusals: [Refusal] = []
        for experiment in experiments {
            do throws(DeploymentError) {
                let predictor = try StepPredictor(experiment.deployment, catalog: catalog, calibration: calibration)
                let field = MeanField(predictor: predictor, prompt: experiment.promptTokens, output: experiment.outputTokens)
                if let value = field.predict(experiment), value.isFinite, value > 0 {
                    outcomes.append(Outcome(experiment: experiment, predicted: value))
                } else {
                    refusals.append(
                        Refusal(row: experiment.row, reason: "\(experiment.quantity.rawValue) is not defined for this kind of run"))
                }
            } catch {
                refusals.append(Refusal(row: experiment.row, reason: error.description))
            }
        }
        return (outcomes, refusals)
    }
}
