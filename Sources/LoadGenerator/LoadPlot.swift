//===----------------------------------------------------------------------===//
// Line plots as SVG, without anything from outside.
//===----------------------------------------------------------------------===//

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One plot with a title, axes and a legend.
struct LoadPlot {
    struct Line {
        var name: String
        var points: [(x: Double, y: Double)]
    }

    private static let width = 640.0
    private static let height = 300.0
    private static let left = 62.0
    private static let right = 14.0
    private static let top = 34.0
    private static let bottom = 44.0
    /// Readable on white and for the colour-blind (Okabe and Ito).
    private static let colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]

    var title: String
    var xLabel: String
    var yLabel: String
    var lines: [Line]
    var hasLogarithmicX = false

    /// The SVG element; an empty plot says so.
    var svg: String {
        let points = lines.flatMap(\.points).filter { !hasLogarithmicX || $0.x > 0 }
        var text = "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\" aria-label=\"\(title)\">"
        text += "<text x=\"\(Int(Self.left))\" y=\"18\" class=\"title\">\(title)</text>"
        guard let minX = points.map(\.x).min(), let maxX = points.map(\.x).max(), let maxY = points.map(\.y).max(),
            maxY > 0
        else {
            return text + "<text x=\"\(Int(Self.left))\" y=\"60\">nothing was measured</text></svg>"
        }
        let xTicks = hasLogarithmicX ? Self.decades(minX, maxX) : Self.ticks(0, max(maxX, 1e-9))
        let yTicks = Self.ticks(0, maxY)
        let xRange = hasLogarithmicX ? (log10(minX), max(log10(maxX), log10(minX) + 1e-6)) : (0, xTicks.last ?? 1)
        let yTop = yTicks.last ?? 1
        func placeX(_ value: Double) -> Double {
            let position = hasLogarithmicX ? log10(value) : value
            return Self.left + (position - xRange.0) / (xRange.1 - xRange.0) * (Self.width - Self.left - Self.right)
        }
        func placeY(_ value: Double) -> Double {
            Self.height - Self.bottom - value / yTop * (Self.height - Self.top - Self.bottom)
        }
        for tick in xTicks where placeX(tick) >= Self.left - 1 && placeX(tick) <= Self.width - Self.right + 1 {
            text += Self.rule(placeX(tick), Self.top, placeX(tick), Self.height - Self.bottom)
            text += Self.label(LoadPlot.short(tick), placeX(tick), Self.height - Self.bottom + 16, "middle")
        }
        for tick in yTicks {
            text += Self.rule(Self.left, placeY(tick), Self.width - Self.right, placeY(tick))
            text += Self.label(LoadPlot.short(tick), Self.left - 6, placeY(tick) + 4, "end")
        }
        text += Self.label(xLabel, (Self.left + Self.width) / 2, Self.height - 8, "middle")
        text +=
            "<text transform=\"translate(14 \(Int(Self.height / 2))) rotate(-90)\" text-anchor=\"middle\">\(yLabel)</text>"
        for (index, line) in lines.enumerated() where !line.points.isEmpty {
            let path = line.points.filter { !hasLogarithmicX || $0.x > 0 }.map {
                "\(LoadText.fixed(placeX($0.x), 1)),\(LoadText.fixed(placeY($0.y), 1))"
            }
            let colour = Self.colours[index % Self.colours.count]
            text +=
                "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.6\" points=\"\(path.joined(separator: " "))\"/>"
            text +=
                "<text x=\"\(Int(Self.width - Self.right) - 130 * (lines.count - index - 1))\" y=\"18\" text-anchor=\"end\" style=\"fill:\(colour)\">\(line.name)</text>"
        }
        return text + "</svg>"
    }

    private static func rule(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
        "<line class=\"grid\" x1=\"\(LoadText.fixed(x1, 1))\" y1=\"\(LoadText.fixed(y1, 1))\" x2=\"\(LoadText.fixed(x2, 1))\" y2=\"\(LoadText.fixed(y2, 1))\"/>"
    }

    private static func label(_ text: String, _ x: Double, _ y: Double, _ anchor: String) -> String {
        "<text x=\"\(LoadText.fixed(x, 1))\" y=\"\(LoadText.fixed(y, 1))\" text-anchor=\"\(anchor)\">\(text)</text>"
    }

    /// Round steps of 1, 2 or 5 from `low` to at least `high`, about six.
    static func ticks(_ low: Double, _ high: Double) -> [Double] {
        let step = step(high - low)
        let count = Int(ceil((high - low) / step - 1e-9))
        return (0...max(1, count)).map { low + Double($0) * step }
    }

    /// 1, 2 or 5 times a power of ten: about a fifth of `span`.
    private static func step(_ span: Double) -> Double {
        let rough = max(span, 1e-9) / 5
        let power = pow(10, floor(log10(rough)))
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 } ?? power * 10
    }

    /// 1, 2 and 5 times powers of ten around the range; even steps where it is less than a factor of four.
    static func decades(_ low: Double, _ high: Double) -> [Double] {
        if high / low < 4 {
            let step = step(high - low)
            let first = (low / step).rounded(.up)
            return (0...12).map { (first + Double($0)) * step }.filter { $0 <= high * 1.001 }
        }
        var ticks: [Double] = []
        for exponent in Int(floor(log10(low)))...Int(ceil(log10(high))) {
            let steps = high / low > 1_000 ? [1.0] : [1, 2, 5]
            for step in steps { ticks.append(step * pow(10, Double(exponent))) }
        }
        return ticks
    }

    static func short(_ value: Double) -> String {
        let magnitude = abs(value)
        if magnitude >= 1e9 { return LoadText.fixed(value / 1e9, 1) + "G" }
        if magnitude >= 1e6 { return LoadText.fixed(value / 1e6, 1) + "M" }
        if magnitude >= 1e4 { return LoadText.fixed(value / 1e3, 0) + "k" }
        if magnitude >= 10 || value == 0 { return LoadText.fixed(value, 0) }
        if magnitude >= 1 { return LoadText.fixed(value, 1) }
        return LoadText.fixed(value, magnitude >= 0.1 ? 2 : magnitude >= 0.01 ? 3 : 4)
    }
}
