//===----------------------------------------------------------------------===//
// A load run from beginning to end.
//===----------------------------------------------------------------------===//

import CSocket
import NIOSSL
public import Workload

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How a run stands at one moment.
public struct LoadProgress: Sendable {
    public var elapsedNanoseconds: Int64 = 0
    public var scheduled = 0
    public var sent = 0
    public var completed = 0
    public var failed = 0
    public var inFlight = 0
    public var waiting = 0
    public var outputTokens = 0
    /// Per second since the start.
    public var seconds: [SecondCounts] = []
}

/// The load, computed before the run: which requests go out when, and on which event loop.
public struct LoadSchedule: Sendable {
    /// Largest schedule that is held; 104 bytes a request.
    public static let largestCount = 20_000_000

    public let requests: [Request]
    public let closedLoop: ClosedLoop?
    public let endNanoseconds: Int64
    public let workload: String
    public let provenance: WorkloadProvenance
    public let notes: [String]
    /// Keeps the block hashes alive that the requests point to.
    private let source: SourceBox

    /// - Throws: what the workload's reader throws; `WorkloadError` too when it has no end or too many requests.
    public init(_ workload: Workload) throws(WorkloadError) {
        let source = try workload.makeSource()
        var requests: [Request] = []
        let limit = LoadSchedule.largestCount
        // A closed loop with a duration takes as many requests as it gets done: enough for 1,000 a second and client
        // are made ready.
        var readied = limit
        if let loop = workload.closedLoop, let duration = workload.durationNanoseconds,
            workload.description.options.limit == nil
        {
            readied = Int(min(2_000_000, max(10_000, Double(loop.concurrency) * Double(duration) / 1e6)))
        }
        while requests.count < readied, let request = try source.next() { requests.append(request) }
        if readied == limit, requests.count == limit, try source.next() != nil {
            throw WorkloadError(
                place: workload.description.description, "has more than \(limit) requests; give a duration or a limit"
            )
        }
        self.requests = requests
        closedLoop = workload.closedLoop
        endNanoseconds = workload.closedLoop == nil ? .max : workload.durationNanoseconds ?? .max
        self.workload = workload.description.description
        provenance = workload.provenance
        notes = source.reading.notes
        self.source = SourceBox(source: source)
    }

    private final class SourceBox: @unchecked Sendable {
        let source: any RequestSource
        init(source: any RequestSource) { self.source = source }
    }

    /// Mean rate of the schedule in requests per second, over the time from 0 to its last arrival; nil for closed
    /// loops.
    public var askedRate: Double? {
        guard closedLoop == nil, let last = requests.last, last.arrivalNanoseconds > 0 else { return nil }
        return Double(requests.count) / (Double(last.arrivalNanoseconds) / 1e9)
    }

    /// One feed per worker. Turns of one session stay together, everything else goes round.
    func feeds(_ count: Int) -> [RequestFeed] {
        guard count > 1 else { return [feed(of: requests, number: 0, of: 1)] }
        var shares: [[Request]] = Array(repeating: [], count: count)
        for (index, request) in requests.enumerated() {
            let session = request.prefix.session
            shares[session == 0 ? index % count : Int(RandomStream.mix(session) % UInt64(count))].append(request)
        }
        return shares.enumerated().map { feed(of: $1, number: $0, of: count) }
    }

    private func feed(of share: [Request], number: Int, of count: Int) -> RequestFeed {
        guard let closedLoop else { return RequestFeed(share, pace: .open) }
        var part = closedLoop
        part.concurrency = closedLoop.concurrency / count + (number < closedLoop.concurrency % count ? 1 : 0)
        return RequestFeed(share, pace: .closed(part), endNanoseconds: endNanoseconds)
    }
}

/// Runs a schedule against a server.
public final class LoadRun: @unchecked Sendable {
    public let schedule: LoadSchedule
    public let configuration: LoadConfiguration
    private let workers: [LoadWorker]
    private let start: Int64
    private let startCPU: Double

