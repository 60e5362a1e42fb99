//===----------------------------------------------------------------------===//
// Fits every calibrated value from measured rows.
//===----------------------------------------------------------------------===//

public import Catalog
import Foundation
public import StepModel

/// Runs the stages of the calibration plan over experiments.
public struct Calibrator {
    /// A value that a stage may move.
    struct Free {
        var coefficient: Coefficient
        var scope: String
        var prior: Double
        /// Standard deviation of the logarithm that the prior allows.
        var width: Double
        var most: Double
    }

    /// Two values of a stage that resemble each other: `first` ≈ `ratio` × `second`, within `width` in logarithms.
    struct Link {
        var coefficient: Coefficient
        var scope: String
        var other: Coefficient
        var otherScope: String
        var ratio = 1.0
        var width: Double
    }

    /// Experiments that are fitted together, and what they decide.
    struct Stage {
        var name: String
        var free: [Free]
        /// What values that few rows decide take from others (partial pooling).
        var links: [Link] = []
        var admits: (Experiment) -> Bool
        /// Which scatter the residuals of which quantities describe, and for which scope.
        var scatters: [(coefficient: Coefficient, scope: String, admits: (Experiment) -> Bool)] = []
        /// Scopes that the covered ranges are noted for.
        var rangeScopes: [String] = []
        var scale = 0.06
    }

    let catalog: Catalog
    /// What is fitted, in this order.
    var stages = CalibrationPlan.stages
    /// Progress, one line a stage.
    public var report: (String) -> Void = { _ in }

    public init(catalog: Catalog) { self.catalog = catalog }

    /// The whole calibration from the given experiments: the plan's starting values, each stage's fit in turn.
    public func calibrate(_ experiments: [Experiment]) -> Calibration {
        var calibration = CalibrationPlan.start(catalog: catalog)
        for stage in stages {
            fit(stage, experiments, into: &calibration)
        }
        return calibration
    }

    /// `full` with every stage that some of `held` take part in fitted again on `rest`. Other stages keep their values:
    /// what
    /// they decide does not reach the predictions of `held`, or only through what the fits of others rest on.
    public func refit(_ full: Calibration, without held: [Experiment], on rest: [Experiment]) -> Calibration {
        var calibration = full
        for stage in stages where held.contains(where: { $0.isCalibration && stage.admits($0) }) {
            // The optimum without a few rows lies near the one with them: start there.
            fit(stage, rest, into: &calibration, start: stage.free.map { full.value($0.coefficient, scope: $0.scope) })
        }
        return calibration
    }

    private struct Prepared {
        var experiment: Experiment
        var field: MeanField
        var base: Coefficients
        /// Which free value each coefficient of this row takes.
        var moved: [(coefficient: Coefficient, index: Int)]
        var parameters: Double
    }

    private func fit(
        _ stage: Stage, _ experiments: [Experiment], into calibration: inout Calibration,
        start: [Calibration.Value?]? = nil
    ) {
        for free in stage.free {
            calibration.set(
                .init(
                    coefficient: free.coefficient, scope: free.scope, value: free.prior, logDeviation: free.width,
                    grade: .assumed,
                    rows: 0, source: "prior of the stage \(stage.name)")
            )
        }
        let rows = experiments.filter { $0.isCalibration && stage.admits($0) }.compactMap {
            prepare($0, stage, calibration)
        }
        guard !rows.isEmpty else {
            report("\(stage.name): no rows")
            return
        }
        let begin = start.map { values in zip(values, stage.free).map { $0?.value ?? $1.prior } }
        let solution = solve(stage, rows, start: begin, iterations: start == nil ? 200 : 40)
        for (index, free) in stage.free.enumerated() {
            let touched = rows.filter { $0.moved.contains { $0.index == index } }.count
            calibration.set(
                .init(
                    coefficient: free.coefficient, scope: free.scope, value: Self.rounded(solution.values[index]),
                    logDeviation: Self.rounded(solution.deviations[index]), grade: touched > 0 ? .derived : .assumed,
                    rows: touched,
                    source: touched > 0 ? "fitted: \(stage.name)" : "assumed: \(stage.name) has no row that it moves")
            )
        }
        describe(stage, rows, solution, into: &calibration)
        let errors = solution.residuals.map { abs(exp($0) - 1) }.sorted()
        report(
            "\(stage.name): \(rows.count) rows, \(stage.free.count) values, median error \(Self.percent(errors[errors.count / 2]))"
        )
    }

    private func solve(_ stage: Stage, _ rows: [Prepared], start: [Double]?, iterations: Int) -> Fitter.Solution {
        var last: [Double] = []
        func residuals(_ values: [Double], _ movedIndex: Int?) -> [Double] {
            if let movedIndex {
                var changed = last
                for (position, row) in rows.enumerated() where row.moved.contains(where: { $0.index == movedIndex }) {
                    changed[position] = residual(row, values)
                }
                return changed
            }
            last = rows.map { residual($0, values) }
            return last
        }
        var fitter = Fitter(parameters: stage.free.map { .init(prior: $0.prior, width: $0.width, most: $0.most) })
        fitter.links = stage.links.map { link in
            func position(_ coefficient: Coefficient, _ scope: String) -> Int {
                guard let index = stage.free.firstIndex(where: { $0.coefficient == coefficient && $0.scope == scope })
                else {
                    preconditionFailure("\(stage.name) links \(coefficient.name) of \(scope), which it does not fit")
                }
                return index
            }
            return Fitter.Link(
                first: position(link.coefficient, link.scope), second: position(link.other, link.otherScope),
                ratio: link.ratio, width: link.width)
        }
        fitter.scale = stage.scale
        fitter.iterations = iterations
        return fitter.solve(start: start, residuals)
    }

