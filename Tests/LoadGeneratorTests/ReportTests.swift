import Foundation
import Testing
import Workload

@testable import LoadGenerator

@Suite struct ReportTests {
    /// A report of `count` requests whose TTFT is about `ttft` milliseconds.
    private func report(ttft: Double, count: Int, seed: UInt64, failures: Int = 0) throws -> (LoadReport, LoadResult) {
        var random = RandomStream(seed: seed)
        let text = "prompt_tokens,output_tokens\n8,10\n"
        let workload = try Workload(
            WorkloadDescription(parsing: "lengths:<t>?rate=10&limit=\(count)"), bytes: Array(text.utf8))
        let schedule = try LoadSchedule(workload)
        var configuration = LoadConfiguration(target: try LoadTarget(parsing: "http://h:1"), model: "m<1>")
        configuration.promise.ttft = 50_000_000
        var measured = LoadMeasurements()
        for (index, request) in schedule.requests.enumerated() {
            var record = RequestRecord()
            record.id = request.id
            record.intended = request.arrivalNanoseconds
            record.dispatched = record.intended + 20_000
            record.firstToken = record.dispatched + Int64(ttft * 1e6 * (0.5 + random.exponential() / 2))
            record.lastToken = record.firstToken + 90_000_000
            record.ended = record.lastToken
            record.chunks = 10
            record.outputTokens = 10
            record.askedOutputTokens = 10
            record.promptTokens = 8
            record.hasUsage = true
            record.attempts = 1
            record.status = index < failures ? .truncated : .completed
            measured.record(record, promise: configuration.promise, recordLimit: .max)
        }
        let result = LoadResult(
            measurements: measured, schedule: schedule, configuration: configuration, wallSeconds: 100, cpuSeconds: 1
        )
        return (LoadReport(result), result)
    }

    @Test func reportsSurviveJSON() throws {
        let (report, _) = try report(ttft: 20, count: 500, seed: 1, failures: 3)
        let data = try JSONEncoder().encode(report)
        let back = try JSONDecoder().decode(LoadReport.self, from: data)
        #expect(
            back.latency == report.latency && back.requests == report.requests && back.histograms == report.histograms)
        #expect(back.failures == ["truncated": 3])
        #expect(report.latency.ttftSeconds.count == 497)
    }

    @Test func sameLawIsNotSignificantAndSlowerIs() throws {
        var falseAlarms = 0
        for seed in 1...40 as ClosedRange<UInt64> {
            let (first, _) = try report(ttft: 20, count: 300, seed: seed)
            let (second, _) = try report(ttft: 20, count: 300, seed: seed + 1_000)
            if LoadComparison(first, second).metrics[0].test!.pValue < LoadComparison.significance { falseAlarms += 1 }
        }
        #expect(falseAlarms <= 3, "at 1 % about none of 40")
        let (fast, _) = try report(ttft: 20, count: 300, seed: 1)
        let (slow, _) = try report(ttft: 26, count: 300, seed: 2)
        #expect(LoadComparison(fast, slow).secondIsWorse)
        #expect(!LoadComparison(slow, fast).secondIsWorse)
        #expect(LoadComparison(fast, slow).text.contains("significant"))
    }

    /// Against the definition: every pair counted.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func rankTestCountsPairs(seed: UInt64) throws {
        var random = RandomStream(seed: seed)
        func sample() -> [Int64] { (0..<(5 + random.below(30))).map { _ in Int64(random.below(12)) } }
        func buckets(_ values: [Int64]) -> [[Int64]] {
            Set(values).sorted().map { value in [value, Int64(values.count { $0 == value })] }
        }
        let (a, b) = (sample(), sample())
        var wins = 0.0
        for x in a { for y in b { wins += y > x ? 1 : y == x ? 0.5 : 0 } }
        let test = try #require(RankTest(buckets(a), buckets(b)))
        #expect(abs(test.superiority - wins / Double(a.count * b.count)) < 1e-12, "seed \(seed)")
        #expect(test.pValue > 0 && test.pValue <= 1)
    }

    @Test func normalTailIsRight() {
        for (z, p) in [(0.0, 1.0), (1.959964, 0.05), (2.575829, 0.01), (5, 5.733e-7), (8, 1.244e-15)] {
            #expect(abs(RankTest.twoSided(z) / p - 1) < 0.02, "\(z)")
        }
    }

    @Test func pagesAreSelfContainedAndEscaped() throws {
        let (report, _) = try report(ttft: 20, count: 200, seed: 3, failures: 2)
        let page = LoadPage.html(report)
        #expect(page.contains("m&lt;1&gt;") && !page.contains("m<1>"))
        #expect(!page.contains("http-equiv") && !page.contains("src=") && !page.contains("href="))
        #expect(page.components(separatedBy: "<svg").count == 8)
        #expect(page.components(separatedBy: "<polyline").count > 8)
        #expect(page.contains("truncated"))
    }

    @Test func csvHasOneRowPerRequest() throws {
        let (_, result) = try report(ttft: 20, count: 50, seed: 4, failures: 1)
        let lines = RecordTable.csv(result.measurements.records).split(separator: "\n")
        #expect(lines.count == 51)
        let columns = RecordTable.header.split(separator: ",").count
        #expect(lines.allSatisfy { $0.split(separator: ",", omittingEmptySubsequences: false).count == columns })
        #expect(lines[1].hasSuffix(",truncated") && lines[2].hasSuffix(",completed"))
    }

    @Test func vLLMFormHasItsKeysAndNumpysPercentiles() throws {
        let (report, result) = try report(ttft: 20, count: 101, seed: 5)
        let data = try JSONEncoder().encode(VLLMResult(result, report, date: "20260101-000000", burstiness: nil))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        for key in [
            "date", "model_id", "num_prompts", "request_rate", "duration", "completed", "total_input_tokens",
            "request_throughput",
            "output_throughput", "total_token_throughput", "mean_ttft_ms", "median_tpot_ms", "std_itl_ms",
            "p99_e2el_ms",
        ] { #expect(object[key] != nil, "\(key)") }
        let sorted = result.measurements.records.map { Double($0.ttft) / 1e6 }.sorted()
        // Of 101 values the percentiles 50 and 99 are values themselves.
        #expect(abs((object["median_ttft_ms"] as? Double ?? 0) - sorted[50]) < 1e-9)
        #expect(abs((object["p99_ttft_ms"] as? Double ?? 0) - sorted[99]) < 1e-9)
    }

    @Test func tableShowsTheLimitFirst() throws {
        var (report, _) = try report(ttft: 20, count: 200, seed: 6)
        report.warnings.insert("THE CLIENT WAS THE LIMIT: so it was", at: 0)
        let text = LoadText.table(report)
        #expect(text.hasPrefix("!!! THE CLIENT WAS THE LIMIT"))
        for word in ["TTFT", "TPOT", "E2E, intended", "client lag", "goodput", "dispersion"] {
            #expect(text.contains(word), "\(word)")
        }
        #expect(text.split(separator: "\n").allSatisfy { $0.count < 200 })
    }

    @Test func numbersAreReadable() {
        #expect(LoadText.fixed(1.2345, 3) == "1.235" || LoadText.fixed(1.2345, 3) == "1.234")
        #expect(LoadText.fixed(-0.00001, 2) == "0.00")
        #expect(LoadText.number(12_345.6) == "12346" && LoadText.number(0) == "0" && LoadText.number(99.5) == "99.50")
        #expect(LoadPlot.ticks(0, 97).last! >= 97)
        #expect(LoadLine.sparkline([0, 1, 2]).count == 3)
    }
}

