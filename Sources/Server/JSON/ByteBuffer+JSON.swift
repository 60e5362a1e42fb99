//===----------------------------------------------------------------------===//
// Writing JSON into a buffer without an encoder.
//===----------------------------------------------------------------------===//

import NIOCore

extension ByteBuffer {
    /// Writes a string literal with quotes, or `null`.
    mutating func writeJSONString(_ string: String?) {
        guard let string else {
            writeStaticString("null")
            return
        }
        writeInteger(UInt8(ascii: "\""))
        writeJSONEscaped(string)
        writeInteger(UInt8(ascii: "\""))
    }

    /// Writes text as it stands inside a string literal.
    mutating func writeJSONEscaped(_ string: String) {
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""): writeStaticString("\\\"")
            case UInt8(ascii: "\\"): writeStaticString("\\\\")
            case 0x0A: writeStaticString("\\n")
            case 0x0D: writeStaticString("\\r")
            case 0x09: writeStaticString("\\t")
            case 0..<0x20:
                writeStaticString("\\u00")
                writeInteger(hexadecimalDigit(byte >> 4))
                writeInteger(hexadecimalDigit(byte & 15))
            default: writeInteger(byte)
            }
        }
    }

    /// Writes a decimal integer.
    mutating func writeDecimal(_ value: some FixedWidthInteger & SignedInteger) {
        if value < 0 { writeInteger(UInt8(ascii: "-")) }
        writeDecimal(unsigned: UInt64(value.magnitude))
    }

    /// Writes a decimal integer.
    mutating func writeDecimal(unsigned value: UInt64) {
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var rest = value
        var first = 20
        repeat {
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        } while rest > 0
        digits.span.withUnsafeBytes { _ = writeBytes(UnsafeRawBufferPointer(rebasing: $0[first...])) }
    }

    /// Writes a number of 16 hexadecimal digits.
    mutating func writeHexadecimal(_ value: UInt64) {
        for shift in stride(from: 60, through: 0, by: -4) {
            writeInteger(hexadecimalDigit(UInt8((value >> UInt64(shift)) & 15)))
        }
    }
}

private func hexadecimalDigit(_ nibble: UInt8) -> UInt8 {
    nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
}
