import Catalog
import Testing

@testable import Validation

/// Real servers' requests, replayed on their machines' profiles.
///
/// On the RTX 4090 means stay within 2 % and 99th percentiles within 5 %. So do TPOT and E2E on the RTX PRO 6000; its
/// mean TTFT, which sums up 10 s of queueing, stays within 3 %.
@Test(hasReferenceData) func realServersAreReplayedClosely() throws {
    let reports = try GroundTruth(catalog: .builtIn).replay(folder: ReferenceData.folder! + "/ground-truth")
    #expect(reports.count == 2)
    for report in reports {
        #expect(report.requests == 300)
        let isClose = report.name.hasPrefix("RTX4090")
        #expect(report.keepsPromise || !isClose, "\(report.name)")
        for comparison in report.comparisons where comparison.name.hasSuffix("mean") {
            #expect(
                abs(comparison.error) <= (isClose || !comparison.name.hasPrefix("TTFT") ? 0.02 : 0.03),
                "\(report.name) \(comparison.name): \(comparison.error)")
        }
        for comparison in report.comparisons where comparison.name.hasSuffix("p99") {
            #expect(
                abs(comparison.error) <= 0.05,
                "\(report.name) \(comparison.name): \(comparison.error)")
        }
    }
}
