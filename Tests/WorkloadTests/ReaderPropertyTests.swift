import Testing

@testable import Workload

@Suite struct ReaderPropertyTests {
    @Test(arguments: RowFormat.allCases, 1...12 as ClosedRange<UInt64>)
    func whatWasWrittenIsRead(format: RowFormat, seed: UInt64) throws {
        var random = RandomStream(seed: seed, stream: 7)
        let rows = format.randomRows(1 + Int(random.below(400)), &random)
        let text = format.text(rows, crlf: random.below(2) == 0)
        let plain = Array(text.utf8)
        let bytes: [UInt8] =
            switch random.below(3) {
            case 0: plain
            case 1: gzipped(plain)
            // Two gzip files one after the other are one file.
            default: gzipped(Array(plain.prefix(plain.count / 2))) + gzipped(Array(plain.dropFirst(plain.count / 2)))
            }
        let opened = try Workload(WorkloadDescription(parsing: "\(format.rawValue):rows"), bytes: bytes)
        let source = try opened.makeSource()
        var index = 0
        while let request = try source.next() {
            let expected = rows[index]
            #expect(request.id == UInt64(index), "seed \(seed)")
            #expect(request.arrivalNanoseconds == expected.arrivalNanoseconds, "seed \(seed), row \(index)")
            #expect(request.promptTokens == expected.promptTokens && request.outputTokens == expected.outputTokens)
            #expect(request.maxOutputTokens == request.outputTokens)
            #expect(Int(request.prefix.blockHashCount) == expected.hashIDs.count)
            for (block, id) in expected.hashIDs.enumerated() {
                let hash = request.prefix.blockHashes?[block]
                #expect(
                    hash == BlockHashes.hash(id: UInt64(id), space: 0), "seed \(seed), row \(index), block \(block)")
            }
            index += 1
        }
        #expect(index == rows.count, "seed \(seed)")
        #expect(source.reading.accepted == rows.count)
    }

    @Test(arguments: [16, 17, 31, 64, 4_096])
    func linesAreTheSameForEveryBlockSize(blockSize: Int) throws {
        var random = RandomStream(seed: UInt64(blockSize))
        var text: [UInt8] = []
        for _ in 0..<200 {
            for _ in 0..<random.below(90) { text.append(UInt8(97 + random.below(26))) }
            text += random.below(2) == 0 ? [10] : [13, 10]
        }
        text += Array("last".utf8)
        let expected = String(decoding: text, as: UTF8.self).replacing("\r\n", with: "\n").split(
            separator: "\n", omittingEmptySubsequences: false
        ).map(String.init)
        let reader = LineReader(MemoryBytes(text), name: "lines", blockSize: blockSize)
        var read: [String] = []
        while let line = try reader.next() { read.append(String(decoding: line, as: UTF8.self)) }
        #expect(read == expected)
        #expect(reader.lineNumber == expected.count)
    }

    @Test func fullyReadTracesStayWithinTheirOwnClock() throws {
        var random = RandomStream(seed: 5)
        let rows = RowFormat.vidur.randomRows(300, &random)
        let text = RowFormat.vidur.text(rows, crlf: false)
        let last = rows.last!.arrivalNanoseconds
        let middle = Double(last) / 2e9
        let windowed = try requests(workload("vidur:rows?window=\(middle)..", over: text))
        let expected = rows.filter { $0.arrivalNanoseconds >= nanoseconds(middle) }
        #expect(windowed.map(\.promptTokens) == expected.map(\.promptTokens))
        #expect(windowed.map(\.arrivalNanoseconds) == expected.map { $0.arrivalNanoseconds - nanoseconds(middle) })
        let faster = try requests(workload("vidur:rows?scale=4", over: text))
        #expect(faster.last!.arrivalNanoseconds == Int64((Double(last) / 4).rounded()))
        let cut = try requests(workload("vidur:rows?duration=\(middle)", over: text))
        #expect(cut.count == rows.count { $0.arrivalNanoseconds < nanoseconds(middle) })
        let twice = try requests(workload("vidur:rows?repeat=2", over: text))
        #expect(twice.count == 2 * rows.count)
        #expect(zip(twice, twice.dropFirst()).allSatisfy { $0.arrivalNanoseconds <= $1.arrivalNanoseconds })
        #expect(twice.map(\.id) == (0..<UInt64(twice.count)).map { $0 })
        let short = try requests(workload("vidur:rows?max-prompt=500&max-output=20", over: text))
        #expect(short.allSatisfy { $0.promptTokens <= 500 && $0.outputTokens <= 20 && $0.maxOutputTokens <= 20 })
        let total = try requests(workload("vidur:rows?max-total=1000&limit=200", over: text))
        #expect(total.count == 200)
        #expect(total.allSatisfy { $0.promptTokens + $0.maxOutputTokens <= 1_000 && $0.promptTokens >= 1 })
    }

    @Test func retimedTraceKeepsItsLengths() throws {
        var random = RandomStream(seed: 6)
        let rows = RowFormat.azure.randomRows(500, &random)
        let text = RowFormat.azure.text(rows, crlf: true)
        let poisson = try requests(workload("azure:rows?arrivals=poisson&rate=50&seed=9", over: text))
        let again = try requests(workload("azure:rows?arrivals=poisson&rate=50&seed=9", over: text))
        #expect(poisson.map(\.arrivalNanoseconds) == again.map(\.arrivalNanoseconds))
        #expect(poisson.map(\.promptTokens) == rows.map(\.promptTokens))
        #expect(abs(Double(poisson.count) / (Double(poisson.last!.arrivalNanoseconds) / 1e9) - 50) < 10)
    }

    @Test func decimalsAreExact() {
        func decimal(_ text: String, _ scale: Int) -> Int64? {
            var bytes = Array(text.utf8)
            return bytes.withUnsafeMutableBufferPointer { FieldParsing.decimal(Field($0), scale: scale) }
        }
        #expect(decimal("0.01700100478791335", 9) == 17_001_005)
        #expect(decimal("6e-05", 9) == 60_000)
        #expect(decimal("-1.5E2", 3) == -150_000)
        #expect(decimal("0.0000000005", 9) == 1)
        #expect(decimal("0.0000000004999999999999999999999", 9) == 0)
        #expect(decimal("9223372036.854775807", 9) == .max)
        #expect(decimal("9223372036.854775808", 9) == nil)
        #expect(decimal("1e300", 9) == nil)
        #expect(decimal("0e300", 9) == 0)
        for bad in ["", ".", "-", "1.2.3", "1e", "abc", "1,5", "0x10", "nan", "1 "] {
            #expect(decimal(bad, 9) == nil, "\(bad)")
        }
    }

    @Test func timestampsKnowTheCalendar() {
        func time(_ text: String) -> Int64? {
            var bytes = Array(text.utf8)
            return bytes.withUnsafeMutableBufferPointer { FieldParsing.timestamp(Field($0)) }
        }
        #expect(time("1970-01-01 00:00:00") == 0)
        #expect(time("2024-02-29T12:00:00.5Z") == 1_709_208_000_500_000_000)
        #expect(time("2024-05-10 00:00:00.009930+00:00") == 1_715_299_200_009_930_000)
        #expect(time("2024-05-10 02:00:00+02:00") == time("2024-05-10 00:00:00"))
        #expect(time("1969-12-31 23:59:59.999999999") == -1)
        for bad in [
            "2023-02-29 00:00:00", "2023-13-01 00:00:00", "2023-11-16", "2023-11-16 24:00:00", "2023-11-16 18:15:46.x",
            "2023-11-16 18:15:46+9",
        ] {
            #expect(time(bad) == nil, "\(bad)")
        }
    }
}
