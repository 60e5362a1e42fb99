import Catalog
import Engine
import Fleet
import Foundation
import Ledger
import StepModel
import Testing
import Workload

@testable import Simulator

private let folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("deploy/fleets")

/// Every fleet file that is installed with the product is one that runs.
@Suite("Ready-made fleets")
struct ReadyMadeFleetTests {
    static let names =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter { $0.hasSuffix(".yaml") }
        .sorted()

    @Test("the folder was found")
    func found() { #expect(Self.names.count >= 9) }

    @Test("half a minute of conversations is served within the bounds of its power", arguments: names)
    func serves(_ name: String) throws {
        let specification = try FleetSpecification(contentsOf: folder.appendingPathComponent(name).path)
        var plan = try specification.plan(catalog: .builtIn, calibration: .builtIn)
        // A fleet of half a million chips answers a few requests like one of a few hundred.
        plan = plan.scaled(instances: min(plan.instances, 8))
        let workload = try Workload.open("chat?rate=2&duration=30&seed=5")
        let result = try Simulation.run(plan: plan, workload: workload)
        #expect(result.tally.offered > 20)
        // A conversation or two outgrow the 8,192 tokens that some fleets are compiled for.
        #expect(result.tally.finished >= result.tally.offered - 2, "\(name): \(result.tally)")
        #expect(result.tally.failed == 0)
        for (pool, usage) in zip(plan.pools, result.usage) {
            // Watts times picoseconds are thousandths of nanojoules; a part in a thousand for the rounding of steps.
            let most = pool.power.maxChipWatts * pool.compiled.chipShare * Double(usage.busyPicoseconds) * 1.001e-3
            #expect(Double(usage.activeNanojoules) <= most + 1, "\(name) \(pool.name)")
        }
    }
}
