//===----------------------------------------------------------------------===//
// What a cell is made of.
//===----------------------------------------------------------------------===//

public import Engine
public import StepModel

/// A cell's share of one pool: identical replicas.
public struct CellPool: Sendable {
    public var name: String
    public var table: StepTable
    public var replica: ReplicaConfiguration
    public var replicas: Int
    /// Fleet-wide number of the first of them; the others follow.
    public var firstReplicaNumber: Int32
    /// Price of one replica in micro-dollars per hour; 0 when no price is known. Read by cost-aware placement.
    public var microdollarsPerReplicaHour: Int64
    /// Power that one replica's chips draw when idle, in milliwatts; 0 when unknown. Read by energy-aware placement.
    public var idleMilliwatts: Int64
    /// One way, in and out of one replica, for the KV of prompts that move between pools; read where the cell's
    /// `transfer` is set.
    public var transferBytesPerSecond: Int64

    public init(
        name: String, table: StepTable, replica: ReplicaConfiguration, replicas: Int, firstReplicaNumber: Int32 = 0,
        microdollarsPerReplicaHour: Int64 = 0, idleMilliwatts: Int64 = 0, transferBytesPerSecond: Int64 = 0
    ) {
        self.name = name
        self.table = table
        self.replica = replica
        self.replicas = replicas
        self.firstReplicaNumber = firstReplicaNumber
        self.microdollarsPerReplicaHour = microdollarsPerReplicaHour
        self.idleMilliwatts = idleMilliwatts
        self.transferBytesPerSecond = transferBytesPerSecond
    }
}

/// Everything that decides what a cell does with a given stream of messages.
public struct CellConfiguration: Sendable {
    public var number: Int = 0
    /// All pools of a cell serve the same model; a request may run on any of their replicas, or, with `transfer`, is
    /// prefilled on one of the pools whose role is `prefillOnly` and decoded on one of those that are `decodeOnly`.
    public var pools: [CellPool]
    public var placement = PlacementChoice()
    /// Seeds every random choice and tie break of the cell, together with its number.
    public var seed: UInt64 = 1
    /// Requests that a replica is given beyond the sequences that it runs at once (`maxSequences`). A small limit binds
    /// late and keeps classes and tenants fair; 0 is one central queue; a large one is a router that pushes at once.
    public var replicaQueueLimit: Int32 = 64
    public var waitingRoom = WaitingRoomRules()
    /// Keeps each request until it ends, so that a failed replica's requests can be failed or placed again.
    public var keepsRequests = true
    /// How KV moves between prefill and decode pools; nil when every replica does both.
    public var transfer: KVTransferRules?

    public init(pools: [CellPool]) { self.pools = pools }

    /// Of the placement policy: differs between cells of one seed.
    var placementSeed: UInt64 { SeededChoice.mix(seed &+ UInt64(number) &* 0x9E37_79B9_7F4A_7C15) }
}

/// What happens to the requests of a replica that fails.
public enum FailureRule: UInt8, BitwiseCopyable, Sendable, Equatable {
    /// They end as failed.
    case fail
    /// They start again from their prompt, behind everything that waits.
    case requeue
}

/// A change of a replica's state that the operator or a failure brings about.
public enum ReplicaOrder: BitwiseCopyable, Sendable, Equatable {
    /// Finish what is there, take nothing new.
    case drain
    /// Stop at once: running and waiting requests are lost, and so is the prefix cache.
    case fail(FailureRule)
    /// Take requests again; after a failure with empty caches.
    case restore
}

/// How a cell stands, kept up to date with every message and event: O(1) to read.
public struct CellLoad: BitwiseCopyable, Sendable, Equatable {
    /// Requests and tokens (prompt plus output) in the waiting room.
    public var waitingRequests: Int32 = 0
    public var waitingTokens: Int64 = 0
    /// Requests and tokens given to replicas and not ended.
    public var placedRequests: Int32 = 0
    public var placedTokens: Int64 = 0
    /// Replicas that take requests, and how many more requests they take together.
    public var acceptingReplicas: Int32 = 0
    public var freePlaces: Int32 = 0

    public init() {}

    /// The measure by which front ends compare cells.
    public var outstandingTokens: Int64 { waitingTokens + placedTokens }
}

/// Counts since the cell was made.
public struct CellCounters: BitwiseCopyable, Sendable, Equatable {
    public var submitted: UInt64 = 0
    public var placed: UInt64 = 0
    public var waited: UInt64 = 0
    public var refused: UInt64 = 0
    /// Of these, for lack of room.
    public var refusedForRoom: UInt64 = 0
    public var finished: UInt64 = 0
    public var cancelled: UInt64 = 0
    public var failed: UInt64 = 0
    /// Placed again after a replica failed.
    public var requeued: UInt64 = 0
    /// Tokens (prompt plus output asked for) of requests that replicas ended.
    public var endedTokens: UInt64 = 0
    /// Prompts that a decode replica took over.
    public var handedOver: UInt64 = 0
    /// Of KV from prefill to decode replicas.
    public var transfers = KVTransferUsage()
    /// Replica events processed.
    public var events: UInt64 = 0

    public init() {}

    /// Adds another cell's counts.
    public mutating func add(_ other: CellCounters) {
        submitted += other.submitted
        placed += other.placed
        waited += other.waited
        refused += other.refused
        refusedForRoom += other.refusedForRoom
        finished += other.finished
        cancelled += other.cancelled
        failed += other.failed
        requeued += other.requeued
        endedTokens += other.endedTokens
        handedOver += other.handedOver
        transfers.add(other.transfers)
        events += other.events
    }
}
