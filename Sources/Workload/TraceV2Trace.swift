//===----------------------------------------------------------------------===//
// BLIS TraceV2: one CSV row a request, with sessions and prefix groups.
//===----------------------------------------------------------------------===//

/// Requests of a TraceV2 data file, sorted by arrival.
///
/// Columns are found by name, because their number grew over time: `arrival_time_us`, `input_tokens`, `output_tokens`
/// are needed; `prefix_group`, `prefix_length`, `session_id`, `round_index` and `vllm_priority` are used where they
/// are. With a `prefix_length` column, `input_tokens` counts what follows the group's common prefix, so the prompt is
/// their sum; without it, `input_tokens` is the whole prompt. Rows come in any order (a recorder writes them as
/// requests end), so the file is held in memory.
///
/// Assumed: a round whose prompt is longer than its session's earlier prompt and output together repeats those at its
/// start (that is how BLIS accumulates contexts); otherwise it repeats nothing beyond its prefix group.
enum TraceV2Trace {
    private static let columns = [
        ["arrival_time_us"], ["input_tokens"], ["output_tokens"], ["prefix_group"], ["prefix_length"], ["session_id"],
        ["vllm_priority"],
    ]

    static func open(_ lines: LineReader, policy: ReadingPolicy) throws(WorkloadError) -> any RequestSource {
        let rows = try CSVReader(lines, format: "tracev2", columns: columns, optional: 4)
        var reading = ReadingCounts()
        var requests: [Request] = []
        var names = Names()
        while true {
            do throws(RowFault) {
                guard let fields = try rows.nextRow() else { break }
                requests.append(try parse(fields, rows, &names, index: requests.count))
            } catch {
                try reading.skipOrThrow(error, policy)
            }
        }
        requests.sort { ($0.arrivalNanoseconds, $0.id) < ($1.arrivalNanoseconds, $1.id) }
        var contexts: [UInt64: Int32] = [:]
        let origin = requests.first?.arrivalNanoseconds ?? 0
        for index in requests.indices {
            if requests[index].promptTokens == 0 || requests[index].outputTokens == 0 {
                reading.raisedToOneToken += 1
                requests[index].promptTokens = max(1, requests[index].promptTokens)
                requests[index].outputTokens = max(1, requests[index].outputTokens)
                requests[index].maxOutputTokens = requests[index].outputTokens
            }
            requests[index].arrivalNanoseconds -= origin
            requests[index].id = UInt64(index)
            let session = requests[index].prefix.session
            guard session != 0 else { continue }
            let before = contexts[session] ?? 0
            if before < requests[index].promptTokens { requests[index].prefix.sessionTokens = before }
            contexts[session] = requests[index].promptTokens + requests[index].outputTokens
        }
        reading.accepted = requests.count
        return ListSource(requests, reading: reading)
    }

    /// Numbers for names in the order in which they first appear, from 1.
    private struct Names {
        var sessions: [String: UInt64] = [:]
        var groups: [String: UInt32] = [:]
    }

    private static func parse(
        _ fields: UnsafeMutableBufferPointer<Field>, _ rows: CSVReader, _ names: inout Names, index: Int
    ) throws(RowFault) -> Request {
        guard let micros = FieldParsing.signedInteger(fields[0]), abs(micros) < .max / 4_000 else {
            throw .malformed(rows.error("arrival_time_us", "a time in whole microseconds", found: fields[0]))
        }
        let suffix = try rows.tokens(fields[1], column: "input_tokens")
        let output = try rows.tokens(fields[2], column: "output_tokens")
        let shared = fields[4].isEmpty ? 0 : try rows.tokens(fields[4], column: "prefix_length")
        var request = Request(
            id: UInt64(index), arrivalNanoseconds: micros * 1_000, promptTokens: suffix + shared, outputTokens: output
        )
        if !fields[3].isEmpty {
            let name = String(decoding: fields[3], as: UTF8.self)
            let number = names.groups[name] ?? UInt32(names.groups.count + 1)
            names.groups[name] = number
            request.prefix.sharedHead = number
            request.prefix.sharedHeadTokens = shared
        }
        if !fields[5].isEmpty {
            let name = String(decoding: fields[5], as: UTF8.self)
            let number = names.sessions[name] ?? UInt64(names.sessions.count + 1)
            names.sessions[name] = number
            request.prefix.session = number
        }
        if !fields[6].isEmpty {
            guard let priority = FieldParsing.signedInteger(fields[6]), let small = Int32(exactly: priority) else {
                throw .malformed(rows.error("vllm_priority", "a whole number", found: fields[6]))
            }
            request.priority = small
        }
        return request
    }
}

/// Requests that are all in memory, in order of arrival.
final class ListSource: RequestSource {
    private let requests: [Request]
    private var position = 0
    let reading: ReadingCounts

    init(_ requests: [Request], reading: ReadingCounts) {
        self.requests = requests
        self.reading = reading
    }

    func next() throws(WorkloadError) -> Request? {
        guard position < requests.count else { return nil }
        defer { position += 1 }
        return requests[position]
    }
}
