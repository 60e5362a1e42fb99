import CComparators
import Measuring
import WaitFree

/// From the beginning of a submission to its message in the cell's inbox, and to the cell holding it, with one message
/// under way at a time. `steady latency` measures the product's own path.
enum Latency {
    static func report(_ pair: ProcessorPair) {
        let count = 200_000
        let inInbox = Latencies(count: count)
        let taken = Latencies(count: count)
        let mesh = Dispatch.Mesh(cells: Dispatch.cells, capacity: 64)
        let acknowledged = PaddedAtomic.allocate()
        defer {
            mesh.deallocate()
            acknowledged.deallocate()
        }
        _ = pair.measure(
            {
                var frontEnd = Dispatch.FrontEnd(mesh: mesh)
                var index = 0
                while index < count {
                    let start = comparator_ticks()
                    var message = Dispatch.Message(index: UInt64(index))
                    message.stamp = start
                    _ = frontEnd.dispatch(message)
                    inInbox.record(comparator_ticks() &- start, at: index)
                    index += 1
                    while acknowledged.load() < UInt64(index) { comparator_pause() }
                    // A moment of quiet, so that the cell waits for the message and not the message for the cell.
                    let quiet = comparator_ticks() + 1000
                    while comparator_ticks() < quiet { comparator_pause() }
                }
            },
            {
                var loads = [UInt64](repeating: 0, count: mesh.cells)
                var received = 0
                while received < count {
                    for cell in 0..<mesh.cells {
                        guard let message = mesh.rings[cell].pop() else { continue }
                        taken.record(comparator_ticks() &- message.stamp, at: Int(message.index))
                        received += 1
                        loads[cell] += 1
                        mesh.board.publish(Dispatch.Load(packed: loads[cell]), row: cell)
                        acknowledged.store(UInt64(received))
                    }
                }
            })
        print(
            "\nLatency of one dispatch of 96 bytes to \(Dispatch.cells) cells, \(count) samples, ns"
        )
        print("  reading the clock takes \(decimal(Clock.leastNanoseconds())), which is in the figures")
        let submit = inInbox.percentiles()
        print("  submit to in the inbox: \(submit)")
        print("  submit to taken by the cell on the other core: \(taken.percentiles())")
        verdict("submit to in the inbox, p50", submit.p50, atMost: 150)
        verdict("submit to in the inbox, p99", submit.p99, atMost: 1000)
    }
}
