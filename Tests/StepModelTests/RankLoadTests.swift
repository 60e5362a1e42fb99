import Testing

@testable import StepModel

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// The fullest rank of experts that are drawn one by one, over many draws.
private func drawn(
    ways: Int, experts: Int, visits: Int, generator: inout SplitMix
) -> (distinct: Double, fullestDistinct: Double, fullestVisits: Double) {
    let rounds = 400
    var all = 0
    var distinct = 0
    var most = 0
    for _ in 0..<rounds {
        var counts = [Int](repeating: 0, count: experts)
        for _ in 0..<visits { counts[Int.random(in: 0..<experts, using: &generator)] += 1 }
        let own = experts / ways
        let ranks = (0..<ways).map { counts[($0 * own)..<(($0 + 1) * own)] }
        all += counts.count { $0 > 0 }
        distinct += ranks.map { $0.count { $0 > 0 } }.max()!
        most += ranks.map { $0.reduce(0, +) }.max()!
    }
    let each = Double(rounds)
    return (Double(all) / each, Double(distinct) / each, Double(most) / each)
}

/// The closed form follows draws within 12 %, from nearly idle experts to all of them.
@Test(arguments: [(2, 128, 64), (4, 16, 8), (4, 16, 64), (8, 16, 8), (8, 128, 32), (8, 128, 512), (16, 256, 128)])
func theFullestRankIsThatOfDraws(ways: Int, experts: Int, visits: Int) {
    var generator = SplitMix(state: 7)
    let oracle = drawn(ways: ways, experts: experts, visits: visits, generator: &generator)
    let load = RankLoad(
        ways: Double(ways), experts: Double(experts), distinct: oracle.distinct, visits: Double(visits))
    #expect(abs(load.distinct / oracle.fullestDistinct - 1) < 0.12, "\(load.distinct) \(oracle.fullestDistinct)")
    #expect(abs(load.visits / oracle.fullestVisits - 1) < 0.12, "\(load.visits) \(oracle.fullestVisits)")
}

@Test func oneRankCarriesAll() {
    let load = RankLoad(ways: 1, experts: 64, distinct: 40, visits: 100)
    #expect(load.distinct == 40)
    #expect(load.visits == 100)
}

@Test func deviationsOfTheLargestGrowWithRanks() {
    #expect(RankLoad.deviationsOfLargest(of: 1) == 0)
    // 1/√π, the expected larger of two.
    #expect(abs(RankLoad.deviationsOfLargest(of: 2) - 0.5642) < 1e-3)
    let values = [1, 2, 3, 4, 6, 8, 16, 100, 1024].map { RankLoad.deviationsOfLargest(of: $0) }
    #expect(zip(values, values.dropFirst()).allSatisfy { $0 < $1 })
}
