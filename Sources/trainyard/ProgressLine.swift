//===----------------------------------------------------------------------===//
// One line on the terminal that says how far a run is.
//===----------------------------------------------------------------------===//

import Foundation
import Report
import Simulator
import Synchronization

/// Rewrites one line of standard error, at most ten times a second, for one or several runs at once.
final class ProgressLine: Sendable {
    private struct State {
        var parts: [(name: String, text: String)] = []
        var shown: ContinuousClock.Instant?
    }
    private let state = Mutex(State())

    /// Nil when standard error is not a terminal, or nobody wants to see it.
    init?(quiet: Bool) {
        if quiet || isatty(STDERR_FILENO) == 0 { return nil }
    }

    /// An error that ends the run stands on a line of its own.
    deinit { finish() }

    func show(_ progress: SimulationProgress, of name: String) {
        let text =
            "\(name): \(NumberText.grouped(progress.requestsEnded)) requests, "
            + "\(NumberText.fixed(progress.simulatedSeconds, decimals: 0)) s"
        show(text, as: name)
    }

    /// Shows a text of one's own.
    func show(_ text: String) { show(text, as: "") }

    private func show(_ text: String, as name: String) {
        state.withLock { state in
            if let index = state.parts.firstIndex(where: { $0.name == name }) {
                state.parts[index].text = text
            } else {
                state.parts.append((name, text))
            }
            let now = ContinuousClock.now
            if let shown = state.shown, now - shown < .milliseconds(100) { return }
            state.shown = now
            write("\r\u{1B}[K" + state.parts.map(\.text).joined(separator: "   "))
        }
    }

    /// Clears the line, so that what follows stands alone.
    func finish() {
        state.withLock { state in
            if state.shown != nil { write("\r\u{1B}[K") }
            state = State()
        }
    }

    private func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
}
