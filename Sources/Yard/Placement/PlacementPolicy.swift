//===----------------------------------------------------------------------===//
// What a placement policy is, and the table of all of them.
//===----------------------------------------------------------------------===//

import Workload

/// Chooses the replica for a request, with exact knowledge of one cell.
///
/// A policy is told the time and its seed and decides the same for the same history. It owns whatever memory of past
/// placements it wants, bounded. To add one: write a file with a conforming class, and name it in `PlacementTable.all`.
protocol PlacementPolicy: AnyObject, SendableMetatype {
    /// The name in fleet files.
    static var name: String { get }
    /// One line for `--help` and error messages.
    static var summary: String { get }

    init(setup: PlacementSetup)

    /// - Precondition: some replica accepts.
    /// - Returns: the index of a replica that accepts.
    func choose(for request: Request, at nowNanoseconds: Int64, among yard: PlacementView) -> Int

    /// The request went to this replica (by this policy's choice).
    func placed(_ request: Request, on replica: Int)

    /// The replica lost its state: nothing is cached there any more.
    func forget(replica: Int)
}

extension PlacementPolicy {
    func placed(_ request: Request, on replica: Int) {}
    func forget(replica: Int) {}
}

/// What a policy is made from.
struct PlacementSetup {
    var seed: UInt64
    var replicas: Int
    var choice: PlacementChoice
}

/// Which policy a cell uses, with its knobs.
public struct PlacementChoice: Sendable, Equatable {
    /// One of `PlacementTable.names`.
    public var policy = "least-loaded"
    /// `prefix-aware`: tokens of load that one uncached prompt token outweighs.
    public var prefixWeight = 1.0
    /// `session-affinity`: a session stays unless its replica has more than this multiple of the mean load.
    public var affinityBound = 1.25
    /// Promises for requests without their own, in microseconds; 0 means none. Read by slo-, cost- and energy-aware.
    public var ttftTargetMicroseconds: UInt32 = 1_000_000
    public var tpotTargetMicroseconds: UInt32 = 50_000
    /// Candidates that the predicting policies (slo-, cost-, energy-aware) compare for each request and pool.
    public var candidatesPerPool = 4

    public init(policy: String = "least-loaded") { self.policy = policy }
}

/// Every placement policy there is.
public enum PlacementTable {
    static let all: [any PlacementPolicy.Type] = [
        RoundRobinPlacement.self,
        RandomPlacement.self,
        LeastLoadedPlacement.self,
        PowerOfTwoPlacement.self,
        SessionAffinityPlacement.self,
        PrefixAwarePlacement.self,
        SLOAwarePlacement.self,
        CostAwarePlacement.self,
        EnergyAwarePlacement.self,
    ]

    public static var names: [String] { all.map { $0.name } }
    /// Name and one line about each.
    public static var summaries: [(name: String, summary: String)] { all.map { ($0.name, $0.summary) } }

    static func policy(named name: String) -> (any PlacementPolicy.Type)? { all.first { $0.name == name } }
}
