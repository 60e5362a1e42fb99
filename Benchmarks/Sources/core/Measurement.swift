import CComparators
import Glibc
import HostTopology
import Measuring
import WaitFree

/// Two processors on which a measurement runs.
struct ProcessorPair {
    var first: Int
    var second: Int

    /// Runs both bodies at the same time, each bound to its processor.
    /// - Returns: nanoseconds until both were done.
    func measure(_ first: @escaping @Sendable () -> Void, _ second: @escaping @Sendable () -> Void) -> Double {
        let ready = PaddedAtomic.allocate()
        let began = PaddedAtomic.allocate()
        defer {
            ready.deallocate()
            began.deallocate()
        }
        func start(_ cpu: Int, _ body: @escaping @Sendable () -> Void) -> PinnedThread {
            do {
                return try PinnedThread(name: "core-\(cpu)", placement: ThreadPlacement(cpus: [cpu], node: 0)) {
                    ready.add(1)
                    while ready.load() < 2 { comparator_pause() }
                    if cpu == self.first { began.store(Clock.nanoseconds()) }
                    body()
                }
            } catch {
                print("core: \(error)")
                exit(1)
            }
        }
        let threads = [start(self.second, second), start(self.first, first)]
        for thread in threads { thread.join() }
        return Double(Clock.nanoseconds() - began.load())
    }
}

/// Several ways of doing the same, measured in turns, so that what else the machine does falls on all of them.
struct Contest {
    struct Entrant {
        var name: String
        /// Nanoseconds for all operations of a round; negative when a result was wrong.
        var round: () -> Double
    }

    struct Figure {
        var name: String
        var least: Double
        var middle: Double
    }

    static func run(rounds: Int, operations: UInt64, _ entrants: [Entrant]) -> [Figure] {
        var results = entrants.map { _ in [Double]() }
        for _ in 0..<rounds {
            for (index, entrant) in entrants.enumerated() {
                let took = entrant.round()
                if took < 0 {
                    print("core: \(entrant.name) gave a wrong result")
                    exit(1)
                }
                results[index].append(took / Double(operations))
            }
        }
        return zip(entrants, results).map { entrant, values in
            let sorted = values.sorted()
            return Figure(name: entrant.name, least: sorted[0], middle: sorted[sorted.count / 2])
        }
    }

    static func show(_ title: String, _ figures: [Figure]) {
        print("\n\(title)")
        let width = figures.map(\.name.count).max() ?? 0
        for figure in figures {
            let name = figure.name + String(repeating: " ", count: width - figure.name.count)
            print("  \(name)  least \(decimal(figure.least))  middle \(decimal(figure.middle))")
        }
    }
}
