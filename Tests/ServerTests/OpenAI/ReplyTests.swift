import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import Server

@Suite struct ReplyTests {
    static func plan(
        _ more: String = "", _ endpoint: GenerationEndpoint = .chat, rule: OutputLengthRule = OutputLengthRule()
    ) throws
        -> (GenerationRequest, ReplyPlan)
    {
        let prompt =
            endpoint == .chat ? #""messages":[{"role":"user","content":"a question"}]"# : #""prompt":"a question""#
        let request = try GenerationRequestTests.parse(
            #"{"model":"m",\#(prompt)\#(more.isEmpty ? "" : ",")\#(more)}"#, endpoint)
        return (
            request, ReplyPlan(request: request, prompt: request.prompts[0], choice: 0, contextLeft: 1000, rule: rule)
        )
    }

    /// Any piece that a buffer holds can be a chunk: a long reply's last events come in one.
    @Test func chunksAreAsLongAsTheyNeedToBe() {
        for count in [1, 15, 16, 0xFF_FFFF, 0x100_0000, 0x123_4567] {
            var buffer = ByteBuffer()
            buffer.writeString("head")
            let place = buffer.beginChunk()
            buffer.writeRepeatingByte(UInt8(ascii: "x"), count: count)
            buffer.endChunk(at: place)
            #expect(buffer.readString(length: 4) == "head")
            let line = buffer.readString(length: ByteBuffer.chunkHeaderBytes) ?? ""
            #expect(line.hasSuffix("\r\n") && Int(line.dropLast(1), radix: 16) == count, "\(count)")
            #expect(buffer.readableBytes == count + 2)
        }
        var empty = ByteBuffer()
        let place = empty.beginChunk()
        empty.endChunk(at: place)
        #expect(empty.readableBytes == 0, "an empty chunk would end the body")
    }

    /// Its last token may have left before the fleet says that it is done.
    @Test func aChoiceThatHasEndedIsClosedThoughAnotherGoesOn() throws {
        let (request, plan) = try Self.plan(#""max_tokens":3,"n":2,"stream":true"#)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let front = LoopFrontEnd(
            number: 0, loop: group.next(), scheduler: FakeScheduler(behaviour: .init(), log: FakeLog()),
            settings: ServingSettings(models: []),
            counters: LoopCounters(sides: [PoolNumbers(firstReplicas: [0], maxModelTokens: [100])]))
        let exchange = Exchange(
            connection: ServingHandler(frontEnd: front, routes: ExporterRoutes { _ in ByteBuffer() }), number: 1,
            request: request, writer: request.writer(number: 1, createdSeconds: 5),
            model: ServedModel(name: "m", maxModelTokens: 100), keepAlive: true, framing: .chunked,
            requestIDHeader: nil, keyName: nil)
        for id in 1...2 as ClosedRange<UInt64> { exchange.append(requestID: id, plan: plan, promptTokens: 1) }
        exchange.produced(sequence: 0, outputTokens: 3)
        _ = exchange.nextPiece(date: DateHeader(), allocator: ByteBufferAllocator())
        #expect(!exchange.hasSomethingToWrite)
        exchange.finished(sequence: 0, cachedTokens: 0)
        #expect(exchange.hasSomethingToWrite)
        let piece = String(buffer: exchange.nextPiece(date: DateHeader(), allocator: ByteBufferAllocator()))
        #expect(piece.contains(#""index":0,"delta":{},"logprobs":null,"finish_reason":"length""#), "\(piece)")
        #expect(!exchange.hasSomethingToWrite && !exchange.isOver)
    }

    @Test func maxTokensIsExactByDefault() throws {
        #expect(try Self.plan(#""max_tokens":37"#).1.outputTokens == 37)
        #expect(try Self.plan(#""max_tokens":37"#).1.finish == .length)
    }

    @Test func lengthsAreDrawnWhenNothingFixesThem() throws {
        var counts: [Int32] = []
        for seed in 0..<2000 { counts.append(try Self.plan(#""seed":\#(seed)"#).1.outputTokens) }
        counts.sort()
        // Log-normal with median 129 and sigma 1.1, clipped to the context of 1000: check the quartiles.
        #expect((115...145).contains(counts[1000]))
        #expect((52...72).contains(counts[500]))
        #expect((235...305).contains(counts[1500]))
        #expect(counts.allSatisfy { (1...1000).contains($0) })
        #expect(try Self.plan(#""seed":5"#).1 == Self.plan(#""seed":5"#).1)
    }

    @Test func drawnRuleCutsAtTheLimit() throws {
        let rule = OutputLengthRule(limit: .drawn)
        for seed in 0..<200 {
            let plan = try Self.plan(#""max_tokens":50,"min_tokens":10,"seed":\#(seed)"#, rule: rule).1
            #expect((10...50).contains(plan.outputTokens))
            #expect(plan.finish == (plan.outputTokens == 50 ? .length : .stop))
        }
        #expect(try Self.plan(#""max_tokens":50,"ignore_eos":true"#, rule: rule).1.outputTokens == 50)
    }

    @Test func stopStringEndsTheReply() throws {
        let (request, whole) = try Self.plan(#""max_tokens":200"#)
        var text = ByteBuffer()
        FillerText.append(0..<200, seed: whole.fillerSeed, to: &text)
        let words = String(buffer: text).split(separator: " ")
        let stop = String(words[60])
        let first = words.firstIndex(where: { $0.contains(stop) })!
        var stopped = request
        stopped.stop = [stop]
        let plan = ReplyPlan(
            request: stopped, prompt: request.prompts[0], choice: 0, contextLeft: 1000, rule: OutputLengthRule())
        #expect(plan.outputTokens == Int32(first + 1))
        #expect(plan.finish == .stop)
        let reply = try Self.wholeText(stopped, plan)
        #expect(!reply.contains(stop))
        // `min_tokens` holds off stop strings too.
        stopped.minTokens = Int32(first + 2)
        let held = ReplyPlan(
            request: stopped, prompt: request.prompts[0], choice: 0, contextLeft: 1000, rule: OutputLengthRule())
        #expect(held.outputTokens == 200 && held.finish == .length)
        #expect(String(buffer: text).hasPrefix(reply))
    }

    static func wholeText(_ request: GenerationRequest, _ plan: ReplyPlan) throws -> String {
        var buffer = ByteBuffer()
        ReplyWriter(request: request, number: 1, createdSeconds: 5).writeBody(
            plans: [plan], usage: Usage(promptTokens: 1, cachedTokens: 0, completionTokens: Int(plan.outputTokens)),
            to: &buffer)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(buffer.readableBytesView)) as? [String: Any])
        let choice = try #require((object["choices"] as? [[String: Any]])?.first)
        return try #require((choice["message"] as? [String: Any])?["content"] as? String ?? choice["text"] as? String)
    }

    /// Streams a plan and puts the deltas together.
    static func streamed(
        _ request: GenerationRequest, _ plan: ReplyPlan
    ) throws -> (text: String, events: [[String: Any]]) {
        let writer = ReplyWriter(request: request, number: 1, createdSeconds: 5)
        var buffer = ByteBuffer()
        let usage = Usage(promptTokens: 3, cachedTokens: 1, completionTokens: Int(plan.outputTokens))
        writer.writeOpening(choice: 0, plan: plan, usage: usage, to: &buffer)
        var bytes = 0
        for index in 0..<plan.outputTokens {
            bytes += writer.writeToken(index, choice: 0, plan: plan, textBytes: bytes, usage: usage, to: &buffer)
        }
        writer.writeClosing(choice: 0, plan: plan, usage: usage, to: &buffer)
        writer.writeEnd(plans: [plan], usage: usage, to: &buffer)
        var text = ""
        var events: [[String: Any]] = []
        let lines = String(buffer: buffer).components(separatedBy: "\n\n").filter { !$0.isEmpty }
        #expect(lines.last == "data: [DONE]")
        for line in lines.dropLast() {
            #expect(line.hasPrefix("data: "))
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(line.dropFirst(6).utf8)) as? [String: Any])
            events.append(object)
            guard let choice = (object["choices"] as? [[String: Any]])?.first else { continue }
            let delta = choice["delta"] as? [String: Any]
            let call = (delta?["tool_calls"] as? [[String: Any]])?.first?["function"] as? [String: Any]
            text += choice["text"] as? String ?? delta?["content"] as? String ?? call?["arguments"] as? String ?? ""
        }
        return (text, events)
    }

    @Test(arguments: [GenerationEndpoint.chat, .completion])
    func streamedTextEqualsWholeText(_ endpoint: GenerationEndpoint) throws {
        let (request, plan) = try Self.plan(
            #""max_tokens":40,"stream":true,"stream_options":{"include_usage":true}"#, endpoint)
        let (text, events) = try Self.streamed(request, plan)
        #expect(text == (try Self.wholeText(request, plan)))
        let usage = try #require(events.last?["usage"] as? [String: Any])
        #expect(usage["completion_tokens"] as? Int == 40)
        #expect((usage["prompt_tokens_details"] as? [String: Any])?["cached_tokens"] as? Int == 1)
        #expect((events.last?["choices"] as? [Any])?.isEmpty == true)
        let finish = events.compactMap { (($0["choices"] as? [[String: Any]])?.first)?["finish_reason"] as? String }
        #expect(finish == ["length"])
        // One event a token, and for chats one each for the role and the end; then usage.
        #expect(events.count == 40 + (endpoint == .chat ? 2 : 0) + 1)
    }

    @Test func jsonRepliesParse() throws {
        let (request, plan) = try Self.plan(#""max_tokens":9,"response_format":{"type":"json_object"}"#)
        let text = try Self.wholeText(request, plan)
        #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) is [String: String])
        #expect(try Self.streamed(request, plan).text == text)
    }

    @Test func toolCallsHaveParsableArguments() throws {
        let (request, plan) = try Self.plan(
            #""max_tokens":9,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required""#)
        #expect(plan.finish == .toolCalls)
        let (text, events) = try Self.streamed(request, plan)
        #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) is [String: String])
        let delta = ((events[0]["choices"] as? [[String: Any]])?[0]["delta"]) as? [String: Any]
        let call = (delta?["tool_calls"] as? [[String: Any]])?[0]
        #expect((call?["function"] as? [String: Any])?["name"] as? String == "f")
    }
}
