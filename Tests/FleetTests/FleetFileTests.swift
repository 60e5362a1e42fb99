//===----------------------------------------------------------------------===//
// Reading fleet files: what is read, and the golden text of every error.
//===----------------------------------------------------------------------===//

import StepModel
import Testing

@testable import Fleet

/// A file that uses every key once.
private let whole = """
    name: trn2-chat
    region: us-east-2
    pools:
      - name: llama70b
        instance: trn2.48xlarge
        instances: 4
        deployment:
          model: llama-3.1-70b
          precision: bf16
          parallelism: { tensor: 32, data: 2 }
          stack: vllm-neuron
          max_num_seqs: 32
          max_model_len: 8192
          max_num_batched_tokens: 4096
          kv_precision: bf16
          kv_block_tokens: 32
          kv_memory_fraction: 0.5
          gpu_memory_utilization: 0.9
          enable_prefix_caching: false
          prefill_buckets: [128, 512, 4096]
          context_buckets: [2048, 8192]
          on_device_sampling: true
          async_scheduling: true
          cores_per_logical_core: 2
          software: neuron-2.32
          long_prefill_token_threshold: 512
          chip_power_cap_watts: 450
          speculative: { draft_tokens: 2, acceptance: [0.8, 0.5], draft_model: llama-3.1-8b }
        usd_per_hour: 35.5
        power: { host_watts: 1600, wall_watts_per_chip_watt: 1.13, network_watts: 120 }
    placement: power-of-two
    price: { basis: capacity-block, date: 2026-10-03 }
    pue: 1.1
    wue_litres_per_kwh: 0.1
    grams_co2e_per_kwh: 400
    power: { network_watts: 90 }
    classes:
      interactive: { ttft_p99_seconds: 1, tpot_p99_seconds: 0.06, promote_after_seconds: 30 }
      batch: { max_queued_requests: 500 }
    tenants:
      acme: { weight: 3, class: batch, requests_per_minute: 600, tokens_per_minute: 100000, max_concurrent: 64 }
    limits:
      max_queued_requests: 2000
      max_queued_tokens: 4000000
      max_queued_requests_per_tenant: 500
      max_queued_requests_per_replica: 8
    cells: 2
    """

/// The smallest file.
private let small = """
    name: small
    pools:
      - name: only
        instance: trn2.48xlarge
        instances: 1
        deployment:
          model: llama-3.1-70b
          precision: bf16
          parallelism: { tensor: 64 }
          stack: vllm-neuron
    """

private func message(_ yaml: String) -> String {
    do {
        _ = try FleetSpecification(yaml: yaml, file: "f.yaml")
        return "no error"
    } catch { return "\(error)" }
}

/// `small` or `whole` with one line replaced.
private func message(_ base: String, _ line: String, _ replacement: String) -> String {
    precondition(base.contains(line))
    return message(base.replacing(line, with: replacement, maxReplacements: 1))
}