@Suite struct SearchTests {
    /// A made-up server that keeps its promise up to `capacity` requests/s.
    private func report(_ rate: Double, capacity: Double) throws -> LoadReport {
        let text = "prompt_tokens,output_tokens\n8,4\n"
        let workload = try Workload(
            WorkloadDescription(parsing: "lengths:t?rate=\(rate)&limit=100&arrivals=constant"), bytes: Array(text.utf8))
        let schedule = try LoadSchedule(workload)
        var configuration = LoadConfiguration(target: try LoadTarget(parsing: "http://h:1"), model: "m")
        configuration.promise.e2e = 20_000_000
        var measured = LoadMeasurements()
        var free: Int64 = 0
        for request in schedule.requests {
            var record = RequestRecord()
            record.id = request.id
            record.intended = request.arrivalNanoseconds
            record.dispatched = record.intended
            free = max(free, record.intended) + Int64(1e9 / capacity)
            record.firstToken = free
            record.ended = free
            record.outputTokens = 4
            record.status = .completed
            measured.record(record, promise: configuration.promise, recordLimit: .max)
        }
        return LoadReport(
            LoadResult(
                measurements: measured, schedule: schedule, configuration: configuration, wallSeconds: 100,
                cpuSeconds: 1)
        )
    }

    @Test(arguments: [3.0, 50, 333, 4_000])
    func findsTheKnee(capacity: Double) async throws {
        let search = RateSearch(goal: .knee(share: 0.95), startRate: 100, precision: 1.05)
        let found = try await search.run { try report($0, capacity: capacity) }
        #expect(found.rate > capacity * 0.85 && found.rate < capacity * 1.15, "\(found.rate) of \(capacity)")
        #expect(found.trials.count < 30)
    }

    @Test func findsTheGoodput() async throws {
        let search = RateSearch(goal: .goodput(share: 0.95), startRate: 100)
        let found = try await search.run { try report($0, capacity: 500) }
        // Above 500 requests/s the queue grows and answers miss 20 ms after a few dozen requests.
        #expect(found.rate > 450 && found.rate < 700, "\(found.rate)")
        let none = try await search.run { try report($0, capacity: 0.5) }
        #expect(none.rate == 0)
    }
}

