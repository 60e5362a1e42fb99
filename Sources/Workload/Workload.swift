//===----------------------------------------------------------------------===//
// A workload, opened: makes as many identical sources of requests as are wanted.
//===----------------------------------------------------------------------===//

/// A workload ready to run.
///
/// Every source it makes yields the same requests, so that a fleet and its baseline get identical arrivals. Standard
/// input is read once, when the workload is opened, and kept as it came (still compressed if it was).
public struct Workload: Sendable {
    public let description: WorkloadDescription
    public let provenance: WorkloadProvenance
    /// Set when the clients wait for their answers: the arrival times of the source then mean nothing (all are 0).
    public let closedLoop: ClosedLoop?
    /// Arrivals (in a closed loop: new requests) end after this many nanoseconds; nil when the source ends by itself.
    public let durationNanoseconds: Int64?

    private let content: Content
    private let policy: ReadingPolicy

    /// What the sources are made from.
    private enum Content: Sendable {
        case builtIn(BuiltInWorkload)
        case lengths(LengthTable)
        /// A trace with times of its own; its mean rate in requests per second where the pace is to be changed.
        case timed(TraceFormat, TraceInput, meanRate: Double?)
        /// Sessions that are started by a clock; calls per session.
        case claudeCode(TraceInput, callsPerSession: Double)
        case servegen(ServeGenData)
    }

    /// Opens the workload written as `text` (`FORMAT:PATH?options` or a built-in name).
    public static func open(_ text: String, policy: ReadingPolicy = .strict) throws(WorkloadError) -> Workload {
        try Workload(WorkloadDescription(parsing: text), policy: policy)
    }

    /// Opens `description`: the file must be there, and standard input is read to its end.
    public init(_ description: WorkloadDescription, policy: ReadingPolicy = .strict) throws(WorkloadError) {
        switch description.origin {
        case .builtIn: try self.init(description, policy, input: .path(""))
        case .trace(_, "-"): try self.init(description, policy, input: .standardInput())
        case .trace(_, let path): try self.init(description, policy, input: .path(path))
        }
    }

    /// Opens a workload whose trace is in memory; its path is then only a name for messages.
    public init(
        _ description: WorkloadDescription, bytes: [UInt8], policy: ReadingPolicy = .strict
    ) throws(WorkloadError) {
        var name = description.description
        if case .trace(_, let path) = description.origin { name = path }
        try self.init(description, policy, input: .bytes(bytes, name: name))
    }

    private init(
        _ description: WorkloadDescription, _ policy: ReadingPolicy, input: TraceInput
    ) throws(WorkloadError) {
        self.description = description
        self.policy = policy
        let options = description.options
        closedLoop = options.closedLoop
        durationNanoseconds = options.durationSeconds.map(nanoseconds)
        switch description.origin {
        case .builtIn(let name):
            provenance = name.provenance
            content = .builtIn(name)
        case .trace(let format, _):
            content = try Workload.content(format, input, policy, options)
            var provenance = Workload.provenance(format, input.name, content, options)
            if let grade = try TraceGrade.read(format, input), grade > .measured {
                provenance.grade = max(provenance.grade, grade)
                provenance.assumptions.insert("requests that a model drew (\(grade.rawValue)), not a recording", at: 0)
            }
            self.provenance = provenance
        }
    }

    private static func content(
        _ format: TraceFormat, _ input: TraceInput, _ policy: ReadingPolicy, _ options: WorkloadOptions
    ) throws(WorkloadError) -> Content {
        switch format {
        case .lengths: return .lengths(try LengthTable(input.lines(), policy: policy))
        case .servegen:
            guard case .path(let folder) = input else {
                throw WorkloadError(place: input.name, "servegen: reads a folder, not standard input")
            }
            return .servegen(try ServeGenData(folder: folder, policy: policy))
        case .claudeCode:
            return .claudeCode(input, callsPerSession: try TraceSurvey.callsPerSession(input, policy))
        case .azure, .burstgpt, .vidur, .mooncake, .tracev2:
            if options.rate != nil && options.arrivals == nil {
                return .timed(format, input, meanRate: try TraceSurvey.meanRate(format, input, policy, options))
            }
            // Opened once now, so that a missing file or a wrong header is found before anything runs.
            _ = try format.open(input, policy, options)
            return .timed(format, input, meanRate: nil)
        }
    }

