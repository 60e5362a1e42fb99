import Testing
import Workload

@testable import LoadGenerator

@Suite struct MeasurementTests {
    private func record(_ random: inout RandomStream) -> RequestRecord {
        var record = RequestRecord()
        record.intended = Int64(random.below(5_000_000_000))
        record.dispatched = record.intended + Int64(random.below(1_000_000))
        record.firstToken = record.dispatched + Int64(random.below(100_000_000))
        record.lastToken = record.firstToken + Int64(random.below(900_000_000))
        record.ended = record.lastToken
        record.outputTokens = Int32(1 + random.below(50))
        record.askedOutputTokens = record.outputTokens
        record.promptTokens = 3
        record.status = random.below(5) == 0 ? .truncated : .completed
        record.priorityClass = UInt8(random.below(3))
        return record
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func mergingIsExact(seed: UInt64) {
        var random = RandomStream(seed: seed)
        var whole = LoadMeasurements()
        var parts = [LoadMeasurements(), LoadMeasurements(), LoadMeasurements()]
        var promise = RequestPromise()
        promise.ttft = 50_000_000
        for _ in 0..<2_000 {
            let record = record(&random)
            whole.record(record, promise: promise, recordLimit: .max)
            parts[Int(random.below(3))].record(record, promise: promise, recordLimit: .max)
        }
        var merged = parts[2]
        merged.merge(parts[0])
        merged.merge(parts[1])
        #expect(merged.completed == whole.completed && merged.failed == whole.failed && merged.good == whole.good)
        #expect(merged.records.count == 2_000)
        for (one, other) in [
            (merged.ttft, whole.ttft), (merged.e2e, whole.e2e), (merged.tpot, whole.tpot), (merged.lag, whole.lag),
        ] {
            #expect(one.buckets.map(\.value) == other.buckets.map(\.value))
            #expect(one.buckets.map(\.count) == other.buckets.map(\.count))
            #expect(one.percentile(99) == other.percentile(99))
            #expect(abs(one.mean / other.mean - 1) < 1e-12)
        }
        #expect(merged.byClass.mapValues(\.good) == whole.byClass.mapValues(\.good))
        #expect(merged.seconds.map(\.completed) == whole.seconds.map(\.completed))
    }

    @Test func percentilesAreThoseOfTheSample() {
        var random = RandomStream(seed: 5)
        var histogram = LatencyHistogram()
        var values: [Int64] = []
        for _ in 0..<20_000 {
            let value = Int64(random.exponential() * 1e7)
            values.append(value)
            histogram.record(value)
        }
        values.sort()
        for percentile in [50.0, 90, 99, 99.9] {
            // Rounding may pick the rank beside; the histogram has three digits.
            let rank = Int((percentile / 100 * 20_000).rounded())
            let found = Double(histogram.percentile(percentile))
            #expect(
                found >= Double(values[rank - 2]) * 0.999 && found <= Double(values[rank]) * 1.001, "p\(percentile)")
        }
        #expect(histogram.percentile(100) == values.last)
        #expect(abs(histogram.mean - values.reduce(0) { $0 + Double($1) } / 20_000) < 1)
    }

    /// The interval must hold the true percentile in about 95 of 100 samples.
    @Test func confidenceIntervalsCover() {
        var covered = 0
        for seed in 1...400 as ClosedRange<UInt64> {
            var random = RandomStream(seed: seed, stream: 3)
            var histogram = LatencyHistogram()
            for _ in 0..<500 { histogram.record(Int64(random.exponential() * 1e7)) }
            // The 90th percentile of the exponential law: ln 10.
            if histogram.confidence(90)!.contains(23_025_851) { covered += 1 }
        }
        #expect(covered >= 368 && covered <= 396, "\(covered) of 400")
        var small = LatencyHistogram()
        for value in 1...20 { small.record(Int64(value)) }
        #expect(small.confidence(99) == nil, "20 values say nothing above their largest")
    }

    @Test func dispersionTellsRegularFromPoisson() throws {
        let regular = try #require(ArrivalCheck((0..<10_000).map { Int64($0) * 1_000_000 }))
        #expect(abs(regular.rate - 1_000) < 1e-6 && regular.dispersion < 0.05)
        var clock = ArrivalClock(law: .poisson, rate: 1_000, random: RandomStream(seed: 2))
        let poisson = try #require(ArrivalCheck((0..<10_000).map { _ in nanoseconds(clock.next()!) }))
        #expect(abs(poisson.dispersion - 1) < 1.5 * poisson.poissonMargin)
        #expect(ArrivalCheck([1, 2, 3]) == nil)
    }
}
