import Testing

@testable import Workload

@Suite struct MalformedInputTests {
    /// Description, good text with a bad line in it, the line's number, and words that the message must have.
    static let badRows: [(String, String, Int, [String])] = [
        (
            "azure:f", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\nyesterday,1,2\n", 3,
            ["TIMESTAMP", "yesterday"]
        ),
        (
            "azure:f", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,-3,44\n", 2,
            ["ContextTokens", "-3"]
        ),
        (
            "azure:f", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,3\n", 2,
            ["TIMESTAMP", "nothing"]
        ),
        ("azure:f", "TIMESTAMP,ContextTokens\n", 1, ["GeneratedTokens"]),
        (
            "azure:f", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:47,3,4\n2023-11-16 18:15:46,3,4\n", 3,
            ["1.0 s before"]
        ),
        (
            "vidur:f", "arrived_at,num_prefill_tokens,num_decode_tokens\n0.5,1,99999999999999999999\n", 2,
            ["num_decode_tokens"]
        ),
        ("mooncake:f", "{\"timestamp\": 0, \"input_length\": 6, \"output_length\": 5\n", 1, ["'}'"]),
        ("mooncake:f", "\n{\"timestamp\": 0, \"input_length\": 6}\n", 2, ["output_length"]),
        (
            "mooncake:f", "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [1,2,3]}", 1,
            ["3 hash_ids", "at most 2"]
        ),
        (
            "mooncake:f", "{\"timestamp\": \"0\", \"input_length\": 6, \"output_length\": 5}", 1,
            ["timestamp", "column 15"]
        ),
        ("claude-code:f", "{\"id\":\"a\"}\n", 1, ["requests"]),
        ("claude-code:f", "{\"requests\":[{\"t\":0,\"in\":9,\"out\":1,\"keep\":3,\"new\":[[1,2]]}]}\n", 1, ["keep"]),
        ("claude-code:f", "{\"requests\":[{\"t\":0,\"in\":9,\"out\":1,\"keep\":0,\"new\":[[1]]}]}\n", 1, ["run"]),
        ("tracev2:f", "arrival_time_us,input_tokens,output_tokens\n1.5,1,1\n", 2, ["arrival_time_us"]),
        (
            "burstgpt:f",
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,x\nsoon,,1,1,2,x\n",
            3, ["Timestamp", "soon"]
        ),
        ("burstgpt:f", "Timestamp,Model,Request tokens\n", 1, ["Response tokens"]),
        ("lengths:f?rate=1", "prompt_tokens,output_tokens\n5,x\n", 2, ["output_tokens", "'x'"]),
    ]

