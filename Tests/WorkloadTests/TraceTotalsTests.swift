import Testing

@testable import Workload

/// Totals of the public traces, as their publishers or a one-line count of the files give them.
@Suite struct TraceTotalsTests {
    @Test func mooncakeSynthetic() throws {
        guard let path = referenceData("traces/mooncake-fast25/synthetic_trace.jsonl.gz") else { return }
        let source = try Workload.open("mooncake:\(path)").makeSource()
        var count = 0
        while let request = try source.next() {
            #expect(request.prefix.blockHashCount == (request.promptTokens + 511) / 512)
            count += 1
        }
        #expect(count == 3_993)
    }

    @Test func mooncakeConversationSharesItsFirstBlock() throws {
        guard let path = referenceData("traces/mooncake-fast25/conversation_trace.first20min.jsonl.gz") else { return }
        let source = try Workload.open("mooncake:\(path)").makeSource()
        var firstBlocks: Set<UInt64> = []
        var times: Set<Int64> = []
        var count = 0
        while let request = try source.next() {
            firstBlocks.insert(request.prefix.blockHashes![0])
            times.insert(request.arrivalNanoseconds)
            count += 1
        }
        #expect(count == 3_658)
        #expect(firstBlocks.count == 1)
        let spread = try requests(Workload.open("mooncake:\(path)?spread=3"))
        #expect(spread.count == 3_658)
        #expect(Set(spread.map(\.arrivalNanoseconds)).count > 2 * times.count)
        #expect(zip(spread, spread.dropFirst()).allSatisfy { $0.arrivalNanoseconds <= $1.arrivalNanoseconds })
    }

    @Test func namedSpeedWorkload() throws {
        guard let path = referenceData("peer-bench/n3.vidur.csv.gz") else { return }
        let read = try requests(Workload.open("vidur:\(path)"))
        #expect(read.count == 19_366)
        #expect(read.allSatisfy { $0.promptTokens + $0.outputTokens <= 4_096 })
    }

    @Test func shareGPTLengths() throws {
        guard let path = referenceData("traces/sarathi-lengths/sharegpt_8k_filtered_stats_llama2_tokenizer.csv.gz")
        else { return }
        let once = try requests(Workload.open("lengths:\(path)?rate=100"))
        #expect(once.count == 30_731)
        #expect(once[0].promptTokens == 74 && once[0].outputTokens == 918)
        let looped = try requests(Workload.open("lengths:\(path)?rate=100&limit=40000"))
        #expect(looped.count == 40_000)
        #expect(looped[30_731].promptTokens == 74)
        let drawn = try requests(Workload.open("lengths:\(path)?rate=100&limit=5000&order=random"))
        #expect(drawn.map(\.promptTokens) != once.prefix(5_000).map(\.promptTokens))
    }

    /// 212.78 requests/s in the first ten minutes and 179.698 in the next, summed over all clients.
    @Test func serveGenHasTheAggregateRate() throws {
        guard let path = referenceData("traces/servegen") else { return }
        let opened = try Workload.open("servegen:\(path)/m-large?duration=1200")
        let read = try requests(opened)
        let first = read.count { $0.arrivalNanoseconds < 600_000_000_000 }
        #expect(abs(Double(first) / 600 / 212.78 - 1) < 0.05, "\(Double(first) / 600) requests/s")
        let second = read.count - first
        #expect(abs(Double(second) / 600 / 179.698 - 1) < 0.05, "\(Double(second) / 600) requests/s")
        #expect(zip(read, read.dropFirst()).allSatisfy { $0.arrivalNanoseconds <= $1.arrivalNanoseconds })
        #expect(opened.provenance.assumptions.contains { $0.contains("borrow the lengths") })
        let paced = try requests(Workload.open("servegen:\(path)/m-large?duration=1200&rate=10"))
        #expect(abs(Double(paced.count) / 12_000 - 1) < 0.1)
        let images = try requests(Workload.open("servegen:\(path)/mm-image?duration=600"))
        // An image alone is 1,196 tokens for the largest client.
        #expect(images.reduce(0) { $0 + Int($1.promptTokens) } / images.count > 800)
        let which = workloadError { _ = try Workload.open("servegen:\(path)") }
        #expect(which?.message.contains("m-large") == true && which?.message.contains("mm-image") == true)
    }

    @Test func traceV2KnowsGroupsAndSessions() throws {
        let text = """
            request_id,client_id,tenant_id,slo_class,vllm_priority,session_id,round_index,prefix_group,prefix_length,streaming,input_tokens,output_tokens,arrival_time_us,status
            1,c,t,critical,-2,s1,1,g,100,true,400,20,3000000,ok
            0,c,t,critical,5,s1,0,g,100,true,50,10,1000000,ok
            2,c,t,critical,0,,0,,0,true,7,0,3000000,error
            """
        let read = try requests(workload("tracev2:f", over: text))
        #expect(read.map(\.arrivalNanoseconds) == [0, 2_000_000_000, 2_000_000_000])
        #expect(read.map(\.promptTokens) == [150, 500, 7])
        #expect(read.map(\.outputTokens) == [10, 20, 1])
        #expect(read.map(\.prefix.sessionTokens) == [0, 160, 0])
        #expect(read.map(\.prefix.sharedHead) == [1, 1, 0])
        #expect(read.map(\.prefix.sharedHeadTokens) == [100, 100, 0])
        #expect(read.map(\.priority) == [5, -2, 0])
        let old = try requests(
            workload("tracev2:f", over: "input_tokens,output_tokens,prefix_group,arrival_time_us\n70,2,g,5\n"))
        #expect(old[0].promptTokens == 70)
    }
}