@Suite struct FleetFileTests {
    @Test func everyKeyIsRead() throws {
        let fleet = try FleetSpecification(yaml: whole, file: "f.yaml")
        #expect(fleet.name == "trn2-chat" && fleet.region?.value == "us-east-2" && fleet.region?.place.line == 2)
        #expect(fleet.placement.value == "power-of-two" && fleet.cells == 2)
        #expect(fleet.price?.basis?.value == "capacity-block" && fleet.price?.date?.value == "2026-10-03")
        #expect(fleet.site == SiteOverrides(pue: 1.1, wueLitresPerKWh: 0.1, gramsCO2ePerKWh: 400))
        #expect(fleet.power.networkWatts == 90)
        #expect(fleet.classes.map(\.name) == ["interactive", "batch"])
        #expect(fleet.classes[0].ttftSeconds == 1 && fleet.classes[0].tpotSeconds == 0.06)
        #expect(fleet.classes[0].promoteAfterSeconds == 30 && fleet.classes[1].maxQueuedRequests == 500)
        let tenant = try #require(fleet.tenants.first)
        #expect(tenant.name == "acme" && tenant.weight == 3 && tenant.priorityClass?.value == "batch")
        #expect(tenant.requestsPerMinute == 600 && tenant.tokensPerMinute == 100_000 && tenant.maxConcurrent == 64)
        #expect(
            fleet.limits
                == LimitSpecification(
                    maxQueuedRequests: 2000, maxQueuedTokens: 4_000_000, maxQueuedRequestsPerTenant: 500,
                    maxQueuedRequestsPerReplica: 8))
        let pool = try #require(fleet.pools.first)
        #expect(
            pool.name == "llama70b"
                && pool.instance == Located("trn2.48xlarge", at: Place(file: "f.yaml", line: 5, column: 15)))
        #expect(pool.instances == 4 && pool.usdPerHour == 35.5)
        #expect(pool.power.hostWatts == 1600 && pool.power.wallPerChipWatt == 1.13 && pool.power.networkWatts == 120)
        let deployment = pool.deployment
        #expect(deployment.model.value == "llama-3.1-70b" && deployment.precision.value == "bf16")
        #expect(deployment.parallelism.value.tensor == 32 && deployment.parallelism.value.data == 2)
        #expect(deployment.parallelism.value.expert == 1)
        #expect(deployment.stack.value == "vllm-neuron" && deployment.software?.value == "neuron-2.32")
        #expect(
            deployment.maxSequences == 32 && deployment.maxModelTokens == 8192 && deployment.maxBatchedTokens == 4096)
        #expect(
            deployment.kvPrecision?.value == "bf16" && deployment.kvBlockTokens == 32
                && deployment.kvMemoryFraction == 0.5)
        #expect(deployment.gpuMemoryUtilization == 0.9 && deployment.prefixCaching == false)
        #expect(deployment.prefillBuckets == [128, 512, 4096] && deployment.contextBuckets == [2048, 8192])
        #expect(
            deployment.onDeviceSampling == true && deployment.asyncScheduling == true
                && deployment.coresPerLogicalCore == 2)
        #expect(deployment.longPrefillThresholdTokens == 512 && deployment.chipPowerCapWatts == 450)
        #expect(deployment.speculation?.draftTokens == 2 && deployment.speculation?.draftModel == "llama-3.1-8b")
        #expect(abs(deployment.speculation!.acceptedLength - 2.2) < 1e-12)
    }

    @Test func whatIsLeftOutTakesDefaults() throws {
        let fleet = try FleetSpecification(yaml: small, file: "f.yaml")
        #expect(fleet.region == nil && fleet.price == nil && fleet.placement.value == "least-loaded")
        #expect(
            fleet.classes.isEmpty && fleet.tenants.isEmpty && fleet.limits == LimitSpecification() && fleet.cells == nil
        )
        #expect(fleet.pools[0].deployment.maxSequences == nil)
    }

    @Test func unknownKeysNameTheNearest() {
        #expect(
            message(whole, "max_num_seqs", "max_num_seq")
                == "f.yaml:12:7: unknown key 'max_num_seq' in 'pools[0].deployment'; did you mean 'max_num_seqs'?")
        #expect(message(small, "pools", "poools") == "f.yaml:2:1: unknown key 'poools'; did you mean 'pools'?")
        #expect(
            message(whole, "usd_per_hour", "usd_per_day")
                == "f.yaml:29:5: unknown key 'usd_per_day' in 'pools[0]'; did you mean 'usd_per_hour'?")
        #expect(
            message(small, "{ tensor: 64 }", "{ tensr: 64 }")
                == "f.yaml:9:22: unknown key 'tensr' in 'pools[0].deployment.parallelism'; did you mean 'tensor'?")
    }

    @Test func wrongTypesAndUnitsSayWhatIsWanted() {
        #expect(
            message(small, "instances: 1", "instances: four")
                == "f.yaml:5:16: 'pools[0].instances' takes a whole number of instances, not 'four'")
        #expect(
            message(small, "instances: 1", "instances: \"4\"")
                == "f.yaml:5:16: 'pools[0].instances' takes a whole number of instances, not a quoted text; write 4")
        #expect(
            message(small, "instances: 1", "instances: 0")
                == "f.yaml:5:16: 'pools[0].instances' must be 1 to 1000000 instances, not 0")
        #expect(
            message(whole, "max_model_len: 8192", "max_model_len: 8k")
                == "f.yaml:13:22: 'pools[0].deployment.max_model_len' takes a whole number of tokens without a unit, not '8k' "
                + "(the unit is fixed; 'k' is not read): write a plain number such as 8")
        #expect(
            message(whole, "host_watts: 1600", "host_watts: 1.6 kW")
                == "f.yaml:30:26: 'pools[0].power.host_watts' takes a number of watts without a unit, not '1.6 kW' "
                + "(the unit is fixed; 'kW' is not read): write a plain number such as 1.6")
        #expect(
            message(whole, "enable_prefix_caching: false", "enable_prefix_caching: 3")
                == "f.yaml:19:30: 'pools[0].deployment.enable_prefix_caching' takes true or false, not '3'")
        #expect(
            message(small, "name: small", "name:")
                == "f.yaml:1:6: 'name' takes a text, not nothing")
        #expect(
            message(small, "parallelism: { tensor: 64 }", "parallelism: 64")
                == "f.yaml:9:20: 'pools[0].deployment.parallelism' takes a mapping of keys to values, not '64'")
        #expect(message("name: x\npools: {}") == "f.yaml:2:8: 'pools' takes a list, not a mapping")
        #expect(
            message(whole, "date: 2026-10-03", "date: yesterday")
                == "f.yaml:32:39: 'price.date' takes a date as YYYY-MM-DD, not 'yesterday'")
    }

    @Test func unknownNamesNameTheNearest() {
        #expect(
            message(small, "stack: vllm-neuron", "stack: vlm-neuron")
                == "f.yaml:10:14: 'pools[0].deployment.stack': unknown value 'vlm-neuron'; did you mean 'vllm-neuron'?")
        #expect(
            message(small, "precision: bf16", "precision: bf61")
                == "f.yaml:8:18: 'pools[0].deployment.precision': unknown value 'bf61'; did you mean 'bf16'?")
        #expect(
            message(whole, "placement: power-of-two", "placement: power-of-too")
                == "f.yaml:31:12: 'placement': unknown value 'power-of-too'; did you mean 'power-of-two'?")
        #expect(
            message(whole, "class: batch", "class: bach")
                == "f.yaml:41:29: 'tenants.acme.class': unknown value 'bach'; did you mean 'batch'?")
    }

    @Test func whatIsMissingOrContradictoryIsSaid() {
        #expect(
            message(small, "    instances: 1\n", "")
                == "f.yaml:3:5: the key 'instances' is missing in 'pools[0]'")
        #expect(message("name: x\npools: []") == "f.yaml:2:8: 'pools' needs at least one pool")
        #expect(
            message(whole, "[128, 512, 4096]", "[128, 64]")
                == "f.yaml:20:30: 'pools[0].deployment.prefill_buckets' must ascend, but 64 follows 128")
        #expect(
            message(whole, "acceptance: [0.8, 0.5]", "acceptance: [0.8]")
                == "f.yaml:28:51: 'pools[0].deployment.speculative.acceptance' has 1 probabilities for 2 draft tokens")
        #expect(
            message(whole, "{ basis: capacity-block, date: 2026-10-03 }", "{ date: 2026-10-03 }")
                == "f.yaml:32:8: 'price' needs a 'basis' or 'usd_per_hour'")
        #expect(message(small + "\nname: again\n").hasPrefix("f.yaml:1:1: the key 'name' is given twice"))
    }

    @Test func whatIsNotYAMLIsSaidWithItsPlace() {
        #expect(message("").contains("the file is empty"))
        #expect(
            message("name: [").hasPrefix("f.yaml:1:8: not YAML") || message("name: [").hasPrefix("f.yaml:2:1: not YAML")
        )
        #expect(message("name: x\n\tpools: 3").hasPrefix("f.yaml:2:1: not YAML"))
        #expect(message("- a\n- b") == "f.yaml:1:1: the file takes a mapping of keys to values, not a list")
        #expect(
            message(String(repeating: "#", count: YAMLValue.maxBytes + 1)).contains(
                "more than the 4194304 that are read"))
    }

    @Test func aFileThatIsNotThereIsNamed() {
        #expect(
            throws: FleetError(
                "no such fleet file, or it cannot be read", at: Place(file: "/no/such.yaml", line: 0, column: 0))
        ) {
            _ = try FleetSpecification(contentsOf: "/no/such.yaml")
        }
    }
}
