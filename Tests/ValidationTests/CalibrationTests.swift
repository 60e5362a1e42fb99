import Catalog
import Foundation
import StepModel
import Testing

@testable import Validation

/// The committed calibration is where the fit of the given rows ends: taken up again, nothing moves.
@Test(hasReferenceData) func theCommittedCalibrationIsWhatTheRowsGive() {
    let calibrator = Calibrator(catalog: .builtIn)
    let drifts = calibrator.drift(of: .builtIn, ReferenceData.experiments)
    #expect(!drifts.isEmpty)
    for drift in drifts {
        #expect(
            drift.deviations < 0.25,
            "\(drift.coefficient.name) for \(drift.scope): committed \(drift.committed), fit gives \(drift.refitted); run scripts/calibrate"
        )
    }
}

/// What the plan assumes stands in the committed file, digit for digit.
@Test func theCommittedAssumptionsAreThePlans() {
    let fitted = Set(CalibrationPlan.stages.flatMap { $0.free.map { "\($0.coefficient.name) \($0.scope)" } })
    for assumed in Calibrator(catalog: .builtIn).assumptions.values
    where !fitted.contains("\(assumed.coefficient.name) \(assumed.scope)") {
        let committed = Calibration.builtIn.value(assumed.coefficient, scope: assumed.scope)
        #expect(
            committed.map { Calibrator.rounded($0.value) } == Calibrator.rounded(assumed.value),
            "\(assumed.coefficient.name) \(assumed.scope)")
    }
}

@Test func aCalibrationSurvivesItsFile() throws {
    let written = Calibration.builtIn.csv
    #expect(try Calibration(csv: written).csv == written)
    #expect(throws: DeploymentError.self) { try Calibration(csv: "nonsense,any,1,1,measured,1,x") }
}

/// Moving a committed value away from the fit is noticed: the check above can fail.
@Test(hasReferenceData) func aMovedValueDrifts() throws {
    var moved = Calibration.builtIn
    var value = try #require(moved.value(.layerSeconds, scope: "trainium1"))
    value.value *= 1.5
    moved.set(value)
    let drifts = Calibrator(catalog: .builtIn).drift(
        of: moved, ReferenceData.experiments.filter { $0.platform == "Trn1" })
    #expect(drifts.contains { $0.coefficient == .layerSeconds && $0.scope == "trainium1" && $0.deviations > 0.25 })
}
