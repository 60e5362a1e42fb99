//===----------------------------------------------------------------------===//
// ServeGen: production clients as rates, gap laws and length distributions.
//===----------------------------------------------------------------------===//

/// The data of one model out of a ServeGen folder (Xiang et al., arXiv 2505.09999), one file per table for all clients:
///
/// - `MODEL.client_rates.csv`: `client,time_s,rate_rps,iat_cv,dist,arg1,arg2`; windows of 10 minutes, rows with rate 0
///   left out; the law of the gaps is Gamma or Weibull with shape `arg1`, scaled to the window's rate as ServeGen
///   itself does;
/// - `MODEL.client_lengths*.jsonl`: `{"client", "time_s", "input_tokens": [[length, probability], ...],
///   "output_tokens": [...]}`; windows of 6 hours. Multimodal clients have `text_tokens`, and `image_tokens` with
///   `image_count` and so on instead of `input_tokens`.
///
/// Any of the files may be gzip.
final class ServeGenData: Sendable {
    struct Window {
        var startSeconds: Double
        var rate: Double
        var law: GapLaw
    }

    /// Lengths of one client over one stretch of time.
    struct Lengths {
        var startSeconds: Double
        /// Prompt tokens are the sum over these of a draw of tokens times a draw of the count.
        var parts: [(tokens: EmpiricalLaw, count: EmpiricalLaw?)]
        var output: EmpiricalLaw
    }

    struct Client {
        var number: Int
        /// In order of time.
        var windows: [Window]
        var lengths: [Lengths]
    }

    static let windowSeconds = 600.0

    /// In order of their numbers.
    let clients: [Client]
    let reading: ReadingCounts
    /// Clients whose lengths are not in the folder; they draw from the others'.
    let clientsWithoutLengths: Int
    let name: String

    init(folder: String, policy: ReadingPolicy) throws(WorkloadError) {
        let files = try ServeGenFolder(folder)
        var reading = ReadingCounts()
        var windows: [Int: [Window]] = [:]
        let rateLines = try ServeGenFolder.lines(files.rates)
        let rates = try CSVReader(
            rateLines, format: "servegen", columns: [["client"], ["time_s"], ["rate_rps"], ["dist"], ["arg1"]]
        )
        while true {
            do throws(RowFault) {
                guard let fields = try rates.nextRow() else { break }
                let (client, window) = try ServeGenData.window(fields, rates)
                windows[client, default: []].append(window)
                reading.accepted += 1
            } catch {
                try reading.skipOrThrow(error, policy)
            }
        }
        var lengths: [Int: [Lengths]] = [:]
        for file in files.lengths {
            let lines = try ServeGenFolder.lines(file)
            while true {
                do throws(RowFault) {
                    guard let line = try lines.nextRow() else { break }
                    let (client, entry) = try ServeGenLengths.parse(line, lines)
                    lengths[client, default: []].append(entry)
                } catch {
                    try reading.skipOrThrow(error, policy)
                }
            }
        }
        guard !windows.isEmpty, !lengths.isEmpty else {
            throw WorkloadError(place: folder, "holds no \(windows.isEmpty ? "client rates" : "client lengths")")
        }
        name = files.model
        clientsWithoutLengths = windows.keys.filter { lengths[$0] == nil }.count
        self.reading = reading
        // Clients without lengths of their own borrow those of the clients that have them, in turn.
        let donors = lengths.keys.sorted()
        clients = windows.keys.sorted().enumerated().map { index, number in
            let own = lengths[number] ?? lengths[donors[index % donors.count]]!
            return Client(
                number: number, windows: windows[number]!.sorted { $0.startSeconds < $1.startSeconds },
                lengths: own.sorted { $0.startSeconds < $1.startSeconds }
            )
        }
    }

    /// Mean rate over `range` of the data's own clock, in requests per second, and the end of the data.
    func meanRate(over range: Range<Double>) -> Double {
        var requests = 0.0
        for client in clients {
            for window in client.windows {
                let overlap =
                    min(range.upperBound, window.startSeconds + ServeGenData.windowSeconds)
                    - max(range.lowerBound, window.startSeconds)
                if overlap > 0 { requests += overlap * window.rate }
            }
        }
        return requests / (range.upperBound - range.lowerBound)
    }

