//===----------------------------------------------------------------------===//
// The pages of metrics of a whole daemon: what must be on them, under which names.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import HostTopology
import Ledger
import NIOCore
import Testing
import Workload

@testable import Server

@Suite(.serialized) struct MetricsTests {
    private static func page(port: Int, headers: [String: String] = [:]) async throws -> RawResponse {
        try await onThread {
            let client = try SocketClient(port: port)
            try client.request("GET", "/metrics", headers: headers)
            return try client.response()
        }
    }

    private static func families(_ text: String) -> Set<String> {
        Set(text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map { String($0.split(separator: " ")[2]) })
    }

    private static func send(_ daemon: RunningDaemon, count: Int, headers: [String: String] = [:]) async throws {
        try await onThread {
            let client = try SocketClient(port: daemon.port)
            for seed in 0..<count {
                try client.request(
                    "POST", "/v1/completions", body: DaemonTests.body(prompt: 20, tokens: 6, seed: seed),
                    headers: headers)
                #expect(try client.response().status == 200)
            }
        }
    }

    /// Fleet and baseline beside each other in everything that a comparison rests on.
    @Test func ownFamilyShowsBothSides() async throws {
        try await withDaemon { daemon in
            try await Self.send(daemon, count: 5)
            try await eventually("power and ratios are known") {
                let text = try await daemon.get("/metrics").text
                return text.contains("trainyard_power_watts{") && text.contains("trainyard_fleet_to_baseline_ratio{")
            }
            let text = try await daemon.get("/metrics").text
            for family in [
                "trainyard_time_to_first_token_seconds_count", "trainyard_time_per_output_token_seconds_count",
                "trainyard_request_duration_seconds_count", "trainyard_queue_time_seconds_count",
                "trainyard_tokens_total", "trainyard_requests_total", "trainyard_preemptions_total",
                "trainyard_requests_waiting", "trainyard_requests_running", "trainyard_room_requests",
                "trainyard_kv_blocks", "trainyard_kv_usage_ratio", "trainyard_batch_occupancy_ratio",
                "trainyard_padding_tokens_total", "trainyard_padding_waste_ratio", "trainyard_prefix_hit_ratio",
                "trainyard_cost_dollars_total", "trainyard_energy_joules_total",
                "trainyard_boundary_energy_joules_total",
                "trainyard_power_watts", "trainyard_boundary_power_watts", "trainyard_ring_depth",
                "trainyard_ring_capacity", "trainyard_cell_silence_seconds", "trainyard_grade_info",
            ] {
                for side in ["fleet", "baseline"] {
                    #expect(text.contains("\(family){side=\"\(side)\""), "\(family) of the \(side)")
                }
            }
            for family in [
                "trainyard_build_info{version=", "trainyard_emission_lag_seconds_count ",
                "trainyard_baseline_missed_total 0",
                "trainyard_http_refused_full_total 0", "process_resident_memory_bytes ",
                "trainyard_fleet_to_baseline_ratio{figure=\"wall_joules_per_output_token\"}",
                "trainyard_fleet_to_baseline_ratio{figure=\"dollars_per_output_token\"}",
            ] { #expect(text.contains("\n" + family), "\(family)") }
            for side in ["fleet", "baseline"] {
                let line = try #require(
                    text.split(separator: "\n").first {
                        $0.hasPrefix("trainyard_requests_total{side=\"\(side)\"") && $0.contains("outcome=\"length\"")
                    })
                #expect(line.hasSuffix(" 5"), "\(line)")
            }
            // Components add up to the wall, and the wall is more than the chips.
            func watts(_ prefix: String) -> [Double] {
                text.split(separator: "\n").filter { $0.hasPrefix(prefix) }.compactMap {
                    Double($0.split(separator: " ").last ?? "")
                }
            }
            for side in ["fleet", "baseline"] {
                let parts = watts("trainyard_power_watts{side=\"\(side)\"")
                let boundaries = watts("trainyard_boundary_power_watts{side=\"\(side)\"")
                #expect(parts.count == 6 && boundaries.count >= 2)
                #expect(abs(parts.reduce(0, +) / boundaries[1] - 1) < 1e-6)
                #expect(boundaries[0] < boundaries[1] && boundaries[0] > 0)
            }
        }
    }

    @Test func openMetricsShowsTheLastTrace() async throws {
        try await withDaemon("time_scale: max") { daemon in
            try await Self.send(daemon, count: 1, headers: ["traceparent": TraceContextTests.field])
            let page = try await daemon.get(
                "/metrics", headers: ["Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"])
            #expect(page.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8")
            #expect(page.text.hasSuffix("# EOF\n"))
            #expect(page.text.contains("# {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} "))
            #expect(!(try await daemon.get("/metrics").text.contains("trace_id")))
        }
    }