@Suite struct ScrapeTests {
    @Test func readsCountersAndGauges() async throws {
        let page = """
            # HELP vllm:num_requests_running Running.
            # TYPE vllm:num_requests_running gauge
            vllm:num_requests_running{model_name="a b{c}",engine="0"} 3
            vllm:num_requests_running{model_name="d\\"e}",engine="1"} 4.5
            # TYPE vllm:generation_tokens_total counter
            vllm:generation_tokens_total 100
            # TYPE vllm:e2e histogram
            vllm:e2e_bucket{le="1"} 5
            vllm:e2e_sum 2.5
            # TYPE trainyard_energy_joules_total counter
            trainyard_energy_joules_total{side="fleet",component="chip"} 10
            trainyard_energy_joules_total{side="fleet",component="host"} 5
            trainyard_energy_joules_total{side="baseline",component="chip"} 99
            process_cpu_seconds_total 3
            vllm:broken{ 3
            vllm:odd NaN
            """
        let parsed = MetricsPage(parsing: page)
        #expect(parsed.gauges == ["vllm:num_requests_running": 7.5])
        #expect(parsed.counters["vllm:generation_tokens_total"] == 100)
        #expect(parsed.counters["vllm:e2e_sum"] == 2.5 && parsed.counters["vllm:e2e_bucket"] == nil)
        #expect(parsed.counters["trainyard_energy_joules_total"] == 15)
        #expect(parsed.counters["trainyard_energy_joules_total{side=\"baseline\"}"] == 99)
        #expect(parsed.counters["process_cpu_seconds_total"] == nil)
        let scraper = try MetricsScraper(
            url: "http://h:1/metrics",
            besides: LoadConfiguration(target: LoadTarget(parsing: "http://h:1"), model: "m"))
        await scraper.take(parsed)
        await scraper.take(
            MetricsPage(parsing: page.replacing("} 10", with: "} 110").replacing("total 100", with: "total 40")))
        let figures = try #require(await scraper.figures(outputTokens: 50))
        #expect(figures.joulesPerOutputToken == 2)
        #expect(figures.growth["vllm:generation_tokens_total"] == 40, "a counter that fell was reset")
        #expect(figures.means["vllm:num_requests_running"] == 7.5)
    }

    @Test func aServerWithoutMetricsIsNoError() async throws {
        let server = try await MockServer { _ in .status(404) }
        let scraper = MetricsScraper(
            of: LoadConfiguration(target: try LoadTarget(parsing: server.url), model: "m"))
        await scraper.scrape()
        #expect(await scraper.figures(outputTokens: 5) == nil)
        try await server.stop()
    }

    /// The key of the loaded server is nobody else's to see.
    @Test func headersGoToTheLoadedServerAlone() async throws {
        let target = try LoadTarget(parsing: "http://model:8000/v1")
        var configuration = LoadConfiguration(target: target, model: "m")
        configuration.headers = [("Authorization", "Bearer secret")]
        func headers(_ url: String) async throws -> Int {
            try await MetricsScraper(url: url, besides: configuration).headers.count
        }
        #expect(await MetricsScraper(of: configuration).headers.count == 1)
        #expect(try await headers("http://model:8000/metrics") == 1)
        for other in ["http://model:9100/metrics", "http://other:8000/metrics", "https://model:8000/metrics"] {
            #expect(try await headers(other) == 0, "\(other)")
        }
        configuration.target.socketPath = "/run/model.sock"
        let own = MetricsScraper(of: configuration)
        #expect(await own.headers.count == 1)
        #expect(await own.target.socketPath == "/run/model.sock", "the page is read where the load goes")
        #expect(try await headers("http://model:8000/metrics") == 0, "what listens there is another server")
    }
}

@Suite struct TokenizerTests {
    @Test func takesSingleTokenWords() throws {
        let names = [
            "the", "of", "and", "to", "in", "for", "is", "on", "that", "by", "this", "with", "you", "it", "not", "or",
            "be",
        ]
        var vocabulary = names.enumerated().map { "\"\\u0120\($0.element)\": \(100 - $0.offset)" }
        vocabulary += ["\"Ġraw\": 5", "\"plain\": 1", "\"ĠUpper\": 2", "\"Ġx9\": 3", "\"\u{2581}piece\": 4"]
        let json =
            "{\"added_tokens\":[{\"id\":0}],\"model\":{\"type\":\"BPE\",\"vocab\":{\(vocabulary.joined(separator: ","))},\"merges\":[\"a b\"]}}"
        let list = try WordList.tokenizer(Array(json.utf8), path: "t.json")
        let words = list.words.map { String(decoding: $0, as: UTF8.self) }
        #expect(words.prefix(3) == [" piece", " raw", " be"])
        #expect(words.count == names.count + 2)
        for bad in ["{", "{\"model\":{\"vocab\":{}}}", "{\"model\":{\"vocab\":{\"a\":\"b\"}}}"] {
            #expect(throws: LoadError.self) { try WordList.tokenizer(Array(bad.utf8), path: "t.json") }
        }
    }
}
