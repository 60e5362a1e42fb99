import Testing

@testable import Workload

/// What is written is read back, as far as the format can say it.
@Suite struct WriterTests {
    private func written(_ requests: [Request], as format: TraceFormat) throws -> (text: String, losses: [String]) {
        var writer = try TraceWriter(format)
        var text = writer.header
        for request in requests { text += try writer.line(request) }
        return (text, writer.losses)
    }

    /// Units of each format in nanoseconds.
    private static let ticks: [TraceFormat: Int64] = [
        .azure: 100, .burstgpt: 1, .vidur: 1, .tracev2: 1_000, .mooncake: 1_000_000,
    ]

    @Test(arguments: TraceFormat.writable.filter { $0 != .lengths }, 1...8 as ClosedRange<UInt64>)
    func roundTrips(format: TraceFormat, seed: UInt64) throws {
        var random = RandomStream(seed: seed, stream: 21)
        let tick = try #require(WriterTests.ticks[format])
        var time: Int64 = 0
        let made = (0..<300).map { index in
            // Years of it, so that days and months carry.
            if index > 0 { time += Int64(random.below(400_000_000_000_000)) }
            return Request(
                id: UInt64(index), arrivalNanoseconds: time, promptTokens: Int32(1 + random.below(5_000)),
                outputTokens: Int32(1 + random.below(900)))
        }
        let (text, losses) = try written(made, as: format)
        #expect(losses.isEmpty)
        let read = try reread(format, text)
        #expect(read.count == made.count)
        for (before, after) in zip(made, read) {
            #expect(after.arrivalNanoseconds == before.arrivalNanoseconds / tick * tick, "seed \(seed)")
            #expect(after.promptTokens == before.promptTokens && after.outputTokens == before.outputTokens)
        }
    }

    private func reread(_ format: TraceFormat, _ text: String) throws -> [Request] {
        try requests(workload("\(format.rawValue):w", over: text))
    }

    /// Requests with the source that keeps their block hashes alive.
    private func held(_ text: String) throws -> (source: any RequestSource, requests: [Request]) {
        let source = try workload("mooncake:w", over: text).makeSource()
        var requests: [Request] = []
        while let request = try source.next() { requests.append(request) }
        return (source, requests)
    }

