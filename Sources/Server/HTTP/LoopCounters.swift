//===----------------------------------------------------------------------===//
// What one event loop counts.
//===----------------------------------------------------------------------===//

import Engine

/// Counters of one event loop: it alone writes them, a scrape adds up all loops'.
final class LoopCounters: Sendable {
    enum Counter: Int, CaseIterable {
        case connectionsOpened, connectionsClosed, connectionsRefused
        case requests, requestsStreamed, requestsRefusedFull, requestsRefusedInvalid, requestsRefusedUnauthorised
        case requestsDisconnected, requestsFailed, requestsFinished, requestsMissedByBaseline, slowReadersClosed,
            slowSendersClosed
        case tokensWritten, chunksWritten, bytesWritten, writes
    }

    private let shard = CounterShard(count: Counter.allCases.count)
    /// Per side and then per pool.
    let outcomes: [[OutcomeCounters]]
    private let pools: [PoolNumbers]
    /// Per cell of the fleet, when cells have ports of their own; else empty.
    let cells: [OutcomeCounters]
    /// Cell of each of the fleet's replicas; empty without such ports.
    private let cellOfReplica: [Int32]
    /// Emission later than intended, in seconds.
    let emissionLag = HistogramShard(bounds: Buckets.lagSeconds)

    /// - Parameters:
    ///   - sides: the fleet's pools, and the baseline's if there is one.
    ///   - cellOfReplica: cell of each of the fleet's replicas, when each cell is to be counted by itself.
    init(sides: [PoolNumbers], cellOfReplica: [Int32] = []) {
        pools = sides
        self.cellOfReplica = cellOfReplica
        let longest = Int(sides[0].maxModelTokens.max() ?? 1)
        cells = (0..<(cellOfReplica.max().map { Int($0) + 1 } ?? 0)).map { _ in OutcomeCounters(maxModelTokens: longest)
        }
        outcomes = sides.map { side in side.maxModelTokens.map { OutcomeCounters(maxModelTokens: Int($0)) } }
    }

    /// Counts one completion under the pool of its replica; one that no replica saw counts under the first pool.
    func record(_ completion: Completion, side: Side, of terms: RequestTerms) {
        outcomes[side.rawValue][pools[side.rawValue].pool(ofReplica: completion.replica)].record(
            completion, of: terms)
        let replica = Int(completion.replica)
        if side == .fleet, cellOfReplica.indices.contains(replica) {
            cells[Int(cellOfReplica[replica])].record(completion, of: terms)
        }
    }

    @inline(__always) func add(_ amount: Int = 1, to counter: Counter) {
        shard.add(UInt64(amount), to: counter.rawValue)
    }
    func read(_ counter: Counter) -> UInt64 { shard.read(counter.rawValue) }
}

/// Which replicas belong to which pool of one side.
struct PoolNumbers: Sendable, Equatable {
    /// Fleet-wide number of each pool's first replica, rising.
    var firstReplicas: [Int32]
    var maxModelTokens: [Int32]

    func pool(ofReplica replica: Int32) -> Int {
        var pool = 0
        while pool + 1 < firstReplicas.count, firstReplicas[pool + 1] <= replica { pool += 1 }
        return pool
    }
}

/// What the client had asked of a request, as far as metrics want it.
struct RequestTerms {
    var finish = FinishReason.length
    var maxOutputTokens: Int32 = 0
    /// The client's `n` for the first choice of a prompt, 0 for the others.
    var choices: Int32 = 0
    var trace: TraceContext?
}

/// What one event loop saw end on one side, for one pool.
final class OutcomeCounters: Sendable {
    enum Counter: Int, CaseIterable {
        case finishedByLength, finishedByStop, cancelled, failed, rejected
        case promptTokens, cachedPromptTokens, outputTokens, preemptions
    }

    private let shard = CounterShard(count: Counter.allCases.count)
    let timeToFirstToken = HistogramShard(bounds: Buckets.fineSeconds)
    let timePerOutputToken = HistogramShard(bounds: Buckets.fineSeconds)
    let endToEnd = HistogramShard(bounds: Buckets.fineSeconds)
    let queue = HistogramShard(bounds: Buckets.fineSeconds)
    // vLLM's own buckets, which are not a subset of the fine ones.
    let vllmTimeToFirstToken = HistogramShard(bounds: Buckets.vllmTimeToFirstToken)
    let vllmTokenLatency = HistogramShard(bounds: Buckets.vllmTokenLatency)
    let vllmTimePerOutputToken = HistogramShard(bounds: Buckets.vllmTokenLatency)
    let vllmEndToEnd = HistogramShard(bounds: Buckets.vllmRequestLatency)
    let vllmQueue = HistogramShard(bounds: Buckets.vllmRequestLatency)
    let vllmPrefill = HistogramShard(bounds: Buckets.vllmRequestLatency)
    let vllmDecode = HistogramShard(bounds: Buckets.vllmRequestLatency)
    let vllmInference = HistogramShard(bounds: Buckets.vllmRequestLatency)
    let vllmPreemptions = HistogramShard(bounds: Buckets.vllmPreemptions)
    let vllmPromptTokens: HistogramShard
    let vllmOutputTokens: HistogramShard
    let vllmComputedPromptTokens: HistogramShard
    let vllmMaxTokens: HistogramShard
    let vllmMaxOutputTokens: HistogramShard
    let vllmChoices = HistogramShard(bounds: Buckets.vllmChoices)
    let timeToFirstTokenExemplars = ExemplarShelf(bounds: Buckets.fineSeconds)
    let endToEndExemplars = ExemplarShelf(bounds: Buckets.fineSeconds)

