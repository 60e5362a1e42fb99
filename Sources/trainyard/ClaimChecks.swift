//===----------------------------------------------------------------------===//
// The claims, one function each.
//===----------------------------------------------------------------------===//

import Catalog
import Fleet
import Foundation
import Report
import StepModel

/// Checks the claims that the catalogue records under `claim.*`.
struct ClaimChecks {
    var catalog: Catalog
    var trial: ClaimTrial
    /// For claims that name no model.
    var model: String

    func all() async throws -> [ClaimFinding] {
        var findings = try [ultraServerCompute(), memoryBandwidth(), energyEfficiency(), performancePerWatt()]
        findings += try await [pricePerformance(), tokensPerMegawatt(), gptOSSPerChip(), costSaving(), llama405B()]
        findings += try [rainier(), twoGigawatts(), chipsDeployed(), disclosedNowhere(), recompilation()]
        return findings
    }

    private func number(_ fact: String) throws -> Figure<Double> {
        guard let figure = try catalog.fact(fact).number else { throw CommandError("the fact \(fact) has no number") }
        return figure
    }

    private func two(_ value: Double) -> String { NumberText.fixed(value, decimals: 2) }
    private func days(_ date: String) -> CalendarDay { CalendarDay(date)! }

    /// Chips, and figures of a chip, of the two UltraServers.
    private func ultraServers() throws -> (
        old: (chips: Double, chip: Accelerator), new: (chips: Double, chip: Accelerator)
    ) {
        let (old, new) = (try catalog.instance("u-trn2x64"), try catalog.instance("u-trn3x144"))
        return (
            (Double(old.acceleratorCount.value), try catalog.accelerator(of: old)),
            (Double(new.acceleratorCount.value), try catalog.accelerator(of: new))
        )
    }

    // MARK: Arithmetic on the catalogue

    private func ultraServerCompute() throws -> ClaimFinding {
        let claim = try number("claim.trn3-ultraserver-compute")
        let (old, new) = try ultraServers()
        let eight = try new.chip.peak(at: .fp8).value / old.chip.peak(at: .fp8).value
        let sixteen = try new.chip.peak(at: .bf16).value / old.chip.peak(at: .bf16).value
        let chips = new.chips / old.chips
        return ClaimFinding(
            claim: "A Trn3 UltraServer has up to \(claim.value) times the compute of a Trn2 UltraServer",
            source: claim.source, verdict: eight * chips >= claim.value * 0.98 ? .holdsIf : .fails,
            needs: ["one counts 8-bit peak per UltraServer: \(Int(new.chips)) chips against \(Int(old.chips))"],
            finds: [
                "8-bit: \(two(eight * chips)) times per UltraServer, \(two(eight)) times per chip",
                "16-bit: \(two(sixteen * chips)) times per UltraServer, \(two(sixteen)) times per chip",
            ], grade: Grade.published.rawValue)
    }

    private func memoryBandwidth() throws -> ClaimFinding {
        let (old, new) = try ultraServers()
        let bandwidth =
            try new.chip.needed(\.memoryBytesPerSecond).value / old.chip.needed(\.memoryBytesPerSecond).value
        let capacity = try new.chip.needed(\.memoryBytes).value / old.chip.needed(\.memoryBytes).value
        let chips = new.chips / old.chips
        return ClaimFinding(
            claim: "A Trn3 UltraServer has nearly 4 times the memory bandwidth of a Trn2 UltraServer",
            source: try number("claim.trn3-ultraserver-compute").source,
            verdict: bandwidth * chips >= 3.7 ? .holdsIf : .fails,
            needs: ["one counts per UltraServer, not per chip"],
            finds: [
                "bandwidth \(two(bandwidth * chips)) times per UltraServer, \(two(bandwidth)) times per chip",
                "capacity \(two(capacity * chips)) times per UltraServer, \(two(capacity)) times per chip",
            ], grade: Grade.published.rawValue)
    }

