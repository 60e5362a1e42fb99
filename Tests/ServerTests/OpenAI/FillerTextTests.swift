import NIOCore
import Testing

@testable import Server

@Suite struct FillerTextTests {
    static func text(_ count: Int32, seed: UInt64) -> String {
        var buffer = ByteBuffer()
        FillerText.append(0..<count, seed: seed, to: &buffer)
        return String(buffer: buffer)
    }

    @Test func sameSeedSameText() {
        #expect(Self.text(50, seed: 1) == Self.text(50, seed: 1))
        #expect(Self.text(50, seed: 1) != Self.text(50, seed: 2))
    }

    @Test func tokensStandAlone() {
        // Token 10 written by itself is what it is inside the whole text.
        var alone = ByteBuffer()
        FillerText.append(10..<11, seed: 3, to: &alone)
        #expect(Self.text(11, seed: 3).hasSuffix(String(buffer: alone)))
    }

    @Test func oneWordAToken() {
        for seed in UInt64(0)..<20 {
            #expect(Self.text(200, seed: seed).split(separator: " ", omittingEmptySubsequences: false).count == 200)
        }
    }

    @Test func tableHasAPowerOfTwo() {
        // Every index of the mask is a word, and all are different.
        var words: Set<String> = []
        for index in 1..<Int32(20_000) {
            FillerText.withToken(index, seed: 9) { _ = words.insert(String(decoding: $0, as: UTF8.self)) }
        }
        #expect(words.count == FillerText.wordCount && words.count.nonzeroBitCount == 1)
        #expect(words.allSatisfy { $0.count >= 2 && $0.hasPrefix(" ") })
    }

    @Test func cutFindsTheEarliestStop() throws {
        let whole = Self.text(300, seed: 4)
        let words = whole.split(separator: " ")
        // A stop string that spans two tokens, found where a plain search finds it.
        let stop = "\(words[100]) \(words[101])"
        let range = try #require(whole.firstRange(of: stop))
        let cut = try #require(FillerText.cut(at: ["never there", stop], tokens: 300, seed: 4))
        #expect(cut.bytes == whole[..<range.lowerBound].utf8.count)
        let produced = Self.text(cut.tokens, seed: 4)
        #expect(produced.contains(stop))
        #expect(!Self.text(cut.tokens - 1, seed: 4).contains(stop))
        #expect(FillerText.cut(at: ["never there"], tokens: 300, seed: 4) == nil)
    }
}
