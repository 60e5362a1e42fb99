import Testing

@testable import Workload

@Suite struct BuiltInTests {
    private func quantile(_ values: [Int32], _ probability: Double) -> Double {
        let sorted = values.sorted()
        return Double(sorted[min(sorted.count - 1, Int(probability * Double(sorted.count)))])
    }

    private func mean(_ values: [Int32]) -> Double { values.reduce(0) { $0 + Double($1) } / Double(values.count) }

    /// Published figures, and how far off a sample may be.
    @Test func completionHasAzuresQuantiles() throws {
        let read = try requests(Workload.open("completion?limit=100000"))
        let prompts = read.map(\.promptTokens)
        let outputs = read.map(\.outputTokens)
        #expect(abs(mean(prompts) / 2_511 - 1) < 0.05, "\(mean(prompts))")
        #expect(abs(quantile(prompts, 0.5) / 1_930 - 1) < 0.05)
        #expect(abs(mean(outputs) / 23 - 1) < 0.15, "\(mean(outputs))")
        #expect(quantile(outputs, 0.5) == 8)
        #expect(prompts.max()! <= 7_743 && outputs.max()! <= 5_000)
    }

    @Test func chatHasAzuresMeans() throws {
        let read = try requests(Workload.open("chat?rate=100&duration=1200"))
        let prompts = read.map(\.promptTokens)
        #expect(abs(mean(prompts) / 1_632 - 1) < 0.08, "\(mean(prompts))")
        #expect(abs(quantile(prompts, 0.5) / 928 - 1) < 0.08, "\(quantile(prompts, 0.5))")
        #expect(abs(mean(read.map(\.outputTokens)) / 106 - 1) < 0.08, "\(mean(read.map(\.outputTokens)))")
    }

    @Test func agentsFollowTheRecordedSessions() throws {
        let read = try requests(Workload.open("agents?rate=50&duration=600"))
        let prompts = read.map(\.promptTokens)
        #expect(mean(prompts) > 50_000 && mean(prompts) < 140_000, "\(mean(prompts))")
        #expect(abs(quantile(read.map(\.outputTokens), 0.5) / 209 - 1) < 0.1)
        let reused = read.reduce(0.0) { $0 + Double(max($1.prefix.sessionTokens, $1.prefix.sharedHeadTokens)) }
        #expect(reused / read.reduce(0.0) { $0 + Double($1.promptTokens) } > 0.9)
    }

    @Test func reasoningAndBatchHaveMLPerfsMeans() throws {
        let reasoning = try requests(Workload.open("reasoning?limit=50000")).map(\.outputTokens)
        #expect(abs(mean(reasoning) / 3_880 - 1) < 0.04, "\(mean(reasoning))")
        let batch = try requests(Workload.open("batch"))
        #expect(batch.count == 24_576)
        #expect(batch.allSatisfy { $0.arrivalNanoseconds == 0 })
        #expect(abs(mean(batch.map(\.outputTokens)) / 294.45 - 1) < 0.04, "\(mean(batch.map(\.outputTokens)))")
        let documents = try requests(Workload.open("documents?limit=50000")).map(\.promptTokens)
        #expect(abs(quantile(documents, 0.9) / 12_985 - 1) < 0.03)
    }

    /// Sessions must be there from the first second: the rate at the start is the rate at the end.
    @Test(arguments: [
        ("chat?rate=200&duration=600", 200.0), ("agents?rate=100&duration=600", 100),
        ("bedrock?rate=150&duration=600", 150),
    ])
    func generatorsBeginInEquilibrium(text: String, rate: Double) throws {
        let read = try requests(Workload.open(text))
        for start in stride(from: 0, to: 600, by: 120) {
            let count = Double(
                read.count {
                    $0.arrivalNanoseconds / 1_000_000_000 >= start
                        && $0.arrivalNanoseconds / 1_000_000_000 < start + 120
                })
            // Clustering within sessions widens the spread beyond Poisson's.
            #expect(abs(count / 120 / rate - 1) < 0.08, "\(text): \(count / 120) requests/s from \(start) s")
        }
        let early = read.filter { $0.arrivalNanoseconds < 120_000_000_000 }.map(\.promptTokens)
        let late = read.filter { $0.arrivalNanoseconds > 480_000_000_000 }.map(\.promptTokens)
        #expect(abs(mean(early) / mean(late) - 1) < 0.1, "\(text): prompts of \(mean(early)) then \(mean(late)) tokens")
    }

    @Test(arguments: BuiltInWorkload.allCases)
    func sourcesOfOneWorkloadAreIdentical(name: BuiltInWorkload) throws {
        let text = name == .frontier ? "frontier?rate=500&limit=3000" : "\(name.rawValue)?limit=3000&seed=77"
        let opened = try Workload.open(text)
        let (first, second) = (try requests(opened), try requests(opened))
        #expect(first.count == 3_000)
        #expect(first.map(\.arrivalNanoseconds) == second.map(\.arrivalNanoseconds))
        #expect(first.map(\.promptTokens) == second.map(\.promptTokens))
        #expect(first.map(\.outputTokens) == second.map(\.outputTokens))
        #expect(first.map(\.prefix.session) == second.map(\.prefix.session))
        #expect(first.map(\.id) == (0..<3_000).map { UInt64($0) })
        #expect(zip(first, first.dropFirst()).allSatisfy { $0.arrivalNanoseconds <= $1.arrivalNanoseconds })
        if name != .batch {
            let other = try requests(Workload.open(text.replacing("&seed=77", with: "") + "&seed=78"))
            #expect(first.map(\.promptTokens) != other.map(\.promptTokens))
        }
        #expect(!opened.provenance.source.isEmpty)
        if opened.provenance.grade == .assumed { #expect(!opened.provenance.assumptions.isEmpty) }
    }

    @Test func sessionsOfAMixDoNotCollide() throws {
        let read = try requests(Workload.open("bedrock?rate=300&duration=60"))
        let chat = Set(read.filter { $0.prefix.session >> 56 == 1 }.map(\.prefix.sharedHead))
        let agents = Set(read.filter { $0.prefix.session >> 56 == 2 }.map(\.prefix.sharedHead))
        #expect(!chat.isEmpty && !agents.isEmpty && chat.isDisjoint(with: agents))
    }

    @Test func closedLoopsHaveNoTimes() throws {
        let opened = try Workload.open("chat?concurrency=8&think=2&think-law=exponential&limit=500")
        #expect(opened.closedLoop == ClosedLoop(concurrency: 8, thinkSeconds: 2, thinkVaries: true))
        let read = try requests(opened)
        #expect(read.count == 500)
        var random = RandomStream(seed: 1)
        let thinks = (0..<20_000).map { _ in Double(opened.closedLoop!.drawThinkNanoseconds(&random)) / 1e9 }
        #expect(abs(thinks.reduce(0, +) / 20_000 - 2) < 0.07)
    }
}
