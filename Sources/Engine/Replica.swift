//===----------------------------------------------------------------------===//
// One running copy of a model, stepped through time.
//===----------------------------------------------------------------------===//

public import StepModel
public import Workload

/// One replica: its queue, its running sequences, its KV blocks, and the steps in flight.
///
/// It is told the time and never asks for it. `submit` and `cancel` come in the order of time; `advance(until:)` does
/// everything that happens at or before a time, in exact order, and reports it.
///
/// The scheduler sees a request at the first step boundary *after* the nanosecond it was submitted in; an idle replica
/// starts a step at that nanosecond, with everything submitted until it is advanced. How often a replica is advanced
/// changes nothing else.
///
/// A replica belongs to one thread at a time.
public final class Replica {
    public let number: Int32
    let core: UnsafeMutablePointer<ReplicaCore>
    private let program: ReplicaProgram

    public var configuration: ReplicaConfiguration { program.configuration }
    public var table: StepTable { program.table }

    /// A replica that shares its program with others.
    public init(number: Int32, program: ReplicaProgram) {
        self.number = number
        self.program = program
        core = .allocate(capacity: 1)
        core.initialize(to: ReplicaCore(number: number, program: program))
    }

    /// - Precondition: `configuration.problem` is nil.
    public convenience init(number: Int32, configuration: ReplicaConfiguration, table: StepTable) {
        self.init(number: number, program: ReplicaProgram(configuration: configuration, table: table))
    }

    deinit {
        core.deinitialize(count: 1)
        core.deallocate()
    }

    /// Puts a request into the queue, or rejects it when it can never fit or the queue is full; a rejection is reported
    /// by the next `advance`.
    public func submit(_ request: Request, at nowNanoseconds: Int64) {
        core.pointee.submit(request, at: nowNanoseconds)
    }

    /// Takes a request out at once, wherever it is; its completion comes with the next `advance`.
    ///
    /// - Precondition: the replica has been advanced to `nowNanoseconds`.
    /// - Returns: whether the request was here.
    public func cancel(requestID: UInt64, at nowNanoseconds: Int64) -> Bool {
        core.pointee.cancel(requestID: requestID, at: nowNanoseconds)
    }

    /// When something is next to report, or `.max` when nothing will happen by itself.
    public var nextEventNanoseconds: Int64 { core.pointee.nextEventNanoseconds }

    /// Does everything that happens at or before a time, and tells the sink.
    public func advance<Sink: OutcomeSink>(until nowNanoseconds: Int64, into sink: inout Sink) {
        core.pointee.advance(until: nowNanoseconds, into: &sink)
    }

    /// The same, into a buffer, for which it is compiled.
    public func advance(until nowNanoseconds: Int64, into buffer: inout OutcomeBuffer) {
        core.pointee.advance(until: nowNanoseconds, into: &buffer)
    }

    /// The state as of the last `advance`, with what was submitted since.
    public var load: ReplicaLoad { core.pointee.load }

    public var usage: ReplicaUsage { core.pointee.reportedUsage }

    /// Tokens at the start of the prompt that this replica would not have to compute now. Changes nothing.
    public func cachedPromptTokens(of request: Request) -> Int32 { core.pointee.cachedPromptTokens(of: request) }
}
