import Testing

@testable import Workload

@Suite struct SessionTests {
    /// Two sessions with a shared head of 2 blocks; the second with a sub-agent.
    static let delta = """
        {"id":"a","models":["m"],"block_size":64,"tool_tokens":100,"system_tokens":30,"requests":[\
        {"t":0.0,"type":"n","model":"m","in":300,"out":5,"keep":0,"new":[[1,4]],"stop":"x"},\
        {"t":2.5,"type":"n","model":"m","in":450,"out":7,"keep":4,"new":[[5,3]]},\
        {"t":4.0,"type":"s","model":"m","in":200,"out":1,"keep":2,"new":[[8,1]]}]}
        {"id":"b","models":["m"],"block_size":64,"tool_tokens":100,"system_tokens":30,"requests":[\
        {"t":0.0,"type":"n","model":"m","in":300,"out":5,"keep":0,"new":[[1,4]]},\
        {"t":1.0,"type":"subagent","agent_id":"s","requests":[{"t":0.5,"type":"n","in":64,"out":0,"keep":0,"new":[[9,1]]}]},\
        {"t":3.0,"type":"n","model":"m","in":310,"out":5,"keep":4,"new":[]}]}

        """
    static let original = """
        {"id":"a","models":["m"],"block_size":64,"tool_tokens":100,"system_tokens":30,"requests":[\
        {"t":0.0,"in":300,"out":5,"hash_ids":[1,2,3,4]},{"t":2.5,"in":450,"out":7,"hash_ids":[1,2,3,4,5,6,7]},\
        {"t":4.0,"in":200,"out":1,"hash_ids":[1,2,8]}]}
        {"id":"b","models":["m"],"block_size":64,"tool_tokens":100,"system_tokens":30,"requests":[\
        {"t":0.0,"in":300,"out":5,"hash_ids":[1,2,3,4]},\
        {"t":1.0,"type":"subagent","requests":[{"t":0.5,"in":64,"out":0,"hash_ids":[9]}]},\
        {"t":3.0,"in":310,"out":5,"hash_ids":[1,2,3,4]}]}
        """

    private func hashes(_ request: Request) -> [UInt64] {
        (0..<Int(request.prefix.blockHashCount)).map { request.prefix.blockHashes![$0] }
    }

    @Test func bothFormsReadTheSame() throws {
        let sources = try [SessionTests.delta, SessionTests.original].map {
            try workload("claude-code:s?rate=100", over: $0).makeSource()
        }
        var read: [[Request]] = [[], []]
        for (index, source) in sources.enumerated() {
            while let request = try source.next() { read[index].append(request) }
        }
        #expect(read[0].count == 6)
        #expect(read[0].map(\.arrivalNanoseconds) == read[1].map(\.arrivalNanoseconds))
        #expect(read[0].map { hashes($0) } == read[1].map { hashes($0) })
        let first = read[0].filter { $0.prefix.session == 1 }
        #expect(first.map(\.arrivalNanoseconds) == [0, 2_500_000_000, 4_000_000_000])
        #expect(first.map(\.promptTokens) == [300, 450, 200])
        let (a, b, c) = (hashes(first[0]), hashes(first[1]), hashes(first[2]))
        #expect(Array(b.prefix(4)) == a && b.count == 7)
        #expect(Array(c.prefix(2)) == Array(a.prefix(2)) && c[2] != a[2])
        let second = read[0].filter { $0.prefix.session == 2 }
        #expect(second.map(\.outputTokens) == [5, 1, 5], "0 output tokens are taken as 1")
        let other = hashes(second[0])
        // Head: (100 + 30) / 64 = 2 whole blocks, shared between sessions; ids beyond it mean something else in each.
        #expect(Array(other.prefix(2)) == Array(a.prefix(2)))
        #expect(other[2] != a[2])
        #expect(Set(a).count == 4)
    }

    @Test func recordedSessionsAgreeInBothForms() throws {
        guard let delta = referenceData("traces/claude-code-kvct/v8.shared.delta.jsonl.gz"),
            let original = referenceData("traces/claude-code-kvct/v8.shared40.original.jsonl.gz")
        else { return }
        let first = ClaudeCodeReader(try TraceInput.path(delta).lines(), policy: .strict)
        let second = ClaudeCodeReader(try TraceInput.path(original).lines(), policy: .strict)
        var sessions = 0
        while let expected = try second.nextSession(), let found = try first.nextSession() {
            sessions += 1
            #expect(found.count == expected.count)
            for (one, other) in zip(found, expected) {
                #expect(one.arrivalNanoseconds == other.arrivalNanoseconds && one.promptTokens == other.promptTokens)
                guard hashes(one) == hashes(other) else {
                    Issue.record("session \(sessions): blocks differ")
                    return
                }
            }
        }
        #expect(sessions == 40)
    }

    @Test func everySessionOfTheRecordedTraceIsRead() throws {
        guard let path = referenceData("traces/claude-code-kvct/v8.shared.delta.jsonl.gz") else { return }
        let source = try Workload.open("claude-code:\(path)?rate=50").makeSource()
        var count = 0
        var sessions: Set<UInt64> = []
        var last: Int64 = 0
        while let request = try source.next() {
            #expect(request.arrivalNanoseconds >= last)
            last = request.arrivalNanoseconds
            sessions.insert(request.prefix.session)
            count += 1
        }
        // 18,346 calls and 319 calls of sub-agents in 237 sessions.
        #expect(count == 18_346 + 319)
        #expect(sessions.count == 237)
    }

    @Test func generatedSessionsRepeatWhatTheyComputed() throws {
        for name in ["chat?rate=50&duration=900", "agents?rate=20&duration=3000"] {
            var contexts: [UInt64: Int32] = [:]
            var repeated = 0
            var last: Int64 = 0
            let read = try requests(Workload.open(name))
            for request in read {
                #expect(request.arrivalNanoseconds >= last)
                last = request.arrivalNanoseconds
                let prefix = request.prefix
                #expect(prefix.session != 0 && prefix.sharedHead != 0)
                #expect(prefix.sessionTokens < request.promptTokens && prefix.sharedHeadTokens <= request.promptTokens)
                if let before = contexts[prefix.session], prefix.sessionTokens > 0 {
                    #expect(prefix.sessionTokens == before)
                    repeated += 1
                }
                contexts[prefix.session] = request.promptTokens + request.outputTokens
            }
            #expect(repeated > read.count / 4, "\(name)")
        }
    }

    @Test func heapYieldsInOrder() {
        var random = RandomStream(seed: 3)
        var heap = SessionHeap()
        var oracle: [Int64] = []
        for _ in 0..<5_000 {
            if random.below(3) > 0 || oracle.isEmpty {
                let time = Int64(random.below(1_000))
                heap.insert(SessionHeap.Entry(time: time, session: random.next(), contextTokens: 0, head: 0))
                oracle.append(time)
            } else {
                oracle.sort(by: >)
                #expect(heap.first?.time == oracle.removeLast())
                heap.removeFirst()
            }
        }
        #expect(heap.count == oracle.count)
    }
}
