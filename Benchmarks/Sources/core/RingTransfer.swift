import CComparators
import Glibc
import Measuring
import WaitFree

/// Elements from one thread to another through a ring, beside C++ and beside a deque under a mutex.
enum RingTransfer {
    struct Pair: BitwiseCopyable, Sendable {
        var index: UInt64
        var complement: UInt64
    }

    /// As wide as a request on its way to a cell.
    struct Wide: BitwiseCopyable {
        typealias Words5 = (UInt64, UInt64, UInt64, UInt64, UInt64)
        var index: UInt64
        var complement: UInt64
        var rest: (Words5, Words5) = ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0))
    }

    static func report(_ pair: ProcessorPair) {
        let count: UInt64 = 1_000_000
        let capacity = 1024
        let first = Int32(pair.first)
        let second = Int32(pair.second)
        let narrow = Contest.run(
            rounds: 15, operations: count,
            [
                .init(name: "Swift SPSCRing") { transfer16(pair, count, capacity) },
                .init(name: "C++ ring") { comparator_ring_transfer_16(count, UInt64(capacity), first, second) },
            ])
        Contest.show("Transfer between two threads, 16 bytes, ring of \(capacity)", narrow)
        verdict("Swift over C++, least", narrow[0].least / narrow[1].least, atMost: 1.15)
        verdict("Swift over C++, middle", narrow[0].middle / narrow[1].middle, atMost: 1.15)
        let wide = Contest.run(
            rounds: 15, operations: count,
            [
                .init(name: "Swift SPSCRing") { transfer96(pair, count, capacity) },
                .init(name: "C++ ring") { comparator_ring_transfer_96(count, UInt64(capacity), first, second) },
            ])
        Contest.show("Transfer between two threads, 96 bytes, ring of \(capacity)", wide)
        verdict("Swift over C++, least", wide[0].least / wide[1].least, atMost: 1.15)
        verdict("Swift over C++, middle", wide[0].middle / wide[1].middle, atMost: 1.15)

        let few: UInt64 = 300_000
        let locked = Contest.run(
            rounds: 9, operations: few,
            [
                .init(name: "Swift SPSCRing") { transfer16(pair, few, capacity) },
                .init(name: "Swift Mutex + deque") { MutexQueue.transfer(pair, few, capacity) },
                .init(name: "C++ std::mutex + std::deque") {
                    comparator_mutex_transfer_16(few, UInt64(capacity), first, second)
                },
            ])
        Contest.show("The same against a lock, both threads at it all the time, 16 bytes", locked)
        verdict("Mutex + deque over SPSCRing, least", locked[1].least / locked[0].least, atLeast: 5)
        verdict("Mutex + deque over SPSCRing, middle", locked[1].middle / locked[0].middle, atLeast: 5)
    }

    static func transfer16(_ pair: ProcessorPair, _ count: UInt64, _ capacity: Int) -> Double {
        let ring = SPSCRing<Pair>.allocate(capacity: capacity)
        let wrong = PaddedAtomic.allocate()
        defer {
            ring.deallocate()
            wrong.deallocate()
        }
        let took = pair.measure(
            {
                var next: UInt64 = 0
                while next < count {
                    if ring.push(Pair(index: next, complement: ~next)) { next &+= 1 } else { comparator_idle() }
                }
            },
            {
                var next: UInt64 = 0
                while next < count {
                    guard let element = ring.pop() else {
                        comparator_idle()
                        continue
                    }
                    if element.index != next || element.complement != ~next { wrong.store(1) }
                    next &+= 1
                }
            })
        return wrong.load() == 0 ? took : -1
    }

    static func transfer96(_ pair: ProcessorPair, _ count: UInt64, _ capacity: Int) -> Double {
        let ring = SPSCRing<Wide>.allocate(capacity: capacity)
        let wrong = PaddedAtomic.allocate()
        defer {
            ring.deallocate()
            wrong.deallocate()
        }
        let took = pair.measure(
            {
                var next: UInt64 = 0
                while next < count {
                    if ring.push(Wide(index: next, complement: ~next)) { next &+= 1 } else { comparator_idle() }
                }
            },
            {
                var next: UInt64 = 0
                while next < count {
                    guard let element = ring.pop() else {
                        comparator_idle()
                        continue
                    }
                    if element.index != next || element.complement != ~next { wrong.store(1) }
                    next &+= 1
                }
            })
        return wrong.load() == 0 ? took : -1
    }

    /// The loop of `comparator_ring_alone_16`.
    @inline(never)
    static func alone(count: UInt64, capacity: Int) -> UInt64 {
        let ring = SPSCRing<Pair>.allocate(capacity: capacity)
        defer { ring.deallocate() }
        var sum: UInt64 = 0
        var index: UInt64 = 0
        while index < count {
            _ = ring.push(Pair(index: index, complement: ~index))
            if let element = ring.pop() { sum &+= element.index ^ (element.complement &>> 7) }
            index &+= 1
        }
        return sum
    }
}
