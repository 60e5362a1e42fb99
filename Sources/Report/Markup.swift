//===----------------------------------------------------------------------===//
// HTML and SVG as text.
//===----------------------------------------------------------------------===//

/// Writes markup. Everything that comes from outside goes through `escaped`.
enum Markup {
    static func escaped(_ text: String) -> String {
        var safe = ""
        for character in text {
            switch character {
            case "&": safe += "&amp;"
            case "<": safe += "&lt;"
            case ">": safe += "&gt;"
            case "\"": safe += "&quot;"
            case "'": safe += "&#39;"
            default: safe.append(character)
            }
        }
        return safe
    }

    /// A coordinate with one decimal: enough for a screen, and the same bytes everywhere.
    static func coordinate(_ value: Double) -> String {
        let tenths = Int64((value * 10).rounded())
        let text = "\(tenths.magnitude / 10).\(tenths.magnitude % 10)"
        return tenths < 0 ? "-" + text : text
    }
}
