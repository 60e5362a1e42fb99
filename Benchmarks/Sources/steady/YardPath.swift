import CComparators
import Engine
import StepModel
import WaitFree
import Workload
import Yard

/// The product's own: `FrontEndPort` to `CellPort` and back, with a cell of replicas that really step.
final class YardPath: SteadyPath, @unchecked Sendable {
    private let mesh: Mesh
    private var front: FrontEndPort
    private let port: CellPort
    private let clock = PaddedAtomic.allocate()
    private var nextRequest: UInt64 = 0
    private var finished = 0
    private var refused = 0
    /// Time of the run that passes with each request.
    private static let nanosecondsPerRequest: Int64 = 20_000

    init() {
        do {
            mesh = try Mesh(frontEnds: 1, cells: 1, inboxCapacity: 256, outboxCapacity: 1024)
            port = CellPort(cell: try Self.cell(), mesh: mesh, number: 0)
        } catch {
            preconditionFailure("\(error)")
        }
        front = FrontEndPort(mesh: mesh, number: 0)
    }

    deinit { clock.deallocate() }

    var summary: String { "\(finished) requests finished, \(refused) were refused" }

    func frontEnd(_ operations: Int) {
        var sent = 0
        while sent < operations {
            let now = Int64(nextRequest) * Self.nanosecondsPerRequest
            let request = Request(id: nextRequest, arrivalNanoseconds: now, promptTokens: 64, outputTokens: 8)
            switch front.submit(request, at: now) {
            case .sent:
                sent += 1
                nextRequest += 1
                clock.store(UInt64(now))
            case .refused:
                refused += 1
                comparator_pause()
            }
            _ = front.takeReplies { reply in if case .completed = reply { finished += 1 } }
        }
        clock.add(1 << 63)
        while clock.load() >> 63 == 1 {
            _ = front.takeReplies { reply in if case .completed = reply { finished += 1 } }
        }
    }

    func cell(_ operations: Int) {
        while true {
            let now = clock.load()
            _ = port.turn(at: Int64(now & ~(1 << 63)))
            if now >> 63 == 1 && !port.hasMessages { break }
        }
        clock.add(1 << 63)
    }

    /// Four replicas of 16 sequences each.
    static func cell() throws -> Cell {
        let replica = ReplicaConfiguration(
            maxSequences: 16, maxModelTokens: 2048, maxBatchedTokens: 4096, kvBlocks: 4096, prefixCaching: .off)
        var configuration = CellConfiguration(pools: [
            CellPool(name: "pool", table: table(), replica: replica, replicas: 4)
        ])
        configuration.placement.policy = "least-loaded"
        return try Cell(configuration: configuration)
    }

    /// A step costs 1 µs and 10 ns a token.
    private static func table() -> StepTable {
        let none = StepCost(picoseconds: 0, nanojoules: 0)
        let sequences = 64
        return StepTable(
            tokens: (0...4096).map { StepCost(picoseconds: 1_000_000 + Int64($0) * 10_000, nanojoules: Int64($0)) },
            sequences: Array(repeating: none, count: sequences + 1),
            decodeAttention: .init(
                axis: .meanContext, pieces: Array(repeating: .init(base: none, slope: none), count: sequences + 1),
                piecesPerBatch: 1, shift: 20, roundUp: 0),
            prefillAttention: .linear(base: none, perPairShifted20: none, perContextTokenShifted20: none))
    }
}
