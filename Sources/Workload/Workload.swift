//===----------------------------------------------------------------------===//
// A workload, opened: makes as many identical sources of requests as are wanted.
//===----------------------------------------------------------------------===//

/// A workload ready to run.
///
/// Every source it makes yields the same requests, so that a fleet and its baseline get identical arrivals. Standard input is read once, when
/// the workload is opened, and kept as it came (still compressed if it was).
public struct Workload: Sendable {
    public let description: WorkloadDescription
    public let provenance: WorkloadProvenance
    /// Set when the clients wait for their answers: the arrival times of the source then mean nothing (all are 0).
    public let closedLoop: ClosedLoop?
    /// Arrivals (in a closed loop: new requests) end after this many nanoseconds; nil when the source ends by itself.
    public let durationNanoseconds: Int64?

    private let policy: ReadingPolicy
    private let input: Input
    /// The trace's own mean rate in requests per second, found by reading it through once; nil when it was not needed.
    private let traceRate: Double?
    private let table: LengthTable?

    /// What the sources read from.
    private enum Input: Sendable {
        case path(String)
        case bytes([UInt8], name: String)
        case none

        var name: String {
            switch self {
            case .path(let path): path
            case .bytes(_, let name): name
            case .none: "built in"
            }
        }
    }

    /// Opens the workload written as `text` (`FORMAT:PATH?options` or a built-in name).
    public static func open(_ text: String, policy: ReadingPolicy = .strict) throws(WorkloadError) -> Workload {
        try Workload(WorkloadDescription(parsing: text), policy: policy)
    }

    /// Opens a workload whose trace is in memory instead of at its path (which is then only a name).
    public init(_ description: WorkloadDescription, bytes: [UInt8], policy: ReadingPolicy = .strict) throws(WorkloadError) {
        try self.init(description, policy: policy, input: .bytes(bytes, name: description.pathForMessages))
    }

    /// Opens `description`: the file must be there, and standard input is read to its end.
    public init(_ description: WorkloadDescription, policy: ReadingPolicy = .strict) throws(WorkloadError) {
        switch description.origin {
        case .builtIn: try self.init(description, policy: policy, input: .none)
        case .trace(_, "-"):
            try self.init(description, policy: policy, input: .bytes(Workload.readStandardInput(), name: "standard input"))
        case .trace(_, let path): try self.init(description, policy: policy, input: .path(path))
        }
    }

    private init(_ description: WorkloadDescription, policy: ReadingPolicy, input: Input) throws(WorkloadError) {
        self.description = description
        self.policy = policy
        self.input = input
        closedLoop = description.options.closedLoop
        durationNanoseconds = description.options.durationSeconds.map(nanoseconds)
        switch description.origin {
        case .builtIn(let name):
            provenance = name.provenance
            table = nil
            traceRate = nil
        case .trace(.lengths, _):
            provenance = WorkloadProvenance(
                grade: .assumed, source: "lengths from \(input.name)",
                assumptions: ["arrival times drawn, not recorded"]
            )
            table = try LengthTable(Workload.lines(input), policy: policy)
            traceRate = nil
        case .trace(let format, _):
            provenance = format.provenance(name: input.name, options: description.options)
            table = nil
            let measures = description.options.rate != nil && description.options.arrivals == nil
            traceRate = measures ? try Workload.measureRate(format, input, policy, description.options) : nil
            if !measures { _ = try Workload.openTrace(format, input, policy, description.options) }
        }
    }

    /// A source of the workload's requests, from the start.
    public func makeSource() throws(WorkloadError) -> any RequestSource {
        let options = description.options
        switch description.origin {
        case .builtIn(let name): return try name.makeSource(options)
        case .trace(.lengths, _):
            guard let table else { preconditionFailure("a lengths: workload has its table since it was opened") }
            let endless = options.durationSeconds != nil || options.limit != nil || options.stages != nil
            let random = options.shuffled ? RandomStream(seed: options.seed, stream: RandomUse.order) : nil
            return GeneratedSource(
                clock: Workload.clock(options, defaultRate: 1),
                lengths: TableLengths(table, rounds: options.repeats ?? (endless ? nil : 1), random: random),
                options: options, reading: table.reading
            )
        case .trace(let format, _):
            let (input, policy) = (input, policy)
            return try ShapedSource(options: options, traceRate: traceRate) { () throws(WorkloadError) in
                try Workload.openTrace(format, input, policy, options)
            }
        }
    }

