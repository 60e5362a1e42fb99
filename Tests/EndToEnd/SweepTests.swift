import Foundation
import Testing

/// `trainyard sweep` as a user runs it: the same rows for any threads and shards, in all three forms.
@Suite struct SweepTests {
    private static let sweep = """
        name: slots
        fleet: \(Product.repository.path)/deploy/fleets/h200.yaml
        workload: completion?duration=4&max-total=4000
        promise: { ttft_p99_seconds: 10, tpot_p99_seconds: 1 }
        vary:
          rate: [2, 5]
          seed: { from: 1, to: 2 }
          pools.*.deployment.max_num_seqs: [16, 64]
        """

    @Test func shardsAndThreadsChangeNothing() throws {
        try Scratch.with { scratch in
            let spec = try scratch.write(Self.sweep, to: "sweep.yaml").path
            let database = scratch.file("rows.sqlite").path
            func run(_ more: [String]) throws -> String {
                let result = try Product.trainyard.run(["sweep", "--spec", spec, "--quiet"] + more)
                #expect(result.status == 0, "\(result.errors)")
                return result.output
            }
            let one = try run(["--csv", "-", "--threads", "1"])
            #expect(try run(["--csv", "-", "--threads", "3"]) == one)
            let lines = one.split(separator: "\n")
            #expect(
                lines.count == 9 && lines[0].hasPrefix("run,rate,seed,pools.*.deployment.max_num_seqs,fleet,workload"))
            var sharded: Set<Substring> = []
            for shard in 1...3 {
                let part = try run(["--csv", "-", "--shard", "\(shard)/3", "--database", database])
                sharded.formUnion(part.split(separator: "\n"))
            }
            #expect(sharded == Set(lines))
            #expect(FileManager.default.fileExists(atPath: database))
            let json = try JSONSerialization.jsonObject(with: Data(try run(["--json", "-"]).utf8))
            let rows = try #require(json as? [[String: Any]])
            #expect(rows.count == 8 && rows[7]["run"] as? Int == 7)
            let figures = try #require(rows[0]["figures"] as? [String: Any])
            #expect(figures["stability"] as? String == "stable" && figures["keepsPromise"] as? Bool == true)
            // Two rates, the same requests for both settings of the slots.
            #expect(try run([]).contains("goodput/s"))
        }
    }

    @Test func whatCannotBeRunIsARow() throws {
        try Scratch.with { scratch in
            let spec = try scratch.write(
                Self.sweep.replacing(
                    "pools.*.deployment.max_num_seqs: [16, 64]", with: "pools.*.deployment.parallelism.tensor: [1, 8]"
                )
                .replacing("[2, 5]", with: "[2]"), to: "sweep.yaml")
            let result = try Product.trainyard.run(["sweep", "--spec", spec.path, "--quiet", "--csv", "-"])
            #expect(result.status == 1 && result.output.contains("GiB"), "\(result.output) \(result.errors)")
            #expect(result.output.split(separator: "\n").count == 5)
            for (more, reason) in [
                (["--shard", "4/3"], "--shard takes I/N"), (["--threads", "0"], "--threads takes 1"),
            ] {
                let wrong = try Product.trainyard.run(["sweep", "--spec", spec.path] + more)
                #expect(wrong.status == 2 && wrong.errors.contains(reason), "\(wrong.errors)")
            }
            let missing = try Product.trainyard.run(["sweep", "--spec", "/nowhere.yaml"])
            #expect(missing.status == 2 && missing.errors.contains("/nowhere.yaml: no such sweep file"))
        }
    }
}
