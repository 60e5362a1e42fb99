//===----------------------------------------------------------------------===//
// trainyard workload: what a workload amounts to, and the same as a trace for others.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import LoadGenerator
import Report
import Workload

struct WorkloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workload",
        abstract: "Describe a workload, or write it out as a trace that other tools read.",
        discussion: """
            Without --out it prints how many requests there are, how fast they come and how long they are. With --out the requests are \
            written in --format; what that has no place for is said on standard error.
            """
    )

    /// Requests that are described or written; a workload without an end needs a duration or a limit.
    private static let largestCount = 20_000_000

    @Argument(help: "FORMAT:PATH or a built-in name, with options after a question mark (chat?rate=5&duration=600).")
    var workload: String

    @Option(help: "Write the requests to this file; - for standard output.", completion: .file())
    var out: String?

    @Option(
        help: "Format of --out: \(TraceFormat.writable.map(\.rawValue).joined(separator: ", ")).",
        completion: .list(TraceFormat.writable.map(\.rawValue)))
    var format: String?

    @OptionGroup var common: CommonOptions

    @Flag(help: "Count malformed rows of a trace instead of stopping at the first.")
    var skipBadRows = false

    func validate() throws {
        if out == "-" && common.json == "-" {
            throw ValidationError("only one of --out and --json can go to standard output")
        }
    }

    func run() throws {
        let description = try WorkloadDescription(parsing: workload, seed: common.seedNumber)
        let opened = try Workload(description, policy: ReadingPolicy(skipsBadRows: skipBadRows))
        let source = try opened.makeSource()
        var writer = try traceWriter(opened)
        var summary = WorkloadSummary()
        func forEachRequest(_ body: (Request) throws -> Void) throws {
            while let request = try source.next() {
                guard summary.count < WorkloadCommand.largestCount else {
                    throw WorkloadError(
                        place: workload,
                        "has more than \(WorkloadCommand.largestCount) requests; give it a duration or a limit")
                }
                summary.add(request)
                try body(request)
            }
        }
        if let out, writer != nil {
            try Output.write(to: out) { write in
                var text = writer?.header ?? ""
                try forEachRequest { request in
                    text += try writer?.line(request) ?? ""
                    guard text.utf8.count > 1 << 20 else { return }
                    try write(Data(text.utf8))
                    text.removeAll(keepingCapacity: true)
                }
                try write(Data(text.utf8))
            }
            for loss in writer?.losses ?? [] { Messages.write("trainyard: \(format ?? ""): \(loss)") }
        } else {
            try forEachRequest { _ in }
        }
        let figures = Description(opened, summary, notes: source.reading.notes)
        try common.write(text: out == nil ? figures.text : "", json: ReportJSON.text(figures))
    }

    private func traceWriter(_ workload: Workload) throws -> TraceWriter? {
        guard out != nil else {
            if format != nil { throw WorkloadError("--format needs --out FILE") }
            return nil
        }
        guard let format, let known = TraceFormat(rawValue: format) else {
            let names = TraceFormat.writable.map(\.rawValue).joined(separator: ", ")
            throw WorkloadError(
                "--format is \(format.map { "'\($0)'" } ?? "missing"), where one of \(names) was expected")
        }
        if workload.closedLoop != nil, known != .lengths {
            throw WorkloadError(
                place: self.workload, "is a closed loop, whose requests have no times; --format lengths can say it")
        }
        return try TraceWriter(known, grade: workload.provenance.grade)
    }
}

extension WorkloadCommand {
    /// The figures as they are printed, and as JSON.
    private struct Description: Encodable {
        var workload: String
        var source: String
        var grade: String
        var assumptions: [String]
        var requests: Int
        var spanSeconds: Double
        var requestsPerSecond: Double?
        /// Variance over mean of the counts in windows of ten arrivals; a Poisson process has 1 within the margin.
        var dispersion: Double?
        var poissonMargin: Double?
        var promptTokens: WorkloadSummary.Lengths
        var outputTokens: WorkloadSummary.Lengths
        var sessions: Int
        var requestsInSessions: Int
        var requestsWithPrefix: Int

        init(_ workload: Workload, _ summary: WorkloadSummary, notes: [String]) {
            self.workload = workload.description.description
            source = workload.provenance.source
            grade = workload.provenance.grade.rawValue
            assumptions = workload.provenance.assumptions + notes
            requests = summary.count
            spanSeconds = summary.spanSeconds
            requestsPerSecond = summary.rate
            let check = ArrivalCheck(summary.arrivals)
            dispersion = check?.dispersion
            poissonMargin = check?.poissonMargin
            promptTokens = summary.promptTokens
            outputTokens = summary.outputTokens
            sessions = summary.sessionCount
            requestsInSessions = summary.requestsInSessions
            requestsWithPrefix = summary.requestsWithPrefix
        }

        var text: String {
            var lines = ["\(workload) (\(grade): \(source))"]
            var pace = "requests    \(requests) in \(LoadText.number(spanSeconds)) s"
            if let requestsPerSecond { pace += ", \(LoadText.number(requestsPerSecond)) a second" }
            lines.append(pace)
            if let dispersion, let poissonMargin {
                lines.append(
                    "dispersion  \(LoadText.number(dispersion)) (Poisson: 1 +/- \(LoadText.number(poissonMargin)), 95 %)"
                )
            }
            for (name, lengths) in [("prompt", promptTokens), ("output", outputTokens)] {
                lines.append(
                    "\(name)      \(lengths.total) tokens; mean \(LoadText.number(lengths.mean)), p50 \(lengths.p50), "
                        + "p90 \(lengths.p90), p99 \(lengths.p99), max \(lengths.max)")
            }
            if sessions > 0 { lines.append("sessions    \(sessions), with \(requestsInSessions) requests") }
            if requestsWithPrefix > 0 { lines.append("prefixes    \(requestsWithPrefix) requests share one") }
            return (lines + assumptions.map { "note        \($0)" }).joined(separator: "\n") + "\n"
        }
    }
}
