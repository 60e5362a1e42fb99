//===----------------------------------------------------------------------===//
// A load run at a terminal: progress while it runs, and an end on Ctrl-C.
//===----------------------------------------------------------------------===//

import Dispatch
import Foundation
import LoadGenerator

/// Runs loads, shows how they go, and stops them when the user says so.
struct LoadSession {
    var quiet: Bool
    var words: WordList
    /// URL of the metrics page; nil for the server's own `/metrics`, "none" for none.
    var metricsPage: String?
    var metricsInterval: Double

    struct Outcome {
        var result: LoadResult
        var report: LoadReport
    }

    /// Runs `schedule`; Ctrl-C, or SIGTERM, ends the run and yields what was measured until then.
    func measure(_ schedule: LoadSchedule, _ configuration: LoadConfiguration) async throws -> Outcome {
        let scraper = try scraper(configuration)
        await scraper?.scrape()
        let run = try LoadRun(schedule, configuration, words: words)
        let signals = [SIGINT, SIGTERM]
        let interrupts = signals.map { DispatchSource.makeSignalSource(signal: $0, queue: .global()) }
        for number in signals { signal(number, SIG_IGN) }
        for interrupt in interrupts {
            interrupt.setEventHandler { run.stop(abandons: true) }
            interrupt.resume()
        }
        defer {
            for interrupt in interrupts { interrupt.cancel() }
            for number in signals { signal(number, SIG_DFL) }
        }
        let view = quiet || isatty(2) == 0 ? nil : Task { await show(run) }
        let interval = metricsInterval
        let scraping = scraper.map { scraper in
            Task {
                while !Task.isCancelled {
                    try? await Task.sleep(for: .seconds(interval))
                    if !Task.isCancelled { await scraper.scrape() }
                }
            }
        }
        let result = try await run.run()
        view?.cancel()
        scraping?.cancel()
        await view?.value
        await scraping?.value
        await scraper?.scrape()
        let server = await scraper?.figures(outputTokens: result.measurements.outputTokens)
        return Outcome(result: result, report: LoadReport(result, server: server))
    }

    private func scraper(_ configuration: LoadConfiguration) throws -> MetricsScraper? {
        switch metricsPage {
        case "none": nil
        case let url?: try MetricsScraper(url: url, besides: configuration)
        case nil: MetricsScraper(of: configuration)
        }
    }

    /// One line that is rewritten twice a second.
    private func show(_ run: LoadRun) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            guard !Task.isCancelled, let progress = await run.progress() else { break }
            try? FileHandle.standardError.write(contentsOf: Data(("\r\u{1B}[2K" + LoadLine.text(progress)).utf8))
        }
        try? FileHandle.standardError.write(contentsOf: Data("\r\u{1B}[2K".utf8))
    }
}
