import Foundation
import Testing

@testable import Validation

/// Rows made from known values give those values back.
@Test func aFitFindsWhatMadeTheRows() {
    let truth = [2.0, 0.3, 5.0]
    func model(_ values: [Double], _ x: Double) -> Double { values[0] + values[1] * x + values[2] / (1 + x) }
    let points = (0..<40).map { Double($0) * 0.7 }
    let measured = points.map { model(truth, $0) }
    var fitter = Fitter(parameters: [
        .init(prior: 1, width: 5, most: .infinity), .init(prior: 1, width: 5, most: .infinity),
        .init(prior: 1, width: 5, most: .infinity),
    ])
    fitter.iterations = 100
    let solution = fitter.solve { values, _ in zip(points, measured).map { log(model(values, $0) / $1) } }
    for (found, wanted) in zip(solution.values, truth) { #expect(abs(found / wanted - 1) < 0.01) }
}

/// A value that no row touches stays at its prior, with the prior's width.
@Test func whatNoRowDecidesKeepsItsPrior() {
    let fitter = Fitter(parameters: [
        .init(prior: 3, width: 0.4, most: .infinity), .init(prior: 7, width: 0.2, most: .infinity),
    ])
    let solution = fitter.solve { values, _ in (1...20).map { log(values[0] * Double($0) / (2.5 * Double($0))) } }
    #expect(abs(solution.values[0] - 2.5) < 0.02)
    #expect(abs(solution.values[1] - 7) < 1e-9)
    #expect(abs(solution.deviations[1] - 0.2) < 1e-6)
}

/// A value without rows follows the one that it is linked to, as far as its own prior lets it.
@Test func linkedValuesShareWhatRowsSay() {
    var fitter = Fitter(parameters: [
        .init(prior: 1, width: 2, most: .infinity), .init(prior: 1, width: 2, most: .infinity),
    ])
    func residuals(_ values: [Double], _ moved: Int?) -> [Double] { (1...50).map { _ in log(values[0] / 4) } }
    #expect(abs(fitter.solve(residuals).values[1] - 1) < 1e-9)
    fitter.links = [.init(first: 1, second: 0, ratio: 0.5, width: 0.05)]
    let linked = fitter.solve(residuals).values
    #expect(abs(linked[0] / 4 - 1) < 0.02)
    #expect(abs(linked[1] / 2 - 1) < 0.02)
}
