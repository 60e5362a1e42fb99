import Foundation
import NIOCore
import Testing

@testable import Server

@Suite struct ExpositionTests {
    @Test func textFormat() {
        var exposition = Exposition(format: .prometheus)
        exposition.family("trainyard_requests_total", .counter, help: "Requests\nby \\ side.")
        exposition.sample([("side", "fleet"), ("odd", "a\"b\\c\nd")], count: 12)
        exposition.family("trainyard_load_ratio", .gauge, help: "Load.")
        exposition.sample([], 0.25)
        exposition.family("trainyard_wait_seconds", .histogram, help: "Wait.")
        exposition.histogram([("side", "fleet")], bounds: [0.1, 1], counts: [2, 3, 4], sum: 5.5)
        #expect(
            String(buffer: exposition.finish()) == """
                # HELP trainyard_requests_total Requests\\nby \\\\ side.
                # TYPE trainyard_requests_total counter
                trainyard_requests_total{side="fleet",odd="a\\"b\\\\c\\nd"} 12
                # HELP trainyard_load_ratio Load.
                # TYPE trainyard_load_ratio gauge
                trainyard_load_ratio 0.25
                # HELP trainyard_wait_seconds Wait.
                # TYPE trainyard_wait_seconds histogram
                trainyard_wait_seconds_bucket{side="fleet",le="0.1"} 2
                trainyard_wait_seconds_bucket{side="fleet",le="1.0"} 5
                trainyard_wait_seconds_bucket{side="fleet",le="+Inf"} 9
                trainyard_wait_seconds_sum{side="fleet"} 5.5
                trainyard_wait_seconds_count{side="fleet"} 9

                """)
    }

    @Test func openMetricsDropsTheSuffixFromFamiliesAndEnds() {
        var exposition = Exposition(format: .openMetrics)
        exposition.family("trainyard_requests_total", .counter, help: "Requests.")
        exposition.sample([], count: 1)
        let text = String(buffer: exposition.finish())
        #expect(text.contains("# TYPE trainyard_requests counter\ntrainyard_requests_total 1\n"))
        #expect(text.hasSuffix("# EOF\n"))
    }

    @Test func negotiation() {
        #expect(ExpositionFormat(accept: nil) == .prometheus)
        #expect(ExpositionFormat(accept: "text/plain;version=0.0.4") == .prometheus)
        #expect(ExpositionFormat(accept: "application/openmetrics-text;version=1.0.0,text/plain;q=0.5") == .openMetrics)
    }

    @Test func histogramShardFindsTheBucket() {
        let seed: UInt64 = 3
        var random = TestRandom(seed: seed)
        let bounds = Buckets.fineSeconds
        let shard = HistogramShard(bounds: bounds)
        var expected = [UInt64](repeating: 0, count: bounds.count + 1)
        for _ in 0..<5000 {
            let value =
                random.below(4) == 0 ? bounds[random.below(bounds.count)] : Double(random.below(1_000_000)) * 1.3e-3
            shard.record(value)
            expected[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        }
        #expect(shard.read().counts == expected, "seed \(seed)")
    }

    @Test func vllmTokenBuckets() {
        #expect(Buckets.vllmTokens(upTo: 8192) == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000])
    }
}
