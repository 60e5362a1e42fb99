//===----------------------------------------------------------------------===//
// An event loop's way to the cells and back.
//===----------------------------------------------------------------------===//

import Engine
import NIOCore
import Synchronization
import WaitFree
import Workload
import Yard

/// Gives one event loop's requests to the fleet's mesh and to the baseline's, and brings their outcomes to the loop's
/// front end. All methods run on the loop.
final class LiveScheduler: SequenceScheduler {
    /// Outcomes taken from each cell before sockets get a turn.
    private static let batch = 4096

    /// Where a request went on both sides; -1 for nowhere.
    private struct Place {
        var fleetCell: Int32 = -1
        var baselineCell: Int32 = -1
    }

    private let fleet: LiveYard
    private let baseline: LiveYard?
    private var fleetPort: FrontEndPort
    private var baselinePort: FrontEndPort?
    private var places: [Place] = []
    /// Cancellations that a full ring did not take.
    private var pendingCancels: [(requestID: UInt64, side: Side, cell: Int)] = []
    /// Requests that the baseline's ring did not take: they end there as rejected.
    private var missedByBaseline: [Completion] = []
    /// When the tokens of the batch in progress were due.
    private var dueNanoseconds: [Int64] = []
    private let waker: LoopWaker
    /// Set right after both are made.
    unowned var frontEnd: LoopFrontEnd!

    init(number: Int, fleet: LiveYard, baseline: LiveYard?, limits: [TenantLimits], waker: LoopWaker, seed: UInt64) {
        self.fleet = fleet
        self.baseline = baseline
        self.waker = waker
        fleetPort = FrontEndPort(mesh: fleet.mesh, number: number, limits: limits, seed: seed)
        baselinePort = baseline.map { FrontEndPort(mesh: $0.mesh, number: number, seed: seed) }
    }

    var hasBaseline: Bool { baseline != nil }

    func submit(_ request: Request, cell wanted: Int?) -> Submission {
        var request = request
        request.arrivalNanoseconds = fleet.clock.nowNanoseconds
        let cell: Int
        switch fleetPort.submit(request, at: request.arrivalNanoseconds, cell: wanted) {
        case .sent(let chosen): cell = chosen
        case .refused(let refusal, let nanoseconds):
            return .refused(
                reason: Self.code(refusal), retryAfterSeconds: Int(max(1, (nanoseconds + 999_999_999) / 1_000_000_000)))
        }
        let slot = Int(request.id & ((1 << LoopFrontEnd.slotBits) - 1))
        if slot >= places.count { places.append(contentsOf: repeatElement(Place(), count: slot + 1 - places.count)) }
        places[slot] = Place(fleetCell: Int32(cell))
        if let baseline { places[slot].baselineCell = submit(request, to: baseline) }
        return .taken
    }

    /// The baseline never turns a client away; a request that it cannot take is counted as rejected there.
    private func submit(_ request: Request, to baseline: LiveYard) -> Int32 {
        var shadow = request
        shadow.arrivalNanoseconds = baseline.clock.nowNanoseconds
        shadow.flags.remove(.streams)
        if case .sent(let cell)? = baselinePort?.submit(shadow, at: shadow.arrivalNanoseconds) { return Int32(cell) }
        frontEnd.counters.add(to: .requestsMissedByBaseline)
        missedByBaseline.append(
            Completion(
                requestID: shadow.id, arrivalNanoseconds: shadow.arrivalNanoseconds, scheduledNanoseconds: -1,
                firstTokenNanoseconds: -1, lastTokenNanoseconds: -1, promptTokens: shadow.promptTokens,
                cachedPromptTokens: 0,
                outputTokens: 0, preemptions: 0, replica: -1, session: shadow.prefix.session, tenant: shadow.tenant,
                frontEnd: shadow.frontEnd, priorityClass: shadow.priorityClass, status: .rejected))
        waker.wake()
        return -1
    }

