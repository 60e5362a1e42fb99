import Foundation
import Testing

/// `trainyard simulate --decisions` and `trainyard replay --decisions`, as a user runs them.
@Suite struct DecisionTests {
    private static let fleet = """
        name: small
        region: us-east-2
        pools:
          - name: pool
            instance: trn2.48xlarge
            instances: 2
            deployment:
              model: llama-3.1-8b
              precision: bf16
              parallelism: { tensor: 8 }
              stack: vllm-neuron
              max_num_seqs: 4
              max_model_len: 4096
        placement: PLACEMENT
        """

    @Test func recordedDecisionsComeOutTheSame() throws {
        try Scratch.with { scratch in
            let fleet = try scratch.write(Self.fleet.replacing("PLACEMENT", with: "round-robin"), to: "fleet.yaml")
            let log = scratch.file("decisions.log")
            let simulated = try Product.trainyard.run([
                "simulate", "--fleet", fleet.path, "--workload", "completion?rate=40&duration=30&max-total=4000",
                "--decisions", log.path, "--quiet",
            ])
            #expect(simulated.status == 0, "\(simulated.errors)")

            let same = try Product.trainyard.run(["replay", "--decisions", log.path, "--fleet", fleet.path])
            #expect(same.status == 0, "\(same.errors)")
            let words = same.output.split(separator: " ")
            #expect(words.count > 5 && words[1] == words[5], "all decisions agree: \(same.output)")

            let regret = try Product.trainyard.run([
                "replay", "--decisions", log.path, "--fleet", fleet.path, "--what-if", "least-loaded", "--regret",
                scratch.file("regret.csv").path,
            ])
            #expect(
                regret.status == 0 && regret.output.contains("least-loaded takes another replica than round-robin at"))
            #expect(regret.output.contains("in charge: least-loaded instead of round-robin from the start"))
            let rows = try String(contentsOf: scratch.file("regret.csv"), encoding: .utf8).split(separator: "\n")
            #expect(rows.count > 1000 && rows[0].hasPrefix("cell,request,at_s,replica,alternative"))

            let other = try scratch.write(Self.fleet.replacing("PLACEMENT", with: "random"), to: "other.yaml")
            let differs = try Product.trainyard.run(["replay", "--decisions", log.path, "--fleet", other.path])
            #expect(differs.status == 1 && differs.output.contains("cell 0: request"), "\(differs.output)")
        }
    }

    @Test func wrongUseSaysWhy() throws {
        try Scratch.with { scratch in
            let fleet = try scratch.write(Self.fleet.replacing("PLACEMENT", with: "random"), to: "fleet.yaml")
            let broken = try scratch.write("no log", to: "broken.log")
            for (arguments, reason) in [
                (["replay"], "either --ledger or --decisions"),
                (["replay", "--decisions", broken.path], "needs the --fleet"),
                (["replay", "--decisions", broken.path, "--fleet", fleet.path], "cut off"),
                (["replay", "--decisions", broken.path, "--fleet", fleet.path, "--what-if", "randm"], "'random'"),
            ] {
                let result = try Product.trainyard.run(arguments)
                #expect(result.status == 2 && result.errors.contains(reason), "\(arguments): \(result.errors)")
            }
        }
    }
}
