import CComparators
import Synchronization
import WaitFree

/// What the ring replaces: a deque under `Synchronization.Mutex`.
final class MutexQueue<Element: BitwiseCopyable & Sendable>: Sendable {
    /// A deque that grows, as a ring in one block of memory.
    struct Deque: ~Copyable {
        private var slots: UnsafeMutablePointer<Element>
        private var capacity: Int
        private var first = 0
        private(set) var count = 0

        init(capacity: Int) {
            self.capacity = capacity
            slots = .allocate(capacity: capacity)
        }
        deinit { slots.deallocate() }

        mutating func append(_ element: Element) {
            if count == capacity { grow() }
            slots[(first &+ count) & (capacity &- 1)] = element
            count &+= 1
        }

        mutating func removeFirst() -> Element? {
            if count == 0 { return nil }
            let element = slots[first]
            first = (first &+ 1) & (capacity &- 1)
            count &-= 1
            return element
        }

        private mutating func grow() {
            let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
            for index in 0..<count { larger[index] = slots[(first + index) & (capacity - 1)] }
            slots.deallocate()
            slots = larger
            first = 0
            capacity *= 2
        }
    }

    private let deque: Mutex<Deque>
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
        deque = Mutex(Deque(capacity: 16))
    }

    @inline(__always)
    func push(_ element: Element) -> Bool {
        deque.withLock { deque in
            if deque.count >= limit { return false }
            deque.append(element)
            return true
        }
    }

    @inline(__always)
    func pop() -> Element? {
        deque.withLock { $0.removeFirst() }
    }
}

extension MutexQueue where Element == RingTransfer.Pair {
    static func transfer(_ pair: ProcessorPair, _ count: UInt64, _ capacity: Int) -> Double {
        let queue = MutexQueue(limit: capacity)
        let wrong = PaddedAtomic.allocate()
        defer { wrong.deallocate() }
        let took = pair.measure(
            {
                var next: UInt64 = 0
                while next < count {
                    let element = RingTransfer.Pair(index: next, complement: ~next)
                    if queue.push(element) { next &+= 1 } else { comparator_idle() }
                }
            },
            {
                var next: UInt64 = 0
                while next < count {
                    guard let element = queue.pop() else {
                        comparator_idle()
                        continue
                    }
                    if element.index != next || element.complement != ~next { wrong.store(1) }
                    next &+= 1
                }
            })
        return wrong.load() == 0 ? took : -1
    }
}
