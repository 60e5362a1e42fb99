//===----------------------------------------------------------------------===//
// The live view: one line with a bar and two sparklines.
//===----------------------------------------------------------------------===//

/// A run's progress in one line.
public enum LoadLine {
    private static let levels = Array("▁▂▃▄▅▆▇█")

    public static func text(_ progress: LoadProgress) -> String {
        let share = progress.scheduled > 0 ? min(1, Double(progress.sent) / Double(progress.scheduled)) : 0
        let filled = Int(share * 20)
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 20 - filled)
        // The present second is not over yet, so it is left out of the sparklines.
        let past = progress.seconds.dropLast().suffix(20)
        let rates = past.map { Double($0.completed) }
        let waits = past.map { $0.ttftCount == 0 ? 0 : Double($0.ttftSum) / Double($0.ttftCount) }
        var line = "\(bar) \(LoadText.fixed(Double(progress.elapsedNanoseconds) / 1e9, 0)) s  sent \(progress.sent)"
        line += "  done \(progress.completed)  failed \(progress.failed)  running \(progress.inFlight)"
        if progress.waiting > 0 { line += "  waiting for a connection \(progress.waiting)" }
        line += "  requests/s \(sparkline(rates)) \(LoadText.number(rates.last ?? 0))"
        line += "  TTFT \(sparkline(waits)) \(LoadText.fixed((waits.last ?? 0) / 1e6, 1)) ms"
        return line
    }

    /// One character for each value, scaled to the largest.
    static func sparkline(_ values: [Double]) -> String {
        guard let largest = values.max(), largest > 0 else { return String(repeating: levels[0], count: values.count) }
        return String(values.map { levels[min(levels.count - 1, Int($0 / largest * Double(levels.count - 1) + 0.5))] })
    }
}
