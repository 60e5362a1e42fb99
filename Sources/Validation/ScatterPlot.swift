//===----------------------------------------------------------------------===//
// Predicted against measured, as SVG.
//===----------------------------------------------------------------------===//

import Foundation

/// A plot with logarithmic axes: measured to the right, predicted upwards, the diagonal and its ±20 % lines.
public struct ScatterPlot {
    public struct Series {
        public var name: String
        public var points: [(measured: Double, predicted: Double)]
        public init(name: String, points: [(measured: Double, predicted: Double)]) {
            self.name = name
            self.points = points
        }
    }

    let title: String
    let unit: String
    let series: [Series]
    private static let size = 480.0
    private static let margin = 56.0
    /// Colours that stay apart for the colour-blind (Okabe and Ito).
    private static let colours = [
        "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999",
    ]

    public init(title: String, unit: String, series: [Series]) {
        self.title = title
        self.unit = unit
        self.series = series
    }

    public var svg: String {
        let values = series.flatMap { $0.points.flatMap { [$0.measured, $0.predicted] } }.filter { $0 > 0 }
        let low = floor(log10(values.min() ?? 1))
        let high = max(low + 1, ceil(log10(values.max() ?? 10)))
        let span = Self.size - 2 * Self.margin
        func x(_ value: Double) -> Double { Self.margin + (log10(value) - low) / (high - low) * span }
        func y(_ value: Double) -> Double { Self.size - Self.margin - (log10(value) - low) / (high - low) * span }
        func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) -> String {
            String(format: "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %@/>", x1, y1, x2, y2, style)
        }
        func text(_ x: Double, _ y: Double, _ anchor: String, _ content: String) -> String {
            String(format: "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%@\">", x, y, anchor) + content + "</text>"
        }
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 480 480\" font-family=\"sans-serif\" font-size=\"11\">",
            "<title>\(title)</title>", "<rect width=\"480\" height=\"480\" fill=\"white\"/>",
            text(240, 20, "middle", title),
        ]
        for decade in Int(low)...Int(high) {
            let value = pow(10, Double(decade))
            let label = decade >= -3 && decade <= 5 ? String(format: "%g", value) : "1e\(decade)"
            parts.append(line(x(value), Self.margin, x(value), Self.size - Self.margin, "stroke=\"#ddd\""))
            parts.append(line(Self.margin, y(value), Self.size - Self.margin, y(value), "stroke=\"#ddd\""))
            parts.append(text(x(value), Self.size - Self.margin + 16, "middle", label))
            parts.append(text(Self.margin - 6, y(value) + 4, "end", label))
        }
        let start = pow(10, low)
        let end = pow(10, high)
        parts.append(line(x(start), y(start), x(end), y(end), "stroke=\"#444\""))
        parts.append(line(x(start), y(start * 1.2), x(end / 1.2), y(end), "stroke=\"#aaa\" stroke-dasharray=\"4 3\""))
        parts.append(line(x(start * 1.2), y(start), x(end), y(end / 1.2), "stroke=\"#aaa\" stroke-dasharray=\"4 3\""))
        for (index, one) in series.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            for point in one.points where point.measured > 0 && point.predicted > 0 {
                parts.append(
                    String(
                        format: "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\" fill=\"%@\" fill-opacity=\"0.6\"/>",
                        x(point.measured),
                        y(point.predicted), colour))
            }
            let height = Self.margin + 14 + Double(index) * 15
            parts.append("<circle cx=\"68\" cy=\"\(height - 4)\" r=\"4\" fill=\"\(colour)\"/>")
            parts.append(text(78, height, "start", "\(one.name) (\(one.points.count))"))
        }
        parts.append(text(240, 468, "middle", "measured, \(unit)"))
        parts.append(
            "<text x=\"16\" y=\"240\" text-anchor=\"middle\" transform=\"rotate(-90 16 240)\">predicted, \(unit)</text>"
        )
        parts.append("</svg>")
        return parts.joined(separator: "\n") + "\n"
    }
}
