//===----------------------------------------------------------------------===//
// A load run from beginning to end.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOPosix
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
        var shares: [[Request]] = Array(repeating: [], count: count)
        for (index, request) in requests.enumerated() {
            let session = request.prefix.session
            shares[session == 0 ? index % count : Int(RandomStream.mix(session) % UInt64(count))].append(request)
        }
        return shares.enumerated().map { index, share in
            guard let closedLoop else { return RequestFeed(share, pace: .open) }
            var part = closedLoop
            part.concurrency = closedLoop.concurrency / count + (index < closedLoop.concurrency % count ? 1 : 0)
            return RequestFeed(share, pace: .closed(part), endNanoseconds: endNanoseconds)
        }
    }
}

/// Runs a schedule against a server.
public final class LoadRun: @unchecked Sendable {
    public let schedule: LoadSchedule
    public let configuration: LoadConfiguration
    private let group: MultiThreadedEventLoopGroup
    private let workers: [LoadWorker]
    private let start: NIODeadline
    private let startCPU: Double

    /// Prepares the run: resolves the host, reads certificates, shares out the schedule. The clock starts here.
    public init(
        _ schedule: LoadSchedule, _ configuration: LoadConfiguration, words: WordList = .common
    ) throws(LoadError) {
        self.schedule = schedule
        self.configuration = configuration
        let address: SocketAddress
        do {
            address = try SocketAddress.makeAddressResolvingHost(
                configuration.target.host, port: configuration.target.port)
        } catch {
            throw LoadError("cannot find the host '\(configuration.target.host)': \(error)")
        }
        let tls = configuration.target.usesTLS ? try LoadRun.tlsContext(configuration) : nil
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.threads)
        self.group = group
        let feeds = schedule.feeds(configuration.threads)
        let start = NIODeadline.now() + .milliseconds(1)
        self.start = start
        startCPU = LoadRun.processCPUSeconds()
        workers = feeds.enumerated().map { index, feed in
            LoadWorker(
                loop: group.next(), configuration: configuration, address: address, tls: tls, words: words,
                start: start,
                feed: feed, number: index
            )
        }
    }

    private static func tlsContext(_ configuration: LoadConfiguration) throws(LoadError) -> NIOSSLContext {
        var settings = TLSConfiguration.makeClientConfiguration()
        if !configuration.verifiesCertificates { settings.certificateVerification = .none }
        if let path = configuration.rootCertificatePath { settings.trustRoots = .file(path) }
        do {
            return try NIOSSLContext(configuration: settings)
        } catch {
            throw LoadError("TLS cannot be set up: \(error)")
        }
    }

    /// Runs to the end of the schedule and of the last answer, and returns what was measured.
    public func run() async throws -> LoadResult {
        let futures = workers.map { worker in worker.loop.flatSubmit { worker.run() } }
        for future in futures { try await future.get() }
        var measurements = LoadMeasurements()
        for worker in workers {
            measurements.merge(try await worker.loop.submit { worker.measurements }.get())
        }
        let wall = Double(NIODeadline.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
        let result = LoadResult(
            measurements: measurements, schedule: schedule, configuration: configuration, wallSeconds: wall,
            cpuSeconds: LoadRun.processCPUSeconds() - startCPU
        )
        try await group.shutdownGracefully()
        return result
    }

    /// How the run stands.
    public func progress() async throws -> LoadProgress {
        var progress = LoadProgress()
        progress.elapsedNanoseconds = Int64(NIODeadline.now().uptimeNanoseconds) - Int64(start.uptimeNanoseconds)
        progress.scheduled = schedule.requests.count
        for worker in workers {
            let part = try await worker.loop.submit { worker.progress }.get()
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
