//===----------------------------------------------------------------------===//
// A front end on the virtual clock.
//===----------------------------------------------------------------------===//

import Engine
import WaitFree
import Workload
import Yard

/// One front end: its arrivals, its gate, its choice of a cell, and what it has sent to each cell in the present
/// window.
final class FrontEndSimulation: @unchecked Sendable {
    /// By cell, in the order of arrival.
    let outgoing: UnsafeMutablePointer<RequestBuffer>
    private let cells: Int
    /// All that changes, in one block that this object owns: it is used by one thread at a time, and reaching it
    /// through a class's variables would be checked for overlap at every step.
    private let state: UnsafeMutablePointer<State>

    private struct State {
        let number: UInt16
        var arrivals: Arrivals
        var gate: TenantGate
        var chooser: CellChooser
        var refused: [Completion] = []
        var refusals: Int64 = 0
        var lastArrivalNanoseconds: Int64 = 0
        var failure: (any Error)?

        /// The next request that passes the gate, nil when it was refused or there was none.
        mutating func admitNext() throws -> Request? {
            guard var request = try arrivals.pop() else { return nil }
            request.frontEnd = number
            let now = request.arrivalNanoseconds
            lastArrivalNanoseconds = now
            guard gate.admit(request, at: now) != nil else { return request }
            refusals += 1
            refused.append(Completion(refusing: request))
            return nil
        }
    }

    init(number: Int, arrivals: Arrivals, cells: Int, frontEnds: Int, options: SimulationOptions) {
        self.cells = cells
        state = .allocate(capacity: 1)
        state.initialize(
            to: State(
                number: UInt16(number), arrivals: arrivals,
                gate: TenantGate(limits: options.limits.map { $0.share(ofFrontEnds: frontEnds) }),
                chooser: CellChooser(cells: cells, choice: options.cellChoice, seed: options.seed, frontEnd: number)))
        outgoing = .allocate(capacity: cells)
        for cell in 0..<cells { (outgoing + cell).initialize(to: RequestBuffer()) }
    }

    deinit {
        for cell in 0..<cells { outgoing[cell].deallocate() }
        outgoing.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
    }

    /// Whether what ends has to be reported here before time goes on.
    var waitsForEndings: Bool { state.pointee.arrivals.isClosedLoop || !state.pointee.gate.isOpen }
    var nextNanoseconds: Int64 { state.pointee.arrivals.nextNanoseconds }
    var offered: Int64 { state.pointee.arrivals.offered }
    var reading: ReadingCounts { state.pointee.arrivals.reading }
    /// Requests that the gate has turned away, ever.
    var refusals: Int64 { state.pointee.refusals }
    var lastArrivalNanoseconds: Int64 { state.pointee.lastArrivalNanoseconds }
    /// Why reading the source failed.
    var failure: (any Error)? { state.pointee.failure }

    func admitNext() throws -> Request? { try state.pointee.admitNext() }

    /// Hands over the requests that the gate has turned away since the last call.
    func takeRefused() -> [Completion] {
        if state.pointee.refused.isEmpty { return [] }
        defer { state.pointee.refused.removeAll(keepingCapacity: true) }
        return state.pointee.refused
    }

    /// Sends everything that arrives before the window's end.
    func fillWindow(from start: Int64, until end: Int64, board: LoadBoard<PublishedLoad>) {
        state.pointee.chooser.look(at: board, nowNanoseconds: start)
        do {
            while state.pointee.arrivals.nextNanoseconds < end {
                guard let request = try state.pointee.admitNext() else { continue }
                (outgoing + state.pointee.chooser.choose(for: request)).pointee.append(request)
            }
        } catch {
            state.pointee.failure = error
        }
    }

    func ended(_ completion: Completion, wasAdmitted: Bool, at now: Int64, earliest: Int64) {
        if wasAdmitted { state.pointee.gate.ended(tenant: completion.tenant) }
        state.pointee.arrivals.ended(completion, at: now, earliest: earliest)
    }
}

extension Completion {
    /// The end of a request that a front end refused.
    init(refusing request: Request) {
        self.init(
            requestID: request.id, arrivalNanoseconds: request.arrivalNanoseconds, scheduledNanoseconds: -1,
            firstTokenNanoseconds: -1, lastTokenNanoseconds: -1, promptTokens: request.promptTokens,
            cachedPromptTokens: 0, outputTokens: 0, preemptions: 0, replica: -1, session: request.prefix.session,
            tenant: request.tenant, frontEnd: request.frontEnd, priorityClass: request.priorityClass, status: .rejected)
    }

    /// When the client heard of the end.
    var endNanoseconds: Int64 {
        status == .rejected ? arrivalNanoseconds : max(lastTokenNanoseconds, arrivalNanoseconds)
    }
}