    /// A source of the workload's requests, from the start.
    public func makeSource() throws(WorkloadError) -> any RequestSource {
        let options = description.options
        let policy = policy
        switch content {
        case .builtIn(let name): return try name.makeSource(options)
        case .lengths(let table):
            let endless = options.durationSeconds != nil || options.limit != nil || options.stages != nil
            let random = options.shuffled ? RandomStream(seed: options.seed, stream: RandomUse.order) : nil
            return GeneratedSource(
                clock: ArrivalClock(options, defaultRate: 1),
                lengths: TableLengths(table, rounds: options.repeats ?? (endless ? nil : 1), random: random),
                options: options, reading: table.reading
            )
        case .timed(let format, let input, let meanRate):
            return try ShapedSource(options: options, traceRate: meanRate) { () throws(WorkloadError) in
                try format.open(input, policy, options)
            }
        case .claudeCode(let input, let callsPerSession):
            return try ShapedSource(options: options.withoutPace, traceRate: nil) { () throws(WorkloadError) in
                let clock = ArrivalClock(options.perSession(calls: callsPerSession), defaultRate: 1 / callsPerSession)
                return try ClaudeCodeSource(ClaudeCodeReader(input.lines(), policy: policy), clock: clock)
            }
        case .servegen(let data):
            let range = Workload.range(of: data, options)
            let factor = options.scale * (options.rate.map { $0 / data.meanRate(over: range) } ?? 1)
            var rest = options.withoutPace
            rest.window = nil
            return try ShapedSource(options: rest, traceRate: nil) { () throws(WorkloadError) in
                ServeGenSource(data, range: range, factor: factor, seed: options.seed)
            }
        }
    }

    /// The stretch of ServeGen's clock that is drawn: the window, else as long as asked for, else the first hour.
    private static func range(of data: ServeGenData, _ options: WorkloadOptions) -> Range<Double> {
        let start = options.window?.lowerBound ?? 0
        let end = min(options.window?.upperBound ?? .infinity, data.endSeconds)
        if let duration = options.durationSeconds { return start..<max(min(start + duration, end), start + 1) }
        if options.window != nil || options.limit != nil { return start..<max(end, start + 1) }
        return start..<max(min(start + 3_600, end), start + 1)
    }

    private static func provenance(
        _ format: TraceFormat, _ name: String, _ content: Content, _ options: WorkloadOptions
    ) -> WorkloadProvenance {
        var grade = WorkloadGrade.measured
        var assumptions: [String] = []
        if options.arrivals != nil || options.stages != nil {
            assumptions.append("arrival times drawn, not the trace's own")
        }
        if let rate = options.rate { assumptions.append("pace set to \(rate) requests/s") }
        if options.scale != 1 { assumptions.append("run at \(options.scale) times its pace") }
        if let repeats = options.repeats, repeats > 1 { assumptions.append("repeated \(repeats) times") }
        switch content {
        case .lengths:
            grade = .derived
            assumptions.append("lengths as in the file, arrival times drawn")
        case .claudeCode(_, let calls):
            grade = .derived
            assumptions.append("sessions begin as an arrival process; times within a session as recorded")
            if options.rate == nil && options.stages == nil {
                assumptions.append("1 request/s in the mean (\(Int(calls.rounded())) calls a session)")
            }
        case .servegen(let data):
            grade = .derived
            assumptions.append("drawn from client statistics of \(data.name), lengths independent of each other")
            if data.clientsWithoutLengths > 0 {
                assumptions.append(
                    "\(data.clientsWithoutLengths) of \(data.clients.count) clients borrow the lengths of others")
            }
        case .timed(.mooncake, _, _) where options.spreadSeconds == nil:
            assumptions.append("equal timestamps are kept as bursts (spread=3 spreads Mooncake's 3 s batches)")
        case .timed, .builtIn: break
        }
        return WorkloadProvenance(grade: grade, source: "\(format.rawValue) trace \(name)", assumptions: assumptions)
    }
}

extension ArrivalClock {
    /// The clock that `options` ask for; Poisson at `defaultRate` when they ask for nothing.
    init(_ options: WorkloadOptions, defaultRate: Double) {
        if let clock = ShapedSource.clock(options) {
            self = clock
        } else {
            let random = RandomStream(seed: options.seed, stream: RandomUse.arrivals)
            let rate = (options.rate ?? defaultRate) * options.scale
            self.init(law: options.arrivals ?? .poisson, rate: rate, random: random)
        }
    }
}

extension WorkloadOptions {
    /// These options for a source that sets its own pace.
    var withoutPace: WorkloadOptions {
        var options = self
        options.rate = nil
        options.scale = 1
        options.stages = nil
        if arrivals != .atOnce { options.arrivals = nil }
        return options
    }

    /// These options with request rates turned into rates of sessions.
    func perSession(calls: Double) -> WorkloadOptions {
        var options = self
        options.rate = rate.map { $0 / calls }
        options.stages = stages?.map { $0.scaled(by: 1 / calls) }
        options.concurrency = nil
        if arrivals == .atOnce { options.arrivals = nil }
        return options
    }
}
