//===----------------------------------------------------------------------===//
// The report of one fleet on one workload, as `simulate --json` prints it.
//===----------------------------------------------------------------------===//

public import Catalog

/// The JSON of `simulate`. Keys are the interface that scripts rely on; a figure that cannot be known is null.
public struct SimulationReport: Codable, Sendable, Equatable {
    public struct Requests: Codable, Sendable, Equatable {
        public var offered: Int64
        public var completed: Int64
        public var rejected: Int64
        public var failed: Int64
        public var preemptions: Int64
    }

    public struct Tokens: Codable, Sendable, Equatable {
        public var prompt: Int64
        public var cachedPrompt: Int64
        public var output: Int64
    }

    /// Seconds. All nil when nothing was counted.
    public struct Latency: Codable, Sendable, Equatable {
        @KnownOrNull public var mean: Double?
        @KnownOrNull public var p50: Double?
        @KnownOrNull public var p90: Double?
        @KnownOrNull public var p95: Double?
        @KnownOrNull public var p99: Double?
        @KnownOrNull public var max: Double?

        public init(_ distribution: LatencyDistribution) {
            guard let mean = distribution.meanSeconds,
                let ranks = distribution.percentilesSeconds([0.5, 0.9, 0.95, 0.99])
            else { return }
            self.mean = mean
            (p50, p90, p95, p99) = (ranks[0], ranks[1], ranks[2], ranks[3])
            max = distribution.maximumSeconds
        }
    }

    public struct Goodput: Codable, Sendable, Equatable {
        /// The promise.
        public var ttftP99Seconds: Double
        public var tpotP99Seconds: Double
        /// Requests that met both bounds, per second of the run and of all that were offered.
        public var requestsPerSecond: Double
        public var fraction: Double
    }

    public struct Cost: Codable, Sendable, Equatable {
        @KnownOrNull public var usdPerHour: Double?
        @KnownOrNull public var usd: Double?
        @KnownOrNull public var usdPerMillionOutputTokens: Double?
        /// Prompt and output tokens alike.
        @KnownOrNull public var usdPerMillionTokens: Double?
        public var basis: String
    }

    public struct Energy: Codable, Sendable, Equatable {
        public struct Boundary: Codable, Sendable, Equatable {
            public var chip: Joules
            public var wall: Joules
            public var facility: Joules
        }
        public struct Joules: Codable, Sendable, Equatable {
            @KnownOrNull public var joules: Double?
            @KnownOrNull public var joulesPerOutputToken: Double?

            init(_ joules: Double?, outputTokens: Int64) {
                self.joules = joules
                joulesPerOutputToken = perUnit(joules, outputTokens)
            }
        }
        public var boundary: Boundary
        /// Share of chip energy drawn while no step ran.
        public var idleFraction: Double
    }

    public struct Carbon: Codable, Sendable, Equatable {
        @KnownOrNull public var gramsCO2e: Double?
        @KnownOrNull public var gramsPerMillionOutputTokens: Double?
        @KnownOrNull public var litresOfWater: Double?
    }

    /// What the site adds to energy, and how good each figure is. A figure that no source gives is left out.
    public struct Site: Codable, Sendable, Equatable {
        public struct Graded: Codable, Sendable, Equatable {
            public var value: Double
            public var grade: String

            init?(_ value: Double?, _ grade: Grade?) {
                guard let value, let grade else { return nil }
                self.value = value
                self.grade = grade.rawValue
            }
        }
        public var region: String?
        public var pue: Graded?
        public var wueLitresPerKWh: Graded?
        public var gramsCO2ePerKWh: Graded?

        init(_ account: SiteAccount) {
            region = account.region
            pue = Graded(account.pue, account.pueGrade)
            wueLitresPerKWh = Graded(account.wueLitresPerKWh, account.wueGrade)
            gramsCO2ePerKWh = Graded(account.gramsCO2ePerKWh, account.carbonGrade)
        }
    }

    public var fleet: String
    public var workload: String
    public var seed: UInt64
    public var requests: Requests
    public var tokens: Tokens
    public var simulatedSeconds: Double
    public var wallSeconds: Double
    public var cpuSeconds: Double
    public var requestsPerCPUSecond: Double
    public var peakMemoryBytes: Int64
    public var ttftSeconds: Latency
    public var tpotSeconds: Latency
    public var itlSeconds: Latency
    public var e2eSeconds: Latency
    public var queueSeconds: Latency
    public var goodput: Goodput
    /// Whether the fleet kept up with the arrivals: `stable`, `backlogged` or `overloaded`; left out where nothing
    /// judged it.
    public var stability: String?
    public var cost: Cost
    public var energy: Energy
    public var carbon: Carbon
    /// Left out by reports that are older than it.
    public var site: Site?
    public var grade: String
    public var assumptions: [String]
    public var digest: String
    /// How far the model can be off; left out when it is not known.
    public var bands: ModelBands?
}

