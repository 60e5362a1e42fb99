//===----------------------------------------------------------------------===//
// A workload as people write it: `FORMAT:PATH?options` or the name of a built-in one.
//===----------------------------------------------------------------------===//

import Spelling

/// Formats of traces that can be read.
public enum TraceFormat: String, CaseIterable, Sendable {
    /// Azure LLM inference traces (CSV).
    case azure
    /// BurstGPT's traces (CSV).
    case burstgpt
    /// Mooncake's traces (JSON lines with `hash_ids`).
    case mooncake
    /// Agent sessions of kv-cache-tester (JSON lines, original or delta form).
    case claudeCode = "claude-code"
    /// ServeGen's per-client rates and lengths (a folder).
    case servegen
    /// Vidur's traces and request logs (CSV).
    case vidur
    /// BLIS TraceV2 (CSV).
    case tracev2
    /// A CSV of prompt and output lengths, without times.
    case lengths

    /// Formats that `TraceWriter` can write.
    public static let writable: [TraceFormat] = [.azure, .burstgpt, .mooncake, .vidur, .tracev2, .lengths]
}

/// What to run, parsed but not opened.
public struct WorkloadDescription: Equatable, Sendable, CustomStringConvertible {
    public enum Origin: Equatable, Sendable {
        /// A file (a folder for ServeGen), or standard input for `-`.
        case trace(TraceFormat, path: String)
        case builtIn(BuiltInWorkload)
    }

    public var origin: Origin
    public var options: WorkloadOptions
    /// The text as it was written; reports show it.
    public var description: String

    /// Parses `FORMAT:PATH?options` or `NAME?options`. An unknown format, name or option is an error with the nearest
    /// valid one.
    ///
    /// - Parameter seed: what is drawn from when the options name no seed.
    public init(parsing text: String, seed: UInt64 = 1) throws(WorkloadError) {
        description = text
        let question = text.firstIndex(of: "?")
        let head = text[..<(question ?? text.endIndex)]
        let tail = question.map { text[text.index(after: $0)...] } ?? ""
        options = try WorkloadOptions(parsing: tail, place: text, seed: seed)
        if let colon = head.firstIndex(of: ":") {
            let format = String(head[..<colon])
            let path = String(head[head.index(after: colon)...])
            guard let known = TraceFormat(rawValue: format) else {
                let hint = suggestion(for: format, among: TraceFormat.allCases.map(\.rawValue))
                throw WorkloadError(place: text, "unknown format '\(format)'\(hint)")
            }
            guard !path.isEmpty else {
                throw WorkloadError(place: text, "no path after '\(format):' (a file, or - for standard input)")
            }
            origin = .trace(known, path: path)
        } else {
            let name = String(head)
            guard let known = BuiltInWorkload(rawValue: name) else {
                let names = BuiltInWorkload.allCases.map(\.rawValue)
                let hint =
                    name.contains("/") || name.contains(".") || name == "-"
                    ? "; a file needs its format before it, such as 'azure:\(name)' (formats: \(WorkloadDescription.formats))"
                    : suggestion(for: name, among: names)
                throw WorkloadError(place: text, "unknown workload '\(name)'\(hint)")
            }
            origin = .builtIn(known)
        }
        try checkOptions()
    }

    private static var formats: String { TraceFormat.allCases.map(\.rawValue).joined(separator: ", ") }

    /// Options that make no sense for this kind of workload are refused rather than ignored.
    private func checkOptions() throws(WorkloadError) {
        let options = options
        var refused: [(Bool, String)] = []
        switch origin {
        case .trace(.lengths, _):
            if options.rate == nil && options.stages == nil && options.concurrency == nil && options.arrivals != .atOnce
            {
                throw WorkloadError(
                    place: description,
                    "lengths: has no times, so it needs rate=REQUESTS_PER_SECOND, stages=..., arrivals=at-once or concurrency=N"
                )
            }
            refused = [(options.window != nil, "'window' needs a trace with times; lengths: has none")]
        case .trace(.servegen, _):
            refused = [
                (options.repeats != nil, "'repeat' does not apply to servegen:, which is drawn; use 'duration'"),
                (
                    options.arrivals != nil,
                    "servegen: has gap laws of its own; leave out 'arrivals' (rate and scale apply)"
                ),
                (options.stages != nil, "servegen: has rates of its own; leave out 'stages' (rate and scale apply)"),
            ]
        case .trace(.claudeCode, _): break
        case .trace:
            let retimed = options.arrivals != nil && options.arrivals != .atOnce
            refused = [
                (
                    retimed && options.rate == nil && options.stages == nil,
                    "'arrivals' replaces the trace's own times, so it needs rate=REQUESTS_PER_SECOND or stages=..."
                )
            ]
        case .builtIn:
            refused = [
                (options.window != nil, "'window' applies to traces, not to built-in workloads"),
                (
                    options.repeats != nil,
                    "'repeat' applies to traces, not to built-in workloads; use 'duration' or 'limit'"
                ),
            ]
        }
        if origin.format != .lengths { refused.append((options.shuffled, "order=random applies to lengths: only")) }
        if origin.format != .mooncake {
            refused.append((options.spreadSeconds != nil, "'spread' applies to mooncake: only"))
        }
        for (isWrong, message) in refused where isWrong { throw WorkloadError(place: description, message) }
    }
}

extension WorkloadDescription.Origin {
    /// The format of a trace, nil for a built-in workload.
    public var format: TraceFormat? {
        if case .trace(let format, _) = self { format } else { nil }
    }
}