    /// Peak FLOP/s per watt at every pair of figures on chip power.
    private func energyEfficiency() throws -> ClaimFinding {
        let claim = try number("claim.trn3-energy-efficiency")
        let (old, new) = try ultraServers()
        let oldWatts = try old.chip.needed(\.thermalDesignWatts)
        let newWatts = try new.chip.needed(\.thermalDesignWatts)
        let compute = try new.chip.peak(at: .fp8).value / old.chip.peak(at: .fp8).value
        let most = compute * oldWatts.value / (1 + claim.value)
        return ClaimFinding(
            claim: "Trainium3 is over \(Int(claim.value * 100)) % more energy efficient than Trainium2",
            source: claim.source,
            verdict: .holdsIf,
            needs: [
                "at 8-bit peak, a Trainium3 chip draws at most \(Int(most.rounded())) W if a Trainium2 chip draws "
                    + "\(Int(oldWatts.value)) W; neither figure is official"
            ],
            finds: newWatts.allValues.sorted().map {
                "at \(Int($0)) W a chip: \(two(compute * oldWatts.value / $0)) times the 8-bit peak per watt"
            }, grade: Grade.assumed.rawValue)
    }

    private func performancePerWatt() throws -> ClaimFinding {
        let claim = try number("claim.trn3-performance-per-watt")
        let compute = try number("claim.trn3-ultraserver-compute")
        let (old, new) = try ultraServers()
        let oldWatts = try old.chip.needed(\.thermalDesignWatts).value
        let newWatts = try new.chip.needed(\.thermalDesignWatts)
        let left = compute.value / claim.value * oldWatts * old.chips / new.chips
        return ClaimFinding(
            claim: "A Trn3 UltraServer is \(Int(claim.value)) times as energy efficient as a Trn2 UltraServer",
            source: claim.source,
            verdict: .fails,
            needs: [
                "of chips alone, at \(compute.value) times the compute, each Trainium3 chip would draw \(Int(left.rounded())) W, or the "
                    + "claim is about a workload that is not named"
            ],
            finds: [
                "the lowest figure on a Trainium3 chip is \(Int(newWatts.allValues.min() ?? 0)) W: peak per watt is at most "
                    + "\(two(compute.value * oldWatts * old.chips / (newWatts.allValues.min() ?? 1) / new.chips)) times"
            ], grade: Grade.assumed.rawValue)
    }

    // MARK: Serving, by simulation

    private func pricePerformance() async throws -> ClaimFinding {
        let low = try number("claim.trn2-price-performance-low")
        let high = try number("claim.trn2-price-performance-high")
        let trainium = try await trial.best(model, on: "trn2.48xlarge", precisions: [.bf16, .fp8])
        var needs: [String] = []
        var finds: [String] = []
        var holds: [Bool] = []
        for gpu in ["p5e.48xlarge", "p5en.48xlarge"] {
            let rival = try await trial.best(model, on: gpu, precisions: [.bf16, .fp8])
            if let rival { finds.append(rival.summary) }
            for date in ["2024-12-31", "2026-07-31", "2026-10-31"] {
                guard
                    let mine = try? catalog.price(
                        "trn2.48xlarge", basis: .capacityBlock, region: "us-east-2", date: days(date)),
                    let theirs = try? catalog.price(gpu, basis: .capacityBlock, region: "us-east-2", date: days(date))
                else { continue }
                let prices = Double(mine.microDollarsPerHour) / Double(theirs.microDollarsPerHour)
                let need =
                    "against \(gpu) at capacity-block prices of \(theirs.price.date): trn2.48xlarge yields "
                    + "\(two(prices * (1 + low.value))) to \(two(prices * (1 + high.value))) times its tokens per second"
                if needs.contains(need) { continue }
                needs.append(need)
                if let trainium, let rival {
                    holds.append(
                        trainium.outputTokensPerSecond / rival.outputTokensPerSecond >= prices * (1 + low.value))
                }
            }
            if let trainium, let rival {
                finds.append(
                    "\(model): trn2.48xlarge yields \(two(trainium.outputTokensPerSecond / rival.outputTokensPerSecond)) times the "
                        + "tokens per second of \(gpu)")
            }
        }
        if let trainium { finds.insert(trainium.summary, at: 0) }
        return ClaimFinding(
            claim: "Trn2 has 30 to 40 % better price performance than P5e and P5en", source: low.source,
            verdict: holds.isEmpty
                ? .untestable
                : holds.allSatisfy { $0 } ? .holdsInModel : holds.contains(true) ? .holdsIf : .failsInModel,
            needs: needs, finds: finds, grade: Grade.assumed.rawValue)
    }