    var endSeconds: Double {
        clients.reduce(0) { max($0, ($1.windows.last?.startSeconds ?? 0) + ServeGenData.windowSeconds) }
    }

    private static func window(
        _ fields: UnsafeMutableBufferPointer<Field>, _ rows: CSVReader
    ) throws(RowFault) -> (Int, Window) {
        guard let client = FieldParsing.integer(fields[0]) else {
            throw .malformed(rows.error("client", "a client's number", found: fields[0]))
        }
        guard let time = FieldParsing.decimal(fields[1], scale: 3), time >= 0 else {
            throw .malformed(rows.error("time_s", "seconds from the start", found: fields[1]))
        }
        guard let rate = FieldParsing.decimal(fields[2], scale: 9), rate >= 0 else {
            throw .malformed(rows.error("rate_rps", "requests per second", found: fields[2]))
        }
        guard let shape = FieldParsing.decimal(fields[4], scale: 9), shape > 0 else {
            throw .malformed(rows.error("arg1", "the shape of the gap law, above 0", found: fields[4]))
        }
        let law: GapLaw
        if fields[3].spells("Gamma") {
            law = .gamma(burstiness: Double(shape) / 1e9)
        } else if fields[3].spells("Weibull") {
            law = .weibull(shape: max(Double(shape) / 1e9, 0.05))
        } else {
            throw .malformed(rows.error("dist", "Gamma or Weibull", found: fields[3]))
        }
        return (Int(client), Window(startSeconds: Double(time) / 1e3, rate: Double(rate) / 1e9, law: law))
    }
}

/// One line of a lengths file.
enum ServeGenLengths {
    private static let modalities = ["text", "image", "audio", "video"]

    static func parse(_ line: Field, _ lines: LineReader) throws(RowFault) -> (Int, ServeGenData.Lengths) {
        var client: Int64?
        var time: Int64 = 0
        var tokens: [String: EmpiricalLaw] = [:]
        do throws(JSONFault) {
            var scanner = JSONScanner(line)
            try scanner.object { (key, value) throws(JSONFault) in
                if key.spells("client") {
                    client = try value.integer(upTo: 1 << 40, "client")
                } else if key.spells("time_s") {
                    time = try value.decimal(scale: 3, "time_s")
                } else if value.isArray() {
                    if let law = try distribution(&value) { tokens[String(decoding: key, as: UTF8.self)] = law }
                } else {
                    try value.skip()
                }
            }
            try scanner.end()
        } catch {
            throw lines.malformed(error, in: line)
        }
        guard let client, let output = tokens["output_tokens"] else {
            throw .malformed(lines.error("has no '\(client == nil ? "client" : "output_tokens")'"))
        }
        var parts: [(tokens: EmpiricalLaw, count: EmpiricalLaw?)] = []
        if let input = tokens["input_tokens"] {
            parts.append((input, nil))
        } else {
            for modality in modalities {
                if let law = tokens["\(modality)_tokens"] { parts.append((law, tokens["\(modality)_count"])) }
            }
        }
        guard !parts.isEmpty else { throw .malformed(lines.error("has neither 'input_tokens' nor 'text_tokens'")) }
        return (Int(client), ServeGenData.Lengths(startSeconds: Double(time) / 1e3, parts: parts, output: output))
    }

    /// `[[length, probability], ...]`; nil when it is empty or has no weight.
    private static func distribution(_ value: inout JSONScanner) throws(JSONFault) -> EmpiricalLaw? {
        var entries: [(value: Int32, weight: Double)] = []
        try value.array { (pair) throws(JSONFault) in
            var length: Int64?
            var weight: Int64?
            try pair.array { (number) throws(JSONFault) in
                if length == nil {
                    length = try number.integer(upTo: RowFault.largestTokenCount, "a number of tokens")
                } else {
                    weight = try number.decimal(scale: 12, "a probability")
                }
            }
            guard let length, let weight, weight >= 0 else { throw pair.fault("[length, probability]") }
            entries.append((Int32(length), Double(weight)))
        }
        return entries.contains { $0.weight > 0 } ? EmpiricalLaw(entries) : nil
    }
}

