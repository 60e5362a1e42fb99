//===----------------------------------------------------------------------===//
// Power of a replica: chip, wall, facility.
//===----------------------------------------------------------------------===//

public import Catalog

/// What the chips of one replica draw, and what the wall and the facility draw for it.
///
/// Wall power of a server is `hostBase + slope × Σ chip watts`; a replica is charged its share of the base. Facility
/// power is wall power × PUE, and PUE belongs to the region, so the caller gives it.
public struct PowerEnvelope: Sendable, Hashable {
    /// All chips of the replica, with no step running.
    public var idleChipWatts: Double
    /// All chips of the replica, at the cap of the power model.
    public var maxChipWatts: Double
    /// The replica's share of what its servers draw besides chips.
    public var hostBaseWatts: Double
    /// Wall watts for each chip watt: conversion losses and fans.
    public var wallWattsPerChipWatt: Double
    /// Lowest and highest that the sources on thermal design power allow, relative to the value used: 1...1 where
    /// sources agree.
    public var chipWattsRange: ClosedRange<Double>
    public var grade: Grade

    public init(
        idleChipWatts: Double, maxChipWatts: Double, hostBaseWatts: Double, wallWattsPerChipWatt: Double,
        chipWattsRange: ClosedRange<Double>, grade: Grade
    ) {
        precondition(idleChipWatts <= maxChipWatts)
        self.idleChipWatts = idleChipWatts
        self.maxChipWatts = maxChipWatts
        self.hostBaseWatts = hostBaseWatts
        self.wallWattsPerChipWatt = wallWattsPerChipWatt
        self.chipWattsRange = chipWattsRange
        self.grade = grade
    }

    /// Wall watts when the replica's chips draw `chipWatts`.
    public func wallWatts(chipWatts: Double) -> Double { hostBaseWatts + wallWattsPerChipWatt * chipWatts }

    /// Wall joules of a stretch of `seconds` in which the chips burned `chipJoules`.
    public func wallJoules(chipJoules: Double, seconds: Double) -> Double {
        hostBaseWatts * seconds + wallWattsPerChipWatt * chipJoules
    }

    /// Facility joules for wall joules at a power usage effectiveness.
    public func facilityJoules(wallJoules: Double, powerUsageEffectiveness: Double) -> Double {
        precondition(powerUsageEffectiveness >= 1)
        return wallJoules * powerUsageEffectiveness
    }

    /// Chip joules of a window in which steps burned `activeNanojoules` in `busyPicoseconds`: the rest of the window
    /// idles.
    public func chipJoules(activeNanojoules: Double, busyPicoseconds: Double, windowSeconds: Double) -> Double {
        activeNanojoules * 1e-9 + max(0, windowSeconds - busyPicoseconds * 1e-12) * idleChipWatts
    }
}
