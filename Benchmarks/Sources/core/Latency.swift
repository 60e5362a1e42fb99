import CComparators
import WaitFree

/// From the beginning of a submission to its message in the cell's inbox, and to the cell holding it, with one message
/// under way at a time.
enum Latency {
    static func report(_ pair: ProcessorPair) {
        let count = 200_000
        let inInbox = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        let taken = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        defer {
            inInbox.deallocate()
            taken.deallocate()
        }
        nonisolated(unsafe) let inInboxSamples = inInbox
        nonisolated(unsafe) let takenSamples = taken
        let mesh = Dispatch.Mesh(cells: Dispatch.cells, capacity: 64)
        let acknowledged = PaddedAtomic.allocate()
        defer {
            mesh.deallocate()
            acknowledged.deallocate()
        }
        let scale = nanosecondsPerTick()
        let overhead = (0..<1000).map { _ in
            let start = comparator_ticks()
            return comparator_ticks() - start
        }.min()!
        _ = pair.measure(
            {
                var frontEnd = Dispatch.FrontEnd(mesh: mesh)
                var index = 0
                while index < count {
                    let start = comparator_ticks()
                    var message = Dispatch.Message(index: UInt64(index))
                    message.stamp = start
                    _ = frontEnd.dispatch(message)
                    let end = comparator_ticks()
                    inInboxSamples[index] = UInt32(truncatingIfNeeded: end - start)
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
                        let now = comparator_ticks()
                        takenSamples[Int(message.index)] = UInt32(truncatingIfNeeded: now &- message.stamp)
                        received += 1
                        loads[cell] += 1
                        mesh.board.publish(Dispatch.Load(packed: loads[cell]), row: cell)
                        acknowledged.store(UInt64(received))
                    }
                }
            })
        print(
            "\nLatency of one dispatch of 96 bytes to \(Dispatch.cells) cells that post their load after each, \(count) samples, ns"
        )
        print("  reading the clock takes \(decimal(Double(overhead) * scale)), which is in the figures")
        let submit = percentiles(inInbox, count, scale)
        let whole = percentiles(taken, count, scale)
        print("  submit to in the inbox: \(submit.text)")
        print("  submit to taken by the cell on the other core: \(whole.text)")
        verdict("submit to in the inbox, p50", submit.p50, atMost: 150)
        verdict("submit to in the inbox, p99", submit.p99, atMost: 1000)
        print("  for comparison, submit to taken: p50 \(decimal(whole.p50)), p99 \(decimal(whole.p99))")
    }

    private static func percentiles(
        _ samples: UnsafeMutablePointer<UInt32>, _ count: Int, _ scale: Double
    ) -> (p50: Double, p99: Double, text: String) {
        let sorted = UnsafeBufferPointer(start: samples, count: count).sorted()
        func at(_ share: Double) -> Double { Double(sorted[min(count - 1, Int(share * Double(count)))]) * scale }
        let text =
            "p50 \(decimal(at(0.5))), p90 \(decimal(at(0.9))), p99 \(decimal(at(0.99))), p99.9 \(decimal(at(0.999)))"
        return (at(0.5), at(0.99), text)
    }

    /// Measured over 50 ms.
    private static func nanosecondsPerTick() -> Double {
        let startTicks = comparator_ticks()
        let start = monotonicNanoseconds()
        while monotonicNanoseconds() - start < 50_000_000 {}
        let ticks = comparator_ticks() - startTicks
        return Double(monotonicNanoseconds() - start) / Double(ticks)
    }
}
