//===----------------------------------------------------------------------===//
// trainyard workload: what a workload amounts to, and the same as a trace for others.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Foundation
import LoadGenerator
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

    @Option(help: "Write the description as JSON to this file; - for standard output.", completion: .file())
    var json: String?

    @Option(help: "Seed, where the workload names none.")
    var seed: UInt64?

    @Flag(help: "Count malformed rows of a trace instead of stopping at the first.")
    var skipBadRows = false

    func run() throws {
        let text = seed.map { workload + (workload.contains("?") ? "&" : "?") + "seed=\($0)" } ?? workload
        let opened = try Workload.open(text, policy: ReadingPolicy(skipsBadRows: skipBadRows))
        var writer = try traceWriter(opened)
        var output = writer.map { Array($0.header.utf8) } ?? []
        let file = try out.map(openOutput)
        var summary = WorkloadSummary()
        let source = try opened.makeSource()
        while let request = try source.next() {
            guard summary.count < WorkloadCommand.largestCount else {
                throw WorkloadError(
                    place: workload,
                    "has more than \(WorkloadCommand.largestCount) requests; give it a duration or a limit")
            }
            summary.add(request)
            guard writer != nil, let line = try writer?.line(request) else { continue }
            output += Array(line.utf8)
            if output.count > 1 << 20 {
                try file?.write(contentsOf: output)
                output.removeAll(keepingCapacity: true)
            }
        }
        try file?.write(contentsOf: output)
        for loss in writer?.losses ?? [] { Messages.write("\(format ?? ""): \(loss)") }
        let description = Description(opened, summary, notes: source.reading.notes)
        if let json { try write(description, to: json) }
        if out == nil, json != "-" { FileHandle.standardOutput.write(Data(description.text.utf8)) }
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
        return try TraceWriter(known)
    }

    private func openOutput(_ path: String) throws -> FileHandle {
        if path == "-" { return .standardOutput }
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
        else { throw WorkloadError("\(path) cannot be written") }
        return file
    }

    private func write(_ description: Description, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        try openOutput(path).write(contentsOf: encoder.encode(description) + Data("\n".utf8))
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
