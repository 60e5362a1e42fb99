import Testing
import WaitFree

@Suite struct FloatingCountTests {
    static let formats = [(14, 9), (12, 7), (8, 4)].map { FloatingCount(bits: $0.0, mantissaBits: $0.1) }

    @Test(arguments: formats)
    func everyCodeRoundTripsInOrder(format: FloatingCount) {
        var last: Int64 = -1
        for code in 0...format.largestCode {
            let count = format.count(code)
            #expect(count > last)
            #expect(format.code(count) == code)
            if last >= 0 { #expect(format.code(count - 1) == code - 1) }
            last = count
        }
        #expect(format.code(.max) == format.largestCode)
        #expect(format.code(-5) == 0)
    }

    @Test(arguments: formats)
    func smallCountsAreExactAndLargeOnesClose(format: FloatingCount) {
        for count in 0..<Int64(1 << (format.mantissaBits + 1)) { #expect(format.count(format.code(count)) == count) }
        var generator = SeededGenerator(seed: 7)
        let largest = format.count(format.largestCode)
        for _ in 0..<10_000 {
            let count = Int64.random(in: 0...largest, using: &generator)
            let back = format.count(format.code(count))
            #expect(back <= count)
            #expect(Double(count - back) < Double(count) / Double(1 << format.mantissaBits) + 1e-9)
        }
    }
}
