//===----------------------------------------------------------------------===//
// trainyard validate: the step model against measured results.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Foundation
import Report
import StepModel
import Validation

struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Sets the step model against measured results.",
        discussion: """
            Reads tables of published results, builds the deployment that each row describes, predicts it and prints the error by \
            metric, platform, model and source, the worst rows, and the rows that the model refuses with the reason.
            """
    )

    @Option(
        name: .long, parsing: .upToNextOption,
        help: "Tables of measured results (CSV with the columns of the GPU or Neuron tables).")
    var measured: [String] = []
    @Option(
        name: .long, help: "A folder of recorded server runs with operator profiles: replays them request by request.")
    var groundTruth: String?
    @Flag(name: .long, help: "Fits the calibration to the tables first, instead of using the one built in.")
    var fit = false
    @Option(name: .long, help: "Writes the fitted calibration to this file (with --fit).")
    var write: String?
    @Option(
        name: .long, parsing: .upToNextOption,
        help: "Predicts each model, platform or source (one or several of these words) by a fit that never saw it.")
    var leaveOneOut: [String] = []
    @Option(
        name: .long,
        help: "Writes the validation document to this file, and its plots to a folder of the same name beside it.")
    var document: String?
    @Option(name: .long, help: "How many of the worst rows are printed.")
    var worst = 10
    @OptionGroup var catalogue: CatalogOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard !measured.isEmpty || groundTruth != nil else {
            throw ValidationError("give --measured TABLE.csv or --ground-truth FOLDER")
        }
        for axis in leaveOneOut where LeaveOneOut.Axis(rawValue: axis) == nil {
            throw ValidationError("--leave-one-out takes model, platform or source, not '\(axis)'")
        }
        if write != nil && !fit { throw ValidationError("--write needs --fit") }
        guard (0...1000).contains(worst) else { throw ValidationError("--worst must lie in 0...1000") }
    }

    private func say(_ text: String) { if !common.quiet { Messages.write(text) } }

    func run() throws {
        let catalog = try catalogue.open()
        let validator = Validator(catalog: catalog)
        var experiments: [Experiment] = []
        var refusals: [Refusal] = []
        for path in measured {
            let (found, refused) = validator.experiments(try MeasuredRow.read(path: path))
            experiments += found
            refusals += refused
        }
        var calibration = Calibration.builtIn
        if fit {
            var calibrator = Calibrator(catalog: catalog)
            calibrator.report = say
            calibration = calibrator.calibrate(experiments)
            if let write { try Output.write(calibration.csv, to: write) }
        }
        let (outcomes, more) = validator.predict(experiments, calibration: calibration)
        refusals += more
        var heldBack: [LeaveOneOut.Axis: [Validator.Outcome]] = [:]
        for axis in leaveOneOut.compactMap(LeaveOneOut.Axis.init) {
            var held = LeaveOneOut(catalog: catalog)
            held.report = say
            heldBack[axis] = held.run(experiments, axis: axis)
        }
        let replays = try groundTruth.map { try GroundTruth(catalog: catalog).replay(folder: $0) } ?? []
        if let document { try writeDocument(document, outcomes, refusals, heldBack, replays) }
        try common.write(
            text: text(outcomes, refusals, heldBack, replays),
            json: ReportJSON.text(JSONReport(outcomes: outcomes, refusals: refusals, replays: replays)))
        if replays.contains(where: { !$0.keepsPromise }) { throw ExitCode(1) }
    }

    // MARK: Output

    private func text(
        _ outcomes: [Validator.Outcome], _ refusals: [Refusal],
        _ heldBack: [LeaveOneOut.Axis: [Validator.Outcome]], _ replays: [GroundTruth.Report]
    ) -> String {
        var text = ""
        func print(_ line: String) { text += line + "\n" }
        if !outcomes.isEmpty {
            print(ErrorTable(outcomes, by: [.platform, .model, .source]).text)
            print("\nBy platform and source\n\(ErrorTable(outcomes, by: [.platform, .source]).text)")
            for (axis, held) in LeaveOneOut.Axis.allCases.compactMap({ axis in heldBack[axis].map { (axis, $0) } }) {
                print("\nEach \(axis.rawValue) held back\n\(ErrorTable(held, by: [.platform, .source]).text)")
            }
            print("\nTargets (median absolute error)")
            for target in ValidationTarget.all {
                guard let fitted = target.summary(outcomes) else { continue }
                let held = LeaveOneOut.Axis.allCases.compactMap { axis in
                    target.summary(heldBack[axis] ?? []).map {
                        ", without its \(axis.rawValue) \(percent($0.medianAbsolute))"
                    }
                }.joined()
                print(
                    "  \(target.name): \(percent(fitted.medianAbsolute)) of \(fitted.rows) rows\(held); target \(percent(target.medianAbsolute))"
                )
            }
            if worst > 0 { print("\nWorst rows") }
            for outcome in outcomes.sorted(by: { abs(log(1 + $0.error)) > abs(log(1 + $1.error)) }).prefix(worst) {
                let row = outcome.experiment.row
                print(
                    "  \(percent(outcome.error)) \(outcome.experiment.quantity.rawValue) \(outcome.experiment.platform) \(row.model) "
                        + "\(row.software) \(row.parallelism) batch \(row.batch), line \(row.line)")
            }
        }
        if !refusals.isEmpty { print("\nRefused: \(refusals.count) rows") }
        var reasons: [String: Int] = [:]
        for refusal in refusals { reasons[refusal.reason, default: 0] += 1 }
        for (reason, count) in reasons.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            print("  \(count)  \(reason)")
        }
        for replay in replays {
            print("\nReplay of \(replay.name): \(replay.requests) requests, \(replay.kvBlocks) KV blocks")
            for comparison in replay.comparisons {
                let numbers = String(
                    format: "%10.3f ms  %10.3f ms", comparison.measured * 1e3, comparison.predicted * 1e3)
                print(
                    "  \(comparison.name.padding(toLength: 10, withPad: " ", startingAt: 0)) \(numbers)  \(percent(comparison.error))"
                )
            }
            print("  mean within 2 %, 99th percentile within 5 %: \(replay.keepsPromise ? "yes" : "no")")
        }
        return text
    }

    private func percent(_ value: Double) -> String { String(format: "%+.1f %%", value * 100) }

    private func writeDocument(
        _ path: String, _ outcomes: [Validator.Outcome], _ refusals: [Refusal],
        _ heldBack: [LeaveOneOut.Axis: [Validator.Outcome]], _ replays: [GroundTruth.Report]
    ) throws {
        let url = URL(fileURLWithPath: path)
        let name = url.deletingPathExtension().lastPathComponent.lowercased()
        let folder = url.deletingLastPathComponent().appendingPathComponent(name)
        let text = ValidationDocument(outcomes: outcomes, refusals: refusals, heldBack: heldBack, replays: replays)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for plot in text.plots {
            try Output.write(plot.svg, to: folder.appendingPathComponent(plot.name).path)
        }
        try Output.write(text.markdown(plotFolder: name), to: path)
    }

    private struct JSONReport: Encodable {
        struct Row: Encodable {
            var line: Int
            var source: String
            var model: String
            var platform: String
            var metric: String
            var measured: Double
            var predicted: Double
            var error: Double
            var remarks: [String]
        }
        struct RefusedRow: Encodable {
            var line: Int
            var source: String
            var model: String
            var metric: String
            var reason: String
        }
        struct Replay: Encodable {
            var name: String
            var comparisons: [GroundTruth.Comparison]
        }
        var summary: [ErrorTable.Line]
        var rows: [Row]
        var refused: [RefusedRow]
        var replays: [Replay]

        init(outcomes: [Validator.Outcome], refusals: [Refusal], replays: [GroundTruth.Report]) {
            summary = ErrorTable(outcomes, by: [.platform, .model, .source]).lines
            rows = outcomes.map {
                Row(
                    line: $0.experiment.row.line, source: $0.experiment.row.source, model: $0.experiment.row.model,
                    platform: $0.experiment.platform, metric: $0.experiment.quantity.rawValue,
                    measured: $0.experiment.measured, predicted: $0.predicted, error: $0.error,
                    remarks: $0.experiment.remarks)
            }
            refused = refusals.map {
                RefusedRow(
                    line: $0.row.line, source: $0.row.source, model: $0.row.model, metric: $0.row.metric,
                    reason: $0.reason)
            }
            self.replays = replays.map { Replay(name: $0.name, comparisons: $0.comparisons) }
        }
    }
}
