//===----------------------------------------------------------------------===//
// Prompts between prefill and decode.
//===----------------------------------------------------------------------===//

import Engine
import Workload

/// A request whose prompt is done and whose last token has not come.
struct Handover: BitwiseCopyable {
    enum Stage: UInt8, BitwiseCopyable {
        /// No decode replica has had a place for it; its KV lies with the prefill replica.
        case waiting
        /// Its KV is on the way.
        case crossing
        /// It runs on the decode replica.
        case decoding
    }
    var request: Request
    var stage = Stage.waiting
    var source: Int32
    /// Decode replica, -1 while it waits.
    var destination: Int32 = -1
    /// When its prefill first got tokens, and when its prompt was done.
    var scheduledNanoseconds: Int64
    var readyNanoseconds: Int64
    /// When its KV has arrived; -1 before it crosses.
    var arrivesNanoseconds: Int64 = -1
    var cachedPromptTokens: Int32
}

/// The handovers of a cell, by request, in the order in which they wait and in the order in which they arrive.
///
/// As many as requests in flight, at most: a prompt that waits or crosses keeps its place on the prefill replica, so
/// that a decode side that does not keep up stops the prefill side.
struct HandoverDesk {
    let rules: KVTransferRules
    private(set) var handovers: [UInt64: Handover] = [:]
    /// First come, first served. Entries of requests that left otherwise are passed over.
    private var waiting: [UInt64] = []
    private var firstWaiting = 0
    private var waitingCount = 0
    /// A binary heap by time, then by request. Entries that a failure overtook are passed over.
    private var arrivals: [(atNanoseconds: Int64, requestID: UInt64)] = []
    /// When the last accepted byte has left each replica's port.
    private var portFreeNanoseconds: [Int64]

    init(rules: KVTransferRules, replicas: Int) {
        self.rules = rules
        portFreeNanoseconds = Array(repeating: 0, count: replicas)
    }

    var hasWaiting: Bool { waitingCount > 0 }
    var nextArrivalNanoseconds: Int64 { arrivals.first?.atNanoseconds ?? .max }

    subscript(requestID: UInt64) -> Handover? { handovers[requestID] }

    mutating func add(_ handover: Handover) {
        assert(handover.stage == .waiting && handovers[handover.request.id] == nil)
        handovers[handover.request.id] = handover
        line(up: handover.request.id)
    }

    private mutating func line(up requestID: UInt64) {
        waiting.append(requestID)
        waitingCount += 1
    }

    /// The one that has waited longest.
    mutating func popWaiting() -> Handover? {
        while firstWaiting < waiting.count {
            let requestID = waiting[firstWaiting]
            firstWaiting += 1
            if firstWaiting > 1024 && firstWaiting * 2 > waiting.count {
                waiting.removeFirst(firstWaiting)
                firstWaiting = 0
            }
            if let handover = handovers[requestID], handover.stage == .waiting {
                waitingCount -= 1
                return handover
            }
        }
        assert(waitingCount == 0)
        return nil
    }

    /// Starts a transfer.
    /// - Parameter bytesPerSecond: of the slower of the two ports.
    mutating func send(
        _ requestID: UInt64, to destination: Int, bytesPerSecond: Int64, at now: Int64,
        counting usage: inout KVTransferUsage
    ) {
        guard var handover = handovers[requestID] else {
            preconditionFailure("request \(requestID) hands nothing over")
        }
        let source = Int(handover.source)
        let bytes = Int64(handover.request.promptTokens) * rules.bytesPerToken
        // Layers are pushed while the prompt runs only when their destination is known by its end.
        let isOverlapped = handover.readyNanoseconds == now
        let left = rules.mode.departure(
            bytes: bytes, bytesPerSecond: bytesPerSecond,
            freeNanoseconds: max(portFreeNanoseconds[source], portFreeNanoseconds[destination]),
            startNanoseconds: isOverlapped ? handover.scheduledNanoseconds : now, endNanoseconds: now)
        portFreeNanoseconds[source] = left
        portFreeNanoseconds[destination] = left
        handover.arrivesNanoseconds = left + rules.latencyNanoseconds
        handover.destination = Int32(destination)
        handover.stage = .crossing
        handovers[requestID] = handover
        push((handover.arrivesNanoseconds, requestID))
        let crossing = handover.arrivesNanoseconds - now
        usage.transfers += 1
        usage.bytes += Int128(bytes)
        usage.placeWaitNanoseconds += Int128(now - handover.readyNanoseconds)
        usage.crossingNanoseconds += Int128(crossing)
        usage.longestCrossingNanoseconds = max(usage.longestCrossingNanoseconds, crossing)
    }

    /// The next one whose KV has arrived at or before `now`; it decodes from here on.
    mutating func popArrived(by now: Int64) -> Handover? {
        while let first = arrivals.first, first.atNanoseconds <= now {
            pop()
            guard var handover = handovers[first.requestID], handover.stage == .crossing,
                handover.arrivesNanoseconds == first.atNanoseconds
            else { continue }
            handover.stage = .decoding
            handovers[first.requestID] = handover
            return handover
        }
        return nil
    }

    mutating func remove(_ requestID: UInt64) -> Handover? {
        guard let removed = handovers.removeValue(forKey: requestID) else { return nil }
        if removed.stage == .waiting { waitingCount -= 1 }
        return removed
    }

    /// Takes back what is on the way to a replica that failed: the prefill side still has it.
    /// - Returns: the requests, in the order of their numbers.
    mutating func recall(from destination: Int) -> [UInt64] {
        let recalled = handovers.values.filter { $0.stage == .crossing && $0.destination == Int32(destination) }
            .map(\.request.id).sorted()
        for requestID in recalled {
            handovers[requestID]?.stage = .waiting
            handovers[requestID]?.destination = -1
            line(up: requestID)
        }
        return recalled
    }

    // The heap.

    private static func precedes(
        _ left: (atNanoseconds: Int64, requestID: UInt64), _ right: (atNanoseconds: Int64, requestID: UInt64)
    ) -> Bool { left < right }

    private mutating func push(_ entry: (atNanoseconds: Int64, requestID: UInt64)) {
        arrivals.append(entry)
        var index = arrivals.count - 1
        while index > 0, Self.precedes(arrivals[index], arrivals[(index - 1) / 2]) {
            arrivals.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func pop() {
        arrivals.swapAt(0, arrivals.count - 1)
        arrivals.removeLast()
        var index = 0
        while 2 * index + 1 < arrivals.count {
            var child = 2 * index + 1
            if child + 1 < arrivals.count, Self.precedes(arrivals[child + 1], arrivals[child]) { child += 1 }
            if Self.precedes(arrivals[index], arrivals[child]) { break }
            arrivals.swapAt(index, child)
            index = child
        }
    }
}
