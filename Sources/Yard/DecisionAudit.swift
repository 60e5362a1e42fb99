//===----------------------------------------------------------------------===//
// Each decision against what another policy would have decided in the same place.
//===----------------------------------------------------------------------===//

import Engine
import Workload

/// One placement, and the replica that another policy would have taken at that moment.
///
/// What is predicted comes from both replicas' step tables and what they held then; positive regret means that the
/// other replica promised better.
public struct AuditedDecision: BitwiseCopyable, Sendable, Equatable {
    public var requestID: UInt64
    public var atNanoseconds: Int64
    /// Replicas as the cell numbers them; equal where both policies agree.
    public var chosen: Int32
    public var alternative: Int32
    /// Predicted for the one chosen.
    public var ttftPicoseconds: Int64
    public var tpotPicoseconds: Int64
    /// Predicted for the one chosen, minus predicted for the alternative.
    public var ttftRegretPicoseconds: Int64
    public var tpotRegretPicoseconds: Int64
    /// Of the request's share of the replicas' time, at their price.
    public var costRegretMicrodollars: Double
    public var energyRegretNanojoules: Int64

    public var differs: Bool { chosen != alternative }
}

/// Sits beside a cell's policy while a log is replayed: asks another policy at every decision, without following it,
/// and can put single requests somewhere else.
///
/// The other policy is told what was really placed where, so that at every decision it knows what it would know had it
/// only now been put in charge. It decides once, at this request: what both choices do to later requests is the matter
/// of a replay with the request moved (`moved`).
public final class DecisionAudit {
    public private(set) var decisions: [AuditedDecision] = []
    private let policyName: String?
    private var policy: (any PlacementPolicy)?
    private var handoverPolicy: (any PlacementPolicy)?
    private var predictors: [PlacementPredictor] = []
    /// By number of decision.
    private let moved: [Int: Int]
    private var number = 0

    /// - Parameters:
    ///   - policy: one of `PlacementTable.names`; nil only moves requests.
    ///   - moved: replicas for single decisions, by number from 0 in the order of the log.
    public init(policy: String?, moved: [Int: Int] = [:]) {
        precondition(policy.map { PlacementTable.policy(named: $0) != nil } ?? true)
        policyName = policy
        self.moved = moved
    }

    /// Before the first decision.
    func begin(on cell: Cell) {
        predictors = cell.configuration.pools.map { PlacementPredictor(pool: $0) }
        guard let policyName, let type = PlacementTable.policy(named: policyName) else { return }
        var choice = cell.configuration.placement
        choice.policy = policyName
        let setup = PlacementSetup(seed: cell.placementSeed, replicas: cell.replicaCount, choice: choice)
        policy = type.init(setup: setup)
        if cell.decodeSide != nil { handoverPolicy = type.init(setup: setup) }
    }

    /// Looks at a decision before it takes effect.
    /// - Returns: the replica that the request goes to.
    func decide(_ request: Request, chosen: Int, among yard: PlacementView, isHandover: Bool, at now: Int64) -> Int {
        defer { number += 1 }
        var taken = chosen
        if let other = moved[number], yard.accepts(other) { taken = other }
        guard let policy = isHandover ? handoverPolicy : policy else { return taken }
        let alternative = policy.choose(for: request, at: now, among: yard)
        let (mine, theirs) = (prediction(request, chosen, yard), prediction(request, alternative, yard))
        decisions.append(
            AuditedDecision(
                requestID: request.id, atNanoseconds: now, chosen: Int32(chosen), alternative: Int32(alternative),
                ttftPicoseconds: mine.ttftPicoseconds, tpotPicoseconds: mine.tpotPicoseconds,
                ttftRegretPicoseconds: mine.ttftPicoseconds - theirs.ttftPicoseconds,
                tpotRegretPicoseconds: mine.tpotPicoseconds - theirs.tpotPicoseconds,
                costRegretMicrodollars: cost(mine, chosen, yard) - cost(theirs, alternative, yard),
                energyRegretNanojoules: mine.addedNanojoules - theirs.addedNanojoules))
        policy.placed(request, on: taken)
        return taken
    }

    func forget(replica: Int) {
        policy?.forget(replica: replica)
        handoverPolicy?.forget(replica: replica)
    }

    private func prediction(_ request: Request, _ replica: Int, _ yard: PlacementView) -> Prediction {
        let state = yard.states[replica]
        return predictors[Int(state.pool)].predict(
            request, load: yard.replicaLoad(replica), state: state,
            cachedTokens: yard.cachedPromptTokens(of: request, on: replica))
    }

    private func cost(_ prediction: Prediction, _ replica: Int, _ yard: PlacementView) -> Double {
        let pool = yard.pools[Int(yard.states[replica].pool)]
        return Double(prediction.sharePicoseconds) * 1e-12 / 3600 * Double(pool.microdollarsPerReplicaHour)
    }
}

/// The regret of all decisions of a log, by what was predicted when each was made.
public struct DecisionRegret: Sendable, Equatable {
    public var decisions = 0
    /// Decisions at which the other policy takes another replica.
    public var different = 0
    /// Of these: by the prediction, the first token would have come sooner, or later.
    public var soonerElsewhere = 0
    public var laterElsewhere = 0
    public var ttftPicoseconds: Int128 = 0
    public var tpotPicoseconds: Int128 = 0
    public var costMicrodollars = 0.0
    public var energyNanojoules: Int128 = 0

    public init() {}

    public init(_ decisions: [AuditedDecision]) {
        self.decisions = decisions.count
        for decision in decisions where decision.differs {
            different += 1
            if decision.ttftRegretPicoseconds > 0 { soonerElsewhere += 1 }
            if decision.ttftRegretPicoseconds < 0 { laterElsewhere += 1 }
            ttftPicoseconds += Int128(decision.ttftRegretPicoseconds)
            tpotPicoseconds += Int128(decision.tpotRegretPicoseconds)
            costMicrodollars += decision.costRegretMicrodollars
            energyNanojoules += Int128(decision.energyRegretNanojoules)
        }
    }

    public mutating func add(_ other: DecisionRegret) {
        decisions += other.decisions
        different += other.different
        soonerElsewhere += other.soonerElsewhere
        laterElsewhere += other.laterElsewhere
        ttftPicoseconds += other.ttftPicoseconds
        tpotPicoseconds += other.tpotPicoseconds
        costMicrodollars += other.costMicrodollars
        energyNanojoules += other.energyNanojoules
    }
}
