import Catalog
import Testing

@testable import Validation

/// Real servers' requests, replayed on their machines' profiles.
///
/// On the RTX 4090 means stay within 2 % and 99th percentiles within 5 %. The RTX PRO 6000 replay is faster than the
/// server
/// by about 0.9 ms a step, which no operator in its profile accounts for (its profiler keeps the effect of unequal
/// context
/// lengths in a table of its own); the bounds say how far that goes.
@Test(hasReferenceData) func realServersAreReplayedClosely() throws {
    let reports = try GroundTruth(catalog: .builtIn).replay(folder: ReferenceData.folder! + "/ground-truth")
    #expect(reports.count == 2)
    for report in reports {
        #expect(report.requests == 300)
        let isClose = report.name.hasPrefix("RTX4090")
        #expect(report.keepsPromise || !isClose, "\(report.name)")
        for comparison in report.comparisons where comparison.name.hasSuffix("mean") {
            #expect(
                abs(comparison.error) <= (isClose ? 0.02 : 0.08),
                "\(report.name) \(comparison.name): \(comparison.error)")
        }
        for comparison in report.comparisons where comparison.name.hasSuffix("p99") {
            #expect(
                abs(comparison.error) <= (isClose ? 0.05 : 0.06),
                "\(report.name) \(comparison.name): \(comparison.error)")
        }
    }
}
