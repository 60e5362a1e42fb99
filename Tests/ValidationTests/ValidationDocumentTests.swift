import Catalog
import Foundation
import StepModel
import Testing

@testable import Validation

/// The document's figures are what the model gives today, for the targets that need no simulation.
@Test(hasReferenceData) func theDocumentIsTrue() throws {
    let text = try String(contentsOf: ReferenceData.root.appendingPathComponent("docs/VALIDATION.md"), encoding: .utf8)
    let still = ReferenceData.experiments.filter { !ReplicaRun.applies(to: $0) }
    let (outcomes, _) = Validator(catalog: .builtIn).predict(still, calibration: .builtIn)
    let names = [
        "Trn2 single-stream decode", "Trn1 and Inf2 decode", "Trn1 and Inf2 prefill", "H100 chip energy per token",
        "H200 wall power",
    ]
    for name in names {
        let target = try #require(ValidationTarget.all.first { $0.name == name })
        let line = ValidationDocument.targetLine(target, fitted: target.summary(outcomes), heldBack: nil)
        let prefix = line.components(separatedBy: " | not run").first!
        #expect(text.contains(prefix), "\(prefix) is not in docs/VALIDATION.md; run scripts/calibrate")
    }
    for plot in ["tpot.svg", "ttft.svg", "throughput.svg", "energy.svg", "power.svg"] {
        let path = ReferenceData.root.appendingPathComponent("docs/validation/\(plot)").path
        #expect(text.contains("(validation/\(plot))") && FileManager.default.fileExists(atPath: path))
    }
}

@Test func summariesAreWhatTheyAreCalled() {
    let summary = ErrorSummary([-0.5, 0.1, 0.2, 0.3, 1.0])
    #expect(summary.rows == 5)
    #expect(summary.medianSigned == 0.2)
    #expect(summary.medianAbsolute == 0.3)
    #expect(abs(summary.meanAbsolute - 0.42) < 1e-12)
    #expect(abs(summary.percentile90Absolute - 0.8) < 1e-12)
}

@Test func aPlotHasAPointForEachPair() {
    let plot = ScatterPlot(
        title: "t", unit: "s",
        series: [.init(name: "A", points: [(1, 1.1), (10, 9)]), .init(name: "B", points: [(0.1, 0.2), (0, 1)])])
    let circles = plot.svg.components(separatedBy: "r=\"2.2\"").count - 1
    // A pair without a positive measurement has no place on a logarithmic axis.
    #expect(circles == 3)
    #expect(plot.svg.hasPrefix("<svg") && plot.svg.hasSuffix("</svg>\n"))
}