/// What a run took of the machine it ran on: the only figures of a report that differ between two runs of the same
/// seed.
public struct RunEffort: Sendable, Equatable {
    public var wallSeconds: Double
    public var cpuSeconds: Double
    public var peakMemoryBytes: Int64

    public init(wallSeconds: Double, cpuSeconds: Double, peakMemoryBytes: Int64) {
        self.wallSeconds = wallSeconds
        self.cpuSeconds = cpuSeconds
        self.peakMemoryBytes = peakMemoryBytes
    }
}

/// What was run: the workload as it was written, its seed, and how far its figures can be trusted.
public struct RunSubject: Sendable, Equatable {
    public var workload: String
    public var seed: UInt64
    public var grade: Grade
    public var assumptions: [String]
    public var stability: String?

    public init(workload: String, seed: UInt64, grade: Grade, assumptions: [String], stability: String? = nil) {
        self.stability = stability
        self.workload = workload
        self.seed = seed
        self.grade = grade
        self.assumptions = assumptions
    }
}

/// `amount ÷ count`, nil when either is missing.
private func perUnit(_ amount: Double?, _ count: Int64, scale: Double = 1) -> Double? {
    guard let amount, count > 0 else { return nil }
    return amount * scale / Double(count)
}

extension SimulationReport {
    public init(account: FleetAccount, subject: RunSubject, tally: Tally, settlement: Settlement, effort: RunEffort) {
        let seconds = Double(settlement.windowNanoseconds) / 1e9
        let outputs = tally.outputTokens
        fleet = account.fleet
        workload = subject.workload
        seed = subject.seed
        requests = Requests(
            offered: tally.offered, completed: tally.finished, rejected: tally.rejected,
            failed: tally.failed + tally.cancelled, preemptions: tally.preemptions)
        tokens = Tokens(prompt: tally.promptTokens, cachedPrompt: tally.cachedPromptTokens, output: outputs)
        simulatedSeconds = seconds
        wallSeconds = effort.wallSeconds
        cpuSeconds = effort.cpuSeconds
        requestsPerCPUSecond = effort.cpuSeconds > 0 ? Double(tally.offered) / effort.cpuSeconds : 0
        peakMemoryBytes = effort.peakMemoryBytes
        ttftSeconds = Latency(tally.ttft)
        tpotSeconds = Latency(tally.tpot)
        itlSeconds = Latency(tally.itl)
        e2eSeconds = Latency(tally.e2e)
        queueSeconds = Latency(tally.queue)
        goodput = Goodput(
            ttftP99Seconds: tally.promise.ttftSeconds, tpotP99Seconds: tally.promise.tpotSeconds,
            requestsPerSecond: seconds > 0 ? Double(tally.metBoth) / seconds : 0,
            fraction: tally.offered > 0 ? Double(tally.metBoth) / Double(tally.offered) : 0)
        let usd = settlement.microDollars.map { Double($0) / 1e6 }
        stability = subject.stability
        cost = Cost(
            usdPerHour: account.microDollarsPerHour.map { Double($0) / 1e6 }, usd: usd,
            usdPerMillionOutputTokens: perUnit(usd, outputs, scale: 1e6),
            usdPerMillionTokens: perUnit(usd, tally.promptTokens + outputs, scale: 1e6), basis: account.priceBasis)
        energy = Energy(
            boundary: Energy.Boundary(
                chip: Energy.Joules(settlement.chipJoules, outputTokens: outputs),
                wall: Energy.Joules(settlement.wallJoules, outputTokens: outputs),
                facility: Energy.Joules(settlement.facilityJoules, outputTokens: outputs)),
            idleFraction: settlement.idleFraction)
        carbon = Carbon(
            gramsCO2e: settlement.gramsCO2e,
            gramsPerMillionOutputTokens: perUnit(settlement.gramsCO2e, outputs, scale: 1e6),
            litresOfWater: settlement.litresOfWater)
        site = Site(account.site)
        grade = max(account.grade, subject.grade).rawValue
        assumptions = account.assumptions + subject.assumptions
        digest = tally.digest.description
        bands = account.bands
    }
}
