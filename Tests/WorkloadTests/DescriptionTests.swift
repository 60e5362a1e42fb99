import Testing
import Workload

@Suite struct DescriptionTests {
    /// Text, and what the message must contain.
    static let refused: [(String, String)] = [
        ("azur:x.csv", "did you mean 'azure'"),
        ("chta", "did you mean 'chat'"),
        ("trace.csv", "a file needs its format"),
        ("-", "a file needs its format"),
        ("azure:", "no path"),
        ("chat?raet=3", "did you mean 'rate'"),
        ("chat?rate=0", "above 0"),
        ("chat?rate=x", "'rate' is 'x'"),
        ("chat?rate=1&rate=2", "twice"),
        ("chat?rate", "has no value"),
        ("chat?seed=-1", "seed"),
        ("chat?duration=-5", "a time such as"),
        ("chat?arrivals=poison&rate=1", "did you mean 'poisson'"),
        ("chat?arrivals=gamma", "needs burstiness"),
        ("chat?burstiness=1&arrivals=weibull", "goes with arrivals=gamma"),
        ("chat?concurrency=3&rate=1", "closed loop"),
        ("chat?think=3", "needs concurrency"),
        ("chat?stages=1:5&rate=2", "either"),
        ("chat?stages=0..0:5", "rate above 0"),
        ("chat?stages=5", "RATE:SECONDS"),
        ("chat?window=1..2", "not to built-in"),
        ("azure:x?order=random", "lengths: only"),
        ("azure:x?arrivals=poisson", "needs rate"),
        ("azure:x?window=5..2", "START before END"),
        ("azure:x?spread=3", "mooncake: only"),
        ("lengths:x", "needs rate"),
        ("servegen:x?stages=1:5", "rates of its own"),
    ]

    @Test(arguments: refused)
    func refusesAndSaysWhy(text: String, words: String) {
        let error = workloadError { _ = try WorkloadDescription(parsing: text) }
        #expect(error?.message.contains(words) == true, "\(error?.description ?? "accepted")")
        #expect(error?.place == text)
    }

    @Test func understandsOptions() throws {
        let options = try WorkloadDescription(
            parsing:
                "lengths:a.csv?rate=1.5k&duration=1.5h&seed=18446744073709551615&limit=2M&order=random&burstiness=0.5"
        ).options
        #expect(options.rate == 1_500)
        #expect(options.durationSeconds == 5_400)
        #expect(options.seed == .max)
        #expect(options.limit == 2_000_000)
        #expect(options.shuffled)
        #expect(options.arrivals == .gamma(burstiness: 0.5))
        let stages = try WorkloadDescription(parsing: "chat?stages=0..10:1m,10:30,10..0:90s").options.stages
        #expect(
            stages == [
                RateStage(startRate: 0, endRate: 10, seconds: 60), RateStage(startRate: 10, endRate: 10, seconds: 30),
                RateStage(startRate: 10, endRate: 0, seconds: 90),
            ]
        )
        #expect(try WorkloadDescription(parsing: "azure:x?window=..5m").options.window == 0..<300)
        #expect(try WorkloadDescription(parsing: "azure:-").origin == .trace(.azure, path: "-"))
    }
}
