/// A day, or a whole month where a source names no day. It sorts as its first day.
public struct CalendarDay: Sendable, Hashable, Comparable, CustomStringConvertible, Encodable {
    public let year: Int
    public let month: Int
    /// Nil when the source gives only the month.
    public let day: Int?

    /// Reads `2026-10-03` or `2026-10`; nil for anything else, such as the 30th of February.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3, parts[0].utf8.count == 4, parts[1].utf8.count == 2 else {
            return nil
        }
        guard parts.allSatisfy({ $0.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } }) else {
            return nil
        }
        guard let year = Int(parts[0]), let month = Int(parts[1]), (1...12).contains(month) else { return nil }
        var day: Int?
        if parts.count == 3 {
            guard parts[2].utf8.count == 2, let number = Int(parts[2]), number >= 1 else { return nil }
            guard number <= Self.days(inMonth: month, of: year) else { return nil }
            day = number
        }
        self.year = year
        self.month = month
        self.day = day
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Ties between a month and its first day fall to the day, so that equal means equal.
    public static func < (left: CalendarDay, right: CalendarDay) -> Bool {
        (left.year, left.month, left.day ?? 0) < (right.year, right.month, right.day ?? 0)
    }

    public var description: String {
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: Swift.max(0, width - digits.utf8.count)) + digits
        }
        let monthText = "\(padded(year, 4))-\(padded(month, 2))"
        guard let day else { return monthText }
        return "\(monthText)-\(padded(day, 2))"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