    private func tokensPerMegawatt() async throws -> ClaimFinding {
        let claim = try number("claim.trn3-tokens-per-megawatt")
        let found = try await pair(model, precisions: [.bf16, .fp8])
        let ratio = found.map { $0.new.tokensPerSecondPerMegawatt / $0.old.tokensPerSecondPerMegawatt }
        return ClaimFinding(
            claim:
                "Trn3 gives over \(Int(claim.value)) times the output tokens per megawatt of Trn2 at similar latency per user",
            source: claim.source,
            verdict: ratio.map { $0 >= claim.value ? .holdsInModel : .failsInModel } ?? .untestable,
            needs: [
                "no model is named; a Trn3 token costs at most 1/\(Int(claim.value)) of the wall energy of a Trn2 token"
            ],
            finds: (found.map { [$0.old.summary, $0.new.summary] } ?? [])
                + [
                    ratio.map { "\(model): \(two($0)) times the tokens per megawatt at the wall" }
                        ?? "no deployment keeps the TPOT bound"
                ],
            grade: Grade.assumed.rawValue)
    }

    private func gptOSSPerChip() async throws -> ClaimFinding {
        let claim = try number("claim.trn3-gpt-oss-per-chip")
        let found = try await pair("gpt-oss-120b", precisions: [.bf16])
        let ratio = found.map { $0.new.tokensPerSecondPerChip / $0.old.tokensPerSecondPerChip }
        let speed = found.map { $0.old.tpotSeconds / $0.new.tpotSeconds } ?? 0
        return ClaimFinding(
            claim:
                "gpt-oss: \(Int(claim.value)) times the throughput per chip of a Trn2 UltraServer, with 4 times faster responses",
            source: claim.source,
            verdict: ratio.map { $0 >= claim.value && speed >= 4 ? .holdsInModel : .failsInModel } ?? .untestable,
            needs: [
                "per chip Trainium3 has 1.94 times the 8-bit peak and 1.69 times the bandwidth: the rest is software"
            ],
            finds: (found.map { [$0.old.summary, $0.new.summary] } ?? [])
                + [
                    ratio.map {
                        "\(two($0)) times the throughput per chip at \(two(speed)) times the speed, with one generation of software on both"
                    }
                        ?? "no deployment keeps the TPOT bound"
                ],
            grade: Grade.assumed.rawValue)
    }

    /// The best deployment of each UltraServer.
    private func pair(
        _ model: String, precisions: [Precision]
    ) async throws -> (old: ClaimTrial.Result, new: ClaimTrial.Result)? {
        guard let old = try await trial.best(model, on: "u-trn2x64", precisions: precisions),
            let new = try await trial.best(model, on: "u-trn3x144", precisions: precisions)
        else { return nil }
        return (old, new)
    }

    private func costSaving() async throws -> ClaimFinding {
        let claim = try number("claim.trn3-cost-saving")
        let new = try await trial.best(model, on: "u-trn3x144", precisions: [.bf16, .fp8])
        var finds: [String] = []
        for gpu in ["p5en.48xlarge", "p6-b200.48xlarge"] {
            guard let new, let rival = try await trial.best(model, on: gpu, precisions: [.bf16, .fp8]) else { continue }
            let bases: [PriceBasis] = [.capacityBlock, .onDemand]
            for basis in bases {
                guard let price = try? catalog.price(gpu, basis: basis, region: "us-east-1", date: days("2026-10-31"))
                else { continue }
                let share = new.outputTokensPerSecond / rival.outputTokensPerSecond
                let even = Double(price.microDollarsPerHour) / 1e6 * share
                finds.append(
                    "\(model), against \(gpu) \(basis.rawValue) of \(price.price.date): one u-trn3x144 does the work of \(two(share)); "
                        + "it saves \(Int(claim.value * 100)) % below \(NumberText.grouped(Int64((even * (1 - claim.value)).rounded()))) "
                        + "USD/h, and anything below \(NumberText.grouped(Int64(even.rounded()))) USD/h")
            }
        }
        return ClaimFinding(
            claim: "Trn3 UltraServers cost up to \(Int(claim.value * 100)) % less than comparable cloud instances",
            source: claim.source,
            verdict: .untestable,
            needs: ["a price of Trn3, which is not public, below the ones found here; the baseline is not named"],
            finds: finds,
            grade: Grade.assumed.rawValue)
    }

