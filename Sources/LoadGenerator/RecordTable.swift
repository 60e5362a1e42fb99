//===----------------------------------------------------------------------===//
// One row per request, as CSV.
//===----------------------------------------------------------------------===//

/// The requests of a run as CSV; times in seconds since the run began, empty where something did not happen.
public enum RecordTable {
    public static let header =
        "id,session,class,tenant,intended_s,sent_s,first_token_s,last_token_s,ended_s,ttft_s,tpot_s,e2e_s,largest_gap_s,"
        + "asked_prompt_tokens,asked_output_tokens,prompt_tokens,cached_tokens,output_tokens,chunks,attempts,http_status,status"

    /// All rows in order of their ids, each ended by a newline, header first.
    public static func csv(_ records: [RequestRecord]) -> String {
        var text = header + "\n"
        text.reserveCapacity(records.count * 160)
        for record in records.sorted(by: { $0.id < $1.id }) { row(record, into: &text) }
        return text
    }

    private static func row(_ record: RequestRecord, into text: inout String) {
        let streamed = record.firstToken >= 0
        let fields: [String] = [
            "\(record.id)", "\(record.session)", "\(record.priorityClass)", "\(record.tenant)",
            seconds(record.intended),
            seconds(record.dispatched), seconds(record.firstToken), seconds(record.lastToken), seconds(record.ended),
            streamed ? seconds(record.ttft) : "", record.status == .completed ? record.tpot.map(seconds) ?? "" : "",
            record.status == .completed ? seconds(record.e2e) : "", streamed ? seconds(record.largestGap) : "",
            "\(record.askedPromptTokens)", "\(record.askedOutputTokens)", "\(record.promptTokens)",
            "\(record.cachedTokens)",
            "\(record.outputTokens)", "\(record.chunks)", "\(record.attempts)", "\(record.httpStatus)",
            record.status.name,
        ]
        text += fields.joined(separator: ",")
        text += "\n"
    }

    /// Nanoseconds as seconds with nine decimals; empty when negative.
    private static func seconds(_ nanoseconds: Int64) -> String {
        guard nanoseconds >= 0 else { return "" }
        let fraction = String(nanoseconds % 1_000_000_000)
        return "\(nanoseconds / 1_000_000_000)." + String(repeating: "0", count: 9 - fraction.count) + fraction
    }
}
