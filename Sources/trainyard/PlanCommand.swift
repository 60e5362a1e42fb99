//===----------------------------------------------------------------------===//
// trainyard plan: which deployment keeps the promise at the least cost, energy or latency.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Engine
import Fleet
import Foundation
import Ledger
import Report
import StepModel
import Workload

struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract:
            "Search deployments of a model on several instance types for the smallest fleets that keep a promise.",
        discussion: """
            Tries every power of two of tensor-parallel ranks at every precision, with a few settings of the serving stack, sizes each \
            to the fewest instances that keep the promise, and prints those that no other beats in cost, energy and latency at once.
            """)

    @Option(help: "Model of the catalogue, or the path of a Hugging Face config.json.")
    var model: String

    @Option(help: "Instance types, separated by commas.")
    var instances: String

    @Option(
        help:
            "Number formats of the weights, separated by commas. Default: bf16, fp8, and as published for models published in four bits."
    )
    var precisions: String?

    @Option(help: "Region that gives PUE, grid carbon and prices.")
    var region = "us-east-2"

    @Option(help: "Price basis (on-demand, capacity-block, market, …).")
    var price = "capacity-block"

    @Option(help: "Day on which prices are asked, YYYY-MM-DD. Default: the latest known.")
    var date: String?

    @Flag(help: "Print every deployment that was tried, not only the front.")
    var all = false

    @OptionGroup var options: RunOptions

    func validate() throws {
        if options.html != nil { throw ValidationError("--html goes with simulate and compare") }
    }

    func run() async throws {
        let catalog = try options.catalogue.open()
        let workload = try options.openWorkload()
        let search = DeploymentSearch(
            model: model, maxModelTokens: try longestRequest(of: workload), precisions: try parsedPrecisions(),
            region: region,
            price: try parsedPrice())
        _ = try catalog.region(region)
        var plans: [FleetPlan] = []
        var refusals: [DeploymentSearch.Refusal] = []
        for name in try instanceNames() {
            let found = try search.candidates(on: name, catalog: catalog, calibration: .builtIn)
            plans += found.plans
            refusals += found.refusals
        }
        guard !plans.isEmpty else {
            throw CommandError(
                "no deployment is possible:\n" + refusals.map { "  \($0.name): \($0.reason)" }.joined(separator: "\n"))
        }
        let outcomes = try await size(plans, on: workload)
        let report = PlanReport(workload: workload.description.description, outcomes: outcomes, refusals: refusals)
        try options.common.write(text: report.text(all: all), json: try ReportJSON.text(report))
        if !report.deployments.contains(where: \.keepsPromise) { throw ExitCode(1) }
    }

    /// The instance types, each once.
    private func instanceNames() throws -> [String] {
        var names: [String] = []
        for part in instances.split(separator: ",") {
            let name = part.trimmingCharacters(in: .whitespaces)
            if !name.isEmpty, !names.contains(name) { names.append(name) }
        }
        guard !names.isEmpty else { throw ValidationError("--instances names none; `trainyard catalog` lists them") }
        return names
    }

    private func parsedPrecisions() throws -> [Precision]? {
        try precisions?.split(separator: ",").map { name in
            guard let precision = Precision(rawValue: String(name)) else {
                throw ValidationError(
                    "unknown precision '\(name)'; valid: \(Precision.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return precision
        }
    }

    private func parsedPrice() throws -> PriceSpecification {
        guard PriceBasis(rawValue: price) != nil else {
            throw ValidationError(
                "unknown price basis '\(price)'; valid: \(PriceBasis.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        if let date, CalendarDay(date) == nil { throw ValidationError("--date takes YYYY-MM-DD, not '\(date)'") }
        return PriceSpecification(basis: Located(price), date: date.map { Located($0) })
    }

    /// The longest prompt plus output of the workload, up to the next power of two, at least 2048.
    private func longestRequest(of workload: Workload) throws -> Int {
        let source = try workload.makeSource()
        var longest = 2048
        var read = 0
        while read < 10_000_000, let request = try source.next() {
            longest = max(longest, Int(request.promptTokens) + Int(request.maxOutputTokens))
            read += 1
        }
        var length = 2048
        while length < longest { length *= 2 }
        return length
    }

    /// Sizes every plan, as many at once as there are threads, and returns the outcomes in the order of the plans.
    private func size(_ plans: [FleetPlan], on workload: Workload) async throws -> [FleetRun.Outcome] {
        let runs = plans.map {
            FleetRun(
                plan: $0, workload: workload, seed: options.common.seedNumber, threads: 1,
                promise: options.promises.promise)
        }
        let counter = ProgressLine(quiet: options.common.quiet)
        return try await withThrowingTaskGroup(of: (Int, FleetRun.Outcome).self) { group in
            var next = 0
            var found: [(Int, FleetRun.Outcome)] = []
            func addTask() {
                guard next < runs.count else { return }
                let (index, run) = (next, runs[next])
                next += 1
                group.addTask { (index, try run.smallest()) }
            }
            for _ in 0..<min(options.common.threadCount, runs.count) { addTask() }
            for try await pair in group {
                found.append(pair)
                counter?.show("\(found.count) of \(runs.count) deployments sized")
                addTask()
            }
            counter?.finish()
            return found.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }
}

/// The JSON of `plan`, and its table.
struct PlanReport: Encodable {
    struct Deployment: Encodable {
        var name: String
        var instances: Int
        var replicas: Int
        var maxSequences: Int
        var maxBatchedTokens: Int
        /// Whether nothing else that keeps the promise beats it in cost, energy and latency.
        var isOnFront: Bool
        var keepsPromise: Bool
        var report: SimulationReport
    }
    var workload: String
    var deployments: [Deployment]
    var refused: [String: String]

    init(workload: String, outcomes: [FleetRun.Outcome], refusals: [DeploymentSearch.Refusal]) {
        self.workload = workload
        let kept = outcomes.indices.filter { outcomes[$0].side.keepsPromise }
        let front = ParetoFront.indices(
            of: kept.map { index in
                let report = outcomes[index].report
                return [
                    report.cost.usdPerMillionOutputTokens, report.energy.boundary.wall.joulesPerOutputToken,
                    report.e2eSeconds.mean,
                ]
            })
        let frontIndices = Set(front.map { kept[$0] })
        deployments = outcomes.enumerated().map { index, outcome in
            let pool = outcome.plan.pools[0]
            return Deployment(
                name: outcome.plan.name, instances: outcome.plan.instances, replicas: outcome.plan.replicas,
                maxSequences: Int(pool.configuration.maxSequences),
                maxBatchedTokens: Int(pool.configuration.maxBatchedTokens),
                isOnFront: frontIndices.contains(index), keepsPromise: outcome.side.keepsPromise, report: outcome.report
            )
        }
        refused = Dictionary(refusals.map { ($0.name, $0.reason) }, uniquingKeysWith: { first, _ in first })
    }

    /// The front from cheap to dear, then (with `all`) the rest.
    func text(all: Bool) -> String {
        var table = TextTable()
        table.add([
            "deployment", "instances", "replicas", "seqs", "batched", "TTFT p99 ms", "TPOT p99 ms", "E2E mean ms",
            "USD/h", "USD/M out",
            "wall J/out", "grade",
        ])
        table.rule()
        func add(_ deployment: Deployment) {
            let report = deployment.report
            table.add([
                deployment.name, String(deployment.instances), String(deployment.replicas),
                String(deployment.maxSequences),
                String(deployment.maxBatchedTokens), NumberText.milliseconds(report.ttftSeconds.p99),
                NumberText.milliseconds(report.tpotSeconds.p99), NumberText.milliseconds(report.e2eSeconds.mean),
                NumberText.fixed(report.cost.usdPerHour, decimals: 2),
                NumberText.significant(report.cost.usdPerMillionOutputTokens),
                NumberText.significant(report.energy.boundary.wall.joulesPerOutputToken), report.grade,
            ])
        }
        func cheaper(_ left: Deployment, _ right: Deployment) -> Bool {
            (left.report.cost.usdPerHour ?? .infinity) < (right.report.cost.usdPerHour ?? .infinity)
        }
        deployments.filter(\.isOnFront).sorted(by: cheaper).forEach(add)
        let dominated = deployments.filter { $0.keepsPromise && !$0.isOnFront }
        let broken = deployments.filter { !$0.keepsPromise }
        if all {
            if !dominated.isEmpty { table.heading("kept, but beaten:") }
            dominated.sorted(by: cheaper).forEach(add)
            if !broken.isEmpty { table.heading("not kept at any size that still helped:") }
            broken.forEach(add)
        }
        let first = deployments[0].report
        var text = "workload \(workload): TTFT p99 <= \(NumberText.milliseconds(first.goodput.ttftP99Seconds)) ms, "
        text += "TPOT p99 <= \(NumberText.milliseconds(first.goodput.tpotP99Seconds)) ms\n"
        text += "\(deployments.count) deployments tried: \(deployments.count - broken.count) keep the promise, "
        text += "\(broken.count) cannot; \(refused.count) are not possible"
        text += (refused.isEmpty ? "" : all ? ", below" : " (--all says why)") + "\n\n" + table.text
        if all, !refused.isEmpty {
            text += "\nnot possible:\n"
            for (name, reason) in refused.sorted(by: { $0.key < $1.key }) { text += "  \(name): \(reason)\n" }
        }
        if deployments.contains(where: { $0.report.cost.usdPerHour == nil }) {
            text +=
                "\n- in a price: none is known on that basis; such a deployment is on the front for energy or latency alone\n"
        }
        return text
    }
}
