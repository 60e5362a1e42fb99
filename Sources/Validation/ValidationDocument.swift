//===----------------------------------------------------------------------===//
// docs/VALIDATION.md and its plots.
//===----------------------------------------------------------------------===//

import Foundation

/// Writes the validation document from outcomes: targets, tables, refusals, worst rows, and plots beside it.
public struct ValidationDocument {
    let outcomes: [Validator.Outcome]
    let refusals: [Refusal]
    let heldBack: [LeaveOneOut.Axis: [Validator.Outcome]]
    let replays: [GroundTruth.Report]

    /// - Parameter heldBack: outcomes with one model, platform or source held back at a time, by what was held back;
    ///   targets are judged on models.
    public init(
        outcomes: [Validator.Outcome], refusals: [Refusal], heldBack: [LeaveOneOut.Axis: [Validator.Outcome]],
        replays: [GroundTruth.Report]
    ) {
        self.outcomes = outcomes
        self.refusals = refusals
        self.heldBack = heldBack
        self.replays = replays
    }

    /// Plots by file name.
    public var plots: [(name: String, svg: String)] {
        let groups: [(String, String, String, Set<Experiment.Quantity>)] = [
            ("tpot.svg", "Time per output token", "s", [.tpot, .interTokenLatency]),
            ("ttft.svg", "Time to first token and prefill", "s", [.ttft, .prefill]),
            ("throughput.svg", "Output throughput", "tok/s", [.outputThroughput]),
            ("energy.svg", "Chip energy per output token", "J", [.energyPerToken]),
            ("power.svg", "Chip and wall power", "W", [.chipPower, .wallPower, .idleWallPower]),
        ]
        return groups.compactMap { name, title, unit, quantities in
            let own = outcomes.filter { quantities.contains($0.experiment.quantity) }
            guard !own.isEmpty else { return nil }
            let platforms = Set(own.map(\.experiment.platform)).sorted()
            let series = platforms.map { platform in
                ScatterPlot.Series(
                    name: platform,
                    points: own.filter { $0.experiment.platform == platform }.map {
                        ($0.experiment.measured, $0.predicted)
                    })
            }
            return (name, ScatterPlot(title: title, unit: unit, series: series).svg)
        }
    }

    /// One line of the targets table; the test that keeps the document true writes the same lines.
    public static func targetLine(_ target: ValidationTarget, fitted: ErrorSummary?, heldBack: ErrorSummary?) -> String
    {
        func cell(_ summary: ErrorSummary?) -> String {
            summary.map { "\(ErrorTable.percent($0.medianAbsolute)) of \($0.rows) rows" } ?? "not run"
        }
        let judged = heldBack ?? fitted
        let verdict = judged.map { $0.medianAbsolute <= target.medianAbsolute ? "kept" : "missed" } ?? "no rows"
        return
            "| \(target.name) | ≤ \(ErrorTable.percent(target.medianAbsolute)) | \(cell(fitted)) | \(cell(heldBack)) | \(verdict) |"
    }

