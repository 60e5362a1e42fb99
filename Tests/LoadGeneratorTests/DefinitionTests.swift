import Testing
import Workload

@testable import LoadGenerator

/// What each figure of a request means, on numbers that can be checked by hand.
@Suite struct DefinitionTests {
    /// Wanted at 1 ms, sent at 3 ms, first output at 23 ms, ten tokens until 68 ms, usage at 70 ms.
    private func sample() -> RequestRecord {
        var record = RequestRecord()
        record.intended = 1_000_000
        record.dispatched = 3_000_000
        record.firstToken = 23_000_000
        record.lastToken = 68_000_000
        record.ended = 70_000_000
        record.largestGap = 9_000_000
        record.askedOutputTokens = 10
        record.outputTokens = 10
        record.promptTokens = 8
        record.status = .completed
        record.priorityClass = 2
        record.tenant = 7
        return record
    }

    @Test func latenciesCountFromTheSendAndFromTheIntendedTime() {
        let record = sample()
        #expect(record.ttft == 20_000_000 && record.ttftFromIntended == 22_000_000)
        #expect(record.e2e == 67_000_000 && record.e2eFromIntended == 69_000_000)
        #expect(record.lag == 2_000_000)
    }

    /// (E2E - TTFT) / (n - 1), and E2E / n.
    @Test func timePerTokenLeavesTheFirstTokenOut() {
        var record = sample()
        #expect(record.tpot == Int64(5_222_222))
        #expect(record.ntpot == 6_700_000)
        record.outputTokens = 1
        #expect(record.tpot == nil, "one token has no time per token after the first")
        record.outputTokens = 0
        #expect(record.ntpot == nil)
    }

    @Test func promisesAreHeldToTheIntendedTimeAndIncludeTheirBound() {
        let record = sample()
        func keeps(_ text: String) throws -> Bool { record.keeps(try RequestPromise(parsing: text)) }
        #expect((try? keeps("ttft=22ms")) == true && (try? keeps("ttft=21.9ms")) == false)
        #expect((try? keeps("tpot=5.3ms")) == true && (try? keeps("tpot=5.2ms")) == false)
        #expect((try? keeps("itl=9ms")) == true && (try? keeps("itl=8.9ms")) == false)
        #expect((try? keeps("e2e=69ms")) == true && (try? keeps("e2e=68.9ms")) == false)
        #expect((try? keeps("ttft=22ms,tpot=5ms")) == false, "every promise must be kept")
    }

    @Test func onlyCompletedRequestsHaveLatenciesAndGoodput() {
        var measured = LoadMeasurements()
        for status in RequestStatus.allCases {
            var record = sample()
            record.status = status
            measured.record(record, promise: RequestPromise(), recordLimit: 100)
        }
        #expect(measured.completed == 1 && measured.good == 1 && measured.e2e.count == 1 && measured.ttft.count == 1)
        #expect(measured.failed == RequestStatus.allCases.count - 3, "all but completed, cancelled and unfinished")
        #expect(measured.outputTokens == 10 && measured.byClass[2]?.good == 1 && measured.byTenant[7]?.good == 1)
    }

    /// A class whose requests fail has not kept its promise.
    @Test func goodputOfAClassCountsItsFailures() throws {
        var measured = LoadMeasurements()
        for (index, status) in [RequestStatus.completed, .truncated, .truncated, .cancelled].enumerated() {
            var record = sample()
            record.id = UInt64(index)
            record.status = status
            record.priorityClass = 3
            measured.record(record, promise: RequestPromise(), recordLimit: 100)
        }
        var other = LoadMeasurements()
        other.record(sample(), promise: try RequestPromise(parsing: "ttft=1ms"), recordLimit: 100)
        measured.merge(other)
        let group = try #require(measured.byClass[3])
        #expect(group.completed == 1 && group.failed == 2 && group.good == 1)
        #expect(measured.byClass[2]?.completed == 1 && measured.byClass[2]?.good == 0)
        #expect(measured.byTenant[7]?.completed == 2 && measured.byTenant[7]?.failed == 2)
    }

    @Test func retriesAreAttemptsAfterTheFirst() {
        var measured = LoadMeasurements()
        var record = sample()
        record.attempts = 3
        measured.record(record, promise: RequestPromise(), recordLimit: 100)
        #expect(measured.retries == 2 && measured.total == 1)
    }

    @Test func theFirstOutputThatIsNotEmptyCounts() {
        var exchange = StreamExchange(
            record: RequestRecord(), streams: true, cancelAfterChunks: .max, shared: SharedScratch())
        var parser = HTTPResponseParser()
        func feed(_ text: String, at time: Int64) {
            exchange.beginFeed(at: time)
            Array(text.utf8).withUnsafeBufferPointer { bytes in _ = try? parser.feed(bytes, &exchange) }
        }
        feed("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", at: 5)
        feed("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n", at: 10)
        #expect(exchange.record.firstToken == -1)
        feed("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", at: 30)
        feed("data: {\"choices\":[{\"delta\":{\"content\":\"\"}}]}\n\n", at: 40)
        feed("data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n", at: 50)
        #expect(exchange.record.firstToken == 30 && exchange.record.lastToken == 50)
        #expect(exchange.record.chunks == 2 && exchange.record.largestGap == 20)
    }

    @Test func schedulesAndPromptsFollowFromTheSeed() throws {
        func schedule(_ seed: Int) throws -> [Int64] {
            let table = Array("prompt_tokens,output_tokens\n8,4\n".utf8)
            let description = try WorkloadDescription(parsing: "lengths:t?rate=50&limit=200&seed=\(seed)")
            return try LoadSchedule(Workload(description, bytes: table)).requests.map(\.arrivalNanoseconds)
        }
        #expect(try schedule(4) == schedule(4))
        #expect(try schedule(4) != schedule(5))
        func prompt(_ seed: UInt64) -> [UInt8] {
            var bytes: [UInt8] = []
            // The first words decide already, lest a server's prefix cache knows them from another run.
            let request = Request(id: 1, arrivalNanoseconds: 0, promptTokens: 8, outputTokens: 1)
            PromptText(.common, seed: seed).write(request, into: &bytes)
            return bytes
        }
        #expect(prompt(4) == prompt(4) && prompt(4) != prompt(5))
    }

    /// A request a second later than wanted while answers take 10 ms: the client's fault. The same times with no lag: not.
    @Test(arguments: [true, false])
    func theClientIsBlamedForItsOwnLag(late: Bool) throws {
        let table = Array("prompt_tokens,output_tokens\n8,4\n".utf8)
        let description = try WorkloadDescription(parsing: "lengths:t?rate=100&arrivals=constant&limit=100")
        var measured = LoadMeasurements()
        for index in 0..<100 as Range<Int64> {
            var record = sample()
            record.intended = index * 10_000_000
            record.dispatched = record.intended + (late ? 1_000_000_000 : 20_000)
            record.firstToken = record.dispatched + 10_000_000
            record.ended = record.firstToken + 10_000_000
            measured.record(record, promise: RequestPromise(), recordLimit: 100)
        }
        let configuration = LoadConfiguration(target: try LoadTarget(parsing: "http://h"), model: "m")
        let result = LoadResult(
            measurements: measured, schedule: try LoadSchedule(Workload(description, bytes: table)),
            configuration: configuration, wallSeconds: 2, cpuSeconds: 0.1)
        #expect(LoadReport(result).clientWasTheLimit == late)
    }
}
