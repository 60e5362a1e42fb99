//===----------------------------------------------------------------------===//
// Independent requests from an arrival process and a length sampler.
//===----------------------------------------------------------------------===//

/// Draws the lengths of one request after the other.
protocol LengthSampler {
    /// Prompt and output tokens; nil when there are no more.
    mutating func next() -> (prompt: Int32, output: Int32)?
}

/// Requests without shared prefixes: each arrival of a clock gets the next lengths of a sampler. Memory does not grow.
final class GeneratedSource<Lengths: LengthSampler>: RequestSource {
    /// One variable, for one check of access a request.
    private var state: State
    private let options: WorkloadOptions
    private let endNanoseconds: Int64
    private let limit: Int
    private let needsShortening: Bool

    private struct State {
        var clock: ArrivalClock
        var lengths: Lengths
        var reading: ReadingCounts
    }

    init(clock: ArrivalClock, lengths: Lengths, options: WorkloadOptions, reading: ReadingCounts = ReadingCounts()) {
        state = State(clock: clock, lengths: lengths, reading: reading)
        state.reading.accepted = 0
        self.options = options
        endNanoseconds = options.durationSeconds.map(nanoseconds) ?? .max
        limit = options.limit ?? .max
        needsShortening = options.maxPrompt != nil || options.maxOutput != nil || options.maxTotal != nil
    }

    var reading: ReadingCounts { state.reading }

    func next() throws(WorkloadError) -> Request? { next(&state) }

    private func next(_ state: inout State) -> Request? {
        guard state.reading.accepted < limit, let seconds = state.clock.next() else { return nil }
        let arrival = nanoseconds(seconds)
        guard arrival < endNanoseconds, let (prompt, output) = state.lengths.next() else { return nil }
        var request = Request(
            id: UInt64(state.reading.accepted), arrivalNanoseconds: arrival, promptTokens: prompt, outputTokens: output
        )
        if needsShortening, request.shorten(to: options) { state.reading.shortened += 1 }
        state.reading.accepted += 1
        return request
    }
}

/// Lengths out of a table: in its order, round and round or a fixed number of times, or drawn with replacement.
struct TableLengths: LengthSampler {
    private let table: LengthTable
    private var position = 0
    private var roundsLeft: Int
    private var random: RandomStream?

    /// - Parameters:
    ///   - rounds: passes through the table; nil for no end.
    ///   - random: draws with replacement from this instead of going in order.
    init(_ table: LengthTable, rounds: Int?, random: RandomStream?) {
        self.table = table
        roundsLeft = rounds ?? .max
        self.random = random
    }

    mutating func next() -> (prompt: Int32, output: Int32)? {
        if position == table.prompt.count {
            position = 0
            roundsLeft -= 1
        }
        guard roundsLeft > 0 else { return nil }
        defer { position += 1 }
        if random != nil {
            let index = Int(random!.below(UInt64(table.prompt.count)))
            return (table.prompt[index], table.output[index])
        }
        return (table.prompt[position], table.output[position])
    }
}

/// Prompt and output lengths drawn independently from two laws, without end.
struct LawLengths: LengthSampler {
    let prompt: LengthLaw
    let output: LengthLaw
    var random: RandomStream

    mutating func next() -> (prompt: Int32, output: Int32)? { (prompt.draw(&random), output.draw(&random)) }
}

/// Lengths read from a CSV file, 8 bytes a row.
final class LengthTable: Sendable {
    let prompt: [Int32]
    let output: [Int32]
    let reading: ReadingCounts

    /// Names under which published length files have their two columns.
    private static let columns = [
        [
            "prompt_tokens", "num_prefill_tokens", "prefill_tokens", "input_tokens", "input_length", "ContextTokens",
            "input_toks",
        ],
        ["output_tokens", "num_decode_tokens", "decode_tokens", "output_length", "GeneratedTokens", "output_toks"],
    ]

    init(_ lines: LineReader, policy: ReadingPolicy) throws(WorkloadError) {
        let rows = try CSVReader(lines, format: "lengths", columns: LengthTable.columns)
        var prompt: [Int32] = []
        var output: [Int32] = []
        var reading = ReadingCounts()
        while true {
            do throws(RowFault) {
                guard let fields = try rows.nextRow() else { break }
                let first = try rows.tokens(fields[0], column: "prompt_tokens")
                let second = try rows.tokens(fields[1], column: "output_tokens")
                if first == 0 || second == 0 { reading.raisedToOneToken += 1 }
                prompt.append(max(1, first))
                output.append(max(1, second))
                reading.accepted += 1
            } catch {
                try reading.skipOrThrow(error, policy)
            }
        }
        guard !prompt.isEmpty else { throw WorkloadError(place: lines.name, "holds no rows of lengths") }
        self.prompt = prompt
        self.output = output
        self.reading = reading
    }
}
