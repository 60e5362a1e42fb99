//===----------------------------------------------------------------------===//
// Plans: ready-made fleets, errors with places, cells, nodes, scaling.
//===----------------------------------------------------------------------===//

import Catalog
import Engine
import Foundation
import StepModel
import Testing
import Yard

@testable import Fleet

private let repository = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

private func plan(_ yaml: String) throws -> FleetPlan {
    try FleetSpecification(yaml: yaml, file: "f.yaml").plan(catalog: .builtIn, calibration: .builtIn)
}

private func message(_ yaml: String) -> String {
    do {
        _ = try plan(yaml)
        return "no error"
    } catch { return "\(error)" }
}

private func fleet(
    instance: String = "trn2.48xlarge", instances: Int = 4, model: String = "llama-3.1-8b", tensor: Int = 16,
    stack: String = "vllm-neuron", more: String = "", last: String = ""
) -> String {
    """
    name: test
    region: us-east-2
    pools:
      - name: first
        instance: \(instance)
        instances: \(instances)
        deployment:
          model: \(model)
          precision: bf16
          parallelism: { tensor: \(tensor) }
          stack: \(stack)
          max_num_seqs: 16
          max_model_len: 4096
    \(more)
    price: { basis: capacity-block, date: 2026-10-03 }
    \(last)
    """
}

private let gpuPool = """
      - name: second
        instance: p5en.48xlarge
        instances: 2
        deployment:
          model: llama-3.1-8b
          precision: bf16
          parallelism: { tensor: 2 }
          stack: vllm
    """