    init(maxModelTokens: Int) {
        vllmPromptTokens = HistogramShard(bounds: Buckets.vllmTokens(upTo: maxModelTokens))
        vllmOutputTokens = HistogramShard(bounds: Buckets.vllmTokens(upTo: maxModelTokens))
        vllmComputedPromptTokens = HistogramShard(bounds: Buckets.vllmTokens(upTo: maxModelTokens))
        vllmMaxTokens = HistogramShard(bounds: Buckets.vllmTokens(upTo: maxModelTokens))
        vllmMaxOutputTokens = HistogramShard(bounds: Buckets.vllmTokens(upTo: maxModelTokens))
    }

    func read(_ counter: Counter) -> UInt64 { shard.read(counter.rawValue) }

    /// Counts one completion. TPOT is the mean gap of a request with at least two tokens.
    func record(_ completion: Completion, of terms: RequestTerms) {
        switch completion.status {
        case .finished:
            shard.add(1, to: (terms.finish == .length ? Counter.finishedByLength : .finishedByStop).rawValue)
        case .cancelled: shard.add(1, to: Counter.cancelled.rawValue)
        case .failed: shard.add(1, to: Counter.failed.rawValue)
        case .rejected: shard.add(1, to: Counter.rejected.rawValue)
        }
        shard.add(UInt64(completion.outputTokens), to: Counter.outputTokens.rawValue)
        shard.add(UInt64(completion.preemptions), to: Counter.preemptions.rawValue)
        guard completion.scheduledNanoseconds >= 0 else { return }
        shard.add(UInt64(completion.promptTokens), to: Counter.promptTokens.rawValue)
        shard.add(UInt64(completion.cachedPromptTokens), to: Counter.cachedPromptTokens.rawValue)
        // Every time is there once a request has finished, also when it was cancelled at the very end.
        guard completion.status == .finished else { return }
        recordLatencies(completion)
        recordSizes(completion, of: terms)
        if let trace = terms.trace {
            timeToFirstTokenExemplars.keep(
                Double(completion.firstTokenNanoseconds - completion.arrivalNanoseconds) * 1e-9, traceID: trace.traceID)
            endToEndExemplars.keep(
                Double(completion.lastTokenNanoseconds - completion.arrivalNanoseconds) * 1e-9, traceID: trace.traceID)
        }
    }

    private func recordLatencies(_ completion: Completion) {
        func seconds(_ from: Int64, _ to: Int64) -> Double { Double(max(0, to - from)) * 1e-9 }
        let arrival = completion.arrivalNanoseconds
        let waited = seconds(arrival, completion.scheduledNanoseconds)
        let first = seconds(arrival, completion.firstTokenNanoseconds)
        let total = seconds(arrival, completion.lastTokenNanoseconds)
        let decode = seconds(completion.firstTokenNanoseconds, completion.lastTokenNanoseconds)
        queue.record(waited)
        timeToFirstToken.record(first)
        endToEnd.record(total)
        vllmQueue.record(waited)
        vllmTimeToFirstToken.record(first)
        vllmEndToEnd.record(total)
        vllmPrefill.record(seconds(completion.scheduledNanoseconds, completion.firstTokenNanoseconds))
        vllmDecode.record(decode)
        vllmInference.record(seconds(completion.scheduledNanoseconds, completion.lastTokenNanoseconds))
        if completion.outputTokens > 1 {
            let gap = decode / Double(completion.outputTokens - 1)
            timePerOutputToken.record(gap)
            vllmTimePerOutputToken.record(gap)
            vllmTokenLatency.record(gap, copies: UInt64(completion.outputTokens - 1))
        }
    }

    private func recordSizes(_ completion: Completion, of terms: RequestTerms) {
        vllmPreemptions.record(Double(completion.preemptions))
        vllmPromptTokens.record(Double(completion.promptTokens))
        vllmOutputTokens.record(Double(completion.outputTokens))
        vllmComputedPromptTokens.record(Double(completion.promptTokens - completion.cachedPromptTokens))
        vllmMaxTokens.record(Double(terms.maxOutputTokens))
        // Once for a request of the client, however many choices it has.
        if terms.choices > 0 {
            vllmChoices.record(Double(terms.choices))
            vllmMaxOutputTokens.record(Double(completion.outputTokens))
        }
    }
}
