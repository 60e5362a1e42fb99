import Catalog
import Testing

@testable import Validation

/// Real servers' requests, replayed on their machines' profiles: means within 2 %, 99th percentiles within 5 %.
@Test(hasReferenceData) func realServersAreReplayedClosely() throws {
    let reports = try GroundTruth(catalog: .builtIn).replay(folder: ReferenceData.folder! + "/ground-truth")
    #expect(reports.count == 2)
    for report in reports {
        #expect(report.requests == 300)
        #expect(report.keepsPromise, "\(report.name)")
        for comparison in report.comparisons where comparison.name.hasSuffix("mean") {
            #expect(abs(comparison.error) <= 0.02, "\(report.name) \(comparison.name): \(comparison.error)")
        }
        for comparison in report.comparisons where comparison.name.hasSuffix("p99") {
            #expect(abs(comparison.error) <= 0.05, "\(report.name) \(comparison.name): \(comparison.error)")
        }
    }
}
