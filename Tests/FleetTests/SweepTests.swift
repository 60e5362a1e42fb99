//===----------------------------------------------------------------------===//
// Sweep files: which runs they mean.
//===----------------------------------------------------------------------===//

import Foundation
import StepModel
import Testing
import Workload

@testable import Fleet

@Suite struct SweepTests {
    private static let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "sweep-\(UUID().uuidString)")
    private static let fleet = """
        name: small
        pools:
          - name: a
            instance: p5en.48xlarge
            instances: 1
            deployment: { model: llama-3.1-8b, precision: bf16, parallelism: { tensor: 1 }, stack: vllm }
          - name: b
            instance: p5en.48xlarge
            instances: 1
            deployment: { model: llama-3.1-8b, precision: bf16, parallelism: { tensor: 1 }, stack: vllm, max_num_seqs: 5 }
        """

    private static func sweep(
        _ vary: String, more: String = "fleet: fleet.yaml\nworkload: chat?duration=10"
    ) throws
        -> SweepSpecification
    {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try fleet.write(to: folder.appendingPathComponent("fleet.yaml"), atomically: true, encoding: .utf8)
        let yaml = "name: test\n\(more)\nvary:\n" + vary.split(separator: "\n").map { "  \($0)\n" }.joined()
        return try SweepSpecification(yaml: yaml, file: folder.appendingPathComponent("sweep.yaml").path)
    }

    private static func message(_ vary: String, more: String = "fleet: fleet.yaml\nworkload: chat") -> String {
        do {
            let sweep = try sweep(vary, more: more)
            for run in 0..<sweep.runs { _ = try sweep.point(ofRun: run, seed: 1) }
            return "no error"
        } catch { return "\(error)" }
    }

    @Test func theProductInTheOrderOfTheFile() throws {
        let sweep = try Self.sweep("rate: [2, 4.5]\nseed: { from: 1, to: 3 }\ninstances: { from: 2, to: 9, times: 2 }")
        #expect(sweep.runs == 2 * 3 * 3)
        #expect(sweep.values(ofRun: 0) == ["2", "1", "2"])
        #expect(sweep.values(ofRun: 1) == ["2", "1", "4"])
        #expect(sweep.values(ofRun: 17) == ["4.5", "3", "8"])
        let point = try sweep.point(ofRun: 17, seed: 99)
        #expect(point.seed == 3 && point.instances == 8)
        #expect(point.workload.options.rate == 4.5 && point.workload.options.seed == 3)
        #expect(point.workload.description == "chat?duration=10&rate=4.5")
    }

    @Test(arguments: 1...7) func shardsAreAPartition(count: Int) throws {
        let sweep = try Self.sweep("rate: { from: 1, to: 5 }\nseed: { from: 1, to: 4 }")
        let shards = (0..<count).map { sweep.runs(ofShard: $0, of: count) }
        #expect(shards.joined().sorted() == Array(0..<20))
        #expect((shards.map(\.count).max() ?? 0) - (shards.map(\.count).min() ?? 0) <= 1)
    }

    @Test func keysOfTheFleetFileVaryByPath() throws {
        let all = try Self.sweep("pools.*.deployment.max_num_seqs: [8, 16]\nplacement: [random, round-robin]")
        let point = try all.point(ofRun: 3, seed: 1)
        #expect(point.fleet.pools.map(\.deployment.maxSequences) == [16, 16])
        #expect(point.fleet.placement.value == "round-robin")
        let one = try Self.sweep("pools.b.deployment.max_num_seqs: [8]").point(ofRun: 0, seed: 7)
        #expect(one.fleet.pools.map(\.deployment.maxSequences) == [nil, 8])
        #expect(one.seed == 7 && one.workload.options.seed == 7)
        let nested = try Self.sweep("pools.0.deployment.parallelism.tensor: [2]").point(ofRun: 0, seed: 1)
        #expect(nested.fleet.pools.map(\.deployment.parallelism.value.tensor) == [2, 1])
        let list = try Self.sweep("pools.a.deployment.prefill_buckets: ['[128, 256]']").point(ofRun: 0, seed: 1)
        #expect(list.fleet.pools[0].deployment.prefillBuckets == [128, 256])
    }

    @Test(arguments: [
        ("rates: [1]", "nothing called 'rates' can vary; did you mean 'rate'?"),
        ("rate: []", "'rate' varies over no values"),
        ("rate: [1, 2, 1]", "'rate' has a value twice"),
        ("seed: [one]", "'seed' takes whole numbers of at least 0, not 'one'"),
        ("instances: [0]", "'instances' takes whole numbers above 0, not '0'"),
        ("seed: { from: 1, to: 9, step: 2, times: 2 }", "give either 'step' or 'times'"),
        ("seed: { from: 1, to: 2000000 }", "the sweep has more than 1000000 runs"),
        ("fleet: [fleet.yaml]", "'fleet' is given twice"),
        ("rate: [x]", "rate"),
        ("pools.c.instances: [1]", "the path leads nowhere at 'c'"),
        ("pools.a.deploymint.stack: [vllm]", "the path leads nowhere at 'deploymint'; did you mean 'deployment'?"),
        ("pools.a.deployment.max_num_seq: [4]", "unknown key 'max_num_seq'"),
    ]) func whatCannotVaryIsNamed(vary: String, message: String) {
        #expect(Self.message(vary).contains(message), "\(Self.message(vary))")
    }

    @Test func somethingIsMissing() {
        #expect(Self.message("rate: [1]", more: "workload: chat").contains("the sweep has no 'fleet'"))
        #expect(Self.message("rate: [1]", more: "fleet: fleet.yaml").contains("the sweep has no 'workload'"))
    }
}
