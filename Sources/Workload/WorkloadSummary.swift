//===----------------------------------------------------------------------===//
// What a workload amounts to: how many requests, how fast, how long.
//===----------------------------------------------------------------------===//

/// Figures over requests that are added one by one.
public struct WorkloadSummary: Sendable {
    /// Token counts of the prompts or the outputs.
    public struct Lengths: Codable, Equatable, Sendable {
        public var total: Int
        public var mean: Double
        /// Smallest value that at least this share does not exceed.
        public var p50: Int
        public var p90: Int
        public var p99: Int
        public var max: Int

        init(_ values: [Int32]) {
            let sorted = values.sorted()
            func percentile(_ share: Double) -> Int {
                sorted.isEmpty ? 0 : Int(sorted[Swift.max(0, Int((share * Double(sorted.count)).rounded(.up)) - 1)])
            }
            total = values.reduce(0) { $0 + Int($1) }
            mean = values.isEmpty ? 0 : Double(total) / Double(values.count)
            p50 = percentile(0.5)
            p90 = percentile(0.9)
            p99 = percentile(0.99)
            max = Int(sorted.last ?? 0)
        }
    }

    private var prompts: [Int32] = []
    private var outputs: [Int32] = []
    private var sessions: Set<UInt64> = []
    /// Arrivals in nanoseconds, rising.
    public private(set) var arrivals: [Int64] = []
    /// Requests that belong to a session, and those that share a head or prefix blocks with others.
    public private(set) var requestsInSessions = 0
    public private(set) var requestsWithPrefix = 0

    public init() {}

    public mutating func add(_ request: Request) {
        prompts.append(request.promptTokens)
        outputs.append(request.outputTokens)
        arrivals.append(request.arrivalNanoseconds)
        let prefix = request.prefix
        if prefix.session != 0 {
            sessions.insert(prefix.session)
            requestsInSessions += 1
        }
        if prefix.sharedHeadTokens > 0 || prefix.blockHashCount > 0 { requestsWithPrefix += 1 }
    }

    public var count: Int { arrivals.count }
    public var sessionCount: Int { sessions.count }
    public var promptTokens: Lengths { Lengths(prompts) }
    public var outputTokens: Lengths { Lengths(outputs) }

    /// Seconds from the first arrival to the last.
    public var spanSeconds: Double {
        guard let first = arrivals.first, let last = arrivals.last else { return 0 }
        return Double(last - first) / 1e9
    }

    /// (requests - 1) / (last arrival - first), per second; nil when all come at once.
    public var rate: Double? { spanSeconds > 0 ? Double(count - 1) / spanSeconds : nil }
}
