//===----------------------------------------------------------------------===//
// Where the figures of trainyard load go.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import LoadGenerator
import Report

/// Files and standard output.
struct LoadOutputOptions: ParsableArguments {
    @Option(help: "Write the report as JSON to this file; - for standard output instead of the table.")
    var json: String?

    @Option(help: "Write one row per request as CSV to this file.")
    var csv: String?

    @Option(help: "Write the report as one HTML page with plots to this file.")
    var html: String?

    @Option(help: "Write the result in the form of vLLM's benchmark to this file.")
    var vllmJson: String?

    @Option(help: "Exit with status 1 when a smaller share of the requests than this kept the promises of --slo.")
    var goodput: Double?

    @Flag(help: "No progress on standard error.")
    var quiet = false

    func write(_ outcome: LoadSession.Outcome, burstiness: Double?) throws {
        let report = outcome.report
        if let csv { try Output.write(RecordTable.csv(outcome.result.measurements.records), to: csv) }
        if let html { try Output.write(LoadPage.html(report), to: html) }
        if let vllmJson {
            let date = Date.now.formatted(
                .verbatim(
                    "\(year: .padded(4))\(month: .twoDigits)\(day: .twoDigits)-\(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased))\(minute: .twoDigits)\(second: .twoDigits)",
                    timeZone: .gmt, calendar: Calendar(identifier: .gregorian)))
            let result = VLLMResult(outcome.result, report, date: date, burstiness: burstiness)
            try Output.write(ReportJSON.text(result), to: vllmJson)
        }
        if let json { try Output.write(ReportJSON.text(report), to: json) }
        if json != "-" { try Output.write(LoadText.table(report)) }
    }

    /// Refuses what a rate search does not write: each of its trials would replace the file of the one before.
    func checkSearch() throws {
        let given = [("--csv", csv), ("--html", html), ("--vllm-json", vllmJson)].first { $0.1 != nil }?.0
        if let name = given ?? (goodput == nil ? nil : "--goodput") {
            throw LoadError("\(name) goes with one run, not with --search")
        }
    }

    func check(promise: RequestPromise) throws {
        guard let goodput else { return }
        guard (0...1).contains(goodput) else { throw LoadError("--goodput takes 0 to 1, not \(goodput)") }
        if promise.isEmpty { throw LoadError("--goodput needs promises: --slo ttft=200ms,tpot=50ms") }
    }

    /// The trials of a rate search and what they found.
    func write(search trials: [RateSearch.Trial], rate: Double) throws {
        struct Search: Encodable {
            var tool = "trainyard load --search"
            var requestsPerSecond: Double
            var trials: [RateSearch.Trial]
        }
        if let json {
            try Output.write(ReportJSON.text(Search(requestsPerSecond: rate, trials: trials)), to: json)
        }
        guard json != "-" else { return }
        var text = ""
        for trial in trials {
            text +=
                "\(LoadText.number(trial.rate)) requests/s: \(trial.passed ? "kept" : "not kept")\(trial.clientWasTheLimit ? " (THE CLIENT WAS THE LIMIT)" : ""), "
            text += "\(LoadText.number(trial.requestsPerSecond)) completed/s, "
            text +=
                "TTFT p99 \(LoadText.number(trial.p99TTFTSeconds * 1e3)) ms, TPOT p99 \(LoadText.number(trial.p99TPOTSeconds * 1e3)) ms\n"
        }
        text += rate > 0 ? "highest rate: \(LoadText.number(rate)) requests/s\n" : "no rate was kept\n"
        try Output.write(text)
    }
}
