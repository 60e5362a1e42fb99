//===----------------------------------------------------------------------===//
// Numbers as people read them.
//===----------------------------------------------------------------------===//

/// Writes numbers for tables. Locale never enters: the same figures give the same bytes everywhere.
public enum NumberText {
    /// A whole number with a comma every three digits.
    public static func grouped(_ value: Int64) -> String {
        let digits = String(value.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }

    /// A number to `digits` significant digits, without an exponent; "-" when it is nil.
    public static func significant(_ value: Double?, digits: Int = 4) -> String {
        guard let value, value.isFinite else { return "-" }
        if value == 0 { return "0" }
        let magnitude = abs(value)
        var whole = 1
        var bound = 10.0
        while magnitude >= bound, whole < 18 {
            bound *= 10
            whole += 1
        }
        var leadingZeros = 0
        var scaled = magnitude
        while scaled < 1, leadingZeros < 12 {
            scaled *= 10
            leadingZeros += 1
        }
        let decimals = magnitude >= 1 ? max(0, digits - whole) : digits - 1 + leadingZeros
        return fixed(value, decimals: decimals)
    }

    /// A number with that many decimals; "-" when it is nil.
    public static func fixed(_ value: Double?, decimals: Int) -> String {
        guard let value, value.isFinite, abs(value) < 1e15 else { return "-" }
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let units = (abs(value) * scale).rounded()
        guard units < 9e18 else { return String(value) }
        let whole = Int64(units / scale)
        var text = grouped(whole)
        if decimals > 0 {
            let rest = String(Int64(units - Double(whole) * scale))
            text += "." + String(repeating: "0", count: max(0, decimals - rest.count)) + rest
        }
        return value < 0 && units > 0 ? "-" + text : text
    }

    /// A duration in milliseconds; "-" when it is nil.
    public static func milliseconds(_ seconds: Double?) -> String { significant(seconds.map { $0 * 1e3 }) }

    /// A ratio, as "1.23x".
    public static func ratio(_ value: Double?) -> String { value == nil ? "-" : fixed(value, decimals: 2) + "x" }

    /// Nanoseconds as seconds with all nine decimals: exact.
    public static func seconds(nanoseconds: Int64) -> String {
        let magnitude = nanoseconds.magnitude
        let rest = String(magnitude % 1_000_000_000)
        let text = String(magnitude / 1_000_000_000) + "." + String(repeating: "0", count: 9 - rest.count) + rest
        return nanoseconds < 0 ? "-" + text : text
    }
}
