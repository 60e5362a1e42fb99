//===----------------------------------------------------------------------===//
// The best that a machine does for a model, by simulation.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Fleet
import Ledger
import StepModel
import Workload

/// Runs the offline workload on one instance under each deployment that is possible.
struct ClaimTrial: Sendable {
    var catalog: Catalog
    /// Fewest requests of a simulation; larger fleets get more.
    var requests: Int
    var tpotSeconds: Double
    var seed: UInt64
    var threads: Int
    var progress: ProgressLine?

    /// What one deployment of one instance did.
    struct Result: Sendable {
        var name: String
        var chips: Int
        var outputTokensPerSecond: Double
        var tpotSeconds: Double
        var wallJoulesPerToken: Double
        var grade: Grade
        var tokensPerSecondPerChip: Double { outputTokensPerSecond / Double(chips) }
        var tokensPerSecondPerMegawatt: Double { 1e6 / wallJoulesPerToken }
        var summary: String {
            "\(name): \(Int(outputTokensPerSecond.rounded())) output tokens/s, TPOT \((tpotSeconds * 1e4).rounded() / 10) ms, "
                + "\((wallJoulesPerToken * 100).rounded() / 100) J/token at the wall"
        }
    }

    /// The deployment with the most output tokens per second whose mean TPOT keeps the bound; nil when none does.
    func best(_ model: String, on instance: String, precisions: [Precision]) async throws -> Result? {
        try await results(model, on: instance, precisions: precisions).filter { $0.tpotSeconds <= tpotSeconds }
            .max { $0.outputTokensPerSecond < $1.outputTokensPerSecond }
    }

    /// Every deployment, in the order of the search.
    func results(_ model: String, on instance: String, precisions: [Precision]) async throws -> [Result] {
        let search = DeploymentSearch(
            model: model, maxModelTokens: 2048, precisions: precisions, region: "us-east-2", price: nil)
        let plans = try search.candidates(on: instance, catalog: catalog, calibration: .builtIn).plans
        progress?.show("\(model) on \(instance): \(plans.count) deployments")
        return try await withThrowingTaskGroup(of: (Int, Result).self) { group in
            var next = 0
            var found: [(Int, Result)] = []
            func addTask() {
                guard next < plans.count else { return }
                let (index, plan) = (next, plans[next])
                next += 1
                group.addTask { (index, try result(plan)) }
            }
            for _ in 0..<min(threads, plans.count) { addTask() }
            for try await pair in group {
                found.append(pair)
                addTask()
            }
            return found.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    /// Offers enough at once to keep every slot of every replica busy for most of the run.
    private func result(_ plan: FleetPlan) throws -> Result {
        let slots = plan.replicas * Int(plan.pools[0].configuration.maxSequences)
        let workload = try Workload.open("batch?limit=\(max(requests, 4 * min(slots, 10_000)))&seed=\(seed)")
        let outcome = try FleetRun(plan: plan, workload: workload, seed: seed, threads: 1, promise: .interactive).run()
        let report = outcome.report
        let seconds = report.simulatedSeconds
        return Result(
            name: "\(plan.name) \(plan.pools[0].configuration.maxSequences) seqs", chips: plan.chips,
            outputTokensPerSecond: seconds > 0 ? Double(report.tokens.output) / seconds : 0,
            tpotSeconds: report.tpotSeconds.mean ?? .infinity,
            wallJoulesPerToken: report.energy.boundary.wall.joulesPerOutputToken ?? .infinity,
            grade: Grade(rawValue: report.grade) ?? .assumed)
    }
}