/// Requests drawn for every client of the data and merged in order of arrival.
final class ServeGenSource: RequestSource {
    private struct ClientState {
        var random: RandomStream
        var window = 0
        var lengths = 0
        /// Next arrival on the data's clock, in seconds.
        var next: Double
    }

    private let data: ServeGenData
    private let factor: Double
    private let start: Double
    private let end: Double
    private var states: [ClientState] = []
    private var heap = SessionHeap()
    private(set) var reading: ReadingCounts

    /// - Parameters:
    ///   - range: the stretch of the data's clock to draw; its start becomes time 0.
    ///   - factor: multiplies every rate.
    init(_ data: ServeGenData, range: Range<Double>, factor: Double, seed: UInt64) {
        self.data = data
        self.factor = factor
        start = range.lowerBound
        end = range.upperBound
        reading = data.reading
        reading.accepted = 0
        for (index, client) in data.clients.enumerated() {
            var state = ClientState(
                random: RandomStream(seed: seed, stream: 1_000 + UInt64(client.number)), next: range.lowerBound)
            advance(&state, client)
            states.append(state)
            push(index)
        }
    }

    func next() throws(WorkloadError) -> Request? {
        guard let entry = heap.first else { return nil }
        heap.removeFirst()
        let index = Int(entry.session)
        let client = data.clients[index]
        while states[index].lengths + 1 < client.lengths.count,
            client.lengths[states[index].lengths + 1].startSeconds <= states[index].next
        { states[index].lengths += 1 }
        let law = client.lengths[states[index].lengths]
        var prompt = 0
        for part in law.parts {
            let tokens = Int(part.tokens.draw(&states[index].random))
            prompt += tokens * (part.count.map { Int($0.draw(&states[index].random)) } ?? 1)
        }
        let output = law.output.draw(&states[index].random)
        if prompt < 1 || output < 1 { reading.raisedToOneToken += 1 }
        let request = Request(
            id: UInt64(reading.accepted), arrivalNanoseconds: entry.time,
            promptTokens: Int32(min(max(prompt, 1), Int(RowFault.largestTokenCount))), outputTokens: max(output, 1)
        )
        reading.accepted += 1
        advance(&states[index], client)
        push(index)
        return request
    }

    private func push(_ index: Int) {
        guard states[index].next < end else { return }
        heap.insert(
            SessionHeap.Entry(
                time: nanoseconds(states[index].next - start), session: UInt64(index), contextTokens: 0, head: 0)
        )
    }

    /// Moves a client to its next arrival: a gap of mean 1 under the law of the window where it begins, used up at each
    /// window's rate.
    private func advance(_ state: inout ClientState, _ client: ServeGenData.Client) {
        var left: Double?
        while state.window < client.windows.count {
            let window = client.windows[state.window]
            let windowEnd = window.startSeconds + ServeGenData.windowSeconds
            let rate = window.rate * factor
            if windowEnd <= state.next || rate == 0 {
                state.window += 1
                continue
            }
            let from = max(state.next, window.startSeconds)
            let gap = left ?? ServeGenSource.gap(window.law, &state.random)
            let room = (windowEnd - from) * rate
            if gap <= room {
                state.next = from + gap / rate
                return
            }
            left = gap - room
            state.next = windowEnd
            state.window += 1
        }
        state.next = .infinity
    }

    private static func gap(_ law: GapLaw, _ random: inout RandomStream) -> Double {
        switch law {
        case .gamma(let burstiness): random.gamma(shape: burstiness)
        case .weibull(let shape):
            PortableMath.power(random.exponential(), 1 / shape) / PortableMath.gamma(1 + 1 / shape)
        case .poisson: random.exponential()
        case .constant, .atOnce: 1
        }
    }
}
