//===----------------------------------------------------------------------===//
// The decoding sequences of a replica, as aggregates that grow by themselves.
//===----------------------------------------------------------------------===//

/// All sequences that decode, advanced together.
///
/// A decode step adds one token to every member. Nothing is written per member: the *epoch* counts the steps, a member
/// keeps `context − epoch`, which is constant, and the sums follow. A member's need for a new KV block depends on its
/// context modulo the block size, so a histogram of residues says how many blocks any number of steps needs.
struct DecodeBatch: ~Copyable {
    /// Decode steps done so far.
    private(set) var epoch: Int64 = 0
    private(set) var count: Int32 = 0
    /// Σ (context − epoch) and Σ finish epoch over the members.
    private var keySum: Int64 = 0
    private var finishSum: Int64 = 0
    private(set) var finish: FinishHeap
    private var longest: LongestContext
    private let tracksLongest: Bool

    private let blockTokens: Int32
    /// epoch mod block size.
    private var phase: Int32 = 0
    /// Members by (context − epoch) mod block size. Changed through `pointee`: of a changed subscript the optimiser (Swift
    /// 6.3) makes code that the compiler itself refuses under ThreadSanitizer.
    private let residues: UnsafeMutablePointer<Int32>

    init(blockTokens: Int32, tracksLongest: Bool) {
        self.blockTokens = blockTokens
        self.tracksLongest = tracksLongest
        finish = FinishHeap(capacity: 16)
        longest = LongestContext()
        residues = .allocate(capacity: Int(blockTokens))
        residues.initialize(repeating: 0, count: Int(blockTokens))
    }

    deinit { residues.deallocate() }

    /// Asks for what a change of the batch reads (`Foresight`).
    func askForParts() {
        finish.ask()
        if tracksLongest { longest.ask() }
        Replica.ask(for: UnsafeRawPointer(residues), byteCount: Int(blockTokens) * MemoryLayout<Int32>.stride)
    }

    var contextTokens: Int64 {
        @inline(__always) get { keySum &+ Int64(count) &* epoch }
    }

    /// Tokens that the members still have to produce.
    var tokensLeft: Int64 {
        @inline(__always) get { finishSum &- Int64(count) &* epoch }
    }

    /// Decode steps until the next member finishes.
    /// - Precondition: not empty.
    var stepsToFinish: Int64 {
        @inline(__always) get { finish.first.epoch &- epoch }
    }

    /// 0 unless the batch was made to track it.
    mutating func longestContext(_ slots: UnsafeMutablePointer<SequenceSlot>) -> Int32 {
        guard tracksLongest && count > 0 else { return 0 }
        return Int32(longest.largestKey(slots) + epoch)
    }

    @inline(__always) func context(of sequence: UnsafePointer<SequenceSlot>) -> Int32 {
        Int32(truncatingIfNeeded: sequence.pointee.decodeKey &+ epoch)
    }

    @inline(__always) func produced(of sequence: UnsafePointer<SequenceSlot>) -> Int32 {
        sequence.pointee.targetTokens &- Int32(truncatingIfNeeded: sequence.pointee.finishEpoch &- epoch)
    }

    /// Takes in a sequence whose context (`computedTokens`) and output (`producedTokens`) are up to date.
    @inline(__always)
    mutating func insert(_ slot: SlotIndex, slots: UnsafeMutablePointer<SequenceSlot>) {
        let sequence = slots + Int(slot)
        let key = Int64(sequence.pointee.computedTokens) &- epoch
        let finishEpoch = epoch &+ Int64(sequence.pointee.targetTokens &- sequence.pointee.producedTokens)
        let residue = residue(ofContext: sequence.pointee.computedTokens)
        sequence.pointee.decodeKey = key
        sequence.pointee.finishEpoch = finishEpoch
        sequence.pointee.residue = UInt16(truncatingIfNeeded: residue)
        sequence.pointee.state = .decoding
        count &+= 1
        keySum &+= key
        finishSum &+= finishEpoch
        (residues + Int(residue)).pointee &+= 1
        finish.insert(
            FinishHeap.Entry(epoch: finishEpoch, order: sequence.pointee.order, slot: slot), slots: slots)
        if tracksLongest { longest.insert(slot: slot, live: Int(count), slots: slots) }
    }

