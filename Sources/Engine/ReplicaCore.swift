//===----------------------------------------------------------------------===//
// The state of a replica, in one block of memory.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

/// What `Replica` wraps: plain state, advanced in place, without references to count.
///
/// **Flights.** Between two changes of a batch every step costs a little more than the one before, in a straight line.
/// Such a stretch is one *flight*: its end is known when it starts, and the steps inside it are summed, not walked. A
/// step with prefill chunks is a flight of one step. Work is counted when a step begins (blocks, time, energy) and its
/// tokens when it ends, so a flight that is looked at, joined or cut short in its middle is exact.
struct ReplicaCore: ~Copyable {
    let number: Int32
    /// The pool's: `Replica` keeps it alive.
    private let shared: UnsafeMutablePointer<ReplicaConfiguration>
    let phased: PhasedProgram?
    unowned(unsafe) let table: StepTable

    // Limits copied out of the configuration for the hot path.
    let maxSequences: Int32
    let blockTokens: Int32
    let caches: Bool
    let byPriority: Bool
    let role: ReplicaRole
    let stopsLate: Bool
    /// Data-parallel ranks; 1 but for phased stacks.
    let ranks: Int32
    /// KV grows with the sequence; false where its worst case is reserved at admission.
    let growsBlocks: Bool
    let neverPreempts: Bool
    let speculates: Bool
    /// The number of requests decides how large a first chunk is (rule 7) and so whether it fits, or whether prefill is
    /// due (rule 15): then even a request that cannot be admitted changes something at the next boundary.
    let everyArrivalCounts: Bool

    var slots: SlotPool
    var waiting = SlotList()
    var running = SlotList()
    var batch: DecodeBatch
    var pool: KVPool
    /// Running sequences that have not finished their prompt, in running order.
    var unfinished: SlotIndex = -1
    var unfinishedCount: Int32 = 0
    /// Decoding sequences whose last token is older than the last decode step, or younger.
    var late = SlotBuffer()
    /// End of the last step in which the batch decoded.
    var lastDecodeEnd = Instant.zero
    var streamingCount: Int32 = 0
    /// Ended sequences that take a place in one more step.
    var ghostCount: Int32 = 0
    /// Drafts that the step being formed verifies.
    var draftedTokens: Int32 = 0
    var rankStates: RankStates
    var adapters: AdapterShelf
    /// What the step being formed takes longer, for adapters and KV that are brought in.
    var loadingPicoseconds: Int64 = 0
    var nextOrder: UInt32 = 0

    // The flight.
    var inFlight = false
    /// The batch decodes in this flight.
    var flightDecodes = false
    /// Start and cost of the step now running; `cost + i × increment` for the i-th after it.
    var flightStart = Instant.zero
    var cost = StepCost(picoseconds: 0, nanojoules: 0)
    var increment = StepCost(picoseconds: 0, nanojoules: 0)
    /// Steps left in the flight, the one now running included.
    var flightSteps: Int32 = 0
    var flightEnd = Instant.zero
    /// Sequences with a prefill chunk in the step now running.
    var chunks = SlotBuffer()
    /// Members of the batch that the step now running leaves out.
    var heldOut = SlotBuffer()
    /// A chunk of the step now running may stand before a decode in running order.
    var needsRunningOrder = false
    /// Tokens per step that the compiled batch adds to the real one.
    var flightPadding: Int32 = 0
    /// The last step that allowed prefill left some to do (rule 15).
    var prefillIsLeft = false
    /// Waiting requests that the boundary at `clock` does not see yet; kept where it matters (rule 7).
    var unseenRequests: Int32 = 0
    /// When a request was last accepted.
    var lastSubmitNanoseconds: Int64 = -1

    /// The last boundary, and where an idle replica starts.
    var clock = Instant.zero
    var advancedNanoseconds: Int64 = 0
    var reports: [Completion] = []
    var usage = ReplicaUsage()
    var waitingPromptTokens: Int64 = 0
    /// Output that waiting sequences still have to produce.
    var waitingOutputTokens: Int64 = 0
    /// Of running sequences with unfinished prompts: tokens to compute and to produce.
    var unfinishedTokens: Int64 = 0
    /// Sequences that a walk over the running ones has given tokens.
    var walked = SlotBuffer()
    /// The segments that the last prefix lookup found.
    var path = SlotBuffer()
    /// The Vidur schedulers' running list, in their order; unused by the others.
    var members = SlotBuffer()

