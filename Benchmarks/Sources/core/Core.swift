import CComparators
import Glibc
import HostTopology

/// Measures the wait-free core beside the same in C++, on two processors of this host.
///
///     core                          all measurements
///     core alone NAME COUNT         one loop on one thread, for an instruction counter; NAME is ring-swift, ring-c++,
///                                   dispatch-swift or dispatch-c++
@main struct Core {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "alone", arguments.count == 3, let count = UInt64(arguments[arguments.startIndex + 2]) {
            return alone(arguments[arguments.startIndex + 1], count)
        }
        guard arguments.isEmpty else {
            print("usage: core | core alone ring-swift|ring-c++|dispatch-swift|dispatch-c++ COUNT")
            exit(2)
        }
        let cpus = HostTopology.current().placements(forThreads: 2).flatMap(\.cpus)
        guard cpus.count == 2 else {
            print("core: two processors are needed, this process may use \(HostTopology.current().cpus)")
            exit(2)
        }
        let pair = ProcessorPair(first: cpus[0], second: cpus[1])
        print(
            "Wait-free core on CPUs \(pair.first) and \(pair.second). Least and middle round, ns an operation."
        )
        LineTransfer.report(pair)
        RingTransfer.report(pair)
        LineTransfer.report(pair)
        Dispatch.report(pair)
        LineTransfer.report(pair)
        Latency.report(pair)
    }

    private static func alone(_ name: String, _ count: UInt64) {
        switch name {
        case "ring-swift": print(RingTransfer.alone(count: count, capacity: 1024))
        case "ring-c++": print(comparator_ring_alone_16(count, 1024))
        case "dispatch-swift": print(Dispatch.alone(count: count, cells: Dispatch.cells, capacity: 1024))
        case "dispatch-c++": print(comparator_dispatch_alone(count, Int32(Dispatch.cells), 1024))
        default:
            print("core alone: there is no \(name)")
            exit(2)
        }
    }
}
