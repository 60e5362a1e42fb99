import Testing
import Workload

@testable import LoadGenerator

/// The short way past the parser says what the parser says.
@Suite struct EventTemplateTests {
    private func parse(_ text: String) -> CompletionEvent? {
        Array(text.utf8).withUnsafeBufferPointer { try? CompletionEvent(parsing: $0) }
    }

    private func chunk(_ text: String, id: String = "x", finish: String = "null") -> String {
        "{\"id\":\"\(id)\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\(text)\"},\"finish_reason\":\(finish)}]}"
    }

    @Test func learnsWhereTheTextIs() throws {
        var template = EventTemplate()
        let bytes = Array(chunk(" word").utf8)
        bytes.withUnsafeBufferPointer { payload in
            let event = try? CompletionEvent(parsing: payload)
            guard let text = event?.text else {
                Issue.record("an event with one text has a place for it")
                return
            }
            #expect(String(decoding: bytes[text], as: UTF8.self) == " word")
            template.learn(payload, text: text)
        }
        func matches(_ text: String) -> Bool {
            Array(text.utf8).withUnsafeBufferPointer { template.matches($0) }
        }
        #expect(matches(chunk("another")) && matches(chunk("x")))
        #expect(!matches(chunk("")), "an empty text is no output")
        #expect(!matches(chunk("a", id: "y")) && !matches(chunk("a", finish: "\"stop\"")))
        #expect(!matches(chunk("a\\n")) && !matches(chunk("a\"},\"x\":{\"y\":\"")))
    }

    @Test func eventsWithMoreThanOneTextHaveNoTemplate() {
        #expect(parse("{\"choices\":[{\"delta\":{\"content\":\"a\",\"reasoning\":\"b\"}}]}")?.text == nil)
        #expect(parse("{\"choices\":[{\"text\":\"a\"},{\"text\":\"b\"}]}")?.text == nil)
        #expect(parse(chunk("a", finish: "\"stop\""))?.text == nil)
        #expect(parse("{\"choices\":[{\"text\":\"a\"}],\"usage\":{\"completion_tokens\":1}}")?.text == nil)
        #expect(parse("{\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":[{}]}}]}")?.text == nil)
    }

    /// Events with random mutations. Whatever the template accepts, the parser takes for one more output and nothing else.
    @Test(arguments: 1...200 as ClosedRange<UInt64>)
    func acceptsOnlyWhatTheParserWould(seed: UInt64) {
        var random = RandomStream(seed: seed)
        var template = EventTemplate()
        let alphabet = Array("ab \"\\{}[],:null0".utf8)
        var accepted = 0
        for _ in 0..<300 {
            var bytes = Array(chunk(["a", "bc", "", "d e"][Int(random.below(4))]).utf8)
            for _ in 0..<random.below(3) {
                // Mostly around the text, where a slip would matter.
                let position =
                    random.below(2) == 0 ? 46 + Int(random.below(10)) : Int(random.below(UInt64(bytes.count)))
                let letter = alphabet[Int(random.below(UInt64(alphabet.count)))]
                if random.below(2) == 0 { bytes[position] = letter } else { bytes.insert(letter, at: position) }
            }
            bytes.withUnsafeBufferPointer { payload in
                let event = try? CompletionEvent(parsing: payload)
                if template.matches(payload) {
                    accepted += 1
                    #expect(
                        event?.hasOutput == true && event?.isFinal == false && event?.isError == false
                            && event?.usage == nil && event?.hasMalformedUsage == false,
                        "seed \(seed): \(String(decoding: payload, as: UTF8.self))")
                }
                if let text = event?.text { template.learn(payload, text: text) }
            }
        }
        #expect(accepted > 20, "seed \(seed)")
    }
}
