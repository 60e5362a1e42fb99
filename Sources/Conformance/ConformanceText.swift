//===----------------------------------------------------------------------===//
// Conformance results for a terminal.
//===----------------------------------------------------------------------===//

public enum ConformanceText {
    /// One line a run: the largest difference of each time in microseconds, and ours beside the reference's counts.
    public static func table(_ results: [ConformanceResult]) -> String {
        var rows = [
            [
                "run", "requests", "scheduled", "first token", "completed", "iterations", "restarts", "router",
                "verdict",
            ]
        ]
        for result in results {
            rows.append([
                result.run, "\(result.requests)", microseconds(result.scheduledDifferenceSeconds),
                microseconds(result.firstTokenDifferenceSeconds), microseconds(result.completedDifferenceSeconds),
                "\(result.iterations) / \(result.referenceIterations)",
                "\(result.restarts) / \(result.referenceRestarts)",
                result.replicas == 1
                    ? "-" : result.router + (result.requestsDrawnElsewhere > 0 ? " (as recorded)" : ""),
                result.agrees ? "agrees" : "differs",
            ])
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, text in
                let padding = String(repeating: " ", count: widths[column] - text.count)
                return column == 0 || column == row.count - 1 ? text + padding : padding + text
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    private static func microseconds(_ seconds: Double) -> String {
        let thousandths = Int((seconds * 1e9).rounded())
        let fraction = String(thousandths % 1000)
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction + " µs"
    }
}
