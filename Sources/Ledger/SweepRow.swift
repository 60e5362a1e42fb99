//===----------------------------------------------------------------------===//
// One run of a sweep, as one row.
//===----------------------------------------------------------------------===//

/// What came of one run of a sweep: the same bytes for the same run, wherever and beside whatever it was run.
public struct SweepRow: Codable, Sendable, Equatable {
    public struct Parameter: Codable, Sendable, Equatable {
        public var name: String
        public var value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }
    public var sweep: String
    public var run: Int
    /// In the order of the sweep file.
    public var parameters: [Parameter]
    public var figures: SweepFigures?
    /// Why the run could not be made; nil when it could.
    public var problem: String?

    public init(sweep: String, run: Int, parameters: [Parameter], figures: SweepFigures?, problem: String?) {
        self.sweep = sweep
        self.run = run
        self.parameters = parameters
        self.figures = figures
        self.problem = problem
    }
}

/// The figures of a run that a sweep compares; nil where a figure cannot be known.
public struct SweepFigures: Codable, Sendable, Equatable {
    public var fleet: String
    public var workload: String
    public var seed: UInt64
    public var instances: Int64
    public var offered: Int64
    public var completed: Int64
    public var rejected: Int64
    public var failed: Int64
    public var preemptions: Int64
    public var outputTokens: Int64
    public var simulatedSeconds: Double
    @KnownOrNull public var ttftP50Seconds: Double?
    @KnownOrNull public var ttftP99Seconds: Double?
    @KnownOrNull public var tpotP50Seconds: Double?
    @KnownOrNull public var tpotP99Seconds: Double?
    @KnownOrNull public var e2eP99Seconds: Double?
    public var goodputRequestsPerSecond: Double
    public var goodputFraction: Double
    public var keepsPromise: Bool
    public var stability: String
    @KnownOrNull public var usdPerHour: Double?
    @KnownOrNull public var usdPerMillionOutputTokens: Double?
    @KnownOrNull public var wallJoulesPerOutputToken: Double?
    @KnownOrNull public var gramsCO2ePerMillionOutputTokens: Double?
    public var grade: String
    public var digest: String

    public init(_ report: SimulationReport, instances: Int64, keepsPromise: Bool, stability: String) {
        fleet = report.fleet
        workload = report.workload
        seed = report.seed
        self.instances = instances
        offered = report.requests.offered
        completed = report.requests.completed
        rejected = report.requests.rejected
        failed = report.requests.failed
        preemptions = report.requests.preemptions
        outputTokens = report.tokens.output
        simulatedSeconds = report.simulatedSeconds
        ttftP50Seconds = report.ttftSeconds.p50
        ttftP99Seconds = report.ttftSeconds.p99
        tpotP50Seconds = report.tpotSeconds.p50
        tpotP99Seconds = report.tpotSeconds.p99
        e2eP99Seconds = report.e2eSeconds.p99
        goodputRequestsPerSecond = report.goodput.requestsPerSecond
        goodputFraction = report.goodput.fraction
        self.keepsPromise = keepsPromise
        self.stability = stability
        usdPerHour = report.cost.usdPerHour
        usdPerMillionOutputTokens = report.cost.usdPerMillionOutputTokens
        wallJoulesPerOutputToken = report.energy.boundary.wall.joulesPerOutputToken
        gramsCO2ePerMillionOutputTokens = report.carbon.gramsPerMillionOutputTokens
        grade = report.grade
        digest = report.digest
    }

    /// A figure as it is written into a column.
    public enum Cell: Sendable, Equatable {
        case text(String), integer(Int64), number(Double), unknown

        init(_ value: Double?) { self = value.map { .number($0) } ?? .unknown }

        public var csv: String {
            switch self {
            case .text(let text): SweepFigures.quoted(text)
            case .integer(let value): String(value)
            case .number(let value): value.description
            case .unknown: ""
            }
        }
    }

    /// Names and values of all columns, in the order in which CSV and database have them.
    public var columns: [(name: String, cell: Cell)] {
        [
            ("fleet", .text(fleet)), ("workload", .text(workload)), ("seed", .text(String(seed))),
            ("instances", .integer(instances)), ("offered", .integer(offered)), ("completed", .integer(completed)),
            ("rejected", .integer(rejected)), ("failed", .integer(failed)), ("preemptions", .integer(preemptions)),
            ("outputTokens", .integer(outputTokens)), ("simulatedSeconds", .number(simulatedSeconds)),
            ("ttftP50Seconds", Cell(ttftP50Seconds)), ("ttftP99Seconds", Cell(ttftP99Seconds)),
            ("tpotP50Seconds", Cell(tpotP50Seconds)), ("tpotP99Seconds", Cell(tpotP99Seconds)),
            ("e2eP99Seconds", Cell(e2eP99Seconds)), ("goodputRequestsPerSecond", .number(goodputRequestsPerSecond)),
            ("goodputFraction", .number(goodputFraction)), ("keepsPromise", .integer(keepsPromise ? 1 : 0)),
            ("stability", .text(stability)), ("usdPerHour", Cell(usdPerHour)),
            ("usdPerMillionOutputTokens", Cell(usdPerMillionOutputTokens)),
            ("wallJoulesPerOutputToken", Cell(wallJoulesPerOutputToken)),
            ("gramsCO2ePerMillionOutputTokens", Cell(gramsCO2ePerMillionOutputTokens)), ("grade", .text(grade)),
            ("digest", .text(digest)),
        ]
    }

    /// Names of the columns, where no run has any.
    public static let columnNames = [
        "fleet", "workload", "seed", "instances", "offered", "completed", "rejected", "failed", "preemptions",
        "outputTokens", "simulatedSeconds", "ttftP50Seconds", "ttftP99Seconds", "tpotP50Seconds", "tpotP99Seconds",
        "e2eP99Seconds", "goodputRequestsPerSecond", "goodputFraction", "keepsPromise", "stability", "usdPerHour",
        "usdPerMillionOutputTokens", "wallJoulesPerOutputToken", "gramsCO2ePerMillionOutputTokens", "grade", "digest",
    ]

    static func quoted(_ text: String) -> String {
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}

extension [SweepRow] {
    /// One line a run under a line of names: the parameters, the figures, the problem.
    public var csv: String {
        guard let first else { return "" }
        var lines = [(["run"] + first.parameters.map(\.name) + SweepFigures.columnNames + ["problem"])]
        for row in self {
            let figures = row.figures?.columns.map(\.cell.csv) ?? SweepFigures.columnNames.map { _ in "" }
            lines.append([String(row.run)] + row.parameters.map(\.value) + figures + [row.problem ?? ""])
        }
        return lines.enumerated().map { index, cells in
            let kept = index == 0 ? 0 : 1 + first.parameters.count
            // Figures are quoted already.
            return cells.enumerated().map { column, cell in
                column >= kept && column < cells.count - 1 && index > 0 ? cell : SweepFigures.quoted(cell)
            }.joined(separator: ",") + "\n"
        }.joined()
    }
}
