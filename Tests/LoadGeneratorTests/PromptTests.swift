import Testing
import Workload

@testable import LoadGenerator

@Suite struct PromptTests {
    private let text = PromptText(.common, seed: 3)

    private func words(_ request: Request) -> [Substring] {
        var bytes: [UInt8] = []
        text.write(request, into: &bytes)
        return String(decoding: bytes, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: true)
    }

    private func request(_ id: UInt64, _ tokens: Int32) -> Request {
        Request(id: id, arrivalNanoseconds: 0, promptTokens: tokens, outputTokens: 1)
    }

    @Test(arguments: [1, 2, 7, 8, 9, 100, 5_000, 70_000] as [Int32])
    func promptsHaveTheirLength(tokens: Int32) {
        #expect(words(request(1, tokens)).count == Int(tokens))
    }

    @Test func independentPromptsShareNothing() {
        var beginnings: Set<String> = []
        for id in 0..<5_000 { beginnings.insert(words(request(UInt64(id), 16)).prefix(8).joined(separator: " ")) }
        #expect(beginnings.count == 5_000)
    }

    @Test func turnsOfASessionRepeatTheOnesBefore() {
        var first = request(1, 300)
        first.prefix.session = 7
        first.prefix.sharedHead = 2
        first.prefix.sharedHeadTokens = 100
        var second = request(2, 500)
        second.prefix = first.prefix
        second.prefix.sessionTokens = 310
        #expect(Array(words(second).prefix(300)) == words(first))
        var other = request(3, 300)
        other.prefix = first.prefix
        other.prefix.session = 8
        #expect(words(other).prefix(100) == words(first).prefix(100))
        #expect(words(other)[100..<108] != words(first)[100..<108])
    }

    @Test func blocksWithTheSameHashAreTheSameText() {
        let hashes: [UInt64] = [11, 12, 13]
        let others: [UInt64] = [11, 12, 99]
        hashes.withUnsafeBufferPointer { one in
            others.withUnsafeBufferPointer { two in
                var first = request(1, 150)
                first.prefix.blockHashes = one.baseAddress
                first.prefix.blockHashCount = 3
                first.prefix.tokensPerHash = 64
                var second = request(2, 192)
                second.prefix = first.prefix
                second.prefix.blockHashes = two.baseAddress
                #expect(words(first).count == 150 && words(second).count == 192)
                #expect(words(first).prefix(128) == words(second).prefix(128))
                #expect(words(first)[128] != words(second)[128] || words(first)[129] != words(second)[129])
            }
        }
    }

    @Test func requestsAreWholeHTTP() throws {
        var configuration = LoadConfiguration(target: try LoadTarget(parsing: "http://h:81/p"), model: "a\"b\\c")
        configuration.headers = [("Authorization", "Bearer k")]
        configuration.ignoresEndOfSequence = true
        var bytes = Array("what was written before".utf8)
        let start = RequestWriter(configuration, prompts: text).encode(request(5, 3), into: &bytes)
        let written = String(decoding: bytes[start...], as: UTF8.self)
        let parts = written.split(separator: "\r\n\r\n", maxSplits: 1)
        #expect(parts[0].hasPrefix("POST /p/v1/chat/completions HTTP/1.1\r\nHost: h:81\r\n"))
        #expect(parts[0].contains("\r\nAuthorization: Bearer k\r\n"))
        #expect(parts[0].hasSuffix("Content-Length: \(parts[1].utf8.count)"))
        #expect(parts[1].hasPrefix("{\"model\":\"a\\\"b\\\\c\",\"messages\":[{\"role\":\"user\",\"content\":\" "))
        #expect(
            parts[1].hasSuffix(
                "\"}],\"max_tokens\":1,\"stream\":true,\"stream_options\":{\"include_usage\":true},\"ignore_eos\":true}"
            )
        )
    }
}
