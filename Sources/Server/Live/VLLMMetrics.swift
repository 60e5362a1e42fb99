//===----------------------------------------------------------------------===//
// vLLM's metric names, for routers, autoscalers and dashboards that read them.
//===----------------------------------------------------------------------===//

import Engine
import Fleet
import NIOCore

/// The part of vLLM 0.33's family that a fleet model can know: names, labels and buckets are vLLM's. Their colons are
/// not lint-clean, so they stay on the serving listener.
extension MetricsView {
    /// One engine of the page: a pool of the fleet, or a cell.
    private struct ServedEngine {
        var gauges: PoolGauges
        var roomRequests: Double
        var outcomes: [OutcomeCounters]
        var configuration: ReplicaConfiguration
    }

    /// The page of the front door: an engine for each pool.
    func vllm(_ format: ExpositionFormat) -> ByteBuffer {
        let yard = yards[0]
        let gauges = yard.gauges
        let room = Double(yard.cells.reduce(0) { $0 + $1.lastGauges.roomRequests })
        let engines = yard.plan.pools.indices.map { pool in
            ServedEngine(
                gauges: gauges[pool], roomRequests: room / Double(gauges.count),
                outcomes: counters.map { $0.outcomes[Side.fleet.rawValue][pool] },
                configuration: yard.plan.pools[pool].configuration)
        }
        return page(engines, format)
    }

    /// The page of a cell's own port: one engine, as a single vLLM server shows.
    func vllm(_ format: ExpositionFormat, cell: Int) -> ByteBuffer {
        let yard = yards[0]
        let gauges = yard.cells[cell].lastGauges
        let engine = ServedEngine(
            gauges: gauges.pools.reduce(PoolGauges()) { $0 + $1 }, roomRequests: Double(gauges.roomRequests),
            outcomes: counters.map { $0.cells[cell] }, configuration: yard.plan.pools[0].configuration)
        return page([engine], format)
    }

    private func page(_ engines: [ServedEngine], _ format: ExpositionFormat) -> ByteBuffer {
        var page = Exposition(format: format)
        writeGauges(&page, engines)
        writeCounters(&page, engines)
        writeHistograms(&page, engines)
        writeProcess(&page)
        return page.finish()
    }

    private func labels(_ engine: Int) -> Labels { [("model_name", modelName), ("engine", String(engine))] }

    private func writeGauges(_ page: inout Exposition, _ engines: [ServedEngine]) {
        let families: [(String, String, (ServedEngine) -> Double)] = [
            (
                "num_requests_running", "Number of requests in model execution batches.",
                { Double($0.gauges.runningRequests) }
            ),
            (
                "num_requests_waiting", "Number of requests waiting to be processed.",
                { Double($0.gauges.waitingRequests) + $0.roomRequests }
            ),
            (
                "kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.",
                { $0.gauges.totalKVBlocks > 0 ? Double($0.gauges.usedKVBlocks) / Double($0.gauges.totalKVBlocks) : 0 }
            ),
        ]
        for (name, help, value) in families {
            page.family("vllm:\(name)", .gauge, help: help)
            for (index, engine) in engines.enumerated() { page.sample(labels(index), value(engine)) }
        }
        page.family(
            "vllm:num_requests_waiting_by_reason", .gauge, help: "Number of waiting requests, by why they wait.")
        for (index, engine) in engines.enumerated() {
            let waiting = Double(engine.gauges.waitingRequests) + engine.roomRequests
            page.sample(labels(index) + [("reason", "capacity")], waiting)
            page.sample(labels(index) + [("reason", "deferred")], 0)
        }
        page.family("vllm:engine_sleep_state", .gauge, help: "Engine sleep state; awake = 1 means the engine serves.")
        for index in engines.indices {
            for (state, value) in [("awake", 1.0), ("weights_offloaded", 0), ("discard_all", 0)] {
                page.sample(labels(index) + [("sleep_state", state)], value)
            }
        }
        page.family("vllm:cache_config_info", .gauge, help: "Information of the LLMEngine CacheConfig")
        for (index, engine) in engines.enumerated() {
            page.sample(
                labels(index) + [
                    ("block_size", String(engine.configuration.kvBlockTokens)),
                    ("num_gpu_blocks", String(engine.gauges.totalKVBlocks)),
                    ("enable_prefix_caching", engine.configuration.prefixCaching == .off ? "False" : "True"),
                ], 1)
        }
    }

