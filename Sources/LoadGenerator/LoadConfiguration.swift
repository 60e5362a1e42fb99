//===----------------------------------------------------------------------===//
// How a load run goes about it.
//===----------------------------------------------------------------------===//

/// Promises that each request is held to, in nanoseconds; a request counts for goodput when it kept all that are set.
public struct RequestPromise: Equatable, Sendable {
    public var ttft: Int64?
    public var tpot: Int64?
    public var itl: Int64?
    public var e2e: Int64?

    public init() {}

    public var isEmpty: Bool { ttft == nil && tpot == nil && itl == nil && e2e == nil }

    /// Parses `ttft=200ms,tpot=50ms,e2e=5s`; times have `us`, `ms` or `s` behind them (none means seconds). `itl` is
    /// the largest gap.
    public init(parsing text: String) throws(LoadError) {
        for part in text.split(separator: ",") {
            let halves = part.split(separator: "=", maxSplits: 1)
            guard halves.count == 2, let time = RequestPromise.nanoseconds(halves[1]) else {
                throw LoadError("'\(part)' in '\(text)': expected NAME=TIME such as ttft=200ms")
            }
            switch halves[0] {
            case "ttft": ttft = time
            case "tpot": tpot = time
            case "itl": itl = time
            case "e2e", "e2el": e2e = time
            default: throw LoadError("'\(halves[0])' in '\(text)': expected ttft, tpot, itl or e2e")
            }
        }
        if isEmpty { throw LoadError("'\(text)': expected promises such as ttft=200ms,tpot=50ms,e2e=5s") }
    }

    /// `200ms`, `50us`, `5s`, `0.2` as nanoseconds; nil unless positive and below 10^6 s.
    static func nanoseconds(_ text: Substring) -> Int64? {
        let units: [(String, Double)] = [("us", 1e3), ("ms", 1e6), ("s", 1e9), ("", 1e9)]
        for (suffix, factor) in units where text.hasSuffix(suffix) {
            guard let value = Double(text.dropLast(suffix.count)) else { continue }
            guard value > 0, value * factor < 1e15 else { return nil }
            return Int64((value * factor).rounded())
        }
        return nil
    }
}

/// What is done with answers that say "later": 429, 503, and connections that could not be made.
public struct RetryPolicy: Equatable, Sendable {
    /// Attempts after the first; 0 switches retrying off.
    public var retries: Int
    /// Wait before the first retry; it doubles with each, up to `largestBackoff`. A longer `Retry-After` is honoured,
    /// unless the request would run out of time meanwhile.
    public var backoffNanoseconds: Int64 = 100_000_000
    public var largestBackoffNanoseconds: Int64 = 10_000_000_000

    public init(retries: Int) { self.retries = retries }

    public static let off = RetryPolicy(retries: 0)
}

/// Everything about a run except the requests themselves.
public struct LoadConfiguration: Sendable {
    public var target: LoadTarget
    public var endpoint = LoadEndpoint.chat
    public var model: String
    public var streams = true
    /// Header lines sent with every request, such as `Authorization`.
    public var headers: [(name: String, value: String)] = []
    /// Asks the server to go on to `max_tokens` (a vLLM extension), so that outputs have the lengths of the workload.
    public var ignoresEndOfSequence = false
    /// Loops, one thread each.
    public var threads = 1
    /// Most connections at once, over all threads.
    public var largestConnectionCount = 16_384
    /// Most streams at once on a connection of HTTP/2, where the server allows more.
    public var largestStreamCount = 1_000
    public var requestTimeoutNanoseconds: Int64 = 600_000_000_000
    public var connectTimeoutNanoseconds: Int64 = 10_000_000_000
    public var retry = RetryPolicy.off
    /// Share of the streamed requests that are cut by the client, and after how many chunks.
    public var cancelledShare = 0.0
    public var cancelAfterChunks = 8
    public var promise = RequestPromise()
    /// Requests intended before this are sent but not measured.
    public var warmupNanoseconds: Int64 = 0
    /// Turns of a session wait for the turn before them to end (a client cannot answer what it has not read).
    public var turnsWait = true
    /// Server certificates are verified against the system's roots, or this PEM file.
    public var verifiesCertificates = true
    public var rootCertificatePath: String?
    /// Answers are timed by when the kernel took in their bytes, not by when this client read them.
    public var usesKernelTime = true
    /// Requests of which every detail is kept; of those beyond, only the histograms are.
    public var largestRecordCount = 2_000_000
    public var seed: UInt64 = 1
    /// Prompts to send in turn instead of generated ones; the workload then gives the times and the output lengths
    /// only.
    public var prompts: [String] = []

    public init(target: LoadTarget, model: String) {
        self.target = target
        self.model = model
    }
}
