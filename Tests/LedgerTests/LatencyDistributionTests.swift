//===----------------------------------------------------------------------===//
// Distributions against a sorted list.
//===----------------------------------------------------------------------===//

import Testing

@testable import Ledger

/// SplitMix64 (Steele, Lea, Flood 2014), so that a failing case can be run again from its printed seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// The nearest rank, by sorting.
private func oracle(_ values: [Int64], _ rank: Double) -> Double {
    let sorted = values.sorted()
    let index = max(1, Int((rank * Double(sorted.count)).rounded(.up)))
    return Double(sorted[index - 1]) / 1e9
}

private let ranks = [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]

@Suite struct LatencyDistributionTests {
    @Test func emptyHasNoFigures() {
        let empty = LatencyDistribution()
        #expect(empty.meanSeconds == nil)
        #expect(empty.percentilesSeconds([0.5]) == nil)
        #expect(empty.count == 0)
    }

    @Test(arguments: [1, 2, 3, 100, 19_366] as [Int])
    func smallRunsAreExact(count: Int) throws {
        var random = SplitMix(state: UInt64(count))
        var distribution = LatencyDistribution()
        let values = (0..<count).map { _ in Int64.random(in: 0...5_000_000_000, using: &random) }
        for value in values { distribution.record(nanoseconds: value) }
        let found = try #require(distribution.percentilesSeconds(ranks))
        #expect(found == ranks.map { oracle(values, $0) })
        #expect(distribution.isExact)
        #expect(distribution.maximumNanoseconds == values.max())
        let mean = Double(values.reduce(0, +)) / Double(count) * 1e-9
        #expect(abs(distribution.meanSeconds! - mean) < mean * 1e-12 + 1e-15)
    }

    @Test func largeRunsAreWithinHalfAThousandth() throws {
        let seed: UInt64 = 7
        var random = SplitMix(state: seed)
        var distribution = LatencyDistribution()
        // Six decades, evenly spread on a logarithmic scale by shifting.
        let values = (0..<300_000).map { _ in
            Int64.random(in: 0..<(1 << Int64.random(in: 1...40, using: &random)), using: &random)
        }
        for value in values { distribution.record(nanoseconds: value) }
        #expect(!distribution.isExact)
        let found = try #require(distribution.percentilesSeconds(ranks))
        for (rank, seconds) in zip(ranks, found) {
            let exact = oracle(values, rank)
            #expect(abs(seconds - exact) <= exact * 0.0005 + 1e-9, "rank \(rank), seed \(seed)")
        }
    }

    @Test(arguments: [10, 70_000, 140_000] as [Int])
    func mergingInAnyOrderEqualsCountingAtOnce(each: Int) {
        let seed: UInt64 = 11
        var random = SplitMix(state: seed)
        var parts: [LatencyDistribution] = []
        var whole = LatencyDistribution()
        for _ in 0..<3 {
            var part = LatencyDistribution()
            for _ in 0..<each {
                let value = Int64.random(in: 0...80_000_000_000, using: &random)
                part.record(nanoseconds: value)
                whole.record(nanoseconds: value)
            }
            parts.append(part)
        }
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            var merged = LatencyDistribution()
            for index in order { merged.merge(parts[index]) }
            #expect(merged == whole, "order \(order), \(each) values each, seed \(seed)")
            #expect(merged.percentilesSeconds(ranks) == whole.percentilesSeconds(ranks))
            #expect(merged.meanSeconds == whole.meanSeconds)
        }
    }

    /// A series is what its single gaps are, in the exact form and in buckets, rising, level and falling.
    @Test func seriesEqualTheirSingleValues() {
        let seed: UInt64 = 3
        var random = SplitMix(state: seed)
        for base in [0, 140_000] {
            var counted = LatencyDistribution()
            for value in 0..<Int64(base) { counted.record(nanoseconds: value) }
            for _ in 0..<200 {
                let steps = Int32.random(in: 1...200, using: &random)
                let copies = Int32.random(in: 1...5, using: &random)
                let first = Int64.random(in: 300_000_000...40_000_000_000, using: &random)
                let increment = Int64.random(in: -1_000_000...30_000_000, using: &random)
                var series = counted
                var single = counted
                series.recordSeries(
                    firstPicoseconds: first, incrementPicoseconds: increment, steps: steps, copies: copies)
                for step in 0..<Int64(steps) {
                    for _ in 0..<copies {
                        single.recordSeries(
                            firstPicoseconds: first + step * increment, incrementPicoseconds: 0, steps: 1, copies: 1)
                    }
                }
                #expect(series == single, "seed \(seed), \(steps) x \(copies) from \(first) by \(increment)")
            }
        }
    }
}
