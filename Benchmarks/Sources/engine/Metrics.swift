//===----------------------------------------------------------------------===//
// The metrics that a run keeps while it is timed.
//===----------------------------------------------------------------------===//

import Engine

/// Counts durations in buckets of 2⁻⁷ relative width.
struct Histogram {
    private let buckets: UnsafeMutablePointer<Int64>
    private static let bits = 7
    private(set) var count: Int64 = 0
    private(set) var sum: Int64 = 0

    init() {
        buckets = .allocate(capacity: 64 << Self.bits)
        buckets.initialize(repeating: 0, count: 64 << Self.bits)
    }

    @inline(__always) private static func index(_ nanoseconds: Int64) -> Int {
        let value = UInt64(nanoseconds) + 1 << bits
        let exponent = 63 - value.leadingZeroBitCount
        return (exponent - bits) << bits + Int(value >> UInt64(exponent - bits)) - 1 << bits
    }

    @inline(__always) mutating func record(_ nanoseconds: Int64, copies: Int64 = 1) {
        count += copies
        sum += nanoseconds * copies
        buckets[Self.index(nanoseconds)] += copies
    }

    func percentile(_ rank: Double) -> Double {
        let target = Int64((rank * Double(count)).rounded(.up))
        var seen: Int64 = 0
        for index in 0..<64 << Self.bits {
            seen += buckets[index]
            if seen >= target {
                let exponent = index >> Self.bits
                let mantissa = index & (1 << Self.bits - 1)
                let low = (UInt64(mantissa + 1 << Self.bits) << UInt64(exponent)) - UInt64(1 << Self.bits)
                return Double(low) * 1e-9
            }
        }
        return 0
    }

    var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) * 1e-9 }
}

/// Everything a report needs: TTFT, TPOT, ITL, E2E, queueing, tokens, preemptions.
struct MetricsSink: OutcomeSink {
    var ttft = Histogram()
    var tpot = Histogram()
    var itl = Histogram()
    var endToEnd = Histogram()
    var queue = Histogram()
    var finished: Int64 = 0
    var other: Int64 = 0
    var outputTokens: Int64 = 0
    var promptTokens: Int64 = 0
    var cachedTokens: Int64 = 0
    var preemptions: Int64 = 0
    var last: Int64 = 0

    mutating func completed(_ completion: Completion) {
        guard completion.status == .finished else {
            other += 1
            return
        }
        finished += 1
        outputTokens += Int64(completion.outputTokens)
        promptTokens += Int64(completion.promptTokens)
        cachedTokens += Int64(completion.cachedPromptTokens)
        preemptions += Int64(completion.preemptions)
        last = max(last, completion.lastTokenNanoseconds)
        ttft.record(completion.firstTokenNanoseconds - completion.arrivalNanoseconds)
        endToEnd.record(completion.lastTokenNanoseconds - completion.arrivalNanoseconds)
        queue.record(completion.scheduledNanoseconds - completion.arrivalNanoseconds)
        if completion.outputTokens > 1 {
            tpot.record(
                (completion.lastTokenNanoseconds - completion.firstTokenNanoseconds)
                    / Int64(completion.outputTokens - 1))
        }
    }

    mutating func produced(_ token: TokenEvent) {}

    mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
        if incrementPicoseconds == 0 {
            itl.record(firstPicoseconds / 1000, copies: Int64(steps) * Int64(count))
            return
        }
        for step in 0..<Int64(steps) {
            itl.record((firstPicoseconds + step * incrementPicoseconds) / 1000, copies: Int64(count))
        }
    }
}
