import CAllocationCount
import CComparators
import Glibc
import HostTopology
import WaitFree

/// Runs the dispatch path for a while and counts what it should not do.
///
///     steady core|yard [OPERATIONS]
///     steady latency                 how long the product's own submission takes
///
/// Two threads first run the path until everything has the size it will keep. Then the first writes `steady: begin` to
/// standard error, both run OPERATIONS more, and it writes `steady: end`: what a tracer sees in between are the system
/// calls of the steady state. Allocations are counted in the process, for each thread. Ends with 1 when there were any.
@main struct Steady {
    static func main() throws {
        let arguments = CommandLine.arguments
        let operations = arguments.count > 2 ? Int(arguments[2]) ?? 0 : 200_000
        guard arguments.count > 1, operations > 0 else { usage() }
        if arguments[1] == "latency" { return try YardLatency.report() }
        let path: any SteadyPath
        switch arguments[1] {
        case "core": path = CorePath()
        case "yard": path = YardPath()
        default: usage()
        }
        let counts = run(path, operations)
        print("\(arguments[1]): \(operations) operations; \(path.summary)")
        print("  front end's thread: \(counts.frontEnd) allocations and deallocations")
        print("  cell's thread: \(counts.cell) allocations and deallocations")
        exit(counts.frontEnd == 0 && counts.cell == 0 ? 0 : 1)
    }

    private static func usage() -> Never {
        print("usage: steady core|yard [OPERATIONS] | steady latency")
        exit(2)
    }

    private static func run(_ path: any SteadyPath, _ operations: Int) -> (frontEnd: UInt64, cell: UInt64) {
        precondition(allocation_count_works() == 1, "this build does not count allocations")
        let placements = HostTopology.current().placements(forThreads: 2)
        let gate = PaddedCounters.allocate(writers: 2, counters: 4)
        let counted = PaddedCounters.allocate(writers: 2, counters: 1)
        defer {
            gate.deallocate()
            counted.deallocate()
        }
        /// Both threads come to point `number` before either goes on.
        @Sendable func meet(_ number: Int, _ thread: Int) {
            gate.add(1, to: number, by: thread)
            while gate.total(number) < 2 { comparator_pause() }
        }
        func start(_ thread: Int, _ body: @escaping @Sendable (Int) -> Void) -> PinnedThread {
            do {
                return try PinnedThread(name: "steady-\(thread)", placement: placements[thread]) {
                    body(max(operations / 4, 10_000))
                    meet(0, thread)
                    if thread == 0 { mark("steady: begin\n") }
                    meet(1, thread)
                    let before = allocation_count() + deallocation_count()
                    body(operations)
                    let after = allocation_count() + deallocation_count()
                    meet(2, thread)
                    if thread == 0 { mark("steady: end\n") }
                    meet(3, thread)
                    counted.add(after - before, to: 0, by: thread)
                }
            } catch {
                print("steady: \(error)")
                exit(1)
            }
        }
        let threads = [start(0) { path.frontEnd($0) }, start(1) { path.cell($0) }]
        for thread in threads { thread.join() }
        return (counted.value(0, of: 0), counted.value(0, of: 1))
    }

    private static func mark(_ text: StaticString) {
        write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
    }
}

/// Both ends of a dispatch path.
protocol SteadyPath: AnyObject, Sendable {
    /// Dispatches so many times, and takes replies.
    func frontEnd(_ operations: Int)
    /// Takes as much as the front end dispatches in as many operations, and replies.
    func cell(_ operations: Int)
    /// What was done, for people.
    var summary: String { get }
}
