//===----------------------------------------------------------------------===//
// The skeleton of readers that turn one row into one request.
//===----------------------------------------------------------------------===//

/// What a reader does with malformed rows.
public struct ReadingPolicy: Equatable, Sendable {
    /// Count malformed rows and go on, instead of stopping at the first.
    public var skipsBadRows: Bool

    public init(skipsBadRows: Bool = false) { self.skipsBadRows = skipsBadRows }

    public static let strict = ReadingPolicy()
}

/// Parses one row into a request.
protocol RowParser: AnyObject {
    /// The request of the next row, with the arrival on the trace's own clock in nanoseconds; nil at the end.
    ///
    /// After a thrown `RowFault` the parser can go on with the next row; any other error is final.
    func parseRow() throws(RowFault) -> Request?
}

/// Why a row did not become a request.
enum RowFault: Error {
    /// The row is malformed; the rows after it may be fine.
    case malformed(WorkloadError)
    /// The input cannot be read on.
    case unreadable(WorkloadError)

    /// Largest token count that is accepted in a row; a larger one is a damaged file, not a request.
    static let largestTokenCount: Int64 = 1 << 28
}

/// Requests of a row-by-row trace: order checked, first arrival at 0, ids dense, malformed rows handled as told.
final class RowSource<Parser: RowParser>: RequestSource {
    private let parser: Parser
    private let policy: ReadingPolicy
    private let place: String
    private let currentLine: () -> Int
    private var origin: Int64?
    private var previous: Int64 = 0
    private(set) var reading = ReadingCounts()

    init(_ parser: Parser, policy: ReadingPolicy, place: String, currentLine: @escaping () -> Int) {
        self.parser = parser
        self.policy = policy
        self.place = place
        self.currentLine = currentLine
    }

    func next() throws(WorkloadError) -> Request? {
        while true {
            do throws(RowFault) {
                guard let request = try parser.parseRow() else { return nil }
                return try accept(request)
            } catch {
                try reading.skipOrThrow(error, policy)
            }
        }
    }

    private func accept(_ parsed: Request) throws(RowFault) -> Request {
        var request = parsed
        let start = origin ?? request.arrivalNanoseconds
        guard request.arrivalNanoseconds >= start + previous else {
            let back = Double(start + previous - request.arrivalNanoseconds) / 1e9
            throw .malformed(
                WorkloadError(
                    place: place, line: currentLine(),
                    "arrives \(back) s before the row above it, where rows in order of arrival were expected; sort the file"
                )
            )
        }
        if request.promptTokens == 0 || request.outputTokens == 0 {
            reading.raisedToOneToken += 1
            request.promptTokens = max(1, request.promptTokens)
            request.outputTokens = max(1, request.outputTokens)
        }
        request.maxOutputTokens = max(request.maxOutputTokens, request.outputTokens)
        origin = start
        request.arrivalNanoseconds -= start
        previous = request.arrivalNanoseconds
        request.id = UInt64(reading.accepted)
        reading.accepted += 1
        return request
    }
}

extension ReadingCounts {
    /// Counts a malformed row if bad rows are to be skipped; throws otherwise.
    mutating func skipOrThrow(_ fault: RowFault, _ policy: ReadingPolicy) throws(WorkloadError) {
        switch fault {
        case .unreadable(let error): throw error
        case .malformed(let error):
            guard policy.skipsBadRows else { throw error }
            skipped += 1
            if firstSkipped == nil { firstSkipped = error }
        }
    }
}

extension CSVReader {
    /// The next row, any failure to read being final.
    func nextRow() throws(RowFault) -> UnsafeMutableBufferPointer<Field>? {
        do { return try next() } catch { throw RowFault.unreadable(error) }
    }

    /// A token count from 0 to 2^28.
    @inline(__always)
    func tokens(_ field: Field, column: String) throws(RowFault) -> Int32 {
        guard let value = FieldParsing.integer(field), value <= RowFault.largestTokenCount else {
            throw RowFault.malformed(error(column, "a number of tokens (0 to 268435456)", found: field))
        }
        return Int32(truncatingIfNeeded: value)
    }
}
