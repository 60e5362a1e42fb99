//===----------------------------------------------------------------------===//
// vLLM's metric names, for routers, autoscalers and dashboards that read them.
//===----------------------------------------------------------------------===//

import Engine
import Fleet
import NIOCore

/// The part of vLLM 0.33's family that a fleet model can know: names, labels and buckets are vLLM's. One `engine` a pool.
/// Their colons are not lint-clean, so they stay on the serving listener.
extension MetricsView {
    func vllm(_ format: ExpositionFormat) -> ByteBuffer {
        var page = Exposition(format: format)
        let yard = yards[0]
        let gauges = yard.gauges
        let indices = yard.plan.pools.indices
        func labels(_ pool: Int) -> Labels { [("model_name", modelName), ("engine", String(pool))] }
        func gauge(_ name: String, _ help: String, _ value: (PoolGauges) -> Double) {
            page.family("vllm:\(name)", .gauge, help: help)
            for pool in indices { page.sample(labels(pool), value(gauges[pool])) }
        }
        gauge("num_requests_running", "Number of requests in model execution batches.") { Double($0.runningRequests) }
        let room = yard.cells.reduce(0) { $0 + $1.lastGauges.roomRequests }
        gauge("num_requests_waiting", "Number of requests waiting to be processed.") {
            Double($0.waitingRequests) + Double(room) / Double(indices.count)
        }
        gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.") {
            $0.totalKVBlocks > 0 ? Double($0.usedKVBlocks) / Double($0.totalKVBlocks) : 0
        }
        page.family("vllm:cache_config_info", .gauge, help: "Information of the LLMEngine CacheConfig")
        for pool in indices {
            let configuration = yard.plan.pools[pool].configuration
            page.sample(
                labels(pool) + [
                    ("block_size", String(configuration.kvBlockTokens)),
                    ("num_gpu_blocks", String(gauges[pool].totalKVBlocks)),
                    ("enable_prefix_caching", configuration.prefixCaching == .off ? "False" : "True"),
                ], 1)
        }
        writeCounters(&page, yard: yard, gauges: gauges, labels: labels)
        writeHistograms(&page, yard: yard, labels: labels)
        return page.finish()
    }

    private func writeCounters(_ page: inout Exposition, yard: LiveYard, gauges: [PoolGauges], labels: (Int) -> Labels)
    {
        func counter(_ name: String, _ help: String, _ value: (Int) -> UInt64) {
            page.family("vllm:\(name)_total", .counter, help: help)
            for pool in yard.plan.pools.indices { page.sample(labels(pool), count: value(pool)) }
        }
        counter("prompt_tokens", "Number of prefill tokens processed.") { sum(yard, $0, .promptTokens) }
        counter("prompt_tokens_cached", "Number of prompt tokens found in the prefix cache.") {
            sum(yard, $0, .cachedPromptTokens)
        }
        counter("generation_tokens", "Number of generation tokens processed.") { sum(yard, $0, .outputTokens) }
        counter("num_preemptions", "Cumulative number of preemption from the engine.") {
            UInt64(gauges[$0].usage.preemptions)
        }
        counter("prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.") {
            UInt64(gauges[$0].usage.prefixQueryTokens)
        }
        counter("prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.") {
            UInt64(gauges[$0].usage.prefixHitTokens)
        }
        page.family("vllm:request_success_total", .counter, help: "Count of successfully processed requests.")
        for pool in yard.plan.pools.indices {
            let reasons: [(String, OutcomeCounters.Counter)] = [
                ("stop", .finishedByStop), ("length", .finishedByLength), ("abort", .cancelled), ("error", .failed),
            ]
            for (reason, counter) in reasons {
                page.sample(labels(pool) + [("finished_reason", reason)], count: sum(yard, pool, counter))
            }
        }
    }

    private func writeHistograms(_ page: inout Exposition, yard: LiveYard, labels: (Int) -> Labels) {
        let families: [(String, String, (OutcomeCounters) -> HistogramShard)] = [
            (
                "time_to_first_token_seconds", "Histogram of time to first token in seconds.",
                { $0.vllmTimeToFirstToken }
            ),
            ("inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", { $0.vllmTokenLatency }),
            (
                "request_time_per_output_token_seconds", "Histogram of time per output token in seconds per request.",
                { $0.vllmTimePerOutputToken }
            ),
            ("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", { $0.vllmEndToEnd }),
            ("request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", { $0.vllmQueue }),
            (
                "request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.",
                { $0.vllmInference }
            ),
            (
                "request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.",
                { $0.vllmPrefill }
            ),
            ("request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", { $0.vllmDecode }),
            ("request_num_preemptions", "Histogram of the number of preemptions of a request.", { $0.vllmPreemptions }),
            ("request_prompt_tokens", "Number of prefill tokens processed.", { $0.vllmPromptTokens }),
            ("request_generation_tokens", "Number of generation tokens processed.", { $0.vllmOutputTokens }),
        ]
        for (name, help, pick) in families {
            page.family("vllm:\(name)", .histogram, help: help)
            for pool in yard.plan.pools.indices {
                let shards = counters.map { pick($0.outcomes[yard.side.rawValue][pool]) }
                let (counts, total) = merged(shards)
                page.histogram(labels(pool), bounds: shards[0].bounds, counts: counts, sum: total)
            }
        }
    }
}
