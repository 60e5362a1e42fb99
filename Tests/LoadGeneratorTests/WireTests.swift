import Testing
import Workload

@testable import LoadGenerator

/// Collects what a parser finds.
private struct Collector: HTTPResponseSink {
    var heads: [ResponseHead] = []
    var bodies: [[UInt8]] = []

    mutating func head(_ head: ResponseHead) {
        heads.append(head)
        bodies.append([])
    }

    mutating func body(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        bodies[bodies.count - 1] += bytes
        return true
    }

    mutating func end() { ends += 1 }

    var ends = 0
}

@Suite struct WireTests {
    /// Feeds `text` in pieces of random size; returns what was found, or the fault.
    private func parse(_ text: String, _ random: inout RandomStream, largestPiece: UInt64) throws -> Collector {
        var parser = HTTPResponseParser()
        var found = Collector()
        let bytes = Array(text.utf8)
        var position = 0
        while position < bytes.count {
            let count = min(bytes.count - position, 1 + Int(random.below(largestPiece)))
            var consumed = 0
            try bytes[position..<position + count].withUnsafeBufferPointer { piece in
                if let ended = try parser.feed(piece, &found) { consumed = ended } else { consumed = count }
            }
            position += consumed
        }
        return found
    }

    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func responsesAreTheSameHoweverTheyAreCut(seed: UInt64) throws {
        var random = RandomStream(seed: seed)
        var text = ""
        var bodies: [String] = []
        for _ in 0..<8 {
            var body = ""
            for _ in 0..<random.below(200) { body += String(UnicodeScalar(UInt8(32 + random.below(90)))) }
            if random.below(3) == 0 { text += "HTTP/1.1 100 Continue\r\n\r\n" }
            switch random.below(3) {
            case 0: text += "HTTP/1.1 200 OK\r\ncontent-LENGTH:  \(body.utf8.count) \t\r\nX: y\r\n\r\n\(body)"
            case 1:
                text += "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"
                var rest = Substring(body)
                while !rest.isEmpty {
                    let piece = rest.prefix(1 + Int(random.below(50)))
                    rest = rest.dropFirst(piece.count)
                    text +=
                        String(piece.utf8.count, radix: 16, uppercase: random.below(2) == 0) + ";ext=1\r\n\(piece)\r\n"
                }
                text += "0\r\nTrailer: x\r\n\r\n"
            default:
                body = ""
                text += "HTTP/1.1 204 No Content\r\n\r\n"
            }
            bodies.append(body)
        }
        let found = try parse(text, &random, largestPiece: 1 + random.below(120))
        #expect(found.bodies.map { String(decoding: $0, as: UTF8.self) } == bodies, "seed \(seed)")
        #expect(found.ends == 8)
    }

    @Test(arguments: 1...300 as ClosedRange<UInt64>)
    func randomBytesNeverCrash(seed: UInt64) {
        var random = RandomStream(seed: seed)
        let good =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2a\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n0\r\n\r\n"
        var bytes = Array(good.utf8)
        for _ in 0..<(1 + random.below(6)) {
            bytes[Int(random.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: random.next())
        }
        var parser = HTTPResponseParser()
        var exchange = StreamExchange(
            record: RequestRecord(), streams: true, cancelAfterChunks: .max, shared: SharedScratch())
        exchange.beginFeed(at: 5)
        bytes.withUnsafeBufferPointer { piece in
            do throws(HTTPFault) {
                _ = try parser.feed(piece, &exchange)
            } catch {
                exchange.fail(.garbage, "\(error.reason)")
            }
        }
        if !parser.connectionEnded(&exchange) { exchange.connectionLost(at: 6, nil) }
        #expect(exchange.isFinished, "seed \(seed)")
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func eventsAreTheSameHoweverTheyAreCut(seed: UInt64) {
        var random = RandomStream(seed: seed)
        let ends = ["\n", "\r\n"]
        var text = ""
        var expected: [String] = []
        for index in 0..<30 {
            let end = ends[Int(random.below(2))]
            switch random.below(4) {
            case 0: text += ": keep-alive\(end)\(end)"
            case 1: text += "event: x\(end)id: 4\(end)"
            default:
                let payload = "{\"n\":\(index)}"
                text += (random.below(2) == 0 ? "data: " : "data:") + payload + end + end
                expected.append(payload)
            }
        }
        var parser = EventStreamParser()
        var found: [String] = []
        let bytes = Array(text.utf8)
        var position = 0
        while position < bytes.count {
            let count = min(bytes.count - position, 1 + Int(random.below(40)))
            _ = bytes[position..<position + count].withUnsafeBufferPointer { piece in
                parser.feed(piece) { found.append(String(decoding: $0, as: UTF8.self)) }
            }
            position += count
        }
        #expect(found == expected, "seed \(seed)")
    }

    @Test func eventsSayWhatTheyCarry() throws {
        func event(_ text: String) -> CompletionEvent? {
            Array(text.utf8).withUnsafeBufferPointer { try? CompletionEvent(parsing: $0) }
        }
        #expect(event("{\"choices\":[{\"delta\":{\"content\":\"\"}}]}")?.hasOutput == false)
        #expect(event("{\"choices\":[{\"delta\":{\"content\":null,\"role\":\"assistant\"}}]}")?.hasOutput == false)
        #expect(event("{\"choices\":[{\"delta\":{\"content\":\"\\\"\"}}]}")?.hasOutput == true)
        #expect(event("{\"choices\":[{\"delta\":{\"reasoning_content\":\"so\"}}]}")?.hasOutput == true)
        #expect(event("{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}")?.hasOutput == true)
        #expect(event("{\"choices\":[{\"text\":\" a\",\"finish_reason\":null}]}")?.hasOutput == true)
        #expect(event("{\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}")?.isFinal == true)
        #expect(event("{\"error\":{\"code\":5}}")?.isError == true)
        #expect(event("{\"error\":null,\"choices\":[]}")?.isError == false)
        let usage = event(
            "{\"usage\":{\"completion_tokens\":7,\"prompt_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":null}}}"
        )
        #expect(usage?.usage == Usage(promptTokens: 3, completionTokens: 7, cachedTokens: 0))
        #expect(event("{\"usage\":{\"completion_tokens\":1.5}}")?.hasMalformedUsage == true)
        for bad in ["", "{", "[]", "{\"choices\":[}", "{\"choices\":[]} x", "nonsense"] {
            #expect(event(bad) == nil, "\(bad)")
        }
    }
}
