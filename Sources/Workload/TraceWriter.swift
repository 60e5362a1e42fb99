//===----------------------------------------------------------------------===//
// Requests written out as a trace that others can read.
//===----------------------------------------------------------------------===//

/// Writes requests, one after the other, as the text of a trace.
///
/// Times are kept to the format's own unit (Azure 100 ns, BurstGPT and Vidur 1 ns, TraceV2 1 us, Mooncake 1 ms, rounded
/// down). What a format has no place for is left out and named in `losses`. Requests that were not recorded bear their
/// grade (see `TraceGrade`).
public struct TraceWriter {
    public let format: TraceFormat
    /// Ends with a newline; empty for formats without a header.
    public let header: String
    /// nil for requests that were recorded.
    private let grade: WorkloadGrade?
    private var blocks = BlockNumbers()
    private var lost = (prefixes: 0, sessions: 0, limits: 0)

    /// - Parameter grade: of the requests.
    /// - Throws: `WorkloadError` for a format that cannot be written.
    public init(_ format: TraceFormat, grade: WorkloadGrade = .measured) throws(WorkloadError) {
        self.format = format
        self.grade = grade == .measured ? nil : grade
        let columns = try TraceWriter.columns(format)
        header = columns.isEmpty ? "" : columns + (self.grade == nil ? "" : ",\(TraceGrade.column)") + "\n"
    }

    /// The header row without its end; empty for formats that have none.
    private static func columns(_ format: TraceFormat) throws(WorkloadError) -> String {
        switch format {
        case .azure: return "TIMESTAMP,ContextTokens,GeneratedTokens"
        case .burstgpt: return "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
        case .vidur: return "arrived_at,num_prefill_tokens,num_decode_tokens"
        case .mooncake: return ""
        case .tracev2:
            return
                "request_id,arrival_time_us,input_tokens,output_tokens,prefix_group,prefix_length,session_id,vllm_priority"
        case .lengths: return "prompt_tokens,output_tokens"
        case .claudeCode, .servegen:
            let names = TraceFormat.writable.map(\.rawValue).joined(separator: ", ")
            throw WorkloadError("\(format.rawValue): cannot be written, where one of \(names) was expected")
        }
    }

    /// The line of `request`, ended by a newline.
    ///
    /// - Throws: `WorkloadError` when its prefix blocks do not fit into the format's.
    public mutating func line(_ request: Request) throws(WorkloadError) -> String {
        note(request)
        if format == .mooncake { return try mooncake(request) }
        return row(request) + (grade.map { ",\($0.rawValue)" } ?? "") + "\n"
    }

    private mutating func mooncake(_ request: Request) throws(WorkloadError) -> String {
        let ids = try blocks.numbers(of: request).map(String.init).joined(separator: ", ")
        return "{\"timestamp\": \(request.arrivalNanoseconds / 1_000_000), \"input_length\": \(request.promptTokens), "
            + "\"output_length\": \(request.outputTokens), \"hash_ids\": [\(ids)]"
            + (grade.map { ", \"\(TraceGrade.column)\": \"\($0.rawValue)\"" } ?? "") + "}\n"
    }

    /// The fields of a row of a table, without its end.
    private func row(_ request: Request) -> String {
        let (time, prompt, output) = (request.arrivalNanoseconds, request.promptTokens, request.outputTokens)
        switch format {
        case .azure: return "\(TraceWriter.timestamp(time)),\(prompt),\(output)"
        case .burstgpt:
            return "\(TraceWriter.seconds(time)),,\(prompt),\(output),\(Int(prompt) + Int(output)),API log"
        case .vidur: return "\(TraceWriter.seconds(time)),\(prompt),\(output)"
        case .tracev2: return TraceWriter.tracev2(request)
        case .lengths: return "\(prompt),\(output)"
        case .mooncake: preconditionFailure("no table")
        case .claudeCode, .servegen: preconditionFailure("refused by the initializer")
        }
    }

    private mutating func note(_ request: Request) {
        let prefix = request.prefix
        if format != .mooncake {
            if prefix.blockHashCount > 0 || (format != .tracev2 && prefix.sharedHeadTokens > 0) { lost.prefixes += 1 }
            if format != .tracev2, prefix.session != 0 { lost.sessions += 1 }
        }
        if request.maxOutputTokens != request.outputTokens { lost.limits += 1 }
    }

