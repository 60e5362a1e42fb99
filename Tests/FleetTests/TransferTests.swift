//===----------------------------------------------------------------------===//
// Fleets whose prefill and decode are apart.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Foundation
import StepModel
import Testing
import Yard

@testable import Fleet

@Suite struct TransferTests {
    private static func fleet(
        first: String = "role: prefill", second: String = "role: decode", instance: String = "trn2.48xlarge",
        kv: String = "bf16", transfer: String = "kv_transfer: { over: efa, mode: read }"
    ) -> String {
        func pool(_ name: String, _ more: String, _ kv: String) -> String {
            """
              - name: \(name)
                \(more)
                instance: \(instance)
                instances: 2
                deployment:
                  model: llama-3.1-70b
                  precision: bf16
                  parallelism: { tensor: \(instance.hasPrefix("p5") ? 8 : 32) }
                  stack: \(instance.hasPrefix("p5") ? "vllm" : "vllm-neuron")
                  max_num_seqs: 16
                  max_model_len: 8192
                  kv_precision: \(kv)
            """
        }
        return """
            name: apart
            pools:
            \(pool("one", first, "bf16"))
            \(pool("two", second, kv))
            \(transfer)
            """
    }

    private static func plan(_ yaml: String) throws -> FleetPlan {
        try FleetSpecification(yaml: yaml, file: "f.yaml").plan(catalog: .builtIn, calibration: .builtIn)
    }

    private static func message(_ yaml: String) -> String {
        do {
            _ = try plan(yaml)
            return "no error"
        } catch { return "\(error)" }
    }

    @Test func rolesAndBandwidthReachTheCells() throws {
        let plan = try Self.plan(Self.fleet())
        let cell = try #require(plan.cellConfigurations(seed: 1).first)
        #expect(cell.pools.map(\.replica.role) == [.prefillOnly, .decodeOnly])
        // 80 layers × 8 heads × 128 elements × (key and value) × 2 bytes.
        #expect(cell.transfer == KVTransferRules(mode: .read, bytesPerToken: 327_680, latencyNanoseconds: 15_000))
        // A replica of 32 logical cores is 8 chips of 25 GB/s.
        #expect(cell.pools.map(\.transferBytesPerSecond) == [200_000_000_000, 200_000_000_000])
        try cell.validate()
        #expect(
            plan.caption.contains { $0.hasSuffix(", prefill") } && plan.caption.contains { $0.hasSuffix(", decode") })
        #expect(plan.assumptions.contains { $0.hasPrefix("KV transfer: 327680 bytes a token, read") })
        #expect(plan.grade == .assumed)
        // Growing keeps both sides.
        let grown = plan.scaled(instances: 8)
        #expect(grown.pools.map(\.instances) == [4, 4] && grown.transfer == plan.transfer)
    }

    @Test func modesLinksAndFiguresOfOnesOwn() throws {
        let written = try Self.plan(Self.fleet(transfer: "kv_transfer: { mode: write, latency_microseconds: 200 }"))
        #expect(written.transfer?.mode == .write(layers: 80) && written.transfer?.latencyNanoseconds == 200_000)
        // The whole scale-up fabric of a Trainium2 chip, 1,280 GB/s summed, and of eight H200, 450 GB/s each.
        let neuron = try Self.plan(Self.fleet(transfer: "kv_transfer: { over: neuronlink }"))
        #expect(neuron.pools[0].transferBytesPerSecond == 8 * 640_000_000_000)
        #expect(neuron.transfer?.latencyNanoseconds == 10_000)
        #expect(neuron.assumptions.contains { $0.contains("are taken to share the scale-up links of trainium2") })
        let nvlink = try Self.plan(Self.fleet(instance: "p5en.48xlarge", transfer: "kv_transfer: { over: nvlink }"))
        #expect(nvlink.pools[1].transferBytesPerSecond == 8 * 450_000_000_000)
        let efa = try Self.plan(Self.fleet(instance: "p5en.48xlarge", transfer: ""))
        #expect(efa.pools[1].transferBytesPerSecond == 400_000_000_000)
        let own = try Self.plan(Self.fleet(transfer: "kv_transfer: { bytes_per_second_per_chip: 1e9 }"))
        #expect(own.pools[0].transferBytesPerSecond == 8_000_000_000)
    }

    @Test(arguments: [
        (fleet(second: "role: both"), "pool 'two' needs 'role: prefill' or 'role: decode'"),
        (fleet(second: "role: prefill"), "needs a pool with 'role: decode'"),
        (fleet(second: "role: decoder"), "unknown value 'decoder'; did you mean 'decode'?"),
        (fleet(first: "role: both", second: "role: both"), "'kv_transfer' needs pools with 'role: prefill'"),
        (fleet(kv: "fp8"), "pool 'two' keeps KV in fp8, pool 'one' in bf16"),
        (
            fleet(transfer: "kv_transfer: { over: token-ring }"),
            "no bandwidth of 'token-ring' is known for trn2.48xlarge; known are efa, scale-up, torus-xy, torus-z, network"
        ),
        (fleet(transfer: "kv_transfer: { mode: push }"), "unknown value 'push'"),
        (fleet(transfer: "kv_transfer: { latency: 3 }"), "unknown key 'latency'"),
    ]) func whatCannotBeIsNamed(yaml: String, message: String) {
        #expect(Self.message(yaml).contains(message), "\(Self.message(yaml))")
    }
}
