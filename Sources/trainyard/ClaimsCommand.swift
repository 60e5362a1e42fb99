//===----------------------------------------------------------------------===//
// trainyard claims: what must hold for each public claim about Trainium to be true.
//===----------------------------------------------------------------------===//

import ArgumentParser
import Catalog
import Foundation
import Report

struct ClaimsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "claims",
        abstract:
            "Each public claim about Trainium: what must hold for it to be true, under today's prices and this model.",
        discussion: """
            Arithmetic on prices, peaks and power comes from the catalogue. Where a claim is about serving, both machines are \
            simulated on the offline workload 'batch' with the deployment of each that yields most tokens at the bound on TPOT.
            """)

    @Option(help: "Model for the claims that name none.")
    var model = "llama-3.1-70b"

    @Option(name: .customLong("tpot"), help: "Bound on the mean time per output token in the simulations, seconds.")
    var tpotSeconds = 0.06

    @Option(help: "Fewest requests of a simulation; enough to keep all slots busy are offered in any case.")
    var requests = 1000

    @OptionGroup var catalogue: CatalogOptions

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard tpotSeconds > 0 else { throw ValidationError("--tpot takes seconds above 0") }
        guard (1...1_000_000).contains(requests) else { throw ValidationError("--requests takes 1 to 1000000") }
    }

    func run() async throws {
        let catalog = try catalogue.open()
        let trial = ClaimTrial(
            catalog: catalog, requests: requests, tpotSeconds: tpotSeconds, seed: common.seedNumber,
            threads: common.threadCount, progress: ProgressLine(quiet: common.quiet))
        let checks = ClaimChecks(catalog: catalog, trial: trial, model: model)
        let findings = try await checks.all()
        trial.progress?.finish()
        try common.write(text: ClaimFinding.text(findings), json: ReportJSON.text(findings))
    }
}

/// What became of one claim.
struct ClaimFinding: Encodable {
    enum Verdict: String, Encodable {
        case holds = "holds"
        case holdsIf = "holds only if"
        case fails = "does not hold"
        /// By simulation alone: the model's own error, and its choice of deployment, decide.
        case holdsInModel = "holds in this model"
        case failsInModel = "does not hold in this model"
        case untestable = "cannot be tested"
    }
    /// The claim, as its best-worded source has it.
    var claim: String
    var source: String
    var verdict: Verdict
    /// What must hold for it to be true.
    var needs: [String]
    /// What the catalogue and the model say.
    var finds: [String]
    /// The weakest grade that the finding rests on.
    var grade: String

    static func text(_ findings: [ClaimFinding]) -> String {
        var text = ""
        for (number, finding) in findings.enumerated() {
            text += "\(number + 1). \(finding.claim)\n   source: \(finding.source)\n   \(finding.verdict.rawValue)"
            text += " (rests on: \(finding.grade))\n"
            text += finding.needs.map { "   needs: \($0)\n" }.joined()
            text += finding.finds.map { "   finds: \($0)\n" }.joined()
            text += "\n"
        }
        return text
    }
}