    /// A committed value, and where one more iteration from all committed values would move it.
    public struct Drift: Sendable, Hashable {
        public var coefficient: Coefficient
        public var scope: String
        public var committed: Double
        public var refitted: Double
        /// How far it moved, in standard deviations of the fit.
        public var deviations: Double
    }

    /// Checks a committed calibration against the rows without repeating the whole fit: a fit that has ended stays
    /// where it is when it is taken up again.
    public func drift(of committed: Calibration, _ experiments: [Experiment]) -> [Drift] {
        var drifts: [Drift] = []
        for stage in stages {
            let start = stage.free.compactMap { committed.value($0.coefficient, scope: $0.scope) }
            guard start.count == stage.free.count else {
                for free in stage.free where committed.value(free.coefficient, scope: free.scope) == nil {
                    drifts.append(
                        Drift(
                            coefficient: free.coefficient, scope: free.scope, committed: 0, refitted: free.prior,
                            deviations: .infinity))
                }
                continue
            }
            let rows = experiments.filter { $0.isCalibration && stage.admits($0) }.compactMap {
                prepare($0, stage, committed)
            }
            guard !rows.isEmpty else { continue }
            let solution = solve(stage, rows, start: start.map(\.value), iterations: 1)
            for (index, free) in stage.free.enumerated() {
                let moved = abs(log(solution.values[index] / start[index].value))
                drifts.append(
                    Drift(
                        coefficient: free.coefficient, scope: free.scope, committed: start[index].value,
                        refitted: solution.values[index], deviations: moved / max(start[index].logDeviation, 0.01)))
            }
        }
        return drifts
    }

    /// What the plan sets without rows, for comparison with a committed file.
    public var assumptions: Calibration { CalibrationPlan.start(catalog: catalog) }

    /// Four significant digits, as the file keeps them.
    static func rounded(_ value: Double) -> Double { Double(String(format: "%.4g", value))! }

    private static func percent(_ value: Double) -> String { String(format: "%.1f %%", value * 100) }

    private func prepare(_ experiment: Experiment, _ stage: Stage, _ calibration: Calibration) -> Prepared? {
        guard let predictor = try? StepPredictor(experiment.deployment, catalog: catalog, calibration: calibration)
        else { return nil }
        let scopes = predictor.scopes
        var moved: [(Coefficient, Int)] = []
        for coefficient in Coefficient.allCases {
            guard let scope = scopes.first(where: { calibration.value(coefficient, scope: $0) != nil }) else {
                continue
            }
            if let index = stage.free.firstIndex(where: { $0.coefficient == coefficient && $0.scope == scope }) {
                moved.append((coefficient, index))
            }
        }
        let field = MeanField(predictor: predictor, prompt: experiment.promptTokens, output: experiment.outputTokens)
        if field.isImpossible(experiment) { return nil }
        guard let value = field.predict(experiment), value > 0, value.isFinite, experiment.measured > 0 else {
            return nil
        }
        return Prepared(
            experiment: experiment, field: field, base: predictor.coefficients, moved: moved,
            parameters: predictor.parameters / 1e9)
    }

    private func residual(_ row: Prepared, _ values: [Double]) -> Double {
        var coefficients = row.base
        for (coefficient, index) in row.moved { coefficients[coefficient] = values[index] }
        var predictor = row.field.predictor
        predictor.coefficients = coefficients
        let field = MeanField(predictor: predictor, prompt: row.field.prompt, output: row.field.output)
        guard let predicted = field.predict(row.experiment), predicted > 0 else { return 5 }
        return log(predicted / row.experiment.measured)
    }

    /// Scatter and covered ranges, kept beside the values.
    private func describe(
        _ stage: Stage, _ rows: [Prepared], _ solution: Fitter.Solution, into calibration: inout Calibration
    ) {
        for scatter in stage.scatters {
            let own = zip(rows, solution.residuals).filter { scatter.admits($0.0.experiment) }.map(\.1)
            guard own.count >= 3 else { continue }
            calibration.set(
                .init(
                    coefficient: scatter.coefficient, scope: scatter.scope, value: Self.rounded(Fitter.scatter(own)),
                    logDeviation: 0,
                    grade: .derived, rows: own.count, source: "scatter of \(stage.name)")
            )
        }
        let ranges: [(Coefficient, Double)] = [
            (.calibratedLeastParameters, rows.map(\.parameters).min()!),
            (.calibratedMostParameters, rows.map(\.parameters).max()!),
            (.calibratedSequences, rows.map { Self.sequences($0.experiment) }.max()!),
            (.calibratedContext, rows.map { $0.experiment.promptTokens + $0.experiment.outputTokens }.max()!),
        ]
        for scope in stage.rangeScopes {
            for (coefficient, value) in ranges {
                calibration.set(
                    .init(
                        coefficient: coefficient, scope: scope, value: Self.rounded(value), logDeviation: 0,
                        grade: .derived,
                        rows: rows.count, source: "range of \(stage.name)")
                )
            }
        }
    }

    private static func sequences(_ experiment: Experiment) -> Double {
        switch experiment.load {
        case .staticBatch(let batch): Double(batch)
        case .closedLoop(let clients): Double(clients) / Double(experiment.replicas)
        case .rate: 1
        case .decodeOnly(let running): running
        case .idle, .saturated: 1
        }
    }
}