    @Test(arguments: 0..<badRows.count)
    func errorNamesFileLineAndExpectation(index: Int) throws {
        let (description, text, line, words) = MalformedInputTests.badRows[index]
        let error = workloadError { _ = try requests(workload(description, over: text)) }
        #expect(error?.place == "f")
        #expect(error?.line == line, "\(error?.description ?? "no error")")
        for word in words { #expect(error?.message.contains(word) == true, "\(error?.description ?? "no error")") }
    }

    @Test func badRowsAreCountedWhenSkipped() throws {
        let text =
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,1\nx,1,1\n2023-11-16 18:15:48,2,y\n2023-11-16 18:15:49,3,1\n"
        let opened = try workload("azure:f", over: text, policy: ReadingPolicy(skipsBadRows: true))
        let source = try opened.makeSource()
        var read: [Request] = []
        while let request = try source.next() { read.append(request) }
        #expect(read.map(\.promptTokens) == [1, 3])
        #expect(read.map(\.id) == [0, 1])
        #expect(source.reading.skipped == 2)
        #expect(source.reading.firstSkipped?.line == 3)
        #expect(source.reading.notes.first?.contains("2 malformed rows") == true)
    }

    /// Random damage to good files: never a crash, and if an error then one that names the file and a line that exists
    /// (or, for damaged gzip, the file).
    @Test(arguments: RowFormat.allCases, 1...150 as ClosedRange<UInt64>)
    func damagedFilesGiveErrorsNotCrashes(format: RowFormat, seed: UInt64) throws {
        var random = RandomStream(seed: seed, stream: 11)
        let rows = format.randomRows(30, &random)
        var bytes = Array(format.text(rows, crlf: random.below(2) == 0).utf8)
        damage(&bytes, &random)
        check("\(format.rawValue):f", bytes, seed: seed)
        var compressed = gzipped(bytes)
        damage(&compressed, &random)
        let error = workloadError {
            _ = try requests(Workload(WorkloadDescription(parsing: "\(format.rawValue):f"), bytes: compressed))
        }
        if let error { #expect(error.place == "f", "seed \(seed): \(error)") }
    }

    @Test(arguments: 1...200 as ClosedRange<UInt64>)
    func damagedSessionsGiveErrorsNotCrashes(seed: UInt64) throws {
        var random = RandomStream(seed: seed, stream: 12)
        var bytes = Array(SessionTests.delta.utf8)
        damage(&bytes, &random)
        check("claude-code:f", bytes, seed: seed)
    }

    @Test(arguments: 1...150 as ClosedRange<UInt64>)
    func damagedLengthsGiveErrorsNotCrashes(seed: UInt64) throws {
        var random = RandomStream(seed: seed, stream: 13)
        var text = "prompt_tokens,output_tokens\n"
        for _ in 0..<30 { text += "\(1 + random.below(9_000)),\(1 + random.below(900))\n" }
        var bytes = Array(text.utf8)
        damage(&bytes, &random)
        check("lengths:f?rate=1", bytes, seed: seed)
    }

    private func check(_ description: String, _ bytes: [UInt8], seed: UInt64) {
        let lines = bytes.count { $0 == 10 } + 1
        let error = workloadError {
            _ = try requests(Workload(WorkloadDescription(parsing: description), bytes: bytes), limit: 10_000)
        }
        guard let error else { return }
        #expect(error.place == "f", "seed \(seed): \(error)")
        if !error.message.contains("is empty") && !error.message.contains("no sessions")
            && !error.message.contains("gzip")
        {
            #expect((1...lines).contains(error.line ?? 0), "seed \(seed): \(error)")
        }
        #expect(!error.message.contains("\n") && error.message.utf8.count < 600, "seed \(seed): \(error)")
    }

    /// One to four edits: a byte changed, a run removed, repeated or replaced by awkward text.
    private func damage(_ bytes: inout [UInt8], _ random: inout RandomStream) {
        let awkward = [
            "", ",", "\"", "{", "]", "-1", "1e9999", "99999999999999999999", "\u{0}", "ü", "\n", "[[", "null", "\r",
        ]
        for _ in 0...random.below(4) where !bytes.isEmpty {
            let position = Int(random.below(UInt64(bytes.count)))
            let end = min(bytes.count, position + Int(random.below(20)))
            switch random.below(4) {
            case 0: bytes[position] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.removeSubrange(position..<end)
            case 2: bytes.insert(contentsOf: Array(bytes[position..<end]), at: position)
            default: bytes.replaceSubrange(position..<end, with: awkward[Int(random.below(UInt64(awkward.count)))].utf8)
            }
        }
    }

    @Test func missingFilesAndFoldersAreNamed() throws {
        let missing = workloadError { _ = try Workload.open("azure:/nowhere/at/all.csv") }
        #expect(missing?.description == "/nowhere/at/all.csv: cannot be opened: No such file or directory")
        let folder = workloadError { _ = try Workload.open("azure:/") }
        #expect(folder?.message.contains("folder") == true)
        let servegen = workloadError { _ = try Workload.open("servegen:/nowhere/at/all") }
        #expect(servegen?.message.contains("folder") == true)
        let truncated = Array(gzipped(Array("TIMESTAMP,ContextTokens,GeneratedTokens\n".utf8)).dropLast(9))
        let cut = workloadError { _ = try Workload(WorkloadDescription(parsing: "azure:f"), bytes: truncated) }
        #expect(cut?.message.contains("ends in the middle") == true)
        let huge = [UInt8](repeating: 65, count: LineReader.longestLine + 10)
        let long = workloadError { _ = try Workload(WorkloadDescription(parsing: "azure:f"), bytes: huge) }
        #expect(long?.message.contains("longer than 64 MiB") == true)
    }
}