    /// The clock of a generator: closed loop and at-once put everything at 0, else a law (Poisson unless told) under a rate or stages.
    static func clock(_ options: WorkloadOptions, defaultRate: Double) -> ArrivalClock {
        if let clock = ShapedSource.clock(options) { return clock }
        let random = RandomStream(seed: options.seed, stream: RandomUse.arrivals)
        return ArrivalClock(law: options.arrivals ?? .poisson, rate: (options.rate ?? defaultRate) * options.scale, random: random)
    }

    private static func readStandardInput() throws(WorkloadError) -> [UInt8] {
        let largest = 4 << 30
        let source = FileBytes(descriptor: 0, name: "standard input")
        var bytes: [UInt8] = []
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { block.deallocate() }
        while true {
            let count = try source.read(into: block)
            if count == 0 { return bytes }
            bytes.append(contentsOf: block[..<count])
            guard bytes.count <= largest else {
                throw WorkloadError(place: "standard input", "holds more than 4 GiB; name the file instead, it is then read as it goes")
            }
        }
    }

    private static func lines(_ input: Input) throws(WorkloadError) -> LineReader {
        switch input {
        case .path(let path): LineReader(MaybeGzip(try FileBytes(path: path), name: path), name: path)
        case .bytes(let bytes, let name): LineReader(MaybeGzip(MemoryBytes(bytes), name: name), name: name)
        case .none: preconditionFailure("a built-in workload reads nothing")
        }
    }

    private static func openTrace(
        _ format: TraceFormat, _ input: Input, _ policy: ReadingPolicy, _ options: WorkloadOptions
    ) throws(WorkloadError) -> any RequestSource {
        let lines = try lines(input)
        let line = { lines.lineNumber }
        switch format {
        case .azure: return RowSource(try AzureParser(lines), policy: policy, place: lines.name, currentLine: line)
        case .vidur: return RowSource(try VidurParser(lines), policy: policy, place: lines.name, currentLine: line)
        case .mooncake, .claudeCode, .servegen, .tracev2, .lengths:
            throw WorkloadError(place: input.name, "format \(format.rawValue) has no reader")
        }
    }

    /// Reads the trace through once: (requests - 1) / (last arrival - first), within the window.
    private static func measureRate(
        _ format: TraceFormat, _ input: Input, _ policy: ReadingPolicy, _ options: WorkloadOptions
    ) throws(WorkloadError) -> Double {
        var plain = WorkloadOptions()
        plain.window = options.window
        let source = try ShapedSource(options: plain, traceRate: nil) { () throws(WorkloadError) in
            try openTrace(format, input, policy, options)
        }
        var first: Int64?
        var last: Int64 = 0
        var count = 0
        while let request = try source.next() {
            first = first ?? request.arrivalNanoseconds
            last = request.arrivalNanoseconds
            count += 1
        }
        guard let first, last > first else {
            throw WorkloadError(place: input.name, "has \(count) requests at one moment, so 'rate' cannot set its pace; give arrivals=poisson too")
        }
        return Double(count - 1) / (Double(last - first) / 1e9)
    }
}

extension WorkloadDescription {
    var pathForMessages: String {
        if case .trace(_, let path) = origin { return path }
        return description
    }
}

extension TraceFormat {
    func provenance(name: String, options: WorkloadOptions) -> WorkloadProvenance {
        var assumptions: [String] = []
        if options.arrivals != nil || options.stages != nil { assumptions.append("arrival times drawn, not the trace's own") }
        if let rate = options.rate { assumptions.append("pace set to \(rate) requests/s") }
        if options.scale != 1 { assumptions.append("run at \(options.scale) times the trace's pace") }
        if (options.repeats ?? 1) > 1 { assumptions.append("the trace repeated \(options.repeats ?? 1) times") }
        return WorkloadProvenance(grade: .measured, source: "\(rawValue) trace \(name)", assumptions: assumptions)
    }
}
