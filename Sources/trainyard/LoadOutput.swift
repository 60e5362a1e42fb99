//===----------------------------------------------------------------------===//
// Where the figures of trainyard load go.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import LoadGenerator

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
        if let csv { try write(Data(RecordTable.csv(outcome.result.measurements.records).utf8), to: csv) }
        if let html { try write(Data(LoadPage.html(report).utf8), to: html) }
        if let vllmJson {
            let date = Date.now.formatted(
                .verbatim(
                    "\(year: .padded(4))\(month: .twoDigits)\(day: .twoDigits)-\(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased))\(minute: .twoDigits)\(second: .twoDigits)",
                    timeZone: .gmt, calendar: Calendar(identifier: .gregorian)))
            try write(encode(VLLMResult(outcome.result, report, date: date, burstiness: burstiness)), to: vllmJson)
        }
        if let json { try write(encode(report), to: json) }
        if json != "-" { FileHandle.standardOutput.write(Data(LoadText.table(report).utf8)) }
    }

    /// The trials of a rate search and what they found.
    func write(search trials: [RateSearch.Trial], rate: Double) throws {
        struct Search: Encodable {
            var tool = "trainyard load --search"
            var requestsPerSecond: Double
            var trials: [RateSearch.Trial]
        }
        if let json { try write(encode(Search(requestsPerSecond: rate, trials: trials)), to: json) }
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
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    private func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return try encoder.encode(value) + Data("\n".utf8)
    }

    private func write(_ data: Data, to path: String) throws {
        if path == "-" {
            FileHandle.standardOutput.write(data)
            return
        }
        do {
            try data.write(to: URL(fileURLWithPath: path))
        } catch {
            throw LoadError("\(path) cannot be written: \(error.localizedDescription)")
        }
    }
}
