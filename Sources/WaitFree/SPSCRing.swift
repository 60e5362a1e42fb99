/// A bounded queue between exactly one producing thread and one consuming thread, in the machine's memory.
public typealias SPSCRing<Element: BitwiseCopyable> = SPSCRingIn<Element, MachineMemory>

/// A bounded queue between exactly one producing thread and one consuming thread.
///
/// The value is a handle: copies of it share one ring. The memory belongs to whoever made it (`allocate` and
/// `deallocate`, or a caller's own block, for example on a NUMA node). At any time one thread may call the producer's
/// methods and one thread the consumer's; a side may move to another thread when something else orders the two (joining
/// a thread, a barrier).
///
/// **Layout** (bytes): tail word 0, the producer's copy of head 8; head word 128, the consumer's copy of tail 136;
/// slots from 256. Each side writes only its own line and the slots, and looks at the other's line only when its copy
/// says full or empty.
///
/// **Invariant.** Indices count forever, modulo 2^64. `head <= tail <= head + capacity`. Slots with index in `head ..<
/// tail` hold elements and belong to the consumer; the rest belong to the producer. Only the producer writes `tail`,
/// only the consumer `head`, and neither ever decreases. The copies are never ahead of what they copy, so a side can
/// only underestimate what it may use.
///
/// **Memory ordering.** The producer writes a slot, then stores `tail` with release; the consumer loads `tail` with
/// acquire before it reads the slot, so it reads what was written. The consumer reads a slot, then stores `head` with
/// release; the producer loads `head` with acquire before it reuses the slot, so it cannot overwrite an element that is
/// still being read. Each side loads its own index relaxed, because it is the only one that stores it. The
/// linearization point of a successful `push` (`pop`) is its release store; that of a failed one is the acquire load.
///
/// **Progress.** Wait-free, both sides, without any help from the other: `push` and `pop` are at most 3 word operations
/// and 3 cell accesses, without a loop; batches add one cell access an element, and one release store for the whole
/// batch.
@frozen public struct SPSCRingIn<Element: BitwiseCopyable, Memory: MemoryModel>: BitwiseCopyable, @unchecked Sendable {
    @usableFromInline let base: UnsafeMutableRawPointer
    @usableFromInline let mask: UInt64

    /// Bytes that a ring needs.
    public static func byteCount(capacity: Int) -> Int {
        precondition(
            capacity > 0 && capacity & (capacity - 1) == 0 && capacity <= 1 << 30,
            "a ring's capacity is a power of two up to 2^30, got \(capacity)")
        return 2 * CacheLine.byteCount + capacity * MemoryLayout<Element>.stride
    }

    /// Makes an empty ring in memory of at least `byteCount(capacity:)` bytes that starts on a cache line.
    ///
    /// - Parameter firstIndex: where the indices start; of interest to tests of their wrap-around only.
    public init(in memory: UnsafeMutableRawPointer, capacity: Int, firstIndex: UInt64 = 0) {
        CacheLine.requireAligned(memory)
        precondition(
            MemoryLayout<Element>.alignment <= CacheLine.byteCount, "\(Element.self) is aligned beyond a cache line")
        precondition(Self.byteCount(capacity: capacity) > 0)
        base = memory
        _ = (memory + 2 * CacheLine.byteCount).bindMemory(to: Element.self, capacity: capacity)
        mask = UInt64(capacity - 1)
        Memory.initialize(tailWord, to: firstIndex)
        Memory.initialize(headWord, to: firstIndex)
        (memory + 8).bindMemory(to: UInt64.self, capacity: 1).initialize(to: firstIndex)
        (memory + CacheLine.byteCount + 8).bindMemory(to: UInt64.self, capacity: 1).initialize(to: firstIndex)
    }

    /// Makes an empty ring in memory of its own.
    public static func allocate(capacity: Int) -> Self {
        Self(in: CacheLine.allocate(byteCount: byteCount(capacity: capacity)), capacity: capacity)
    }

    /// Gives back the memory of a ring made by `allocate(capacity:)`, when neither side will touch it again.
    public func deallocate() {
        base.deallocate()
    }

    /// How many elements fit.
    @inlinable public var capacity: Int { Int(mask) + 1 }

    /// How many elements lie in the ring, for whoever watches: neither side's view, and old when it is read, but never
    /// below 0 nor above the capacity. Any thread may ask.
    public var depth: Int {
        let head = Memory.loadRelaxed(headWord)
        let tail = Memory.loadRelaxed(tailWord)
        return min(max(0, Int(truncatingIfNeeded: tail &- head)), capacity)
    }

    @inlinable @inline(__always) var tailWord: UnsafeMutableRawPointer { base }
    @inlinable @inline(__always) var headCopy: UnsafeMutablePointer<UInt64> {
        (base + 8).assumingMemoryBound(to: UInt64.self)
    }
    @inlinable @inline(__always) var headWord: UnsafeMutableRawPointer { base + CacheLine.byteCount }
    @inlinable @inline(__always) var tailCopy: UnsafeMutablePointer<UInt64> {
        (base + CacheLine.byteCount + 8).assumingMemoryBound(to: UInt64.self)
    }
    @inlinable @inline(__always) func slot(_ index: UInt64) -> UnsafeMutablePointer<Element> {
        (base + 2 &* CacheLine.byteCount).assumingMemoryBound(to: Element.self) + Int(truncatingIfNeeded: index & mask)
    }

    // MARK: The producer's side

    /// Appends an element; false, and nothing done, when the ring is full.
    @inlinable @inline(__always)
    public func push(_ element: Element) -> Bool {
        let tail = Memory.loadRelaxed(tailWord)
        if tail &- Memory.read(headCopy) > mask {
            let head = Memory.loadAcquire(headWord)
            Memory.write(head, to: headCopy)
            if tail &- head > mask { return false }
        }
        Memory.write(element, to: slot(tail))
        Memory.storeRelease(tail &+ 1, to: tailWord)
        return true
    }

