//===----------------------------------------------------------------------===//
// One CSV row per request.
//===----------------------------------------------------------------------===//

public import Engine

/// The rows of `--requests FILE.csv`, in the order of request numbers.
///
/// `arrival_s`, `first_token_s` and `last_token_s` are on the clock of the run, `queued_s` is how long the request
/// waited for its first step. A time that never came is empty. Seconds carry all nine decimals, so nothing is rounded.
public enum RequestRows {
    public static let header =
        "id,tenant,session,class,arrival_s,queued_s,first_token_s,last_token_s,prompt_tokens,cached_tokens,output_tokens,replica,status"

    /// - Parameters:
    ///   - tenants: names of the tenants 1, 2, …; a tenant beyond them is written as its number.
    ///   - classes: names of the classes 0, 1, ….
    ///   - write: takes a few thousand rows at a time.
    public static func write(
        _ completions: [Completion], tenants: [String], classes: [String], to write: (String) throws -> Void
    ) rethrows {
        var chunk = header + "\n"
        for completion in completions.sorted(by: { $0.requestID < $1.requestID }) {
            let tenant = Int(completion.tenant)
            let name = tenant >= 1 && tenant <= tenants.count ? tenants[tenant - 1] : String(tenant)
            let rank = Int(completion.priorityClass)
            let fields = [
                String(completion.requestID), quoted(name), String(completion.session),
                rank < classes.count ? quoted(classes[rank]) : String(rank),
                time(completion.arrivalNanoseconds),
                completion.scheduledNanoseconds < 0
                    ? "" : time(completion.scheduledNanoseconds - completion.arrivalNanoseconds),
                time(completion.firstTokenNanoseconds), time(completion.lastTokenNanoseconds),
                String(completion.promptTokens), String(completion.cachedPromptTokens), String(completion.outputTokens),
                String(completion.replica), "\(completion.status)",
            ]
            chunk += fields.joined(separator: ",") + "\n"
            if chunk.utf8.count > 1 << 18 {
                try write(chunk)
                chunk = ""
            }
        }
        try write(chunk)
    }

    private static func time(_ nanoseconds: Int64) -> String {
        nanoseconds < 0 ? "" : NumberText.seconds(nanoseconds: nanoseconds)
    }

    private static func quoted(_ name: String) -> String {
        guard name.contains(where: { ",\"\n\r".contains($0) }) else { return name }
        return "\"" + name.replacing("\"", with: "\"\"") + "\""
    }
}
