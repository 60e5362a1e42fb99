import Testing

@testable import Workload

@Suite struct EarlierSessionsTests {
    @Test func normalTailHasItsTabledValues() {
        // Abramowitz and Stegun, tables 26.1 and 26.2.
        let table: [(Double, Double)] = [
            (0, 0.5), (1, 0.158655254), (1.959963985, 0.025), (3, 1.349898032e-3), (6, 9.865876450e-10),
        ]
        for (x, tail) in table {
            #expect(abs(PortableMath.normalTail(x) / tail - 1) < 2e-7, "\(x)")
            #expect(abs(PortableMath.normalTail(-x) - (1 - tail)) < 2e-7, "\(-x)")
        }
    }

    @Test func tailOfTheGapsIsThatOfTheirDraws() {
        let model = BuiltInLaws.agents
        let tail = GapTail(model)
        var random = RandomStream(seed: 8)
        let draws = (0..<50_000).map { _ in model.drawGapSeconds(&random) }
        for seconds in [1.0, 10, 30, 120, 600, 5_000] {
            let expected = tail.probability(ofMoreThan: seconds)
            let found = Double(draws.count { $0 > seconds }) / 50_000
            #expect(abs(found - expected) < 4 * (expected * (1 - expected) / 50_000).squareRoot() + 1e-4, "\(seconds)")
        }
    }

    /// Sessions that wait at a moment of a long run of whole sessions, begun at their own Poisson times: the slow way to
    /// equilibrium.
    @Test(arguments: [("chat", BuiltInLaws.chat), ("agents", BuiltInLaws.agents)])
    func firstTurnsComeAsAfterALongPast(name: String, model: SessionModel) {
        let rate = 40.0
        var past: [Double] = []
        var random = RandomStream(seed: 21)
        // Over 100,000 s of past, beyond which an agents' gap lasts with probability 1e-5.
        var start = -100_000.0
        while start < 0 {
            start += random.exponential() / (rate * (1 - model.continueProbability))
            var turn = start
            while turn < 0, random.unit() < model.continueProbability {
                turn += model.drawGapSeconds(&random)
                if turn >= 0 { past.append(turn) }
            }
        }
        var drawn: [Double] = []
        var earlier = EarlierSessions(of: model, rate: rate, random: RandomStream(seed: 5))
        while let time = earlier.nextNanoseconds() { drawn.append(Double(time) / 1e9) }
        #expect(drawn == drawn.sorted())
        let edges = [0.0, 2, 8, 20, 60, 200, 600, 3_000, 90_000]
        for (low, high) in zip(edges, edges.dropFirst()) {
            let expected = Double(past.count { $0 >= low && $0 < high })
            let found = Double(drawn.count { $0 >= low && $0 < high })
            // Two Poisson counts: their difference has the variance of their sum.
            #expect(
                abs(found - expected) < 4.5 * (found + expected).squareRoot() + 3,
                "\(name): \(found) first turns in \(low)..<\(high) s, \(expected) after a long past")
        }
    }

    @Test func rateBoundsWhatIsDrawn() {
        var none = EarlierSessions(of: BuiltInLaws.chat, rate: 0, random: RandomStream(seed: 1))
        #expect(none.nextNanoseconds() == nil)
    }
}