    private func writeCounters(_ page: inout Exposition, _ engines: [ServedEngine]) {
        func read(_ engine: ServedEngine, _ counter: OutcomeCounters.Counter) -> UInt64 {
            engine.outcomes.reduce(0) { $0 + $1.read(counter) }
        }
        let families: [(String, String, (ServedEngine) -> UInt64)] = [
            ("prompt_tokens", "Number of prefill tokens processed.", { read($0, .promptTokens) }),
            (
                "prompt_tokens_cached", "Number of prompt tokens found in the prefix cache.",
                { read($0, .cachedPromptTokens) }
            ),
            ("generation_tokens", "Number of generation tokens processed.", { read($0, .outputTokens) }),
            (
                "num_preemptions", "Cumulative number of preemption from the engine.",
                { UInt64($0.gauges.usage.preemptions) }
            ),
            (
                "prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.",
                { UInt64($0.gauges.usage.prefixQueryTokens) }
            ),
            (
                "prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.",
                { UInt64($0.gauges.usage.prefixHitTokens) }
            ),
        ]
        for (name, help, value) in families + Self.sparseCounters {
            page.family("vllm:\(name)_total", .counter, help: help)
            for (index, engine) in engines.enumerated() { page.sample(labels(index), count: value(engine)) }
        }
        writeSources(&page, engines)
        page.family("vllm:request_success_total", .counter, help: "Count of successfully processed requests.")
        let reasons: [(String, OutcomeCounters.Counter)] = [
            ("stop", .finishedByStop), ("length", .finishedByLength), ("abort", .cancelled), ("error", .failed),
        ]
        for (index, engine) in engines.enumerated() {
            for (reason, counter) in reasons {
                page.sample(labels(index) + [("finished_reason", reason)], count: read(engine, counter))
            }
        }
    }

    /// What vLLM counts of parts that a modelled engine does not have (no other cache, no pictures), and of speculation.
    private static var sparseCounters: [(String, String, (ServedEngine) -> UInt64)] {
        [
            ("external_prefix_cache_queries", "External prefix cache queries, in number of tokens.", { _ in 0 }),
            ("external_prefix_cache_hits", "External prefix cache hits, in number of tokens.", { _ in 0 }),
            ("mm_cache_queries", "Multi-modal cache queries, in number of items.", { _ in 0 }),
            ("mm_cache_hits", "Multi-modal cache hits, in number of items.", { _ in 0 }),
            ("spec_decode_num_draft_tokens", "Number of draft tokens.", { UInt64($0.gauges.usage.draftTokens) }),
            (
                "spec_decode_num_accepted_tokens", "Number of accepted tokens.",
                { UInt64($0.gauges.usage.acceptedDraftTokens) }
            ),
        ]
    }

    /// Prompt tokens by where they came from, and rejections by their reason.
    private func writeSources(_ page: inout Exposition, _ engines: [ServedEngine]) {
        func sum(_ engine: ServedEngine, _ counter: OutcomeCounters.Counter) -> UInt64 {
            engine.outcomes.reduce(0) { $0 + $1.read(counter) }
        }
        let families: [(String, String, String, [(String, (ServedEngine) -> UInt64)])] = [
            (
                "prompt_tokens_by_source", "Number of prompt tokens by source.", "source",
                [
                    ("local_compute", { rest(of: sum($0, .promptTokens), without: sum($0, .cachedPromptTokens)) }),
                    ("local_cache_hit", { sum($0, .cachedPromptTokens) }), ("external_kv_transfer", { _ in 0 }),
                ]
            ),
            (
                "prompt_tokens_cached_by_source", "Number of cached prompt tokens by source.", "source",
                [
                    ("device", { rest(of: sum($0, .cachedPromptTokens), without: hostHits($0)) }),
                    ("host", { min(hostHits($0), sum($0, .cachedPromptTokens)) }), ("disk", { _ in 0 }),
                    ("p2p", { _ in 0 }), ("external_unspecified", { _ in 0 }),
                ]
            ),
            (
                "admission_rejections", "Number of requests rejected at admission.", "reason",
                [("max_num_queued_reqs", { sum($0, .rejected) }), ("max_num_queued_tokens", { _ in 0 })]
            ),
        ]
        // Counters are read one after the other while loops go on counting, so a part may seem larger than its whole.
        func rest(of whole: UInt64, without part: UInt64) -> UInt64 { whole - min(part, whole) }
        func hostHits(_ engine: ServedEngine) -> UInt64 { UInt64(engine.gauges.usage.prefixHostHitTokens) }
        for (name, help, label, series) in families {
            page.family("vllm:\(name)_total", .counter, help: help)
            for (index, engine) in engines.enumerated() {
                for (value, read) in series { page.sample(labels(index) + [(label, value)], count: read(engine)) }
            }
        }
    }

    private func writeHistograms(_ page: inout Exposition, _ engines: [ServedEngine]) {
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
            (
                "request_prefill_kv_computed_tokens", "Histogram of new KV tokens computed during prefill.",
                { $0.vllmComputedPromptTokens }
            ),
            (
                "request_max_num_generation_tokens", "Histogram of maximum number of requested generation tokens.",
                { $0.vllmMaxOutputTokens }
            ),
            ("request_params_n", "Histogram of the n request parameter.", { $0.vllmChoices }),
            ("request_params_max_tokens", "Histogram of the max_tokens request parameter.", { $0.vllmMaxTokens }),
        ]
        for (name, help, pick) in families {
            page.family("vllm:\(name)", .histogram, help: help)
            for (index, engine) in engines.enumerated() {
                let shards = engine.outcomes.map(pick)
                let (counts, total) = merged(shards)
                page.histogram(labels(index), bounds: shards[0].bounds, counts: counts, sum: total)
            }
        }
    }
}
