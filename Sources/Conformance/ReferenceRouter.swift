//===----------------------------------------------------------------------===//
// Which replica Vidur's routers send a request to.
//===----------------------------------------------------------------------===//

import Engine

/// Vidur's global schedulers.
enum ReferenceRouter: String, CaseIterable {
    /// By number of arrival.
    case roundRobin = "round_robin"
    /// The fewest *waiting* requests; the lowest number wins a tie. Running ones do not count.
    case leastOutstanding = "lor"
    /// Python's `random.randint`, in the order of arrival.
    case random
}

/// The routing of one run.
struct ReferenceRouting {
    private let router: ReferenceRouter
    /// Of the random router, by number of arrival.
    private let drawn: [Int]
    private var arrivals = 0
    /// Requests that the random router's draws put on another replica than the pack has them on. Where there are any,
    /// the draws stood elsewhere in their stream, and the pack's own placement is taken.
    let drawnElsewhere: Int

    /// - Parameter order: the run's requests in the order of arrival.
    init(_ run: ReferenceRun, order: [Int]) {
        router = run.router
        guard run.router == .random else {
            drawn = []
            drawnElsewhere = 0
            return
        }
        let recorded = order.map { run.replica[$0] }
        let replicas = Self.draws(run)
        drawnElsewhere = zip(replicas, recorded).reduce(0) { $0 + ($1.0 == $1.1 ? 0 : 1) }
        drawn = drawnElsewhere == 0 ? replicas : recorded
    }

    mutating func replica(among replicas: [Replica]) -> Int {
        defer { arrivals += 1 }
        switch router {
        case .roundRobin: return arrivals % replicas.count
        case .random: return drawn[arrivals]
        case .leastOutstanding:
            var best = 0
            for candidate in replicas.indices
            where replicas[candidate].load.waitingRequests < replicas[best].load.waitingRequests {
                best = candidate
            }
            return best
        }
    }

    /// Vidur seeds Python's generator once; Poisson arrivals draw one `random()` for each gap, and then the router
    /// one `randint` for each request.
    private static func draws(_ run: ReferenceRun) -> [Int] {
        var twister = MersenneTwister(pythonSeed: run.seed)
        if run.drawsGaps { for _ in run.arrivalSeconds { _ = twister.nextUnit() } }
        return run.arrivalSeconds.map { _ in twister.next(below: run.replicas) }
    }
}
