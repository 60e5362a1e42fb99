import CComparators
import Measuring
import WaitFree

/// From a front end to one of several cells: a picture of the cells' loads, renewed from the board every 64 times, the
/// less loaded of two, a push, a look at the sleep flag. The same as Dispatch.cpp.
enum Dispatch {
    static let cells = 8

    struct Message: BitwiseCopyable {
        typealias Words5 = RingTransfer.Wide.Words5
        var index: UInt64
        var stamp: UInt64 = 0
        var rest: (Words5, Words5) = ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0))
    }

    struct Load: PackedInWord {
        var packed: UInt64
        init(packed: UInt64) { self.packed = packed }
    }

    /// Rings in a row, the board and the flag.
    struct Mesh: Sendable {
        let board: LoadBoard<Load>
        let flag: SleepFlag
        let cells: Int
        nonisolated(unsafe) let rings: UnsafeMutablePointer<SPSCRing<Message>>

        init(cells: Int, capacity: Int) {
            self.cells = cells
            board = .allocate(rows: cells, showing: Load(packed: 0))
            flag = .allocate()
            rings = .allocate(capacity: cells)
            for cell in 0..<cells { (rings + cell).initialize(to: .allocate(capacity: capacity)) }
        }

        func deallocate() {
            for cell in 0..<cells { rings[cell].deallocate() }
            rings.deallocate()
            board.deallocate()
            flag.deallocate()
        }
    }

    struct FrontEnd {
        let mesh: Mesh
        var dice: UInt64 = 0x9E37_79B9_7F4A_7C15
        var wakes: UInt64 = 0
        let picture: UnsafeMutablePointer<UInt64>
        var untilLook = 0

        init(mesh: Mesh) {
            self.mesh = mesh
            picture = .allocate(capacity: mesh.cells)
            picture.initialize(repeating: 0, count: mesh.cells)
        }

        @inline(__always)
        mutating func dispatch(_ message: Message) -> Bool {
            if untilLook == 0 {
                var cell = 0
                while cell < mesh.cells {
                    picture[cell] = mesh.board.read(row: cell).packed
                    cell &+= 1
                }
                untilLook = 64
            }
            dice ^= dice &<< 13
            dice ^= dice &>> 7
            dice ^= dice &<< 17
            let cells = UInt64(truncatingIfNeeded: mesh.cells)
            let first = Int(truncatingIfNeeded: ((dice & 0xFFFF_FFFF) &* cells) &>> 32)
            let second = Int(truncatingIfNeeded: ((dice &>> 32) &* cells) &>> 32)
            let cell = picture[second] < picture[first] ? second : first
            guard mesh.rings[cell].push(message) else { return false }
            picture[cell] &+= 1
            untilLook &-= 1
            if mesh.flag.claimWake() { wakes &+= 1 }
            return true
        }
    }

    struct Cells {
        let mesh: Mesh
        var taken: UInt64 = 0
        var sum: UInt64 = 0
        let loads: UnsafeMutablePointer<UInt64>

        init(mesh: Mesh) {
            self.mesh = mesh
            loads = .allocate(capacity: mesh.cells)
            loads.initialize(repeating: 0, count: mesh.cells)
        }

        @inline(__always)
        mutating func turn() {
            var cell = 0
            while cell < mesh.cells {
                var added: UInt64 = 0
                let count = mesh.rings[cell].drain { added &+= $0.index }
                if count > 0 {
                    sum &+= added
                    taken &+= UInt64(truncatingIfNeeded: count)
                    loads[cell] &+= UInt64(truncatingIfNeeded: count)
                    mesh.board.publish(Load(packed: loads[cell]), row: cell)
                }
                cell &+= 1
            }
        }
    }

    static func report(_ pair: ProcessorPair) {
        let count: UInt64 = 1_000_000
        let capacity = 1024
        let first = Int32(pair.first)
        let second = Int32(pair.second)
        let figures = Contest.run(
            rounds: 15, operations: count,
            [
                .init(name: "Swift") { run(pair, count, capacity) },
                .init(name: "C++") { comparator_dispatch(count, Int32(cells), UInt64(capacity), first, second) },
            ])
        Contest.show("Dispatch of 96 bytes from a front end to \(cells) cells, on two threads", figures)
        verdict("Swift over C++, least", figures[0].least / figures[1].least, atMost: 1.15)
        verdict("Swift over C++, middle", figures[0].middle / figures[1].middle, atMost: 1.15)
        verdict("million dispatches a second, best round", 1000 / figures[0].least, atLeast: 10)
        verdict("million dispatches a second, middle round", 1000 / figures[0].middle, atLeast: 10)
    }

    static func run(_ pair: ProcessorPair, _ count: UInt64, _ capacity: Int) -> Double {
        let mesh = Mesh(cells: cells, capacity: capacity)
        let wrong = PaddedAtomic.allocate()
        defer {
            mesh.deallocate()
            wrong.deallocate()
        }
        let took = pair.measure(
            {
                var frontEnd = FrontEnd(mesh: mesh)
                var next: UInt64 = 0
                while next < count {
                    if frontEnd.dispatch(Message(index: next)) { next &+= 1 } else { comparator_pause() }
                }
                if frontEnd.wakes != 0 { wrong.store(1) }
                frontEnd.picture.deallocate()
            },
            {
                var consumer = Cells(mesh: mesh)
                while consumer.taken < count {
                    let before = consumer.taken
                    consumer.turn()
                    if consumer.taken &- before < 32 { comparator_idle() }
                }
                if consumer.sum != count * (count - 1) / 2 { wrong.store(1) }
                consumer.loads.deallocate()
            })
        return wrong.load() == 0 ? took : -1
    }

    /// The loop of `comparator_dispatch_alone`.
    @inline(never)
    static func alone(count: UInt64, cells: Int, capacity: Int) -> UInt64 {
        let mesh = Mesh(cells: cells, capacity: capacity)
        defer { mesh.deallocate() }
        var frontEnd = FrontEnd(mesh: mesh)
        var consumer = Cells(mesh: mesh)
        defer {
            consumer.loads.deallocate()
            frontEnd.picture.deallocate()
        }
        var index: UInt64 = 0
        while index < count {
            _ = frontEnd.dispatch(Message(index: index))
            consumer.turn()
            index &+= 1
        }
        return consumer.sum
    }
}
