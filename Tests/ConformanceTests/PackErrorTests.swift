//===----------------------------------------------------------------------===//
// Packs of our own making: what options do, and what is said about broken files.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import Testing

@testable import Conformance

/// A pack in a temporary folder: every step takes `0.5 ms + 0.01 ms × tokens` of one layer.
final class TemporaryPack {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pack-\(UUID().uuidString)").path

    init() throws {
        for part in ["table", "runs"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(part)", withIntermediateDirectories: true)
        }
        try write("table/meta.json", #"{"layers": 1, "num_blocks": 100.0, "block_size": 16, "gqa_overheads": [0, 0]}"#)
        let tokens = Array(1...64)
        try write(
            "table/linear_ms_per_layer.csv",
            "num_tokens_rounded_up_to_8,sum\n" + stride(from: 8, through: 64, by: 8).map { "\($0),0.5\n" }.joined())
        try write(
            "table/kv_save_ms_per_layer.csv",
            "num_tokens_exact,ms\n" + tokens.map { "\($0),\(Double($0) * 0.01)\n" }.joined())
        try write(
            "table/attn_decode_ms_per_layer.csv",
            "decode_batch_size,mean_kv_rounded_up_to_64,ms\n"
                + (1...8).flatMap { batch in stride(from: 0, through: 256, by: 64).map { "\(batch),\($0),0\n" } }
                .joined())
        try write(
            "table/attn_prefill_ms_per_layer_rle.csv",
            "sum_kv_each_rounded_up_to_64,chunk_from,chunk_to,ms\n"
                + stride(from: 0, through: 512, by: 64).map { "\($0),0,64,0\n" }.joined())
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
    }

    static let header =
        "id,replica,arrived_at,prefill_tokens,decode_tokens,scheduled_at,first_token_at,completed_at,restarts\n"

    func run(_ name: String, argv: [String], iterations: Int = 1, rows: String) throws {
        let batch = ["--sarathi_scheduler_config_batch_size_cap", "8", "--sarathi_scheduler_config_chunk_size", "64"]
        let summary = try JSONSerialization.data(withJSONObject: ["argv": batch + argv, "iterations": iterations])
        try write("runs/\(name).summary.json", String(decoding: summary, as: UTF8.self))
        try write("runs/\(name).requests.csv", Self.header + rows)
    }

    func message(seed: UInt64 = 42) -> String {
        do {
            _ = try Conformance.check(folder: folder, seed: seed)
            return "no error"
        } catch { return "\(error)".replacingOccurrences(of: folder + "/", with: "") }
    }
}

@Suite struct PackErrorTests {
    /// One request of 10 tokens and 1 output: one step of 0.6 ms.
    private let row = "0,0,1.0,10,1,1.0,1.0006,1.0006,0\n"

    @Test func aPlainPackAgrees() throws {
        let pack = try TemporaryPack()
        try pack.run("one", argv: [], rows: row)
        let result = try #require(try Conformance.check(folder: pack.folder).first)
        #expect(result.agrees, "\(result)")
    }

    @Test func chunksAndBlocksAreRead() throws {
        let pack = try TemporaryPack()
        // 60 tokens in chunks of 32: steps of 0.82 and 0.78 ms, then one decode of 0.51 ms.
        try pack.run(
            "chunks", argv: ["--sarathi_scheduler_config_chunk_size=32"], iterations: 3,
            rows: "0,0,1.0,60,2,1.0,1.0016,1.00211,0\n")
        #expect(try Conformance.check(folder: pack.folder).allSatisfy(\.agrees))
        // The same memory in blocks of 32, and a watermark that keeps half of it.
        let table = try VidurTable(folder: pack.folder + "/table")
        let options = ReferenceOptions(
            [
                "--sarathi_scheduler_config_block_size", "32", "--sarathi_scheduler_config_watermark_blocks_fraction",
                "0.5", "--sarathi_scheduler_config_batch_size_cap", "4", "--sarathi_scheduler_config_chunk_size", "64",
            ], place: "x")
        let configuration = try options.configuration(table: table, longest: 100)
        #expect(configuration.kvBlocks == 50 && configuration.kvBlockTokens == 32)
        #expect(configuration.watermarkBlocks == 25 && configuration.maxSequences == 4)
    }

    @Test func randomRoutersDrawAgain() throws {
        // random.seed(9); 6 × random(); then 6 × randint(1, 3) - 1 give these replicas.
        let expected = try expectedReplicas(seed: 9, gaps: 6, count: 6, bound: 3)
        let arguments = [
            "--cluster_config_num_replicas", "3", "--global_scheduler_config_type", "random", "--seed", "9",
            "--interval_generator_config_type", "poisson",
        ]
        func rows(_ replicas: [Int]) -> String {
            replicas.enumerated().map { "\($0),\($1),\($0 + 1).0,10,1,\($0 + 1).0,\($0 + 1).0006,\($0 + 1).0006,0\n" }
                .joined()
        }
        let pack = try TemporaryPack()
        try pack.run("random", argv: arguments, iterations: 6, rows: rows(expected))
        let result = try #require(try Conformance.check(folder: pack.folder).first)
        #expect(result.agrees && result.requestsDrawnElsewhere == 0, "\(result)")
        // A pack whose stream stood elsewhere is followed, and it is said.
        try pack.run("random", argv: arguments, iterations: 6, rows: rows(expected.map { ($0 + 1) % 3 }))
        let other = try #require(try Conformance.check(folder: pack.folder).first)
        #expect(other.agrees && other.requestsDrawnElsewhere == 6, "\(other)")
        #expect(ConformanceText.table([other]).contains("random (as recorded)"))
    }

