//===----------------------------------------------------------------------===//
// What a run has measured, on one event loop or merged from all.
//===----------------------------------------------------------------------===//

/// Counts of one second of the run.
public struct SecondCounts: Sendable {
    public var intended = 0
    public var sent = 0
    public var completed = 0
    public var failed = 0
    public var outputTokens = 0
    /// Over the first tokens seen in this second, in nanoseconds.
    public var ttftSum: Int64 = 0
    public var ttftCount = 0
}

/// Requests of one priority class or tenant.
public struct GroupCounts: Sendable {
    public var completed = 0
    public var failed = 0
    public var good = 0

    mutating func add(_ other: GroupCounts) {
        completed += other.completed
        failed += other.failed
        good += other.good
    }
}

/// Everything that is measured. Merging is exact: the order does not matter and nothing is lost.
public struct LoadMeasurements: Sendable {
    public var ttft = LatencyHistogram()
    public var ttftFromIntended = LatencyHistogram()
    /// Every gap between two events with output, over all requests.
    public var itl = LatencyHistogram()
    public var tpot = LatencyHistogram()
    public var ntpot = LatencyHistogram()
    public var e2e = LatencyHistogram()
    public var e2eFromIntended = LatencyHistogram()
    /// How late requests were sent.
    public var lag = LatencyHistogram()
    public var statuses: [Int] = Array(repeating: 0, count: RequestStatus.allCases.count)
    /// By HTTP status other than 200.
    public var httpErrors: [UInt16: Int] = [:]
    public var retries = 0
    public var connections = 0
    /// Requests whose kept connection the server closed as it was used again, or went away from without having taken
    /// them (HTTP/2's GOAWAY); they went out anew and nothing is counted against them.
    public var staleConnections = 0
    public var promptTokens = 0
    public var cachedTokens = 0
    public var outputTokens = 0
    public var good = 0
    public var withoutUsage = 0
    /// Completed requests whose output is not as long as was asked for.
    public var otherLength = 0
    public var byClass: [UInt8: GroupCounts] = [:]
    public var byTenant: [UInt16: GroupCounts] = [:]
    public var seconds: [SecondCounts] = []
    public var records: [RequestRecord] = []
    public var recordsLeftOut = 0
    /// First and last time of a measured request, in nanoseconds since the run began.
    public var firstIntended: Int64 = .max
    public var lastEnded: Int64 = 0
    /// The first failure in words, for each status.
    public var firstFailures: [UInt8: String] = [:]

    public init() {}

    public var completed: Int { statuses[Int(RequestStatus.completed.rawValue)] }
    public var failed: Int { RequestStatus.allCases.reduce(0) { $0 + ($1.isFailure ? statuses[Int($1.rawValue)] : 0) } }
    public var total: Int { statuses.reduce(0, +) }

    /// Takes in a request that has ended.
    mutating func record(_ record: RequestRecord, promise: RequestPromise, recordLimit: Int) {
        statuses[Int(record.status.rawValue)] += 1
        if record.status == .httpError { httpErrors[record.httpStatus, default: 0] += 1 }
        retries += max(0, Int(record.attempts) - 1)
        firstIntended = min(firstIntended, record.intended)
        lastEnded = max(lastEnded, record.ended)
        if record.dispatched >= 0 { lag.record(record.lag) }
        if record.status == .completed { recordCompleted(record, promise: promise) }
        if record.status.isFailure {
            byClass[record.priorityClass, default: GroupCounts()].failed += 1
            byTenant[record.tenant, default: GroupCounts()].failed += 1
        }
        if record.ended >= 0 {
            let second = self.second(at: record.ended)
            if record.status == .completed { seconds[second].completed += 1 }
            if record.status.isFailure { seconds[second].failed += 1 }
        }
        if records.count < recordLimit { records.append(record) } else { recordsLeftOut += 1 }
    }

    private mutating func recordCompleted(_ record: RequestRecord, promise: RequestPromise) {
        if record.firstToken >= 0 {
            ttft.record(record.ttft)
            ttftFromIntended.record(record.ttftFromIntended)
        }
        if let value = record.tpot { tpot.record(value) }
        if let value = record.ntpot { ntpot.record(value) }
        e2e.record(record.e2e)
        e2eFromIntended.record(record.e2eFromIntended)
        promptTokens += Int(record.promptTokens)
        cachedTokens += Int(record.cachedTokens)
        outputTokens += Int(record.outputTokens)
        if !record.hasUsage { withoutUsage += 1 }
        if record.outputTokens != record.askedOutputTokens { otherLength += 1 }
        let isGood = record.keeps(promise)
        if isGood { good += 1 }
        byClass[record.priorityClass, default: GroupCounts()].completed += 1
        byTenant[record.tenant, default: GroupCounts()].completed += 1
        if isGood {
            byClass[record.priorityClass, default: GroupCounts()].good += 1
            byTenant[record.tenant, default: GroupCounts()].good += 1
        }
    }

    /// Index into `seconds` of a time in nanoseconds, which is made to exist. Runs are bounded to 11 days here.
    mutating func second(at nanoseconds: Int64) -> Int {
        let index = Int(min(max(0, nanoseconds / 1_000_000_000), 1_000_000))
        while seconds.count <= index { seconds.append(SecondCounts()) }
        return index
    }

    public mutating func merge(_ other: LoadMeasurements) {
        ttft.merge(other.ttft)
        ttftFromIntended.merge(other.ttftFromIntended)
        itl.merge(other.itl)
        tpot.merge(other.tpot)
        ntpot.merge(other.ntpot)
        e2e.merge(other.e2e)
        e2eFromIntended.merge(other.e2eFromIntended)
        lag.merge(other.lag)
        for index in statuses.indices { statuses[index] += other.statuses[index] }
        httpErrors.merge(other.httpErrors, uniquingKeysWith: +)
        retries += other.retries
        connections += other.connections
        staleConnections += other.staleConnections
        promptTokens += other.promptTokens
        cachedTokens += other.cachedTokens
        outputTokens += other.outputTokens
        good += other.good
        withoutUsage += other.withoutUsage
        otherLength += other.otherLength
        for (name, counts) in other.byClass { byClass[name, default: GroupCounts()].add(counts) }
        for (name, counts) in other.byTenant { byTenant[name, default: GroupCounts()].add(counts) }
        while seconds.count < other.seconds.count { seconds.append(SecondCounts()) }
        for (index, counts) in other.seconds.enumerated() { seconds[index].add(counts) }
        records += other.records
        recordsLeftOut += other.recordsLeftOut
        firstIntended = min(firstIntended, other.firstIntended)
        lastEnded = max(lastEnded, other.lastEnded)
        firstFailures.merge(other.firstFailures) { first, _ in first }
    }
}

extension SecondCounts {
    mutating func add(_ other: SecondCounts) {
        intended += other.intended
        sent += other.sent
        completed += other.completed
        failed += other.failed
        outputTokens += other.outputTokens
        ttftSum += other.ttftSum
        ttftCount += other.ttftCount
    }
}