    /// Takes a sequence out and writes its context and output back. Its state is the caller's to set, at once.
    @inline(__always)
    mutating func remove(_ slot: SlotIndex, slots: UnsafeMutablePointer<SequenceSlot>) {
        let sequence = slots + Int(slot)
        sequence.pointee.computedTokens = context(of: sequence)
        sequence.pointee.producedTokens = produced(of: sequence)
        count &-= 1
        keySum &-= sequence.pointee.decodeKey
        finishSum &-= sequence.pointee.finishEpoch
        (residues + Int(sequence.pointee.residue)).pointee &-= 1
        finish.remove(at: Int(sequence.pointee.heapIndex), slots: slots)
    }

    /// All members have done `steps` decode steps.
    @inline(__always) mutating func advance(_ steps: Int32) {
        epoch &+= Int64(steps)
        phase &+= steps
        if phase >= blockTokens { phase %= blockTokens }
    }

    /// Blocks that the members need for `steps` steps, after `skipping` further steps from now.
    @inline(__always) func blocksNeeded(steps: Int32, skipping: Int32 = 0) -> Int32 {
        guard steps > 0 else { return 0 }
        let cycles = steps / blockTokens
        var rest = steps &- cycles &* blockTokens
        var sum = cycles &* count
        // A member with residue r needs a block when (r + epoch) mod block size is 0.
        var index = blockTokens &- (phase &+ skipping) % blockTokens
        if index == blockTokens { index = 0 }
        while rest > 0 {
            sum &+= residues[Int(index)]
            index = index == 0 ? blockTokens &- 1 : index &- 1
            rest &-= 1
        }
        return sum
    }

    /// How many of the `limit` steps after the coming one can start with `available` blocks.
    @inline(__always) func furtherStepsWithin(available: Int32, limit: Int32) -> Int32 {
        // Each block size of steps needs exactly one block per member.
        let cycles = Int64(limit / blockTokens) + 1
        if cycles &* Int64(count) <= Int64(available) { return limit }
        return countStepsWithin(available: available, limit: limit)
    }

    private func countStepsWithin(available: Int32, limit: Int32) -> Int32 {
        var left = available
        let wholeCycles = min(available / count, limit / blockTokens)
        left -= wholeCycles * count
        var steps = wholeCycles * blockTokens
        var index = (2 * blockTokens - phase - 1) % blockTokens
        while steps < limit {
            left -= residues[Int(index)]
            if left < 0 { break }
            index = index == 0 ? blockTokens - 1 : index - 1
            steps += 1
        }
        return steps
    }

    @inline(__always) func needsBlockNow(_ sequence: UnsafePointer<SequenceSlot>) -> Bool {
        (Int32(sequence.pointee.residue) &+ phase) % blockTokens == 0
    }

    /// (context − epoch) mod block size.
    @inline(__always) private func residue(ofContext context: Int32) -> Int32 {
        let residue = context % blockTokens &- phase
        return residue < 0 ? residue &+ blockTokens : residue
    }

    // MARK: A member that does not go with the others

    /// The step in flight does not include this member: it must not count as advanced when the epoch does.
    mutating func hold(_ slot: SlotIndex, slots: UnsafeMutablePointer<SequenceSlot>) {
        shift(slot, by: -1, slots: slots)
    }

    /// The member has produced `tokens` more than the others in the step that has ended.
    mutating func boost(_ slot: SlotIndex, by tokens: Int32, slots: UnsafeMutablePointer<SequenceSlot>) {
        shift(slot, by: tokens, slots: slots)
    }

    private mutating func shift(_ slot: SlotIndex, by tokens: Int32, slots: UnsafeMutablePointer<SequenceSlot>) {
        let sequence = slots + Int(slot)
        sequence.pointee.computedTokens = context(of: sequence) + tokens
        sequence.pointee.producedTokens = produced(of: sequence) + tokens
        count -= 1
        keySum -= sequence.pointee.decodeKey
        finishSum -= sequence.pointee.finishEpoch
        (residues + Int(sequence.pointee.residue)).pointee -= 1
        finish.remove(at: Int(sequence.pointee.heapIndex), slots: slots)
        insert(slot, slots: slots)
    }
}
