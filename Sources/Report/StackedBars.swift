//===----------------------------------------------------------------------===//
// Horizontal bars made of parts, one bar per fleet.
//===----------------------------------------------------------------------===//

/// Bars to one scale; each part has its name and number in a tooltip and in the text under it.
struct StackedBars {
    struct Bar {
        var name: String
        /// Names are the same in every bar, in the same order.
        var parts: [(name: String, value: Double)]
    }

    var title: String
    var unit: String
    var bars: [Bar]

    private static let width = 560.0
    private static let labelWidth = 120.0
    private static let barHeight = 26.0
    private static let gap = 14.0

    var svg: String {
        let most = bars.map { $0.parts.reduce(0) { $0 + $1.value } }.max() ?? 0
        guard most > 0 else { return "" }
        let height = Double(bars.count) * (Self.barHeight + Self.gap)
        let at = Markup.coordinate
        let totals = bars.map { bar in
            "\(bar.name): \(NumberText.significant(bar.parts.reduce(0) { $0 + $1.value })) \(unit)"
        }
        var svg = "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(height))\" role=\"img\" aria-label=\""
        svg += "\(Markup.escaped("\(title). \(totals.joined(separator: "; "))"))\">\n"
        var y = 4.0
        for bar in bars {
            svg +=
                "<text class=\"label\" x=\"0\" y=\"\(at(y + 17))\">\(Markup.escaped(String(bar.name.prefix(17))))</text>\n"
            var x = Self.labelWidth
            for (index, part) in bar.parts.enumerated() where part.value > 0 {
                let width = part.value / most * (Self.width - Self.labelWidth - 4)
                svg +=
                    "<rect class=\"part\(index)\" x=\"\(at(x))\" y=\"\(at(y))\" width=\"\(at(width))\" height=\"\(at(Self.barHeight))\">"
                svg +=
                    "<title>\(Markup.escaped("\(part.name): \(NumberText.significant(part.value)) \(unit)"))</title></rect>\n"
                x += width
            }
            y += Self.barHeight + Self.gap
        }
        return svg + "</svg>\n" + legend
    }

    private var legend: String {
        guard let parts = bars.first?.parts else { return "" }
        var text = "<table><tr><th scope=\"col\">\(Markup.escaped(unit))</th>"
        for bar in bars { text += "<th scope=\"col\">\(Markup.escaped(bar.name))</th>" }
        text += "</tr>\n"
        for (index, part) in parts.enumerated() {
            text += "<tr><th scope=\"row\"><span class=\"swatch part\(index)\"></span>\(Markup.escaped(part.name))</th>"
            for bar in bars { text += "<td>\(NumberText.significant(bar.parts[index].value))</td>" }
            text += "</tr>\n"
        }
        return text + "</table>\n"
    }
}