    private func expectedReplicas(seed: UInt64, gaps: Int, count: Int, bound: Int) throws -> [Int] {
        var twister = MersenneTwister(pythonSeed: seed)
        for _ in 0..<gaps { _ = twister.nextUnit() }
        return (0..<count).map { _ in twister.next(below: bound) }
    }

    @Test(arguments: [
        (["--replica_scheduler_config_type", "orca"], "scheduler 'orca' is not known; sarathi and vllm are"),
        (["--global_scheduler_config_type", "best"], "router 'best' is not known; known are round_robin, lor, random"),
        (
            ["--replica_config_num_pipeline_stages", "2"],
            "--replica_config_num_pipeline_stages is 2, and the pack's table holds the times of 1"
        ),
        (
            ["--sarathi_scheduler_config_chunk_size", "none"],
            "--sarathi_scheduler_config_chunk_size needs a whole number of at least 1, found 'none'"
        ),
        (
            ["--sarathi_scheduler_config_chunk_size", "65"],
            "a step of 65 tokens is beyond the table, which ends at 64"
        ),
        (
            ["--sarathi_scheduler_config_batch_size_cap", "9"],
            "a batch of 9 is beyond the table, which ends at 8"
        ),
        (
            ["--sarathi_scheduler_config_watermark_blocks_fraction", "1"],
            "--sarathi_scheduler_config_watermark_blocks_fraction needs a share from 0 to below 1, found '1'"
        ),
    ]) func impossibleOptionsAreNamed(argv: [String], message: String) throws {
        let pack = try TemporaryPack()
        try pack.run("one", argv: argv, rows: row)
        #expect(pack.message() == "runs/one.summary.json: \(message)")
    }

    @Test(arguments: [
        ("0,0,1.0,0,1,1.0,1.0,1.0,0\n", "runs/one.requests.csv:2: a request has at least one token each way"),
        ("0,3,1.0,9,1,1.0,1.0,1.0,0\n", "runs/one.requests.csv:2: replica 3 is not one of 1"),
        (
            "0,0,1.0,-9,1,1.0,1.0,1.0,0\n",
            "runs/one.requests.csv:2: column 'prefill_tokens' needs a whole number of at least 0, found -9.0"
        ),
        ("", "runs/one.requests.csv: has no requests"),
        (
            "0,0,1.0,250,9,1.0,1.0,1.0,0\n",
            "runs/one.summary.json: a context of 259 tokens is beyond the table, which ends at 256"
        ),
    ]) func impossibleRowsAreNamed(rows: String, message: String) throws {
        let pack = try TemporaryPack()
        try pack.run("one", argv: [], rows: rows)
        #expect(pack.message() == message)
    }

    @Test func whatNeverFitsIsNamed() throws {
        let pack = try TemporaryPack()
        try pack.run("one", argv: ["--sarathi_scheduler_config_num_blocks", "3"], rows: "0,0,1.0,60,1,1.0,1.0,1.0,0\n")
        #expect(
            pack.message()
                == "runs/one.requests.csv:2: the request needs 4 KV blocks and would never be admitted to 3 with "
                + "a watermark of 0")
    }

    @Test func missingAndBrokenFilesAreNamed() throws {
        let pack = try TemporaryPack()
        #expect(pack.message() == "runs: has no NAME.requests.csv.gz")
        try pack.write("runs/one.requests.csv", TemporaryPack.header + row)
        #expect(
            pack.message()
                == "runs/one.summary.json: cannot be read; each run needs its command line (argv) and its iterations")
        try pack.write("runs/one.summary.json", "[]")
        #expect(
            pack.message()
                == "runs/one.summary.json: needs argv (a list of texts) and iterations (a number)")
        try pack.run("one", argv: [], rows: row)
        try pack.write(
            "table/meta.json", #"{"layers": 1, "num_blocks": 100.0, "block_size": 16, "gqa_overheads": [0.1, 0]}"#)
        #expect(
            pack.message()
                == "table/meta.json: gqa_overheads [0.1, 0.0]: only tables without them (all 0) can be replayed")
        try FileManager.default.removeItem(atPath: pack.folder + "/table/kv_save_ms_per_layer.csv")
        try pack.write("table/meta.json", #"{"layers": 1, "num_blocks": 100.0, "block_size": 16}"#)
        #expect(pack.message() == "table/kv_save_ms_per_layer.csv.gz: cannot be opened")
    }
}