    public func markdown(plotFolder: String) -> String {
        var text = Self.introduction
        text +=
            "\n## Targets\n\nMedian absolute error. \"Held back\" fits without the row's model; the verdict is on it where it was run.\n\n"
        text += "| what | target | fitted | held back | verdict |\n|---|---|---|---|---|\n"
        for target in ValidationTarget.all {
            let held = target.summary(heldBack[.model] ?? [])
            text += Self.targetLine(target, fitted: target.summary(outcomes), heldBack: held) + "\n"
        }
        text += heldBackTargets
        text += "\n## A real vLLM server, request by request\n\n"
        for replay in replays {
            text += "\(replay.name): \(replay.requests) requests, \(replay.kvBlocks) KV blocks.\n\n"
            text += "| latency | measured s | replayed s | error |\n|---|---|---|---|\n"
            for comparison in replay.comparisons {
                text +=
                    "| \(comparison.name) | \(Self.short(comparison.measured)) | \(Self.short(comparison.predicted)) | "
                text += "\(ErrorTable.percent(comparison.error, signed: true)) |\n"
            }
            text += "\n"
        }
        text += Self.replayNotes
        text += "## Predicted against measured\n\n"
        for plot in plots { text += "![\(plot.name)](\(plotFolder)/\(plot.name))\n\n" }
        text +=
            "## Errors by metric, platform and source\n\n```\n\(ErrorTable(outcomes, by: [.platform, .source]).text)\n```\n\n"
        for axis in LeaveOneOut.Axis.allCases {
            guard let held = heldBack[axis], !held.isEmpty else { continue }
            text += "## Errors with each \(axis.rawValue) held back\n\n```\n"
            text += "\(ErrorTable(held, by: [.platform, .source]).text)\n```\n\n"
        }
        text +=
            "## Errors by metric, platform, source and model\n\n```\n\(ErrorTable(outcomes, by: [.platform, .source, .model]).text)\n```\n\n"
        text +=
            "## Worst rows\n\n| error | metric | platform | model | source | batch | load |\n|---|---|---|---|---|---|---|\n"
        for outcome in outcomes.sorted(by: { abs(log(1 + $0.error)) > abs(log(1 + $1.error)) }).prefix(25) {
            let row = outcome.experiment.row
            text += "| \(ErrorTable.percent(outcome.error, signed: true)) | \(outcome.experiment.quantity.rawValue) | "
            text +=
                "\(outcome.experiment.platform) | \(row.model) | \(outcome.experiment.group) | \(row.batch) | \(outcome.experiment.load) |\n"
        }
        text += "\n## Refused rows\n\n| rows | reason |\n|---|---|\n"
        var reasons: [String: Int] = [:]
        for refusal in refusals { reasons[refusal.reason, default: 0] += 1 }
        for (reason, count) in reasons.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            text += "| \(count) | \(reason) |\n"
        }
        return text
    }

    private static let replayNotes = """
        The step table is the operator profile, and the limits are the run's. One value is fitted, on the mean TPOT of both machines:
        0.1 ms of host time a step, which no operator's profile holds; without it TPOT is 0.5 % short on both, and the mean TTFT of
        the RTX PRO 6000, which sums up 7 s of queueing, 2.7 %. A preempted sequence finds its
        own blocks again while they last, as vLLM's prefix cache lets it; without that the RTX 4090 run, which preempts much, is
        5 % slow. Attention over unequal contexts costs more than over equal ones of the same mean. The RTX PRO 6000 profile
        measured that and keeps a fitted share of the way from the mean context to the longest, on batches in which a share of
        the sequences is four times longer; it is applied at as many standard deviations above the mean as those batches' longest
        sequences lie (2.06), with the deviation of the replayed requests' contexts. The RTX 4090 profile did not measure it.


        """

    /// The targets once more, with other things than models held back.
    private var heldBackTargets: String {
        let axes = LeaveOneOut.Axis.allCases.filter { heldBack[$0] != nil }
        guard axes.count > 1 else { return "" }
        var text = "\nThe same with each model, platform or source held back in turn:\n\n| what | fitted |"
        text += axes.map { " without its \($0.rawValue) |" }.joined()
        text += "\n|---|---|" + axes.map { _ in "---|" }.joined() + "\n"
        for target in ValidationTarget.all {
            func cell(_ found: [Validator.Outcome]) -> String {
                target.summary(found).map { " \(ErrorTable.percent($0.medianAbsolute)) |" } ?? " no rows |"
            }
            text += "| \(target.name) |" + cell(outcomes) + axes.map { cell(heldBack[$0] ?? []) }.joined() + "\n"
        }
        return text
    }

    static func short(_ value: Double) -> String { String(format: "%.4g", value) }

    private static let introduction = """
        # Validation

        This document is written by `scripts/calibrate` and must not be edited by hand. It sets the step model against published
        measurements, row by row; the rows themselves stay with their sources.

        Single streams and static batches are predicted from steps in closed form. Rows with clients or an offered load are
        simulated request by request with the same engine that serves fleets (Text Generation Inference, which fleets do not offer, with
        its own router's rules). Every calibrated value, with its fit error, the
        number of rows behind it and its grade, stands in `Sources/CCatalogData/data/calibration.csv`.

        ## How rows are read

        - InferenceX draws prompt and output lengths from 80–100 % of nominal; they are simulated so (mean 0.9 × nominal). Its
          recipes send ten requests for each client, keep an 8-bit cache beside 8- and 4-bit weights, and let the scheduler run
          ahead of the device; MXFP4 experts are multiplied with MXFP8 activations on Blackwell and widened on Hopper.
        - `batch_size` of Neuron rows is the compiled batch: every decode step runs all slots. Live clients are `conc=` in the notes.
        - SDK tables before 2.18 count prompt and output tokens in their throughput; they are compared as total throughput.
        - llmperf's "inter-token latency" counts TTFT and queueing; it is compared as end-to-end time per output token, the mean over
          requests. Its collector waits for every open request before it sends again, so requests come in eight waves, and it makes
          its prompts one after another (0.15 s each), so a wave is staggered. It counts tokens with Llama 2's tokenizer, which needs
          1.24 tokens where one of 128,000 entries needs one (3.17 and 3.94 characters per token of English in Llama 3's report).
          Series in which a loaded server takes less time per token than an idle one were counted otherwise and are refused, and so
          are their times to first token where requests queue for each other's lengths. It asks for a number of tokens in words, of
          which Llama 3 writes 210 of 245: a server of one slot for its 70B model took 8.2 s for each request and counted 260.
        - guidellm 0.1: `synchronous` is one client, `asynchronous@R` evenly spaced arrivals, `throughput` a closed loop of 127 clients
          behind a balancer and of the compiled slots before a single server. A run lasts 120 s; requests open at its end are
          dropped, and rates are of the finished ones. Beyond 50 prompts in stock it makes them as slowly as llmperf. Its gaps are
          weighted by tokens, and its `variance=150` is a variance. Requests of more than 60 s time out where the row says so.
        - Replicas behind nginx are taken in turn. One request at a time meets each replica's first, slow call: such TTFT of vLLM
          servers is predicted and not fitted.
        - Text Generation Inference prefills waiting requests beside running ones when they are 0.3 of them (1.2 until version 1.4) or
          20 tokens after the last prefill, all at once, and their first tokens come together. Its host work for each live sequence
          (1.5 ms until SDK 2.19, 0.5 ms in 2025) and a stall of running sequences after each prefill on servers of late 2024 (0.7 s)
          were chosen on these rows and are marked `assumed`.
        - What Hugging Face servers do under load is not fitted: steps are fitted on one request at a time, the rest follows.
        - Graphs of mixtures compiled for more visits than experts (slots × active > experts) run every token through every expert;
          the few of them that were measured are predicted and not fitted. Below that, each visit loads its expert by itself.
        - Experts dealt to ranks cost what the fullest rank carries: tokens choose experts as if drawn, and ranks wait for each other.
          Real conversations share experts more than random tokens do, so ML.ENERGY and InferenceX have each a spread of their own.
        - Servers that stop at an end-of-text token produce fewer tokens than asked for: where a run prints token and request rates,
          their ratio is the output length.
        - Static batches faster than peak arithmetic, or over in half of their steps, are refused as mislabelled.
        - ML.ENERGY publishes no prompt lengths: 150 tokens (chat), 250 (GPQA), 500 (fill in the middle) are assumed. Its median gap is a
          decode step while fewer than half of the steps carry prompts; at n prompts a step it has n − ln 2 of them, for most
          prompts are far shorter than their mean.
        - Its `TP1 EPn` on n GPUs is expert parallelism with tensor-parallel attention over the same n.
        - Contributed READMEs on Trainium2 run contiguous KV with context buckets of powers of two, unless a table over compiled
          lengths shows that they do not ("unbucketed").
        - A throughput that is the batch over the row's own TPOT (to 2 %), although its TTFT is over 5 % of the rest, is that of
          decoding alone, and so is one without an output length.
        - Contributed profiles of March 2026 are untuned ports; they are fitted apart and say little about a tuned model.
        - MLPerf wall power of language models takes the chips as saturated at their cap (500 W in the MaxQ runs).
        - InferenceX rows at 512 clients and more are predicted but not fitted: some are faster than 64 clients on the same
          server, which means that clients were refused.
        - Rows marked suspect, power-capped GPUs without a published cap, encoder–decoder models and runs with speculation of
          unpublished acceptance are refused, and counted below.
        - Unknown models, GPUs, formats, units and frameworks refuse their row with the reason, and no other row.

        The form of the operators, what their values share, and the priors were chosen with these tables at hand. Held-back errors say
        how well the values carry over to a model, platform or source that was not fitted; they do not make these rows unseen.

        """
}
