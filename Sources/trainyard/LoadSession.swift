//===----------------------------------------------------------------------===//
// A load run at a terminal: progress while it runs, and an end on Ctrl-C.
//===----------------------------------------------------------------------===//

import Dispatch
import Foundation
import LoadGenerator

/// Runs the load, shows how it goes, and stops it when the user says so.
struct LoadSession {
    var quiet: Bool

    /// Runs `schedule`; Ctrl-C ends the run and yields what was measured until then.
    func measure(_ schedule: LoadSchedule, _ configuration: LoadConfiguration) async throws -> LoadReport {
        let run = try LoadRun(schedule, configuration)
        signal(SIGINT, SIG_IGN)
        let interrupts = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        interrupts.setEventHandler { run.stop(abandons: true) }
        interrupts.resume()
        defer {
            interrupts.cancel()
            signal(SIGINT, SIG_DFL)
        }
        let view = quiet || isatty(2) == 0 ? nil : Task { await show(run) }
        let result = try await run.run()
        view?.cancel()
        await view?.value
        return LoadReport(result)
    }

    /// One line that is rewritten twice a second.
    private func show(_ run: LoadRun) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            guard !Task.isCancelled, let progress = try? await run.progress() else { break }
            FileHandle.standardError.write(Data(("\r\u{1B}[2K" + LoadLine.text(progress)).utf8))
        }
        FileHandle.standardError.write(Data("\r\u{1B}[2K".utf8))
    }
}
