//===----------------------------------------------------------------------===//
// W3C trace context.
//===----------------------------------------------------------------------===//

/// A `traceparent` field, version 00: `00-<32 hex digits of trace>-<16 of span>-<2 of flags>`.
struct TraceContext: Equatable, Sendable {
    var trace: (high: UInt64, low: UInt64)
    var span: UInt64
    var flags: UInt8

    /// Nil for anything that the recommendation calls invalid; such a field is ignored, as it asks.
    init?(_ field: String) {
        let parts = field.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].utf8.count == 2, parts[0] != "ff", parts[0] != "00" || parts.count == 4,
            parts[1].utf8.count == 32, parts[2].utf8.count == 16, parts[3].utf8.count == 2,
            let high = Self.hexadecimal(parts[1].prefix(16)), let low = Self.hexadecimal(parts[1].suffix(16)),
            let span = Self.hexadecimal(parts[2]), let flags = Self.hexadecimal(parts[3]),
            Self.hexadecimal(parts[0]) != nil, high | low != 0, span != 0
        else { return nil }
        trace = (high, low)
        self.span = span
        self.flags = UInt8(truncatingIfNeeded: flags)
    }

    /// Lower-case digits only: upper-case ones are invalid there.
    private static func hexadecimal(_ digits: Substring) -> UInt64? {
        var value: UInt64 = 0
        for byte in digits.utf8 {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }

    /// The trace as 32 hexadecimal digits.
    var traceID: String { Self.text(trace.high) + Self.text(trace.low) }

    /// The field that says what this server did within the trace: a span of its own.
    func field(span: UInt64) -> String {
        let digits = String(flags & 1, radix: 16)
        return "00-\(traceID)-\(Self.text(span == 0 ? 1 : span))-0\(digits)"
    }

    private static func text(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    static func == (left: TraceContext, right: TraceContext) -> Bool {
        left.trace == right.trace && left.span == right.span && left.flags == right.flags
    }
}