    init(number: Int32, program: ReplicaProgram) {
        let configuration = program.configuration
        let table = program.table
        self.number = number
        shared = program.address
        phased = program.phased
        self.table = table
        maxSequences = configuration.maxSequences
        blockTokens = configuration.kvBlockTokens
        let caches = configuration.prefixCaching != .off
        self.caches = caches
        byPriority = configuration.queueOrder == .priority
        role = configuration.role
        adapters = AdapterShelf(configuration.adapters)
        var stopsLate = false
        var ranks: Int32 = 1
        var tracksLongest = table.decodeAttention.axis == .longestContext
        var growsBlocks = true
        var neverPreempts = false
        var everyArrivalCounts = false
        if case .mixed(let rules) = configuration.stack {
            everyArrivalCounts =
                rules.prefillScheduleInterval > 1 || (rules.longPrefillTokenThreshold > 0 && !rules.reserveFullSequence)
            stopsLate = rules.asyncScheduling
        }
        if case .phased(let rules) = configuration.stack {
            if !rules.contextBuckets.isEmpty { tracksLongest = true }
            growsBlocks = rules.admission == .wholeContext
            neverPreempts = true
            ranks = rules.dataParallelRanks
        }
        self.stopsLate = stopsLate
        self.ranks = ranks
        rankStates = RankStates(ranks)
        // A request whose adapter has no place does not hold up those behind it.
        if configuration.adapters != nil { everyArrivalCounts = true }
        // Only locals are read here: self is not whole yet.
        let speculates = configuration.speculation != nil
        self.speculates = speculates
        self.growsBlocks = speculates ? false : growsBlocks
        self.neverPreempts = neverPreempts
        self.everyArrivalCounts = everyArrivalCounts
        slots = SlotPool(capacity: 8)
        batch = DecodeBatch(blockTokens: configuration.kvBlockTokens, tracksLongest: tracksLongest)
        pool = KVPool(
            blocks: configuration.kvBlocks * ranks, hostBlocks: caches ? configuration.hostKVBlocks * ranks : 0)
    }

    var configuration: ReplicaConfiguration {
        @inline(__always) unsafeAddress { UnsafePointer(shared) }
    }

    // MARK: What callers read

    var nextEventNanoseconds: Int64 {
        if !reports.isEmpty { return advancedNanoseconds }
        if inFlight {
            return streamingCount > 0
                ? flightStart.adding(picoseconds: cost.picoseconds).nanoseconds : flightEnd.nanoseconds
        }
        return waiting.isEmpty ? .max : clock.nanoseconds
    }

    var load: ReplicaLoad {
        var load = ReplicaLoad()
        load.waitingRequests = waiting.count
        load.runningRequests = runningCount - ghostCount
        load.waitingPromptTokens = waitingPromptTokens
        load.outstandingTokens =
            waitingPromptTokens + waitingOutputTokens + unfinishedTokens + batch.tokensLeft
            - Int64(heldOut.count + ghostCount)
        load.freeKVBlocks = pool.available
        load.totalKVBlocks = pool.total
        return load
    }

    var reportedUsage: ReplicaUsage {
        var usage = usage
        usage.peakKVBlocks = pool.peakUsed
        return usage
    }

    var runningCount: Int32 { running.count &+ members.count }

    func completion(of sequence: UnsafePointer<SequenceSlot>, status: Completion.Status) -> Completion {
        // Field by field: the request is a hundred bytes that need not be copied.
        Completion(
            requestID: sequence.pointee.request.id, arrivalNanoseconds: sequence.pointee.request.arrivalNanoseconds,
            scheduledNanoseconds: sequence.pointee.scheduledNanoseconds,
            firstTokenNanoseconds: sequence.pointee.firstTokenNanoseconds,
            lastTokenNanoseconds: sequence.pointee.lastToken.nanoseconds,
            promptTokens: sequence.pointee.request.promptTokens,
            cachedPromptTokens: sequence.pointee.cachedPromptTokens, outputTokens: sequence.pointee.producedTokens,
            preemptions: sequence.pointee.preemptions, replica: number,
            session: sequence.pointee.request.prefix.session, tenant: sequence.pointee.request.tenant,
            frontEnd: sequence.pointee.request.frontEnd, priorityClass: sequence.pointee.request.priorityClass,
            status: status)
    }
}

/// A short list of slots that grows to its largest use and stays there.
///
/// Loops over it count by hand: unoptimised, an iterator costs an allocation each step, and the tests count them.
struct SlotBuffer: ~Copyable {
    private var base: UnsafeMutablePointer<SlotIndex>?
    private var capacity: Int32 = 0
    private(set) var count: Int32 = 0

    deinit { base?.deallocate() }

    var isEmpty: Bool { count == 0 }

    subscript(index: Int32) -> SlotIndex {
        @inline(__always) get { base.unsafelyUnwrapped[Int(index)] }
        @inline(__always) nonmutating set { base.unsafelyUnwrapped[Int(index)] = newValue }
    }

    @inline(__always) mutating func append(_ slot: SlotIndex) {
        if count == capacity { grow() }
        base.unsafelyUnwrapped[Int(count)] = slot
        count &+= 1
    }

    mutating func removeAll() { count = 0 }

    /// Asks for its first entries (`Foresight`).
    @inline(__always) func ask() {
        if let base { Replica.ask(for: UnsafeRawPointer(base), byteCount: 1) }
    }

    /// Removes the first occurrence, keeping the order.
    mutating func remove(_ slot: SlotIndex) {
        var index: Int32 = 0
        while index < count && self[index] != slot { index += 1 }
        guard index < count else { return }
        count -= 1
        while index < count {
            self[index] = self[index + 1]
            index += 1
        }
    }

    mutating func truncate(to newCount: Int32) { count = newCount }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<SlotIndex>.allocate(capacity: max(4, Int(capacity) * 2))
        if let base {
            larger.update(from: base, count: Int(count))
            base.deallocate()
        }
        base = larger
        capacity = max(4, capacity * 2)
    }
}