    private func llama405B() async throws -> ClaimFinding {
        let claim = try number("claim.llama-405b-bedrock")
        let results = try await trial.results("llama-3.1-405b", on: "trn2.48xlarge", precisions: [.bf16, .fp8])
        let fastest = results.min { $0.tpotSeconds < $1.tpotSeconds }
        return ClaimFinding(
            claim: "Llama 3.1 405B on Bedrock generates tokens \(Int(claim.value)) times as fast as other major clouds",
            source: claim.source, verdict: .untestable,
            needs: ["the other clouds' speeds, the batch and the speculation behind the figure: none is public"],
            finds: fastest.map {
                [
                    $0.summary,
                    "at that TPOT others would have to be below \(two(1 / $0.tpotSeconds / claim.value)) tokens/s per user",
                ]
            } ?? ["no deployment fits one trn2.48xlarge"], grade: Grade.assumed.rawValue)
    }

    // MARK: Sizes of fleets

    private func rainier() throws -> ClaimFinding {
        let claim = try number("claim.rainier-chips")
        let instance = try catalog.instance("trn2.48xlarge")
        let perChip = try instance.needed(\.allInWattsPerAccelerator)
        return ClaimFinding(
            claim: "Project Rainier has nearly \(NumberText.grouped(Int64(claim.value))) Trainium2 chips",
            source: claim.source,
            verdict: .untestable, needs: ["what share serves and what trains is not public"],
            finds: [
                "\(NumberText.grouped(Int64(claim.value) / Int64(instance.acceleratorCount.value))) servers; about "
                    + "\(Int((claim.value * perChip.value / 1e6).rounded())) MW at \(Int(perChip.value)) W a chip with everything around it",
                "deploy/fleets/rainier.yaml runs it",
            ], grade: perChip.grade.rawValue)
    }

    private func twoGigawatts() throws -> ClaimFinding {
        let claim = try number("claim.openai-watts")
        let range = [950.0, 1250.0]
        let chips = range.map { claim.value / $0 / 1e6 }
        return ClaimFinding(
            claim: "\(Int(claim.value / 1e9)) gigawatts of Trainium capacity for OpenAI", source: claim.source,
            verdict: .untestable,
            needs: ["how many chips that is depends on the power of a chip with everything around it"],
            finds: [
                "\(two(chips[1])) to \(two(chips[0])) million chips at \(Int(range[1])) to \(Int(range[0])) W each",
                "deploy/fleets/openai-2gw.yaml runs it with Trn3; Trn4 has no public figures",
            ], grade: Grade.derived.rawValue)
    }

    private func chipsDeployed() throws -> ClaimFinding {
        let claim = try number("claim.chips-deployed")
        return ClaimFinding(
            claim: "\(NumberText.grouped(Int64(claim.value))) Trainium chips are deployed", source: claim.source,
            verdict: .untestable,
            needs: ["one scope: the press says all generations, the maker's quarterly text says Trainium2"],
            finds: ["the same number with two scopes"] + claim.alternatives.compactMap(\.note),
            grade: Grade.published.rawValue)
    }

    private func disclosedNowhere() throws -> ClaimFinding {
        let faster = try number("claim.haiku-3.5-faster")
        return ClaimFinding(
            claim:
                "Most of Bedrock's inference runs on Trainium2; Claude 3.5 Haiku is up to \(Int(faster.value * 100)) % faster there",
            source: faster.source, verdict: .untestable,
            needs: ["traffic shares, model sizes and the baseline: none is public"], finds: [],
            grade: Grade.published.rawValue)
    }

    private func recompilation() throws -> ClaimFinding {
        var deployment = Deployment(instance: "trn2.48xlarge", model: model, stack: .vllmNeuron)
        deployment.parallelism = Parallelism(tensor: 64)
        deployment.maxSequences = 32
        let compiled = try deployment.compile(catalog: catalog)
        return ClaimFinding(
            claim: "Moving to Trainium is a one-line change", source: "press, December 2025", verdict: .untestable,
            needs: ["the model's code is supported; a simulator says nothing about porting"],
            finds: [
                "\(model): every change of shapes, parallelism or SDK compiles anew, about "
                    + "\(Int((compiled.compileSeconds / 60).rounded())) minutes, then loads in \(Int(compiled.loadSeconds.rounded())) s"
            ], grade: compiled.grade.rawValue)
    }
}
