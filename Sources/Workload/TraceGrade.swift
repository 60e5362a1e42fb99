//===----------------------------------------------------------------------===//
// The grade that a trace of requests nobody recorded bears.
//===----------------------------------------------------------------------===//

/// A trace that was written from a model keeps the model's grade: `TraceWriter` adds it to each row under a name that other
/// readers pass over, and a trace without it was recorded.
enum TraceGrade {
    static let column: StaticString = "workload_grade"

    /// What the first row of a trace says, nil where it says nothing.
    static func read(_ format: TraceFormat, _ input: TraceInput) throws(WorkloadError) -> WorkloadGrade? {
        guard TraceFormat.writable.contains(format) else { return nil }
        let lines = try input.lines()
        let text: String?
        if format == .mooncake {
            text = try lines.next().flatMap { value(inJSON: $0) }
        } else {
            let rows = try CSVReader(lines, format: format.rawValue, columns: [[column.description]], optional: 1)
            text = try rows.next().map { String(decoding: $0[0], as: UTF8.self) }
        }
        guard let text, !text.isEmpty else { return nil }
        guard let grade = WorkloadGrade(rawValue: text) else {
            let names = WorkloadGrade.allCases.map(\.rawValue).joined(separator: ", ")
            throw lines.error("expected one of \(names) in '\(column)', found '\(text.prefix(40))'")
        }
        return grade
    }

    /// The grade in a line of JSON; nil too for a line that is not JSON, which its own reader reports.
    private static func value(inJSON line: Field) -> String? {
        var grade: String?
        do throws(JSONFault) {
            var scanner = JSONScanner(line)
            try scanner.object { (key, value) throws(JSONFault) in
                if key.spells(column), value.isString() {
                    grade = String(decoding: try value.string(), as: UTF8.self)
                } else {
                    try value.skip()
                }
            }
        } catch {
            return nil
        }
        return grade
    }
}
