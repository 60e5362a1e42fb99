//===----------------------------------------------------------------------===//
// Numbers and times out of raw bytes, exactly and without Foundation.
//===----------------------------------------------------------------------===//

package typealias Field = UnsafeBufferPointer<UInt8>

/// Numbers and times that are spelt out in bytes.
package enum FieldParsing {
    /// `field` without the blanks and the one pair of double quotes around it.
    @inline(__always)
    static func trimmed(_ field: Field) -> Field {
        var low = 0
        var high = field.count
        while low < high, field[low] == 32 || field[low] == 9 { low += 1 }
        while high > low, field[high - 1] == 32 || field[high - 1] == 9 { high -= 1 }
        if high - low >= 2, field[low] == 34, field[high - 1] == 34 {
            low += 1
            high -= 1
        }
        return Field(rebasing: field[low..<high])
    }

    /// A non-negative decimal integer that fits `Int64`; nil for anything else. `7.0` counts as 7, since pandas writes
    /// that.
    @inline(__always)
    package static func integer(_ field: Field) -> Int64? {
        var value: Int64 = 0
        var index = 0
        while index < field.count {
            let digit = field[index] &- 48
            guard digit <= 9 else { break }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(Int64(digit))
            if overflow || carry { return nil }
            value = sum
            index += 1
        }
        if index == 0 { return nil }
        if index == field.count { return value }
        guard field[index] == 46, index + 1 < field.count else { return nil }
        index += 1
        while index < field.count {
            guard field[index] == 48 else { return nil }
            index += 1
        }
        return value
    }

    /// A decimal number (`-12.5`, `6e-05`) times 10 to the `scale`, rounded half away from zero; nil if malformed or
    /// too large.
    ///
    /// Digits are not turned into a binary fraction on the way: `0.0170010047` at scale 9 is 17001005 exactly.
    static func decimal(_ field: Field, scale: Int) -> Int64? {
        var index = 0
        var negative = false
        if index < field.count, field[index] == 45 || field[index] == 43 {
            negative = field[index] == 45
            index += 1
        }
        var mantissa: UInt64 = 0
        // The value is mantissa x 10^exponent. Digits that no longer fit only move the exponent; they lie below the
        // rounding place unless the number is too large anyway.
        var exponent = 0
        var digits = 0
        var seenPoint = false
        while index < field.count {
            let byte = field[index]
            if byte == 46 && !seenPoint {
                seenPoint = true
            } else if byte >= 48 && byte <= 57 {
                digits += 1
                if mantissa < 1_000_000_000_000_000_000 {
                    mantissa = mantissa * 10 + UInt64(byte - 48)
                    if seenPoint { exponent -= 1 }
                } else if !seenPoint {
                    exponent += 1
                }
            } else {
                break
            }
            index += 1
        }
        guard digits > 0 else { return nil }
        if index < field.count {
            guard field[index] == 101 || field[index] == 69 else { return nil }
            guard let power = signedInteger(Field(rebasing: field[(index + 1)...])), abs(power) < 400 else {
                return nil
            }
            exponent += Int(power)
        }
        guard let magnitude = scaled(mantissa, by: exponent + scale) else { return nil }
        return negative ? -magnitude : magnitude
    }

    private static func scaled(_ mantissa: UInt64, by exponent: Int) -> Int64? {
        if mantissa == 0 { return 0 }
        if exponent >= 0 {
            var value = mantissa
            for _ in 0..<exponent {
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                if overflow { return nil }
                value = product
            }
            return Int64(exactly: value)
        }
        if exponent < -19 { return 0 }
        var divisor: UInt64 = 1
        for _ in 0..<(-exponent) { divisor = divisor &* 10 }
        let (quotient, remainder) = mantissa.quotientAndRemainder(dividingBy: divisor)
        return Int64(exactly: quotient + (remainder >= divisor - remainder ? 1 : 0))
    }

    static func signedInteger(_ field: Field) -> Int64? {
        guard let first = field.first else { return nil }
        if first == 45 { return integer(Field(rebasing: field[1...])).map { -$0 } }
        if first == 43 { return integer(Field(rebasing: field[1...])) }
        return integer(field)
    }

    /// `YYYY-MM-DD hh:mm:ss[.fraction][Z|±hh[:mm]]` (blank or `T` between) as nanoseconds since 1970 in UTC; a time
    /// without a zone is taken as UTC. Fractions may have any number of digits; Azure's have 7 (100 ns ticks).
    static func timestamp(_ field: Field) -> Int64? {
        guard field.count >= 19, field[4] == 45, field[7] == 45, field[13] == 58, field[16] == 58,
            field[10] == 32 || field[10] == 84,
            let year = digits(field, 0, 4), let month = digits(field, 5, 2), let day = digits(field, 8, 2),
            let hour = digits(field, 11, 2), let minute = digits(field, 14, 2), let second = digits(field, 17, 2),
            (1678...2261).contains(year), (1...12).contains(month), day >= 1, day <= daysIn(month, of: year),
            hour <= 23, minute <= 59, second <= 60
        else { return nil }
        var index = 19
        var fraction: Int64 = 0
        if index < field.count, field[index] == 46 {
            index += 1
            var place: Int64 = 100_000_000
            let first = index
            while index < field.count, field[index] &- 48 <= 9 {
                fraction += Int64(field[index] - 48) * place
                place /= 10
                index += 1
            }
            if index == first { return nil }
        }
        guard let zone = zoneSeconds(field, from: index) else { return nil }
        let seconds = daysSince1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - zone
        return seconds * 1_000_000_000 + fraction
    }

    @inline(__always)
    private static func digits(_ field: Field, _ start: Int, _ count: Int) -> Int64? {
        var value: Int64 = 0
        for index in start..<(start + count) {
            let digit = field[index] &- 48
            guard digit <= 9 else { return nil }
            value = value * 10 + Int64(digit)
        }
        return value
    }

    private static func zoneSeconds(_ field: Field, from index: Int) -> Int64? {
        let rest = field.count - index
        if rest == 0 || (rest == 1 && field[index] == 90) { return 0 }
        guard field[index] == 43 || field[index] == 45, rest == 3 || rest == 5 || rest == 6 else { return nil }
        guard let hours = digits(field, index + 1, 2), hours < 24 else { return nil }
        var minutes: Int64 = 0
        if rest > 3 {
            guard rest == 5 || field[index + 3] == 58, let read = digits(field, field.count - 2, 2), read < 60 else {
                return nil
            }
            minutes = read
        }
        return (field[index] == 45 ? -1 : 1) * (hours * 3_600 + minutes * 60)
    }

    private static func daysIn(_ month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar, by counting in 400-year eras that begin on 1 March.
    private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