    /// Appends as many of the elements as fit, first ones first, and returns how many. The consumer sees them all at
    /// once.
    @inlinable
    public func push(contentsOf elements: UnsafeBufferPointer<Element>) -> Int {
        let count = min(elements.count, freeSlots(atLeast: elements.count))
        if count == 0 { return 0 }
        let tail = Memory.loadRelaxed(tailWord)
        var offset = 0
        while offset < count {
            Memory.write(elements[offset], to: slot(tail &+ UInt64(truncatingIfNeeded: offset)))
            offset &+= 1
        }
        Memory.storeRelease(tail &+ UInt64(truncatingIfNeeded: count), to: tailWord)
        return count
    }

    /// How many pushes are sure to succeed. Looks at the consumer's index only when the producer's copy of it allows
    /// fewer than `wanted`.
    @inlinable
    public func freeSlots(atLeast wanted: Int = .max) -> Int {
        let tail = Memory.loadRelaxed(tailWord)
        let free = capacity &- Int(truncatingIfNeeded: tail &- Memory.read(headCopy))
        if free >= wanted { return free }
        let head = Memory.loadAcquire(headWord)
        Memory.write(head, to: headCopy)
        return capacity &- Int(truncatingIfNeeded: tail &- head)
    }

    // MARK: The consumer's side

    /// Removes the oldest element; nil when the ring is empty.
    @inlinable @inline(__always)
    public func pop() -> Element? {
        let head = Memory.loadRelaxed(headWord)
        if head == Memory.read(tailCopy) {
            let tail = Memory.loadAcquire(tailWord)
            Memory.write(tail, to: tailCopy)
            if head == tail { return nil }
        }
        let element = Memory.read(slot(head))
        Memory.storeRelease(head &+ 1, to: headWord)
        return element
    }

    /// The oldest element, which stays; nil when the ring is empty.
    @inlinable @inline(__always)
    public func peek() -> Element? {
        let head = Memory.loadRelaxed(headWord)
        if head == Memory.read(tailCopy) {
            let tail = Memory.loadAcquire(tailWord)
            Memory.write(tail, to: tailCopy)
            if head == tail { return nil }
        }
        return Memory.read(slot(head))
    }

    /// Hands over all elements that are there when it looks, oldest first, and returns how many. What is pushed
    /// meanwhile stays for the next time, so the number of steps is bounded by the capacity. The producer gets the
    /// slots back all at once, at the end. `body` must not touch this ring's consumer side.
    @inlinable @inline(__always)
    public func drain(_ body: (Element) -> Void) -> Int {
        let head = Memory.loadRelaxed(headWord)
        let tail = Memory.loadAcquire(tailWord)
        Memory.write(tail, to: tailCopy)
        return handOver(Int(truncatingIfNeeded: tail &- head), from: head, body)
    }

    /// Hands over up to `limit` elements in the same way, and looks at the producer's index only when the consumer's
    /// copy of it allows fewer.
    @inlinable @inline(__always)
    public func drain(limit: Int, _ body: (Element) -> Void) -> Int {
        let head = Memory.loadRelaxed(headWord)
        return handOver(min(limit, available(atLeast: limit, from: head)), from: head, body)
    }

    @inlinable @inline(__always)
    func handOver(_ count: Int, from head: UInt64, _ body: (Element) -> Void) -> Int {
        if count <= 0 { return 0 }
        var offset = 0
        while offset < count {
            body(Memory.read(slot(head &+ UInt64(truncatingIfNeeded: offset))))
            offset &+= 1
        }
        Memory.storeRelease(head &+ UInt64(truncatingIfNeeded: count), to: headWord)
        return count
    }

    /// Removes as many of the oldest elements as the buffer holds and the ring has, and returns how many.
    @inlinable
    public func pop(into buffer: UnsafeMutableBufferPointer<Element>) -> Int {
        var written = 0
        return drain(limit: buffer.count) { element in
            buffer.initializeElement(at: written, to: element)
            written &+= 1
        }
    }

    /// How many pops are sure to succeed. Looks at the producer's index only when the consumer's copy of it allows
    /// fewer than `wanted`.
    @inlinable @inline(__always)
    public func available(atLeast wanted: Int = .max) -> Int {
        available(atLeast: wanted, from: Memory.loadRelaxed(headWord))
    }

    @inlinable @inline(__always)
    func available(atLeast wanted: Int, from head: UInt64) -> Int {
        let known = Int(truncatingIfNeeded: Memory.read(tailCopy) &- head)
        if known >= wanted { return known }
        let tail = Memory.loadAcquire(tailWord)
        Memory.write(tail, to: tailCopy)
        return Int(truncatingIfNeeded: tail &- head)
    }

    /// Whether a pop would fail now. After a fence this is the look that decides whether the consumer may sleep
    /// (`SleepFlagIn`).
    @inlinable @inline(__always)
    public var isEmpty: Bool { available(atLeast: 1) == 0 }

    // MARK: Any thread

    /// About how many elements are in the ring, in `0 ... capacity`; exact when neither side moves.
    ///
    /// Whoever acquires a value of `head` also sees the `tail` that its pop saw, so the difference cannot be negative;
    /// the producer may have gone on in between, so it can be too high, and is capped.
    @inlinable
    public var occupancyEstimate: Int {
        let head = Memory.loadAcquire(headWord)
        let tail = Memory.loadRelaxed(tailWord)
        return min(Int(truncatingIfNeeded: tail &- head), capacity)
    }
}
