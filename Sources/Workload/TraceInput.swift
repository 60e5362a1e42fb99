//===----------------------------------------------------------------------===//
// Where a trace is read from, and the reader of each format.
//===----------------------------------------------------------------------===//

/// A trace's bytes: a file, opened anew for every pass, or bytes in memory.
enum TraceInput: Sendable {
    case path(String)
    case bytes([UInt8], name: String)

    /// Most that is taken from standard input.
    private static let largestStandardInput = 4 << 30

    var name: String {
        switch self {
        case .path(let path): path
        case .bytes(_, let name): name
        }
    }

    /// The lines from the start, gzip undone.
    func lines() throws(WorkloadError) -> LineReader {
        switch self {
        case .path(let path): LineReader(MaybeGzip(try FileBytes(path: path), name: path), name: path)
        case .bytes(let bytes, let name): LineReader(MaybeGzip(MemoryBytes(bytes), name: name), name: name)
        }
    }

    /// Reads standard input to its end.
    static func standardInput() throws(WorkloadError) -> TraceInput {
        let name = "standard input"
        let source = FileBytes(descriptor: 0, name: name)
        var bytes: [UInt8] = []
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { block.deallocate() }
        while true {
            let count = try source.read(into: block)
            if count == 0 { return .bytes(bytes, name: name) }
            bytes.append(contentsOf: block[..<count])
            guard bytes.count <= largestStandardInput else {
                throw WorkloadError(
                    place: name, "holds more than 4 GiB; name the file instead, it is then read as it goes")
            }
        }
    }
}

extension TraceFormat {
    /// A source of the trace as it is; for formats with times of their own.
    func open(
        _ input: TraceInput, _ policy: ReadingPolicy, _ options: WorkloadOptions
    ) throws(WorkloadError) -> any RequestSource {
        let lines = try input.lines()
        let line = { lines.lineNumber }
        switch self {
        case .azure: return RowSource(try AzureParser(lines), policy: policy, place: lines.name, currentLine: line)
        case .burstgpt:
            return RowSource(try BurstGPTParser(lines), policy: policy, place: lines.name, currentLine: line)
        case .vidur: return RowSource(try VidurParser(lines), policy: policy, place: lines.name, currentLine: line)
        case .mooncake:
            let parser = MooncakeParser(lines)
            guard let spread = options.spreadSeconds else {
                return RowSource(parser, policy: policy, place: lines.name, currentLine: line)
            }
            let spreading = SpreadingParser(parser, spreadNanoseconds: nanoseconds(spread))
            return RowSource(spreading, policy: policy, place: lines.name, currentLine: line)
        case .tracev2: return try TraceV2Trace.open(lines, policy: policy)
        case .claudeCode, .servegen, .lengths: preconditionFailure("\(rawValue): has no times of its own")
        }
    }
}

/// What must be known of a trace before it can be paced: found by going through it once.
enum TraceSurvey {
    /// (requests - 1) / (last arrival - first), within the window, in requests per second.
    static func meanRate(
        _ format: TraceFormat, _ input: TraceInput, _ policy: ReadingPolicy, _ options: WorkloadOptions
    ) throws(WorkloadError) -> Double {
        var plain = WorkloadOptions()
        plain.window = options.window
        let source = try ShapedSource(options: plain, traceRate: nil) { () throws(WorkloadError) in
            try format.open(input, policy, options)
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
            throw WorkloadError(
                place: input.name,
                "has \(count) requests at one moment, so 'rate' cannot set its pace; give arrivals=poisson too"
            )
        }
        return Double(count - 1) / (Double(last - first) / 1e9)
    }

    /// Calls per session, sub-agents' calls included.
    static func callsPerSession(_ input: TraceInput, _ policy: ReadingPolicy) throws(WorkloadError) -> Double {
        let reader = ClaudeCodeReader(try input.lines(), policy: policy)
        var sessions = 0
        var calls = 0
        while let session = try reader.nextSession() {
            sessions += 1
            calls += session.count
        }
        guard sessions > 0 else { throw WorkloadError(place: input.name, "holds no sessions with requests") }
        return Double(calls) / Double(sessions)
    }
}
