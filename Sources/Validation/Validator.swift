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
        let ownOutputs = Self.ownOutputs(rows)
        let miscounted = Self.miscountedRuns(rows)
        for row in rows {
            let result =
                row.table == .gpu
                ? GPUExperiments.experiment(row, catalog: catalog)
                : NeuronExperiments.experiment(row, catalog: catalog, ownOutput: ownOutputs[Self.runKey(row)])
            switch result {
            case .success(let experiment)
            where miscounted.contains(Self.seriesKey(row)) && (experiment.quantity != .ttft || experiment.queues):
                refusals.append(
                    Refusal(
                        row: row,
                        reason: "llmperf counted other tokens: the loaded server's latency per token is below the "
                            + "idle one's"))
            case .success(var experiment):
                if let model = try? catalog.model(nameOrPath: experiment.deployment.model) {
                    experiment.describe(model)
                }
                experiments.append(experiment)
            case .failure(let reason): refusals.append(Refusal(row: row, reason: reason.text))
            }
        }
        Self.markDecodeRates(&experiments)
        return (experiments, refusals)
    }

    /// Rows of one run share everything but the metric.
    private static func runKey(_ row: MeasuredRow) -> [String] {
        [row.source, row.model, row.hardware, row.parallelism, row.batch, row.notes]
    }

    /// Output tokens of a request in runs that print both token and request rates. Servers that stop at an end-of-text
    /// token produce fewer than were asked for, and the nominal length would misstate every other figure of the run.
    private static func ownOutputs(_ rows: [MeasuredRow]) -> [[String]: Double] {
        var tokens: [[String]: Double] = [:]
        var requests: [[String]: Double] = [:]
        for row in rows where row.table == .neuron && row.notes.contains("profile=") {
            if row.metric == "output_throughput" { tokens[runKey(row)] = row.value }
            if row.metric == "request_throughput" { requests[runKey(row)] = row.value }
        }
        var lengths: [[String]: Double] = [:]
        for (key, rate) in tokens {
            // Rates printed with two digits only say nothing about a length.
            if let each = requests[key], each > 0.1, rate > 0 { lengths[key] = rate / each }
        }
        return lengths
    }

    /// Rows of one run and one request shape differ in the metric only.
    private static func requestKey(_ row: MeasuredRow) -> [String] {
        runKey(row) + [row.software, row.inputTokens.map { "\($0)" } ?? "", row.outputTokens.map { "\($0)" } ?? ""]
    }

    /// Marks the throughputs of static batches that leave the time to the first token out: of rows that print no output
    /// length, and where the batch over the row's own time per token gives the throughput to 2 %, although the time to
    /// the first token is over 5 % of the rest.
    private static func markDecodeRates(_ experiments: inout [Experiment]) {
        var runs: [[String]: [Experiment.Quantity: Double]] = [:]
        for experiment in experiments {
            runs[requestKey(experiment.row), default: [:]][experiment.quantity] = experiment.measured
        }
        for index in experiments.indices where experiments[index].quantity == .outputThroughput {
            guard case .staticBatch(let batch) = experiments[index].load else { continue }
            let run = runs[requestKey(experiments[index].row)] ?? [:]
            if experiments[index].row.outputTokens == nil {
                experiments[index].countsDecodingOnly = true
            } else if let each = run[.tpot], let first = run[.ttft],
                abs(experiments[index].measured * each / Double(batch) - 1) < 0.02,
                first > 0.05 * (experiments[index].outputTokens - 1) * each
            {
                experiments[index].countsDecodingOnly = true
                experiments[index].remarks.append(
                    "the throughput is that of decoding: the batch over the row's own TPOT")
            }
        }
    }

    /// Rows of one series of llmperf differ in metric and concurrency only.
    private static func seriesKey(_ row: MeasuredRow) -> [String] {
        [row.source, row.model, row.hardware, row.parallelism, row.batch]
    }

    /// Series in which a server with several clients takes less than 0.8 of the time per token that it takes for one: no
    /// server does, so the tokens were counted differently.
    private static func miscountedRuns(_ rows: [MeasuredRow]) -> Set<[String]> {
        var idle: [[String]: Double] = [:]
        var least: [[String]: Double] = [:]
        for row in rows where row.metric == "inter_token_latency_llmperf" {
            guard let value = row.value else { continue }
            if row.note("conc") == "1" {
                idle[seriesKey(row)] = value
            } else {
                least[seriesKey(row)] = min(value, least[seriesKey(row)] ?? value)
            }
        }
        return Set(least.filter { key, value in idle[key].map { value < 0.8 * $0 } ?? false }.keys)
    }

    /// A prediction beside its measurement.
    public struct Outcome: Sendable {
        public var experiment: Experiment
        public var predicted: Double
        /// predicted / measured − 1.
        public var error: Double { predicted / experiment.measured - 1 }
    }

    /// Tables of deployments seen, since the rows of one run follow each other.
    private struct CompileCache {
        private var last: (deployment: Deployment, compiled: CompiledDeployment)?

        mutating func compiled(
            _ deployment: Deployment, catalog: Catalog, calibration: Calibration
        ) throws(DeploymentError) -> CompiledDeployment {
            if let last, last.deployment == deployment { return last.compiled }
            let compiled = try deployment.compile(catalog: catalog, calibration: calibration)
            last = (deployment, compiled)
            return compiled
        }
    }

    /// Predicts every experiment with a calibration; those whose deployment cannot be compiled are refused.
    public func predict(
        _ experiments: [Experiment], calibration: Calibration, simulates: Bool = true
    ) -> (outcomes: [Outcome], refusals: [Refusal]) {
        var outcomes: [Outcome] = []
        var refusals: [Refusal] = []
        var cache = CompileCache()
        for experiment in experiments {
            switch predict(experiment, calibration: calibration, simulates: simulates, cache: &cache) {
            case .success(let value): outcomes.append(Outcome(experiment: experiment, predicted: value))
            case .failure(let reason): refusals.append(Refusal(row: experiment.row, reason: reason.text))
            }
        }
        return (outcomes, refusals)
    }

    /// One prediction: simulated where requests meet, in closed form elsewhere.
    private func predict(
        _ experiment: Experiment, calibration: Calibration, simulates: Bool, cache: inout CompileCache
    ) -> Result<Double, RefusalReason> {
        do {
            let predictor = try StepPredictor(experiment.deployment, catalog: catalog, calibration: calibration)
            var value: Double?
            if simulates, ReplicaRun.applies(to: experiment) {
                let compiled = try cache.compiled(experiment.deployment, catalog: catalog, calibration: calibration)
                value = try ReplicaRun.predict(
                    experiment, compiled: compiled, coefficients: predictor.coefficients)
            } else {
                let field = MeanField(
                    predictor: predictor, prompt: experiment.promptTokens, output: experiment.outputTokens)
                if field.isImpossible(experiment) {
                    return .failure(
                        .init("faster than the chips' peak arithmetic: the row is mislabelled or the run ended early"))
                }
                value = field.predict(experiment)
            }
            guard let value, value.isFinite, value > 0 else {
                return .failure(.init("\(experiment.quantity.rawValue) is not defined for this kind of run"))
            }
            return .success(value)
        } catch {
            return .failure(.init("\(error)"))
        }
    }
}
