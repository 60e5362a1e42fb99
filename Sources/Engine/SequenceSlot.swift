//===----------------------------------------------------------------------===//
// One sequence of a replica, as plain data in a slot.
//===----------------------------------------------------------------------===//

import StepModel
import Workload

/// Index of a slot; -1 is none.
typealias SlotIndex = Int32

/// What a replica knows of one request.
///
/// While a sequence decodes, its context and its produced tokens are not stored: every decode step adds one to each, so
/// they follow from the batch's epoch (`DecodeBatch`), and an unchanged batch costs nothing to advance.
struct SequenceSlot: BitwiseCopyable {
    enum State: UInt8, BitwiseCopyable { case unused, waiting, prefilling, decoding }

    var request: Request
    var submittedNanoseconds: Int64
    var scheduledNanoseconds: Int64
    var firstTokenNanoseconds: Int64
    /// End of the step that produced its last token, kept when it is not `DecodeBatch`'s common one.
    var lastToken: Instant
    /// While decoding: context − epoch.
    var decodeKey: Int64
    /// While decoding: the epoch at which its last token has been produced.
    var finishEpoch: Int64
    /// Output tokens it will produce: those asked for, within the model's length.
    var targetTokens: Int32
    /// Tokens to compute before it decodes: the prompt, and after a preemption the output so far.
    var goalTokens: Int32
    /// Tokens whose KV is there; not kept up to date while decoding.
    var computedTokens: Int32
    /// Output tokens; not kept up to date while decoding.
    var producedTokens: Int32
    /// Tokens of a prefill chunk, or of drafts and the token before them, in the step in flight; else 0.
    var chunkTokens: Int32
    /// Blocks that it holds, where that does not follow from its tokens: reserved for the worst case, or for drafts.
    var reservedBlocks: Int32
    /// Drafts accepted in the step that ended last.
    var acceptedDrafts: Int32
    var cachedPromptTokens: Int32
    var preemptions: Int32
    /// Neighbours in the list it is in: waiting or running.
    var previous: SlotIndex
    var next: SlotIndex
    /// Place in `DecodeBatch`'s heap.
    var heapIndex: Int32
    /// Number of its admission; the running list ascends by it.
    var order: UInt32
    /// Its chain of references to prefix segments, and how many blocks they hold for it.
    var prefixChain: Int32
    var sharedBlocks: Int32
    var residue: UInt16
    var state: State
    /// Did not produce a token in the last decode step: its next gap is counted by itself.
    var isLate: Bool
    /// Left out of the step now running.
    var isHeldOut: Bool
    /// Has ended, and takes a place in one more step (rule 29).
    var isGhost: Bool
    /// Data-parallel rank it runs on.
    var rank: UInt8

    @inline(__always)
    init(request: Request, submittedNanoseconds: Int64, targetTokens: Int32) {
        self.request = request
        self.submittedNanoseconds = submittedNanoseconds
        self.scheduledNanoseconds = -1
        self.firstTokenNanoseconds = -1
        self.lastToken = Instant(nanoseconds: -1)
        self.decodeKey = 0
        self.finishEpoch = 0
        self.targetTokens = targetTokens
        self.goalTokens = request.promptTokens
        self.computedTokens = 0
        self.producedTokens = 0
        self.chunkTokens = 0
        self.reservedBlocks = 0
        self.acceptedDrafts = 0
        self.cachedPromptTokens = 0
        self.preemptions = 0
        self.previous = -1
        self.next = -1
        self.heapIndex = -1
        self.order = 0
        self.prefixChain = -1
        self.sharedBlocks = 0
        self.residue = 0
        self.state = .waiting
        self.isLate = false
        self.isHeldOut = false
        self.isGhost = false
        self.rank = 0
    }
}

/// The slots of one replica: stable indices, a free list, doubling when full.
struct SlotPool: ~Copyable {
    private(set) var base: UnsafeMutablePointer<SequenceSlot>
    private var capacity: Int32
    private var used: Int32 = 0
    private var free: SlotIndex = -1

    init(capacity: Int32) {
        self.capacity = max(capacity, 1)
        base = .allocate(capacity: Int(self.capacity))
    }

    deinit { base.deallocate() }

    @inline(__always) subscript(slot: SlotIndex) -> SequenceSlot {
        @inline(__always) unsafeAddress { UnsafePointer(base + Int(slot)) }
        @inline(__always) nonmutating unsafeMutableAddress { base + Int(slot) }
    }

    /// A slot that nobody uses, for the caller to initialise.
    @inline(__always) mutating func take() -> SlotIndex {
        if free >= 0 {
            let slot = free
            free = base[Int(slot)].next
            return slot
        }
        if used == capacity { grow() }
        used &+= 1
        return used &- 1
    }

    mutating func give(back slot: SlotIndex) {
        base[Int(slot)].state = .unused
        base[Int(slot)].next = free
        free = slot
    }

    private mutating func grow() {
        precondition(capacity < Int32.max / 2, "a replica holds too many requests")
        let larger = UnsafeMutablePointer<SequenceSlot>.allocate(capacity: Int(capacity) * 2)
        larger.moveInitialize(from: base, count: Int(used))
        base.deallocate()
        base = larger
        capacity *= 2
    }
}

/// A doubly linked list of slots, through their `previous` and `next`.
struct SlotList: BitwiseCopyable {
    private(set) var first: SlotIndex = -1
    private(set) var last: SlotIndex = -1
    private(set) var count: Int32 = 0

    var isEmpty: Bool { count == 0 }

    @inline(__always) mutating func append(_ slot: SlotIndex, in base: UnsafeMutablePointer<SequenceSlot>) {
        base[Int(slot)].previous = last
        base[Int(slot)].next = -1
        if last >= 0 { base[Int(last)].next = slot } else { first = slot }
        last = slot
        count &+= 1
    }

    /// Puts `slot` in front of `successor`, or at the end when that is none.
    mutating func insert(_ slot: SlotIndex, before successor: SlotIndex, in base: UnsafeMutablePointer<SequenceSlot>) {
        guard successor >= 0 else { return append(slot, in: base) }
        let predecessor = base[Int(successor)].previous
        base[Int(slot)].previous = predecessor
        base[Int(slot)].next = successor
        base[Int(successor)].previous = slot
        if predecessor >= 0 { base[Int(predecessor)].next = slot } else { first = slot }
        count &+= 1
    }

    @inline(__always) mutating func remove(_ slot: SlotIndex, in base: UnsafeMutablePointer<SequenceSlot>) {
        let previous = base[Int(slot)].previous
        let next = base[Int(slot)].next
        if previous >= 0 { base[Int(previous)].next = next } else { first = next }
        if next >= 0 { base[Int(next)].previous = previous } else { last = previous }
        count &-= 1
    }
}