    /// What the format had no place for, one sentence each.
    public var losses: [String] {
        var sentences: [String] = []
        if lost.prefixes > 0 { sentences.append("\(lost.prefixes) requests lose the prefix that they share") }
        if lost.sessions > 0 { sentences.append("\(lost.sessions) requests lose their session") }
        if lost.limits > 0 { sentences.append("\(lost.limits) requests lose a max_tokens above their output") }
        return sentences
    }

    private static func tracev2(_ request: Request) -> String {
        let prefix = request.prefix
        // input_tokens counts what follows the group's prefix.
        let shared = prefix.sharedHead == 0 ? 0 : min(prefix.sharedHeadTokens, request.promptTokens)
        let fields: [String] = [
            "\(request.id)", "\(request.arrivalNanoseconds / 1_000)", "\(request.promptTokens - shared)",
            "\(request.outputTokens)", shared > 0 ? "\(prefix.sharedHead)" : "", shared > 0 ? "\(shared)" : "",
            prefix.session == 0 ? "" : "\(prefix.session)", request.priority == 0 ? "" : "\(request.priority)",
        ]
        return fields.joined(separator: ",")
    }

    /// Seconds with nine decimals.
    private static func seconds(_ nanoseconds: Int64) -> String {
        "\(nanoseconds / 1_000_000_000).\(padded(nanoseconds % 1_000_000_000, 9))"
    }

    /// The time as Azure writes it; the run begins at the start of 2024-01-01, as a trace has to begin somewhere.
    private static func timestamp(_ nanoseconds: Int64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        var day = seconds / 86_400
        var year: Int64 = 2024
        var month = 0
        func length(_ month: Int) -> Int64 {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month]
        }
        while day >= length(month) {
            day -= length(month)
            month += 1
            if month == 12 { (month, year) = (0, year + 1) }
        }
        let clock = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60].map { padded($0, 2) }
        return "\(year)-\(padded(Int64(month + 1), 2))-\(padded(day + 1, 2)) \(clock.joined(separator: ":"))"
            + ".\(padded(nanoseconds % 1_000_000_000 / 100, 7))"
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// Numbers for the prefix blocks of prompts, equal exactly where the prompts are equal up to the end of the block.
private struct BlockNumbers {
    /// What a block is known by: a hash of its source, or its place in a shared head or in a session.
    private enum Key: Hashable {
        case hash(UInt64)
        case head(UInt32, block: Int32)
        case session(head: UInt32, headTokens: Int32, UInt64, block: Int32)
    }

    private var known: [Key: Int] = [:]
    private var next = 0

    /// One number for every 512 tokens of the prompt, the last for what is left of it.
    mutating func numbers(of request: Request) throws(WorkloadError) -> [Int] {
        let size = MooncakeParser.tokensPerHash
        let count = (request.promptTokens + size - 1) / size
        let full = request.promptTokens / size
        let prefix = request.prefix
        if prefix.blockHashCount > 0, size % max(1, prefix.tokensPerHash) != 0 {
            throw WorkloadError(
                "mooncake: its blocks of 512 tokens are no whole number of the \(prefix.tokensPerHash) that a hash stands for"
            )
        }
        var numbers: [Int] = []
        for block in 0..<count {
            // A block that is not full ends where this prompt does, so nothing else is known to end there too.
            let key = block < full ? key(prefix, block, endsAt: (block + 1) * size) : nil
            let number = key.flatMap { known[$0] } ?? next
            if number == next {
                next += 1
                if let key { known[key] = number }
            }
            numbers.append(number)
        }
        return numbers
    }

    /// nil for a block that no other prompt shares.
    private func key(_ prefix: PrefixIdentity, _ block: Int32, endsAt end: Int32) -> Key? {
        if let hashes = prefix.blockHashes, prefix.tokensPerHash > 0 {
            // Hashes are chained: the one at the block's end stands for all before it.
            let last = end / prefix.tokensPerHash - 1
            return last < prefix.blockHashCount ? .hash(hashes[Int(last)]) : nil
        }
        if prefix.sharedHead != 0, end <= prefix.sharedHeadTokens { return .head(prefix.sharedHead, block: block) }
        guard prefix.session != 0 else { return nil }
        return .session(
            head: prefix.sharedHead, headTokens: prefix.sharedHeadTokens, prefix.session, block: block)
    }
}
