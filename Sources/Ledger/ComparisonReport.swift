//===----------------------------------------------------------------------===//
// Two fleets that got the identical arrivals, side by side.
//===----------------------------------------------------------------------===//

/// One fleet of a comparison: its report, and what the report does not say.
public struct ComparisonSide: Sendable, Equatable {
    public var report: SimulationReport
    /// Instances that it was run with, over all pools.
    public var instances: Int64
    /// Whether 99 in 100 of the offered requests met the TTFT bound, and as many the TPOT bound.
    public var keepsPromise: Bool

    public init(report: SimulationReport, instances: Int64, keepsPromise: Bool) {
        self.report = report
        self.instances = instances
        self.keepsPromise = keepsPromise
    }
}

/// The JSON of `compare`: the report of each fleet as `simulate` prints it, and what follows from having both.
public struct ComparisonReport: Codable, Sendable, Equatable {
    /// A value of each side.
    public struct Both<Value: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
        public var fleet: Value
        public var baseline: Value
    }

    /// Fleet ÷ baseline; null where either is missing or the baseline's is 0.
    public struct Ratios: Codable, Sendable, Equatable {
        @KnownOrNull public var ttftMean: Double?
        @KnownOrNull public var ttftP99: Double?
        @KnownOrNull public var tpotMean: Double?
        @KnownOrNull public var tpotP99: Double?
        @KnownOrNull public var e2eMean: Double?
        @KnownOrNull public var goodputRequestsPerSecond: Double?
        @KnownOrNull public var usdPerMillionOutputTokens: Double?
        @KnownOrNull public var usdPerMillionTokens: Double?
        @KnownOrNull public var chipJoulesPerOutputToken: Double?
        @KnownOrNull public var wallJoulesPerOutputToken: Double?
        @KnownOrNull public var facilityJoulesPerOutputToken: Double?
        @KnownOrNull public var gramsPerMillionOutputTokens: Double?
    }

    public var fleet: SimulationReport
    public var baseline: SimulationReport
    public var ratios: Ratios
    /// Instances of each side, and whether it keeps the promise.
    public var instances: Both<Int64>
    public var keepsPromise: Both<Bool>
    /// The weakest grade that either side rests on.
    public var grade: String
    /// Whether each fleet was sized to the smallest that keeps the promise.
    public var sized: Bool
    /// What a reader must know before using a ratio: different prices, a broken promise.
    public var notes: [String]

    public init(fleet: ComparisonSide, baseline: ComparisonSide, sized: Bool) {
        self.fleet = fleet.report
        self.baseline = baseline.report
        self.sized = sized
        instances = Both(fleet: fleet.instances, baseline: baseline.instances)
        keepsPromise = Both(fleet: fleet.keepsPromise, baseline: baseline.keepsPromise)
        ratios = Ratios(fleet.report, baseline.report)
        let grades = ["measured", "published", "derived", "assumed"]
        grade = grades.last { $0 == fleet.report.grade || $0 == baseline.report.grade } ?? "assumed"
        notes = Self.notes(fleet: fleet, baseline: baseline)
    }

    private static func notes(fleet: ComparisonSide, baseline: ComparisonSide) -> [String] {
        var notes: [String] = []
        if fleet.report.cost.basis != baseline.report.cost.basis {
            notes.append(
                "the price bases differ (\(fleet.report.cost.basis); \(baseline.report.cost.basis)): "
                    + "the cost ratio compares two markets, not two machines")
        }
        for side in [fleet, baseline] {
            let requests = side.report.requests
            if !side.keepsPromise {
                notes.append(
                    "\(side.report.fleet) does not keep the promise: its cost and energy buy less than was asked for")
            }
            if requests.rejected + requests.failed > 0 {
                notes.append(
                    "\(side.report.fleet) refused or failed \(requests.rejected + requests.failed) of \(requests.offered) requests"
                )
            }
        }
        if fleet.report.tokens.output != baseline.report.tokens.output {
            notes.append(
                "the fleets produced different numbers of output tokens; figures per token are of what each produced")
        }
        return notes
    }
}

extension ComparisonReport.Ratios {
    public init(_ fleet: SimulationReport, _ baseline: SimulationReport) {
        func ratio(_ figure: (SimulationReport) -> Double?) -> Double? {
            guard let above = figure(fleet), let below = figure(baseline), below != 0 else { return nil }
            return above / below
        }
        ttftMean = ratio { $0.ttftSeconds.mean }
        ttftP99 = ratio { $0.ttftSeconds.p99 }
        tpotMean = ratio { $0.tpotSeconds.mean }
        tpotP99 = ratio { $0.tpotSeconds.p99 }
        e2eMean = ratio { $0.e2eSeconds.mean }
        goodputRequestsPerSecond = ratio { $0.goodput.requestsPerSecond }
        usdPerMillionOutputTokens = ratio { $0.cost.usdPerMillionOutputTokens }
        usdPerMillionTokens = ratio { $0.cost.usdPerMillionTokens }
        chipJoulesPerOutputToken = ratio { $0.energy.boundary.chip.joulesPerOutputToken }
        wallJoulesPerOutputToken = ratio { $0.energy.boundary.wall.joulesPerOutputToken }
        facilityJoulesPerOutputToken = ratio { $0.energy.boundary.facility.joulesPerOutputToken }
        gramsPerMillionOutputTokens = ratio { $0.carbon.gramsPerMillionOutputTokens }
    }
}