    func cancel(requestID: UInt64) {
        let place = places[Int(requestID & ((1 << LoopFrontEnd.slotBits) - 1))]
        if place.fleetCell >= 0 { cancel(requestID, side: .fleet, cell: Int(place.fleetCell)) }
        if place.baselineCell >= 0 { cancel(requestID, side: .baseline, cell: Int(place.baselineCell)) }
    }

    private func cancel(_ requestID: UInt64, side: Side, cell: Int) {
        let sent =
            switch side {
            case .fleet: fleetPort.cancel(requestID: requestID, cell: cell)
            case .baseline: baselinePort?.cancel(requestID: requestID, cell: cell) ?? true
            }
        if sent { return }
        pendingCancels.append((requestID, side, cell))
        waker.wakeLater()
    }

    /// Gives an order to a replica of the fleet. False when the cell's ring is full.
    func order(_ order: ReplicaOrder, replica: Int, cell: Int) -> Bool {
        fleetPort.order(order, replica: replica, cell: cell)
    }

    /// Takes what the cells have sent and lets the connections write what is due.
    func drain() {
        waker.isAwake()
        let cancels = pendingCancels
        pendingCancels.removeAll(keepingCapacity: true)
        for (requestID, side, cell) in cancels { cancel(requestID, side: side, cell: cell) }
        let front: LoopFrontEnd = frontEnd
        _ = fleetPort.takeReplies(limit: Self.batch) { reply in
            switch reply {
            case .produced(let event):
                dueNanoseconds.append(event.atNanoseconds)
                front.produced(event)
            case .completed(let completion): front.completed(completion, side: .fleet)
            }
        }
        _ = baselinePort?.takeReplies(limit: Self.batch) { reply in
            if case .completed(let completion) = reply { front.completed(completion, side: .baseline) }
        }
        let missed = missedByBaseline
        missedByBaseline.removeAll(keepingCapacity: true)
        for completion in missed { front.completed(completion, side: .baseline) }
        front.endOfBatch()
        recordLag(front.counters)
        if !fleetPort.hasNoReplies || !(baselinePort?.hasNoReplies ?? true) { waker.wake() }
    }

    /// Every token of the batch has been written by now; the first ones left a little earlier than this says.
    private func recordLag(_ counters: LoopCounters) {
        let now = fleet.clock.nowNanoseconds
        for due in dueNanoseconds {
            if let lateness = fleet.clock.latenessSeconds(of: due, at: now) { counters.emissionLag.record(lateness) }
        }
        dueNanoseconds.removeAll(keepingCapacity: true)
    }

    private static func code(_ refusal: Refusal) -> String {
        switch refusal {
        case .roomFull: "queue_full"
        case .classFull: "class_queue_full"
        case .tenantFull: "tenant_queue_full"
        case .tooLong: "too_long"
        case .closed: "closed"
        case .pathFull: "front_end_full"
        case .requestRate: "request_rate"
        case .tokenRate: "token_rate"
        case .concurrency: "concurrency"
        }
    }
}

/// Brings an event loop to drain its rings, once for however many cells have sent something.
final class LoopWaker: Sendable {
    private let loop: any EventLoop
    private let isPending = Atomic<Bool>(false)
    /// In a structure of its own: a bare closure that is read out of a generic container comes wrapped once more at every
    /// read, and is put back wrapped.
    private struct Drain: Sendable { let body: @Sendable () -> Void }

    private let drain = Mutex<Drain?>(nil)

    init(loop: any EventLoop) { self.loop = loop }

    /// What to do on the loop; set before any cell runs.
    func onWake(_ body: @escaping @Sendable () -> Void) { drain.withLock { $0 = Drain(body: body) } }

    /// Any thread. What was pushed before this call is seen by the drain that follows it.
    func wake() {
        if isPending.exchange(true, ordering: .acquiringAndReleasing) { return }
        loop.execute {
            let drain = self.drain.withLock { $0 }
            drain?.body()
        }
    }

    /// For something that cannot be done yet: after a millisecond.
    func wakeLater() { _ = loop.scheduleTask(in: .milliseconds(1)) { self.wake() } }

    /// On the loop, before it looks at the rings.
    func isAwake() { isPending.store(false, ordering: .sequentiallyConsistent) }
}
