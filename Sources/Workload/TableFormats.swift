//===----------------------------------------------------------------------===//
// Trace formats that are tables with one request a row: Azure's, BurstGPT's and Vidur's.
//===----------------------------------------------------------------------===//

/// Azure's LLM inference traces of 2023 and 2024: `TIMESTAMP,ContextTokens,GeneratedTokens`, sorted by time.
///
/// Timestamps have 7 fractional digits and no zone in 2023, 6 and `+00:00` in 2024; the first arrival becomes time 0.
final class AzureParser: RowParser {
    private let rows: CSVReader

    init(_ lines: LineReader) throws(WorkloadError) {
        rows = try CSVReader(lines, format: "azure", columns: [["TIMESTAMP"], ["ContextTokens"], ["GeneratedTokens"]])
    }

    func parseRow() throws(RowFault) -> Request? {
        guard let fields = try rows.nextRow() else { return nil }
        guard let arrival = FieldParsing.timestamp(fields[0]) else {
            throw .malformed(rows.error("TIMESTAMP", "a time like '2023-11-16 18:15:46.6805900'", found: fields[0]))
        }
        let prompt = try rows.tokens(fields[1], column: "ContextTokens")
        let output = try rows.tokens(fields[2], column: "GeneratedTokens")
        return Request(id: 0, arrivalNanoseconds: arrival, promptTokens: prompt, outputTokens: output)
    }
}

/// BurstGPT's traces: `Timestamp` in seconds since the trace began, `Request tokens`, `Response tokens`; the model and the
/// kind of log are passed over. The files with failures say 0 response tokens for those, which count as 1 and are noted.
final class BurstGPTParser: RowParser {
    private let rows: CSVReader

    init(_ lines: LineReader) throws(WorkloadError) {
        rows = try CSVReader(
            lines, format: "burstgpt", columns: [["Timestamp"], ["Request tokens"], ["Response tokens"]])
    }

    func parseRow() throws(RowFault) -> Request? {
        guard let fields = try rows.nextRow() else { return nil }
        guard let arrival = FieldParsing.decimal(fields[0], scale: 9), abs(arrival) < .max / 4 else {
            throw .malformed(rows.error("Timestamp", "a time in seconds", found: fields[0]))
        }
        let prompt = try rows.tokens(fields[1], column: "Request tokens")
        let output = try rows.tokens(fields[2], column: "Response tokens")
        return Request(id: 0, arrivalNanoseconds: arrival, promptTokens: prompt, outputTokens: output)
    }
}

/// Vidur's traces: `arrived_at` in seconds, `num_prefill_tokens`, `num_decode_tokens`; also under the shorter names
/// `prefill_tokens` and `decode_tokens` that its request logs are often reduced to.
final class VidurParser: RowParser {
    private let rows: CSVReader

    init(_ lines: LineReader) throws(WorkloadError) {
        rows = try CSVReader(
            lines, format: "vidur",
            columns: [
                ["arrived_at", "request_arrived_at"],
                ["num_prefill_tokens", "prefill_tokens", "request_num_prefill_tokens"],
                ["num_decode_tokens", "decode_tokens", "request_num_decode_tokens"],
            ]
        )
    }

    func parseRow() throws(RowFault) -> Request? {
        guard let fields = try rows.nextRow() else { return nil }
        guard let arrival = FieldParsing.decimal(fields[0], scale: 9), abs(arrival) < .max / 4 else {
            throw .malformed(rows.error("arrived_at", "a time in seconds", found: fields[0]))
        }
        let prompt = try rows.tokens(fields[1], column: "num_prefill_tokens")
        let output = try rows.tokens(fields[2], column: "num_decode_tokens")
        return Request(id: 0, arrivalNanoseconds: arrival, promptTokens: prompt, outputTokens: output)
    }
}
