import Testing
import Workload

@Suite struct AzureTests {
    static let text = """
        TIMESTAMP,ContextTokens,GeneratedTokens\r
        2023-11-16 18:15:46.6805900,374,44\r
        2023-11-16 18:15:50.9951690,396,109\r
        2023-11-17 00:00:00,879,0
        """

    @Test func firstArrivalIsZeroAndTicksAreExact() throws {
        let read = try requests(workload("azure:t.csv", over: AzureTests.text))
        #expect(read.map(\.id) == [0, 1, 2])
        #expect(read.map(\.arrivalNanoseconds) == [0, 4_314_579_000, 20_653_319_410_000])
        #expect(read.map(\.promptTokens) == [374, 396, 879])
    }

    @Test func zeroGeneratedTokensCountAsOne() throws {
        let opened = try workload("azure:t.csv", over: AzureTests.text)
        let source = try opened.makeSource()
        var last: Request?
        while let request = try source.next() { last = request }
        #expect(last?.outputTokens == 1)
        #expect(source.reading.raisedToOneToken == 1)
        #expect(source.reading.accepted == 3)
    }

    @Test func wholeConversationTrace() throws {
        guard let path = referenceData("traces/azure-llm-2023/AzureLLMInferenceTrace_conv.csv.gz") else { return }
        let read = try requests(Workload.open("azure:\(path)"))
        #expect(read.count == 19_366)
        #expect(read.first?.arrivalNanoseconds == 0)
        #expect(zip(read, read.dropFirst()).allSatisfy { $0.arrivalNanoseconds <= $1.arrivalNanoseconds })
        // From the last row's time, 19:14:08.4025270.
        #expect(read.last?.arrivalNanoseconds == 3_501_721_937_000)
        let rescaled = try requests(Workload.open("azure:\(path)?rate=100"))
        let span = Double(rescaled.last!.arrivalNanoseconds) / 1e9
        #expect(abs(Double(rescaled.count - 1) / span - 100) < 1e-6)
        #expect(rescaled.map(\.promptTokens) == read.map(\.promptTokens))
    }
}
