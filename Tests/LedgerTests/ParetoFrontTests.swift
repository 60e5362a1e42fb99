//===----------------------------------------------------------------------===//
// The Pareto front against its definition.
//===----------------------------------------------------------------------===//

import Testing

@testable import Ledger

@Suite struct ParetoFrontTests {
    @Test func beatenPointsLeave() {
        #expect(ParetoFront.indices(of: [[1, 5], [2, 2], [5, 1], [3, 3], [2, 2]]) == [0, 1, 2])
        #expect(ParetoFront.indices(of: []) == [])
        #expect(ParetoFront.indices(of: [[nil, 1], [3, 2], [nil, 2]]) == [0, 1])
    }

    @Test func everyPointIsOnTheFrontOrBeatenByOneOnIt() {
        let seed: UInt64 = 21
        var random = SplitMix(state: seed)
        for _ in 0..<50 {
            let points = (0..<40).map { _ in (0..<3).map { _ in Double(Int.random(in: 0...9, using: &random)) } }
            let front = ParetoFront.indices(of: points.map { $0.map { $0 } })
            for index in points.indices where !front.contains(index) {
                let isBeaten = front.contains { winner in zip(points[winner], points[index]).allSatisfy { $0 <= $1 } }
                #expect(isBeaten, "point \(index), seed \(seed)")
            }
            for one in front {
                for other in front where other != one {
                    let beaten = zip(points[other], points[one]).allSatisfy { $0 <= $1 }
                    #expect(!beaten, "\(other) beats \(one), seed \(seed)")
                }
            }
        }
    }
}
