//===----------------------------------------------------------------------===//
// One number that differs when any outcome of a run differs.
//===----------------------------------------------------------------------===//

public import Engine

/// A hash of a set of outcomes, the same in whatever order they were counted: the sum of one 128-bit hash per
/// outcome.
///
/// Not cryptographic: it compares runs, it proves nothing about a forger.
public struct OutcomeDigest: Sendable, Equatable, CustomStringConvertible {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    public init() {}

    public mutating func add(_ completion: Completion) {
        var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
        Self.mix(&hash, completion.requestID, UInt64(bitPattern: completion.arrivalNanoseconds))
        Self.mix(
            &hash, UInt64(bitPattern: completion.scheduledNanoseconds),
            UInt64(bitPattern: completion.firstTokenNanoseconds))
        Self.mix(
            &hash, UInt64(bitPattern: completion.lastTokenNanoseconds),
            UInt64(UInt32(bitPattern: completion.promptTokens)) << 32
                | UInt64(UInt32(bitPattern: completion.cachedPromptTokens)))
        Self.mix(
            &hash,
            UInt64(UInt32(bitPattern: completion.outputTokens)) << 32
                | UInt64(UInt32(bitPattern: completion.preemptions)),
            UInt64(UInt32(bitPattern: completion.replica)) << 32 | UInt64(completion.tenant) << 16
                | UInt64(completion.priorityClass) << 8 | UInt64(completion.status.rawValue))
        low &+= hash
        Self.mix(&hash, 0xD6E8_FEB8_6659_FD93, completion.session)
        high &+= hash
    }

    public mutating func merge(_ other: OutcomeDigest) {
        low &+= other.low
        high &+= other.high
    }

    /// 32 hexadecimal digits.
    public var description: String {
        func hexadecimal(_ word: UInt64) -> String {
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return hexadecimal(high) + hexadecimal(low)
    }

    /// The folded 128-bit product of wyhash (Wang Yi, public domain): both halves of the product reach every bit.
    private static func mix(_ hash: inout UInt64, _ first: UInt64, _ second: UInt64) {
        let product = (hash ^ first ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(
            by: second ^ 0xE703_7ED1_A0B4_28DB ^ hash)
        hash = product.high ^ product.low ^ 0x8EBC_6AF0_9C88_C6E3
    }
}
