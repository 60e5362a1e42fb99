//===----------------------------------------------------------------------===//
// A chart of what share of requests took at most how long.
//===----------------------------------------------------------------------===//

import Foundation

/// One line per fleet over a logarithmic time axis, with the promise as a vertical line.
struct CumulativeChart {
    struct Line {
        var name: String
        /// CSS class that colours it.
        var style: String
        /// Share of requests (0...1) and seconds, both rising.
        var points: [(share: Double, seconds: Double)]
    }

    var title: String
    var lines: [Line]
    /// Bound on the 99th percentile, seconds.
    var promiseSeconds: Double?

    private static let width = 560.0
    private static let height = 260.0
    private static let left = 44.0
    private static let right = 12.0
    private static let top = 14.0
    private static let bottom = 34.0

    /// The decades that hold every point and the promise; nil when there is nothing to show.
    private var decades: ClosedRange<Int>? {
        let values = lines.flatMap { $0.points.map(\.seconds) }.filter { $0 > 0 } + [promiseSeconds].compactMap { $0 }
        guard let least = values.min(), let most = values.max(), lines.contains(where: { !$0.points.isEmpty }) else {
            return nil
        }
        let first = Int(log10(least).rounded(.down))
        return first...max(first + 1, Int(log10(most).rounded(.up)))
    }

    var svg: String {
        guard let decades else { return "<p>\(Markup.escaped(title)): nothing was measured.</p>\n" }
        let low = Double(decades.lowerBound)
        let span = Double(decades.upperBound) - low
        func x(_ seconds: Double) -> Double {
            let place = (log10(max(seconds, 1e-12)) - low) / span
            return Self.left + min(max(place, 0), 1) * (Self.width - Self.left - Self.right)
        }
        func y(_ share: Double) -> Double { Self.top + (1 - share) * (Self.height - Self.top - Self.bottom) }
        let at = Markup.coordinate
        let summary = lines.map { line in
            let tail = line.points.last { $0.share <= 0.99 }?.seconds
            return "\(line.name): 99 % within \(NumberText.milliseconds(tail)) ms"
        }.joined(separator: "; ")
        var svg = "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\" aria-label=\""
        svg += "\(Markup.escaped("\(title). \(summary)"))\">\n"
        for decade in decades {
            let place = at(x(pow(10, Double(decade))))
            svg += "<line class=\"grid\" x1=\"\(place)\" x2=\"\(place)\" y1=\"\(at(y(1)))\" y2=\"\(at(y(0)))\"/>"
            svg += "<text class=\"tick\" x=\"\(place)\" y=\"\(at(Self.height - 16))\" text-anchor=\"middle\">"
            svg += "\(Self.label(decade: decade))</text>\n"
        }
        for share in [0, 0.25, 0.5, 0.75, 1] {
            let place = at(y(share))
            svg +=
                "<line class=\"grid\" x1=\"\(at(Self.left))\" x2=\"\(at(Self.width - Self.right))\" y1=\"\(place)\" y2=\"\(place)\"/>"
            svg += "<text class=\"tick\" x=\"\(at(Self.left - 6))\" y=\"\(at(y(share) + 4))\" text-anchor=\"end\">"
            svg += "\(Int(share * 100))%</text>\n"
        }
        if let promiseSeconds {
            let place = at(x(promiseSeconds))
            svg += "<line class=\"promise\" x1=\"\(place)\" x2=\"\(place)\" y1=\"\(at(y(1)))\" y2=\"\(at(y(0)))\">"
            svg += "<title>promise: 99 % within \(NumberText.milliseconds(promiseSeconds)) ms</title></line>\n"
        }
        for line in lines where !line.points.isEmpty {
            let points = line.points.map { "\(at(x($0.seconds))),\(at(y($0.share)))" }.joined(separator: " ")
            svg +=
                "<polyline class=\"\(line.style)\" points=\"\(points)\"><title>\(Markup.escaped(line.name))</title></polyline>\n"
        }
        return svg + "</svg>\n"
    }

    private static func label(decade: Int) -> String {
        switch decade {
        case ..<(-6): "\(decade)"
        case -6: "1 µs"
        case -5: "10 µs"
        case -4: "100 µs"
        case -3: "1 ms"
        case -2: "10 ms"
        case -1: "100 ms"
        default: "1" + String(repeating: "0", count: decade) + " s"
        }
    }
}