@Suite struct FleetPlanTests {
    @Test func readyMadeFleetsArePlanned() throws {
        let folder = repository.appendingPathComponent("deploy/fleets")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".yaml") }
            .sorted()
        let expected = [
            "b200.yaml", "h100.yaml", "h200.yaml", "mixed.yaml", "openai-2gw.yaml", "rainier.yaml",
            "trn2-ultraserver.yaml",
            "trn2.yaml", "trn3-ultraserver.yaml",
        ]
        #expect(expected.allSatisfy(files.contains), "\(files)")
        for file in files {
            let specification = try FleetSpecification(contentsOf: folder.appendingPathComponent(file).path)
            let plan = try specification.plan(catalog: .builtIn, calibration: .builtIn)
            #expect(plan.replicas > 0, "\(file)")
            // Nothing about Trainium's power is published, so no fleet of it may claim better.
            if specification.pools.contains(where: { $0.instance.value.contains("trn") }) {
                #expect(plan.grade == .assumed, "\(file)")
            }
            for pool in plan.pools {
                #expect(pool.spareChips >= 0 && pool.power.idleChipWatts <= pool.power.maxChipWatts, "\(file)")
                #expect((pool.microDollarsPerInstanceHour == nil) == (specification.price == nil), "\(file)")
                #expect(pool.configuration.problem == nil, "\(file)")
            }
        }
    }

    @Test func namesAreLookedUpAtTheirPlaces() {
        #expect(message(fleet(instance: "trn2.48xlrage")).hasPrefix("f.yaml:5:15: unknown instance \"trn2.48xlrage\""))
        #expect(message(fleet(instance: "trn2.48xlrage")).contains("trn2.48xlarge"))
        #expect(message(fleet(model: "llama-3.1-9b")).hasPrefix("f.yaml:8:14: unknown model \"llama-3.1-9b\""))
        #expect(message(fleet(model: "llama-3.1-9b")).contains("llama-3.1-8b"))
        #expect(
            message(fleet().replacing("us-east-2", with: "us-east-7")).hasPrefix(
                "f.yaml:2:9: unknown region \"us-east-7\""))
        #expect(message(fleet(model: "/no/such/config.json")).hasPrefix("f.yaml:8:14: "))
    }

    @Test func impossibleDeploymentsSayWhyAndWhere() {
        let tooBig = message(fleet(model: "llama-3.1-405b", tensor: 8))
        #expect(tooBig.hasPrefix("f.yaml:8:7: ") && tooBig.contains("does not fit") && tooBig.contains("GiB"))
        #expect(message(fleet(stack: "vllm")).contains("does not run on trainium2"))
        #expect(message(fleet(instance: "p5en.48xlarge")).contains("does not run on"))
        #expect(
            message(fleet(more: gpuPool.replacing("llama-3.1-8b", with: "llama-3.1-70b"))).contains(
                "the pools of one fleet serve one model"))
    }

    @Test func plansSayWhatSiteAndPowerRestOn() throws {
        let plan = try plan(fleet())
        #expect(plan.site.region == "us-east-2")
        let place = try Catalog.builtIn.region("us-east-2")
        #expect(plan.site.pue == place.powerUsageEffectiveness?.value)
        #expect(plan.site.pueGrade == place.powerUsageEffectiveness?.grade)
        #expect(plan.site.wueGrade != nil && plan.site.carbonGrade != nil)
        for start in [
            "PUE of us-east-2 ", "WUE of us-east-2 ", "grid carbon of us-east-2 ", "chip power of trainium2: ",
        ] {
            #expect(plan.assumptions.contains { $0.hasPrefix(start) && $0.contains(": ") }, "\(start)")
        }
        let given = try self.plan(fleet(last: "pue: 1.2"))
        #expect(given.site.pue == 1.2 && given.site.pueGrade == .assumed)
        #expect(given.assumptions.contains("PUE 1.2, given in the fleet file"))
    }

    @Test func nativePrecisionIsThePublishedOne() throws {
        let text = fleet(instance: "p5.48xlarge", model: "gpt-oss-120b", tensor: 1, stack: "vllm")
        let native = try plan(text.replacing("precision: bf16", with: "precision: native"))
        #expect(native.pools[0].compiled.deployment.precision == nil)
        #expect(native.pools[0].caption.contains { $0.contains("as published") })
        #expect(message(text).contains("does not fit"))
    }

    @Test func searchesTryWhatCanBeAndSayWhatCannot() throws {
        func search(_ instance: String) throws -> (plans: [FleetPlan], refusals: [DeploymentSearch.Refusal]) {
            let search = DeploymentSearch(
                model: "gpt-oss-120b", maxModelTokens: 2048, precisions: nil, region: "us-east-2", price: nil)
            return try search.candidates(on: instance, catalog: .builtIn, calibration: .builtIn)
        }
        let hopper = try search("p5.4xlarge")
        #expect(Set(hopper.plans.map(\.name)) == ["p5.4xlarge native TP1"])
        #expect(hopper.refusals.map(\.name) == ["p5.4xlarge bf16 TP1", "p5.4xlarge fp8 TP1"])
        #expect(hopper.refusals.allSatisfy { $0.reason.contains("does not fit") })
        let trainium = try search("trn2.3xlarge")
        #expect(trainium.refusals.contains { $0.reason.hasPrefix("trainium2 has no mxfp4 arithmetic; it has bf16") })
        #expect(throws: CatalogError.self) { try search("p55.48xlarge") }
    }

    @Test func pricesFollowBasisAndDate() throws {
        let plan = try plan(fleet(more: gpuPool))
        #expect(plan.pools.map(\.microDollarsPerInstanceHour) == [35_760_800, 63_158_000])
        #expect(plan.priceBasis == "capacity-block 2026-10-03")
        let earlier = try self.plan(fleet(more: gpuPool), date: "2026-08-01")
        #expect(earlier.pools.map(\.microDollarsPerInstanceHour) == [35_760_800, 54_920_000])
        let missing = message(fleet().replacing("capacity-block", with: "on-demand"))
        #expect(missing.hasPrefix("f.yaml:15:17: no on-demand price for trn2.48xlarge"))
        let given = try self.plan(fleet(), price: "{ usd_per_hour: 20 }")
        #expect(given.pools[0].microDollarsPerInstanceHour == 20_000_000 && given.priceBasis == "usd_per_hour 20.0")
        let without = try self.plan(fleet(), price: nil)
        #expect(without.pools[0].microDollarsPerInstanceHour == nil)
        #expect(without.assumptions.contains("no price in the fleet file: costs are not reported"))
    }

    private func plan(_ yaml: String, date: String) throws -> FleetPlan {
        try Self.planned(yaml.replacing("2026-10-03", with: date))
    }
    private func plan(_ yaml: String, price: String?) throws -> FleetPlan {
        let line = "price: { basis: capacity-block, date: 2026-10-03 }"
        return try Self.planned(yaml.replacing(line, with: price.map { "price: \($0)" } ?? ""))
    }
    private func plan(_ yaml: String) throws -> FleetPlan { try Self.planned(yaml) }
    private static func planned(_ yaml: String) throws -> FleetPlan {
        try FleetSpecification(yaml: yaml, file: "f.yaml").plan(catalog: .builtIn, calibration: .builtIn)
    }

    @Test func regionAndOverridesGiveTheSite() throws {
        let region = try Catalog.builtIn.region("us-east-2")
        let plan = try plan(fleet())
        #expect(plan.site.pue == region.powerUsageEffectiveness?.value)
        #expect(plan.site.gramsCO2ePerKWh == region.carbonGramsPerKilowattHour?.value)
        let other = try self.plan(fleet(last: "pue: 1.5"))
        #expect(other.site.pue == 1.5 && other.assumptions.contains("PUE 1.5, given in the fleet file"))
        let power = try self.plan(fleet(last: "power: { host_watts: 2000, network_watts: 50 }"))
        #expect(power.pools[0].power.hostWatts == 2000 && power.pools[0].power.networkWatts == 50)
        #expect(power.pools[0].power.wallPerChipWatt == plan.pools[0].power.wallPerChipWatt)
    }

    @Test func replicasAreNumberedThroughPoolsAndNodes() throws {
        let plan = try plan(fleet(more: gpuPool))
        // 64 logical cores in fours of 16; 8 GPUs in fours of 2.
        #expect(plan.pools.map(\.replicas) == [16, 8])
        #expect(plan.pools.map(\.firstReplica) == [0, 16])
        #expect(plan.pool(ofReplica: 15) == 0 && plan.pool(ofReplica: 16) == 1)
        #expect(plan.nodeCount == 6)
        let node = try #require(plan.node(named: "second-0001"))
        #expect(node.replicas == 20..<24 && node.pool == 1)
        #expect(plan.node(ofReplica: 21) == node)
        #expect(
            plan.node(named: "second-0002") == nil && plan.node(named: "second-1") == nil
                && plan.node(named: "x") == nil)
        for replica in 0..<Int32(plan.replicas) { #expect(plan.node(ofReplica: replica).replicas.contains(replica)) }
    }

    @Test func cellsShareEveryReplicaOnce() throws {
        for cells in [1, 2, 3, 7] {
            let plan = try plan(fleet(more: gpuPool, last: "cells: \(cells)"))
            let configurations = plan.cellConfigurations(seed: 1)
            #expect(configurations.count == cells)
            for (index, pool) in plan.pools.enumerated() {
                let numbers = configurations.flatMap { cell -> [Int32] in
                    let share = cell.pools[index]
                    return (0..<share.replicas).map { share.firstReplicaNumber + Int32($0) }
                }
                #expect(numbers == Array(pool.firstReplica..<pool.firstReplica + Int32(pool.replicas)))
                let shares = configurations.map { $0.pools[index].replicas }
                #expect(shares.max()! - shares.min()! <= 1)
            }
            for configuration in configurations { #expect(throws: Never.self) { try configuration.validate() } }
        }
        // More cells than a pool has replicas would leave some without.
        #expect(try plan(fleet(instances: 1, more: gpuPool, last: "cells: 7")).cells == 4)
    }

    @Test func boundsAreDealtToCells() throws {
        let plan = try plan(
            fleet(
                last: """
                    cells: 4
                    limits: { max_queued_requests: 10, max_queued_requests_per_replica: 3 }
                    classes:
                      a: { ttft_p99_seconds: 0.25, promote_after_seconds: 2 }
                      b: { max_queued_requests: 6 }
                    tenants:
                      t: { weight: 7 }
                    """))
        let cell = plan.cellConfigurations(seed: 1)[0]
        #expect(cell.waitingRoom.maxWaitingRequests == 3 && cell.replicaQueueLimit == 3)
        #expect(cell.waitingRoom.classes.map(\.name) == ["a", "b"])
        #expect(cell.waitingRoom.classes.map(\.maxWaitingRequests) == [.max, 2])
        #expect(cell.waitingRoom.classes[0].promoteAfterNanoseconds == 2_000_000_000)
        #expect(cell.waitingRoom.tenantWeights == [1, 7])
        #expect(cell.placement.ttftTargetMicroseconds == 250_000)
    }

    @Test func scalingKeepsProportions() throws {
        let plan = try plan(fleet(instances: 6, more: gpuPool))
        for total in [2, 3, 8, 16, 100] {
            let scaled = plan.scaled(instances: total)
            #expect(scaled.instances == total)
            #expect(scaled.pools.allSatisfy { $0.instances >= 1 })
            #expect(scaled.pools[1].firstReplica == Int32(scaled.pools[0].replicas))
        }
        #expect(plan.scaled(instances: 16).pools.map(\.instances) == [12, 4])
    }

    @Test func aModelBesideTheFleetFileIsFound() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "fleet-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let configuration = """
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 1024, "intermediate_size": 4096,
             "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 32000,
             "torch_dtype": "bfloat16", "tie_word_embeddings": false}
            """
        try configuration.write(to: folder.appendingPathComponent("own.json"), atomically: true, encoding: .utf8)
        let file = folder.appendingPathComponent("own.yaml")
        try fleet(instances: 1, model: "own.json").write(to: file, atomically: true, encoding: .utf8)
        let plan = try FleetSpecification(contentsOf: file.path).plan(catalog: .builtIn, calibration: .builtIn)
        #expect(plan.pools[0].compiled.deployment.model == folder.appendingPathComponent("own.json").path)
    }

    @Test func stacksSetTheRules() throws {
        let neuron = try plan(fleet()).pools[0].configuration
        guard case .phased(let rules) = neuron.stack else {
            Issue.record("vllm-neuron is not phased")
            return
        }
        // Without context buckets every step reads the whole compiled length.
        #expect(rules.contextBuckets == [4096] && rules.admission == .wholeContext)
        #expect(rules.batchBuckets.last == 16 && rules.prefillBuckets.last == 4096)
        guard
            case .mixed = try plan(fleet(instance: "p5en.48xlarge", tensor: 8, stack: "vllm")).pools[0].configuration
                .stack
        else {
            Issue.record("vllm is not mixed")
            return
        }
    }
}
