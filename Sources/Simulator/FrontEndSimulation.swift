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
    let number: UInt16
    var arrivals: Arrivals
    private var gate: TenantGate
    private var chooser: CellChooser
    /// By cell, in the order of arrival.
    let outgoing: UnsafeMutablePointer<RequestBuffer>
    private let cells: Int
    var refused: [Completion] = []
    private(set) var refusals: Int64 = 0
    private(set) var lastArrivalNanoseconds: Int64 = 0
    /// Why reading the source failed.
    private(set) var failure: (any Error)?

    init(number: Int, arrivals: Arrivals, cells: Int, frontEnds: Int, options: SimulationOptions) {
        self.number = UInt16(number)
        self.arrivals = arrivals
        gate = TenantGate(limits: options.limits.map { $0.share(ofFrontEnds: frontEnds) })
        chooser = CellChooser(cells: cells, choice: options.cellChoice, seed: options.seed, frontEnd: number)
        self.cells = cells
        outgoing = .allocate(capacity: cells)
        for cell in 0..<cells { (outgoing + cell).initialize(to: RequestBuffer()) }
    }

    deinit {
        for cell in 0..<cells { outgoing[cell].deallocate() }
        outgoing.deallocate()
    }

    /// Whether what ends has to be reported here before time goes on.
    var waitsForEndings: Bool { arrivals.isClosedLoop || !gate.isOpen }

    /// The next request that passes the gate, nil when it was refused or there was none.
    func admitNext() throws -> Request? {
        guard var request = try arrivals.pop() else { return nil }
        request.frontEnd = number
        let now = request.arrivalNanoseconds
        lastArrivalNanoseconds = now
        guard gate.admit(request, at: now) != nil else { return request }
        refusals += 1
        refused.append(Completion(refusing: request))
        return nil
    }

    /// Sends everything that arrives before the window's end.
    func fillWindow(from start: Int64, until end: Int64, board: LoadBoard<PublishedLoad>) {
        chooser.look(at: board, nowNanoseconds: start)
        do {
            while arrivals.nextNanoseconds < end {
                guard let request = try admitNext() else { continue }
                (outgoing + chooser.choose(for: request)).pointee.append(request)
            }
        } catch {
            failure = error
        }
    }

    func ended(_ completion: Completion, wasAdmitted: Bool, at now: Int64, earliest: Int64) {
        if wasAdmitted { gate.ended(tenant: completion.tenant) }
        arrivals.ended(completion, at: now, earliest: earliest)
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
