import CComparators
import Measuring
import WaitFree

/// How long a cache line takes from one processor to the other: the scale on which everything else here is to be read.
/// On a virtual machine it can change from one moment to the next, when the host moves the processors closer together
/// or further apart.
enum LineTransfer {
    static func report(_ pair: ProcessorPair) {
        var passes: [Double] = []
        for _ in 0..<5 { passes.append(pass(pair)) }
        passes.sort()
        let range = "least \(decimal(passes[0])), middle \(decimal(passes[2])), most \(decimal(passes[4])) ns"
        print("\nA line passed to the other processor: \(range)")
    }

    /// Nanoseconds a pass, of a number that two threads raise in turns.
    private static func pass(_ pair: ProcessorPair) -> Double {
        let count: UInt64 = 20_000
        let number = PaddedAtomic.allocate()
        defer { number.deallocate() }
        let took = pair.measure(
            {
                var next: UInt64 = 0
                while next < count {
                    while number.load() != next {}
                    number.store(next &+ 1)
                    next &+= 2
                }
            },
            {
                var next: UInt64 = 1
                while next < count {
                    while number.load() != next {}
                    number.store(next &+ 1)
                    next &+= 2
                }
            })
        return took / Double(count)
    }
}
