//===----------------------------------------------------------------------===//
// Least squares on logarithms, with priors.
//===----------------------------------------------------------------------===//

import Foundation

/// Fits positive parameters so that the logarithms of predictions match the logarithms of measurements.
///
/// Minimises Σ ρ(residual / scale) + Σ ((log p − log prior) / width)² by Levenberg–Marquardt with a numeric Jacobian;
/// ρ is soft-L1, so that one bad row pulls only as far as it must. Deterministic: same rows in, same digits out.
struct Fitter {
    /// A parameter with what is believed before any row is seen.
    struct Parameter {
        var prior: Double
        /// Standard deviation of the logarithm.
        var width: Double
        /// Values beyond this cannot be (a fraction of peak above 1).
        var most: Double
    }

    /// What two parameters have in common: log(first / second) lies within `width` of log(`ratio`). Rows that decide one
    /// of them then say something about the other.
    struct Link {
        var first: Int
        var second: Int
        var ratio: Double
        var width: Double
    }

    struct Solution {
        var values: [Double]
        /// Standard deviations of the logarithms, from the curvature at the solution and the scatter of the rows.
        var deviations: [Double]
        /// Residuals log(predicted / measured) at the solution.
        var residuals: [Double]
    }

    var parameters: [Parameter]
    var links: [Link] = []
    /// Scatter that is taken as normal.
    var scale = 0.06
    var iterations = 40

    /// - Parameter residuals: log(predicted / measured) of every row for given values. The second argument names the
    /// one
    ///   value that differs from the last call without it, so that rows it does not touch need not be predicted again.
    /// - Parameter start: where to begin; the priors when nil.
    func solve(start: [Double]? = nil, _ residuals: (_ values: [Double], _ moved: Int?) -> [Double]) -> Solution {
        var logs = start?.map { log($0) } ?? parameters.map { log($0.prior) }
        var current = residuals(logs.map(exp), nil)
        var cost = objective(current, logs)
        var damping = 1e-2
        var hessian: [[Double]] = []
        var restarts = 0
        for _ in 0..<iterations {
            // The Jacobian is taken around the accepted point, which a rejected trial may have left.
            current = residuals(logs.map(exp), nil)
            let (matrix, gradient) = normalEquations(residuals, logs, current)
            hessian = matrix
            var improved = false
            for _ in 0..<12 {
                var damped = matrix
                for index in damped.indices { damped[index][index] *= 1 + damping }
                let step = Self.solveLinear(damped, gradient)
                let trial = logs.indices.map { min(logs[$0] - max(-1, min(1, step[$0])), log(parameters[$0].most)) }
                let next = residuals(trial.map(exp), nil)
                let nextCost = objective(next, trial)
                if nextCost < cost {
                    improved = (cost - nextCost) / cost > 1e-9
                    (logs, current, cost) = (trial, next, nextCost)
                    damping = max(damping / 5, 1e-7)
                    break
                }
                damping *= 4
            }
            if improved { restarts = 0; continue }
            // A damping that has grown over narrow ground can stop short of the end: start afresh before giving up.
            restarts += 1
            damping = 1e-2
            if restarts > 2 { break }
        }
        return Solution(
            values: logs.map(exp), deviations: deviations(hessian, residuals: current), residuals: current)
    }

    /// Soft-L1: quadratic for small residuals, linear for large ones.
    private func objective(_ residuals: [Double], _ logs: [Double]) -> Double {
        var sum = 0.0
        for residual in residuals {
            let ratio = residual / scale
            sum += 2 * ((1 + ratio * ratio).squareRoot() - 1)
        }
        for (index, parameter) in parameters.enumerated() {
            let ratio = (logs[index] - log(parameter.prior)) / parameter.width
            sum += ratio * ratio
        }
        for link in links {
            let ratio = strain(link, logs) / link.width
            sum += ratio * ratio
        }
        return sum
    }

    private func strain(_ link: Link, _ logs: [Double]) -> Double {
        logs[link.first] - logs[link.second] - log(link.ratio)
    }

    private func normalEquations(
        _ residuals: ([Double], Int?) -> [Double], _ logs: [Double], _ current: [Double]
    ) -> (matrix: [[Double]], gradient: [Double]) {
        let step = 1e-4
        let columns = logs.indices.map { index -> [Double] in
            var moved = logs
            moved[index] -= step
            let other = residuals(moved.map(exp), index)
            return zip(current, other).map { ($0 - $1) / step / scale }
        }
        let weights = current.map { 1 / (1 + ($0 / scale) * ($0 / scale)).squareRoot() }
        var matrix = [[Double]](repeating: [Double](repeating: 0, count: logs.count), count: logs.count)
        var gradient = [Double](repeating: 0, count: logs.count)
        for row in logs.indices {
            for (index, value) in columns[row].enumerated() where value != 0 {
                gradient[row] += weights[index] * value * current[index] / scale
            }
            for column in row..<logs.count {
                var sum = 0.0
                for index in current.indices { sum += weights[index] * columns[row][index] * columns[column][index] }
                matrix[row][column] = sum
                matrix[column][row] = sum
            }
            let width = parameters[row].width
            matrix[row][row] += 1 / (width * width)
            gradient[row] += (logs[row] - log(parameters[row].prior)) / (width * width)
        }
        for link in links {
            let weight = 1 / (link.width * link.width)
            matrix[link.first][link.first] += weight
            matrix[link.second][link.second] += weight
            matrix[link.first][link.second] -= weight
            matrix[link.second][link.first] -= weight
            gradient[link.first] += weight * strain(link, logs)
            gradient[link.second] -= weight * strain(link, logs)
        }
        return (matrix, gradient)
    }

    /// √diagonal of the inverse curvature, scaled by the rows' scatter where that exceeds what was taken as normal.
    private func deviations(_ hessian: [[Double]], residuals: [Double]) -> [Double] {
        guard !hessian.isEmpty else { return parameters.map(\.width) }
        let scatter = max(1, Self.scatter(residuals) / scale)
        return parameters.indices.map { index in
            var unit = [Double](repeating: 0, count: parameters.count)
            unit[index] = 1
            let variance = Self.solveLinear(hessian, unit)[index]
            return min(parameters[index].width, max(0, variance).squareRoot() * scatter)
        }
    }

    /// A robust standard deviation: 1.4826 × the median absolute value.
    static func scatter(_ residuals: [Double]) -> Double {
        guard !residuals.isEmpty else { return 0 }
        let sorted = residuals.map(abs).sorted()
        return 1.4826 * sorted[sorted.count / 2]
    }

    /// Gaussian elimination with partial pivoting.
    static func solveLinear(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
        var rows = matrix
        var values = right
        let count = right.count
        for column in 0..<count {
            let pivot = (column..<count).max { abs(rows[$0][column]) < abs(rows[$1][column]) }!
            rows.swapAt(column, pivot)
            values.swapAt(column, pivot)
            let head = rows[column][column]
            guard abs(head) > 1e-300 else { continue }
            for row in (column + 1)..<max(count, column + 1) where rows[row][column] != 0 {
                let factor = rows[row][column] / head
                for index in column..<count { rows[row][index] -= factor * rows[column][index] }
                values[row] -= factor * values[column]
            }
        }
        var solution = [Double](repeating: 0, count: count)
        for row in stride(from: count - 1, through: 0, by: -1) {
            var sum = values[row]
            for index in (row + 1)..<max(count, row + 1) { sum -= rows[row][index] * solution[index] }
            solution[row] = abs(rows[row][row]) > 1e-300 ? sum / rows[row][row] : 0
        }
        return solution
    }
}
