//===----------------------------------------------------------------------===//
// The order of time between a front end's clock and a cell's.
//===----------------------------------------------------------------------===//

import Engine
import Fleet
import Testing
import Workload
import Yard

@testable import Server

@Suite struct MessageTimeTests {
    /// A front end stamps a request after the cell's thread has read its clock: the request must not begin before it
    /// arrived.
    @Test func aRequestFromTheFutureWaitsForItsTime() throws {
        let plan = try DaemonPlan(DaemonConfiguration(yaml: RunningDaemon.fleets, file: "test.yaml"))
        let mesh = try Mesh(frontEnds: 1, cells: 1)
        var configuration = plan.fleet.cellConfigurations(seed: 1)[0]
        configuration.number = 0
        let port = CellPort(cell: try Cell(configuration: configuration), mesh: mesh, number: 0)
        var front = FrontEndPort(mesh: mesh, number: 0)
        var request = Request(id: 1, arrivalNanoseconds: 1_000, promptTokens: 10, outputTokens: 2)
        request.frontEnd = 0
        #expect(front.submit(request, at: 1_000) == .sent(cell: 0))
        _ = port.turn(at: 500)
        #expect(port.cell.counters.submitted == 0)
        #expect(port.hasMessages)
        _ = port.turn(at: 1_000)
        #expect(port.cell.counters.submitted == 1)
        _ = port.turn(at: 1_000_000_000_000)
        var ended: [Completion] = []
        _ = front.takeReplies { if case .completed(let completion) = $0 { ended.append(completion) } }
        #expect(ended.count == 1)
        #expect(ended.allSatisfy { $0.scheduledNanoseconds >= $0.arrivalNanoseconds })
    }

    @Test func clockOfUnlimitedTimeNeverRunsBehindItsCells() {
        let clock = ModelledClock(scale: .unlimited)
        #expect(clock.nowNanoseconds == 0)
        #expect(clock.target(nextEventNanoseconds: 700) == 700)
        #expect(clock.nowNanoseconds == 700)
        // Another cell whose next event lies before what was reached catches up to it.
        #expect(clock.target(nextEventNanoseconds: 300) == 700)
        #expect(clock.target(nextEventNanoseconds: .max) == 700)
    }

    @Test func scaledClockRunsAtItsRatio() {
        let clock = ModelledClock(
            scale: .ratio(4), startedNanoseconds: ModelledClock.monotonicNanoseconds() - 1_000_000_000)
        #expect(clock.nowNanoseconds >= 4_000_000_000 && clock.nowNanoseconds < 60_000_000_000)
        #expect(clock.wallNanoseconds(until: clock.nowNanoseconds + 400_000_000_000) <= 100_000_000_000)
        #expect(clock.wallNanoseconds(until: 0) == 0)
        #expect(clock.latenessSeconds(of: 1_000_000_000, at: 3_000_000_000) == 0.5)
        #expect(ModelledClock(scale: .unlimited).latenessSeconds(of: 0, at: 10) == nil)
    }
}