    /// Prepares the run: resolves the host, reads certificates, shares out the schedule. The clock starts here.
    public init(
        _ schedule: LoadSchedule, _ configuration: LoadConfiguration, words: WordList = .common
    ) throws(LoadError) {
        self.schedule = schedule
        self.configuration = configuration
        csocket_raise_descriptor_limit()
        let address = try ServerAddress(resolving: configuration.target)
        var tls: NIOSSLContext?
        if configuration.target.usesTLS {
            tls = try SecureSession.context(
                verifies: configuration.verifiesCertificates, rootCertificatePath: configuration.rootCertificatePath,
                protocols: configuration.target.protocols)
        }
        let fields = configuration.target.usesHTTP2 ? try RequestFields(configuration) : nil
        let prompts = PromptText(words, texts: configuration.prompts, seed: configuration.seed)
        let feeds = schedule.feeds(configuration.threads)
        start = csocket_now() + 200_000
        startCPU = LoadRun.processCPUSeconds()
        var workers: [LoadWorker] = []
        for (number, feed) in feeds.enumerated() {
            workers.append(
                LoadWorker(
                    loop: try PollLoop(), configuration: configuration, address: address, tls: tls, prompts: prompts,
                    fields: fields, start: start, feed: feed, number: number))
        }
        self.workers = workers
    }

    /// Runs to the end of the schedule and of the last answer, and returns what was measured.
    public func run() async throws(LoadError) -> LoadResult {
        for worker in workers { try worker.loop.start() }
        await withTaskGroup(of: Void.self) { group in
            for worker in workers { group.addTask { await worker.runToEnd() } }
        }
        let wall = Double(csocket_now() - start) / 1e9
        let cpu = LoadRun.processCPUSeconds() - startCPU
        var measurements = LoadMeasurements()
        for worker in workers {
            if let part = await worker.loop.submit({ worker.measurements }) { measurements.merge(part) }
            worker.loop.stop()
        }
        return LoadResult(
            measurements: measurements, schedule: schedule, configuration: configuration, wallSeconds: wall,
            cpuSeconds: cpu
        )
    }

    /// How the run stands; nil when it has ended.
    public func progress() async -> LoadProgress? {
        var progress = LoadProgress()
        progress.elapsedNanoseconds = csocket_now() - start
        progress.scheduled = schedule.requests.count
        for worker in workers {
            guard let part = await worker.loop.submit({ worker.progress }) else { return nil }
            progress.sent += part.sent
            progress.completed += part.completed
            progress.failed += part.failed
            progress.inFlight += part.inFlight
            progress.waiting += part.waiting
            progress.outputTokens += part.outputTokens
            while progress.seconds.count < part.seconds.count { progress.seconds.append(SecondCounts()) }
            for (index, counts) in part.seconds.enumerated() { progress.seconds[index].add(counts) }
        }
        return progress
    }

    /// Sends nothing more; requests on their way are waited for, unless `abandons`.
    public func stop(abandons: Bool) {
        for worker in workers { worker.loop.execute { worker.stop(abandons: abandons) } }
    }

    /// User and system time of this process in seconds.
    static func processCPUSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

extension LoadWorker {
    /// Runs this worker's share on its loop and waits for the end of it.
    func runToEnd() async {
        await withCheckedContinuation { continuation in
            let started = loop.execute { self.run { continuation.resume() } }
            precondition(started, "a loop takes tasks until it is stopped")
        }
    }

    /// This worker's part of the progress.
    var progress: LoadProgress {
        var progress = LoadProgress()
        progress.completed = measurements.completed
        progress.failed = measurements.failed
        progress.inFlight = inFlight
        progress.waiting = waiting
        progress.outputTokens = measurements.outputTokens
        progress.seconds = measurements.seconds
        progress.sent = measurements.seconds.reduce(0) { $0 + $1.sent }
        return progress
    }
}

/// What a run has measured, and what it was.
public struct LoadResult: Sendable {
    public var measurements: LoadMeasurements
    public var schedule: LoadSchedule
    public var configuration: LoadConfiguration
    public var wallSeconds: Double
    public var cpuSeconds: Double
}
