import CComparators
import Engine
import HostTopology
import Measuring
import WaitFree
import Workload
import Yard

/// How long `FrontEndPort.submit` takes until the request is in a cell's inbox, with eight cells of replicas that
/// another thread really steps, and one request under way at a time.
enum YardLatency {
    static let cells = 8

    static func report() throws {
        let count = 100_000
        let mesh = try Mesh(frontEnds: 1, cells: cells, inboxCapacity: 256, outboxCapacity: 1024)
        let placements = HostTopology.current().placements(forThreads: 2)
        let latencies = Latencies(count: count)
        let taken = PaddedAtomic.allocate()
        let clock = PaddedAtomic.allocate()
        let ended = PaddedAtomic.allocate()
        defer {
            taken.deallocate()
            clock.deallocate()
            ended.deallocate()
        }
        let cellThread = try PinnedThread(name: "cells", placement: placements[1]) {
            do {
                let ports = try (0..<cells).map { CellPort(cell: try YardPath.cell(), mesh: mesh, number: $0) }
                while ended.load() == 0 {
                    let now = Int64(clock.load())
                    var submitted: UInt64 = 0
                    for port in ports {
                        _ = port.turn(at: now)
                        submitted += port.cell.counters.submitted
                    }
                    taken.store(submitted)
                }
            } catch {
                preconditionFailure("\(error)")
            }
        }
        let frontThread = try PinnedThread(name: "front end", placement: placements[0]) {
            var front = FrontEndPort(mesh: mesh, number: 0)
            var finished = 0
            for index in 0..<count {
                let now = Int64(index) * 20_000
                let request = Request(
                    id: UInt64(index), arrivalNanoseconds: now, promptTokens: 64, outputTokens: 8)
                let start = comparator_ticks()
                let dispatch = front.submit(request, at: now)
                latencies.record(comparator_ticks() &- start, at: index)
                guard case .sent = dispatch else { preconditionFailure("a request was refused") }
                clock.store(UInt64(now))
                while taken.load() <= UInt64(index) { comparator_pause() }
                finished += front.takeReplies { _ in }
            }
            ended.store(1)
        }
        frontThread.join()
        cellThread.join()
        let submit = latencies.percentiles()
        print(
            "Latency of FrontEndPort.submit to \(cells) cells stepped on another core, \(count) samples, ns"
        )
        print("  reading the clock takes \(decimal(Clock.leastNanoseconds())), which is in the figures")
        print("  submit to in the inbox: \(submit)")
        verdict("submit to in the inbox, p50", submit.p50, atMost: 150)
        verdict("submit to in the inbox, p99", submit.p99, atMost: 1000)
    }
}