    @Test func sessionsAndHeadsSurviveTraceV2() throws {
        let built = try requests(Workload.open("chat?rate=5&limit=400&seed=3"))
        let read = try reread(.tracev2, try written(built, as: .tracev2).text)
        #expect(read.count == built.count)
        // Names are numbered anew, so what is compared is which requests belong together.
        func groups<Key: Hashable>(_ requests: [Request], _ key: (Request) -> Key) -> [Key: [UInt64]] {
            Dictionary(grouping: requests, by: key).mapValues { $0.map(\.id) }
        }
        #expect(
            Set(groups(built) { $0.prefix.session }.values) == Set(groups(read) { $0.prefix.session }.values))
        #expect(built.map(\.prefix.sharedHeadTokens).max()! > 0)
        #expect(built.map(\.prefix.sharedHeadTokens) == read.map(\.prefix.sharedHeadTokens))
        #expect(built.map(\.promptTokens) == read.map(\.promptTokens))
    }

    /// Two prompts share exactly their common full blocks.
    @Test func sharedPrefixesBecomeTheSameBlocks() throws {
        func request(_ id: UInt64, _ tokens: Int32, session: UInt64, head: UInt32 = 0, headTokens: Int32 = 0) -> Request
        {
            var request = Request(id: id, arrivalNanoseconds: 0, promptTokens: tokens, outputTokens: 1)
            request.prefix.session = session
            request.prefix.sharedHead = head
            request.prefix.sharedHeadTokens = headTokens
            return request
        }
        let list = [
            request(0, 1_300, session: 7), request(1, 2_048, session: 7), request(2, 1_300, session: 8),
            request(3, 1_300, session: 0), request(4, 2_000, session: 9, head: 4, headTokens: 1_100),
            request(5, 2_000, session: 10, head: 4, headTokens: 1_100),
            request(6, 512, session: 0, head: 4, headTokens: 512),
        ]
        let text = try written(list, as: .mooncake).text
        let ids = text.split(separator: "\n").map { line in
            line[line.firstIndex(of: "[")!...].dropFirst().dropLast(2).split(separator: ", ").map { Int($0)! }
        }
        #expect(ids.map(\.count) == [3, 4, 3, 3, 4, 4, 1])
        #expect(ids[0].prefix(2) == ids[1].prefix(2) && ids[0][2] != ids[1][2], "a partial block is nobody else's")
        #expect(Set(ids[2]).isDisjoint(with: ids[0]) && Set(ids[3]).isDisjoint(with: ids[0] + ids[2]))
        #expect(ids[4].prefix(2) == ids[5].prefix(2) && ids[4][2] != ids[5][2])
        #expect(ids[6][0] == ids[4][0], "a head is the same with and without a session")
        let (source, read) = try held(text)
        withExtendedLifetime(source) {
            #expect(read[0].prefix.blockHashes?[1] == read[1].prefix.blockHashes?[1])
        }
    }

    @Test func mooncakeIsWrittenAsItWasRead() throws {
        var random = RandomStream(seed: 2, stream: 22)
        var rows = RowFormat.mooncake.randomRows(200, &random)
        // Chained ids: a prefix of an earlier row's blocks, then new ones. The last, partial block is always new.
        var fresh = 0
        for index in rows.indices {
            let full = Int(rows[index].promptTokens) / 512
            let shared = index == 0 ? [] : rows[Int(random.below(UInt64(index)))].hashIDs.dropLast()
            var ids = Array(shared.prefix(min(full, Int(random.below(20)))))
            while ids.count < (Int(rows[index].promptTokens) + 511) / 512 {
                ids.append(fresh)
                fresh += 1
            }
            rows[index].hashIDs = ids
        }
        let (firstSource, first) = try held(RowFormat.mooncake.text(rows, crlf: false))
        let (secondSource, second) = try held(try written(first, as: .mooncake).text)
        func common(_ one: Request, _ other: Request) -> Int {
            let counts = min(one.prefix.blockHashCount, other.prefix.blockHashCount)
            return (0..<Int(counts)).prefix { one.prefix.blockHashes![$0] == other.prefix.blockHashes![$0] }.count
        }
        for one in stride(from: 0, to: 200, by: 7) {
            for other in 0..<200 where other != one {
                #expect(common(first[one], first[other]) == common(second[one], second[other]))
            }
        }
        withExtendedLifetime((firstSource, secondSource)) {}
    }

    /// Requests that a model drew do not become a recording by being written out.
    @Test(arguments: TraceFormat.writable, WorkloadGrade.allCases)
    func theGradeIsKept(format: TraceFormat, grade: WorkloadGrade) throws {
        var writer = try TraceWriter(format, grade: grade)
        var text = writer.header
        for index in 0..<3 as Range<UInt64> {
            text += try writer.line(
                Request(id: index, arrivalNanoseconds: Int64(index) * 1_000_000_000, promptTokens: 700, outputTokens: 3)
            )
        }
        let name = "\(format.rawValue):t" + (format == .lengths ? "?rate=1" : "")
        let read = try Workload(WorkloadDescription(parsing: name), bytes: Array(text.utf8))
        // Lengths come without times, so they are no recording in any case.
        #expect(read.provenance.grade == (format == .lengths ? max(grade, .derived) : grade))
        let source = try read.makeSource()
        var count = 0
        while let request = try source.next() {
            #expect(request.promptTokens == 700 && request.outputTokens == 3)
            count += 1
        }
        #expect(count == 3)
        let broken = text.replacing(grade.rawValue, with: "guessed")
        if broken != text {
            let error = workloadError {
                _ = try Workload(WorkloadDescription(parsing: name), bytes: Array(broken.utf8))
            }
            #expect(error?.message.contains("'guessed'") == true)
        }
    }

    @Test func whatIsLostIsSaid() throws {
        let built = try requests(Workload.open("chat?rate=5&limit=100&seed=3"))
        let losses = try written(built, as: .azure).losses
        #expect(losses.contains { $0.contains("session") } && losses.contains { $0.contains("prefix") })
        #expect(workloadError { _ = try TraceWriter(.servegen) }?.message.contains("azure, burstgpt") == true)
    }
}
