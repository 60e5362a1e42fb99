import Foundation
import StepModel
import Testing

@testable import Validation

private func profile(_ text: String) throws -> String {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("spread-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try text.write(to: folder.appendingPathComponent("meta.yaml"), atomically: true, encoding: .utf8)
    return folder.path
}

/// In a batch of two lengths half and half, the longest lies one standard deviation above the mean.
@Test func theFittedShareBelongsToDeviations() throws {
    let even = try ContextSpread(profile: profile("grid:\n  ratio: [0.5]\nfit:\n  alpha_default: 0.05\n"))
    #expect(even.weight == 0.05)
    #expect(abs(even.deviations - 1) < 1e-12)
    // A tenth of the sequences longer: √(0.9 / 0.1) = 3 deviations.
    let few = try ContextSpread(profile: profile("ratio: [0.1]\nalpha_default: 0.05\nalpha_default: 0.9\n"))
    #expect(abs(few.deviations - 3) < 1e-12)
    #expect(few.weight == 0.05)
}

@Test func equalContextsCostNothingMore() throws {
    let spread = try ContextSpread(profile: profile("ratio: [0.5]\nalpha_default: 0.05\n"))
    // Two prompts of 1000 and 3000 with one token each: mean 2000.5, deviation 1000.
    let uneven = spread.unevenness(of: [(1000, 1), (3000, 1)])
    #expect(abs(uneven.stretch - (1 + 1000 / 2000.5)) < 1e-3)
    #expect(abs(spread.unevenness(of: [(2000, 1), (2000, 1)]).stretch - 1) < 1e-3)
    #expect(try ContextSpread(profile: profile("skew_fit:\n  enabled: false\n")).unevenness(of: [(1, 1)]) == .none)
}

@Test func aMalformedFitIsNamed() throws {
    let folder = try profile("ratio: [0.5]\nalpha_default: much\n")
    #expect(throws: MeasurementError.self) { try ContextSpread(profile: folder) }
}

/// Attention of a table with unequal contexts is the blend of its even table at two contexts.
@Test func unequalContextsStretchAttention() {
    var attention: [OperatorProfile.AttentionPoint] = []
    for decodes in [0, 1, 2, 4, 8] {
        for context in [0, 16, 1024, 2048, 4096, 8192] where decodes > 0 || context == 0 {
            attention.append(
                .init(
                    chunk: 0, prefillContext: 0, decodes: decodes, decodeContext: context,
                    microseconds: Double(decodes * context) * 0.01))
        }
    }
    var profile = OperatorProfile(
        layers: 1, perLayer: [.init(count: 1, microseconds: 10), .init(count: 8, microseconds: 10)],
        once: [.init(count: 1, microseconds: 0), .init(count: 8, microseconds: 0)],
        perSequence: [.init(count: 1, microseconds: 0), .init(count: 8, microseconds: 0)], attention: attention)
    func seconds(_ context: Int32) -> Double {
        var shape = StepShape()
        for _ in 0..<4 { shape.addDecode(contextTokens: context) }
        let table = profile.table(.init(maxTokens: 8, maxSequences: 8, chipWatts: 100))
        return Double(table.cost(of: shape).picoseconds) * 1e-12
    }
    let even = seconds(1024)
    profile.unevenness = .init(weight: 0.1, stretch: 2)
    // 4 × 1024 × 0.01 us grow by a tenth of as much again.
    #expect(abs((seconds(1024) - even) / (4 * 1024 * 0.01e-6 * 0.1) - 1) < 0.01)
}
