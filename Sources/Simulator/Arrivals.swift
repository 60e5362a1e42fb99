//===----------------------------------------------------------------------===//
// The requests of one front end, in the order of time: from a source, or from clients that wait for answers.
//===----------------------------------------------------------------------===//

import Engine
import Workload
import Yard

/// What one front end gets to see.
struct Arrivals {
    private let source: any RequestSource
    private var clients: ClosedLoopClients?
    /// The next request of an open loop, read ahead.
    private var upcoming: Request?
    private var lastNanoseconds: Int64 = 0
    private(set) var offered: Int64 = 0

    /// - Parameter clients: nil when requests come by themselves, at the source's times.
    init(source: any RequestSource, clients: ClosedLoopClients?) throws {
        self.source = source
        self.clients = clients
        if clients == nil { upcoming = try source.next() }
    }

    var reading: ReadingCounts { source.reading }
    var isClosedLoop: Bool { clients != nil }

    /// When the next request comes; `.max` when none does by itself (in a closed loop one may follow an answer).
    var nextNanoseconds: Int64 { clients?.nextNanoseconds ?? upcoming?.arrivalNanoseconds ?? .max }

    /// The next request; nil when a closed loop's source turns out to be at its end.
    mutating func pop() throws -> Request? {
        guard clients == nil else {
            guard var request = try source.next() else {
                clients?.stop()
                return nil
            }
            clients?.start(&request)
            offered += 1
            return request
        }
        guard let request = upcoming else { return nil }
        guard request.arrivalNanoseconds >= lastNanoseconds else {
            throw SimulationError(
                description:
                    "request \(request.id) arrives at \(request.arrivalNanoseconds) ns, before the one ahead of it "
                    + "at \(lastNanoseconds) ns; a source must be in the order of arrival")
        }
        lastNanoseconds = request.arrivalNanoseconds
        offered += 1
        upcoming = try source.next()
        return request
    }

    /// A request has ended. A client that waited for it thinks, then sends the next one, never before `earliest`.
    mutating func ended(_ completion: Completion, at nowNanoseconds: Int64, earliest: Int64) {
        clients?.ended(completion, at: nowNanoseconds, earliest: earliest)
    }
}

/// Clients that each wait for an answer, think, and ask again.
struct ClosedLoopClients {
    private let loop: ClosedLoop
    private let endNanoseconds: Int64
    private var random: RandomStream
    /// When each idle client sends next, earliest first; ties by client number.
    private var idle: [(at: Int64, client: Int32)] = []
    private var clientOf: [UInt64: Int32] = [:]
    /// How long a refused client stays away, at least: what a full yard asks for.
    static let refusedPauseNanoseconds: Int64 = 1_000_000_000

    init(loop: ClosedLoop, endNanoseconds: Int64?, seed: UInt64) {
        self.loop = loop
        self.endNanoseconds = endNanoseconds ?? .max
        random = RandomStream(seed: seed, stream: 0x7468_696E_6B)
        idle = (0..<Int32(loop.concurrency)).map { (0, $0) }
    }

    var nextNanoseconds: Int64 { idle.first?.at ?? .max }

    /// There are no more requests to send.
    mutating func stop() { idle = [] }

    /// Makes a request that of the client which is due first.
    mutating func start(_ request: inout Request) {
        let first = removeFirst()
        request.arrivalNanoseconds = first.at
        clientOf[request.id] = first.client
    }

    mutating func ended(_ completion: Completion, at nowNanoseconds: Int64, earliest: Int64) {
        guard let client = clientOf.removeValue(forKey: completion.requestID) else { return }
        var pause = loop.drawThinkNanoseconds(&random)
        if completion.status == .rejected { pause = max(pause, Self.refusedPauseNanoseconds) }
        let next = max(nowNanoseconds + pause, earliest)
        if next < endNanoseconds { insert((next, client)) }
    }

    // A binary heap.

    private static func precedes(_ left: (at: Int64, client: Int32), _ right: (at: Int64, client: Int32)) -> Bool {
        left.at != right.at ? left.at < right.at : left.client < right.client
    }

    private mutating func insert(_ entry: (at: Int64, client: Int32)) {
        idle.append(entry)
        var index = idle.count - 1
        while index > 0, Self.precedes(idle[index], idle[(index - 1) / 2]) {
            idle.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func removeFirst() -> (at: Int64, client: Int32) {
        idle.swapAt(0, idle.count - 1)
        let first = idle.removeLast()
        var index = 0
        while 2 * index + 1 < idle.count {
            var child = 2 * index + 1
            if child + 1 < idle.count, Self.precedes(idle[child + 1], idle[child]) { child += 1 }
            if Self.precedes(idle[index], idle[child]) { break }
            idle.swapAt(index, child)
            index = child
        }
        return first
    }
}