    /// Every family of vLLM 0.33 that an engine without pictures, adapters and other caches shows.
    @Test func vllmFamilyIsComplete() async throws {
        try await withDaemon("time_scale: max") { daemon in
            try await Self.send(daemon, count: 3)
            let text = try await Self.page(port: daemon.port).text
            let expected = [
                "num_requests_running", "num_requests_waiting", "num_requests_waiting_by_reason", "kv_cache_usage_perc",
                "engine_sleep_state", "cache_config_info", "prefix_cache_queries_total", "prefix_cache_hits_total",
                "external_prefix_cache_queries_total", "external_prefix_cache_hits_total", "mm_cache_queries_total",
                "mm_cache_hits_total", "num_preemptions_total", "prompt_tokens_total", "prompt_tokens_by_source_total",
                "prompt_tokens_cached_total", "prompt_tokens_cached_by_source_total", "generation_tokens_total",
                "request_success_total", "admission_rejections_total", "time_to_first_token_seconds",
                "inter_token_latency_seconds", "request_time_per_output_token_seconds", "e2e_request_latency_seconds",
                "request_queue_time_seconds", "request_inference_time_seconds", "request_prefill_time_seconds",
                "request_decode_time_seconds", "request_num_preemptions", "request_prompt_tokens",
                "request_generation_tokens", "request_max_num_generation_tokens", "request_params_n",
                "request_params_max_tokens", "request_prefill_kv_computed_tokens",
            ]
            let shown = Self.families(text)
            for name in expected { #expect(shown.contains("vllm:\(name)"), "\(name)") }
            let labels = #"{model_name="llama-3.1-8b",engine="0""#
            #expect(text.contains("vllm:request_params_n_count\(labels)} 3"))
            #expect(text.contains("vllm:request_params_max_tokens_sum\(labels)} 18.0"))
            #expect(text.contains("vllm:time_to_first_token_seconds_bucket\(labels),le=\"0.001\"}"))
        }
    }

    @Test func devicesHavePortsOfTheirOwn() async throws {
        let dcgm = try RunningDaemon.freePort()
        let neuron = try RunningDaemon.freePort()
        try await withDaemon(
            "device_exporters: { dcgm: \"127.0.0.1:\(dcgm)\", neuron_monitor: \"127.0.0.1:\(neuron)\" }"
        ) { daemon in
            let gpus = try await Self.page(port: dcgm).text
            // Eight H200 of the baseline; none of them is a Trainium device.
            #expect(gpus.components(separatedBy: "\nDCGM_FI_DEV_POWER_USAGE{").count == 9)
            #expect(gpus.contains("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu=\"7\""))
            let cores = try await Self.page(port: neuron).text
            #expect(cores.components(separatedBy: "\nneuroncore_utilization_ratio{").count == 17)
            #expect(cores.contains("execution_errors_total{") && cores.contains("status_type=\"timed_out\"} 0"))
            #expect(!cores.contains("watts") && !cores.contains("DCGM"))
            let other = try await onThread {
                let client = try SocketClient(port: dcgm)
                try client.request("POST", "/v1/completions", body: DaemonTests.body(prompt: 3, tokens: 3))
                return try client.response().status
            }
            #expect(other == 404, "an exporter's port generates nothing")
        }
    }

    /// A scrape reads counters one after the other while loops count: for a moment a part may exceed its whole.
    @Test func aScrapeBetweenTwoCountsDoesNotTrap() throws {
        let plan = try DaemonPlan(DaemonConfiguration(yaml: RunningDaemon.fleets, file: "test.yaml"))
        let yard = try LiveYard(
            side: .fleet, plan: plan.fleet, frontEnds: 1, scale: .unlimited, seed: 1, promise: .interactive,
            placements: plan.placements(on: .current()).fleet)
        let counters = LoopCounters(sides: [PoolNumbers(firstReplicas: [0], maxModelTokens: [8192])])
        var completion = FakeScheduler.completion(
            Request(id: 1, arrivalNanoseconds: 0, promptTokens: 10, outputTokens: 2), status: .finished)
        completion.cachedPromptTokens = 40
        counters.record(completion, side: .fleet, of: RequestTerms())
        let view = MetricsView(
            yards: [yard], counters: [counters], connections: ConnectionCount(), version: "test", startedSeconds: 0,
            modelName: "m")
        let text = String(buffer: view.vllm(.prometheus))
        #expect(text.contains(#"prompt_tokens_by_source_total{model_name="m",engine="0",source="local_compute"} 0"#))
        #expect(text.contains(#"prompt_tokens_cached_by_source_total{model_name="m",engine="0",source="device"} 40"#))
    }
}
