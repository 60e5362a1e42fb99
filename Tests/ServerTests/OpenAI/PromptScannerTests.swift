import Testing

@testable import Server

@Suite struct PromptScannerTests {
    static func measure(_ text: String, pieces: Int = 1, tokensPerBlock: Int32 = 16) -> PromptMeasure {
        var scanner = PromptScanner(tokensPerBlock: tokensPerBlock)
        let bytes = Array(text.utf8)
        bytes.withUnsafeBytes { whole in
            let size = max(1, whole.count / pieces)
            var start = 0
            while start < whole.count {
                let end = min(whole.count, start + size)
                scanner.scan(UnsafeRawBufferPointer(rebasing: whole[start..<end]))
                start = end
            }
        }
        return scanner.measure()
    }

    @Test(arguments: [
        ("the cat sat", 3), ("Hello, world!", 4), ("", 1), ("a", 1), ("1234567", 3), ("internationalisation", 3),
        ("two  spaces", 3),
        ("line\nline", 3), ("日本", 2), ("  ", 1),
    ])
    func countsAsDocumented(_ text: String, _ tokens: Int32) { #expect(Self.measure(text).tokens == tokens) }

    @Test func fillerCountsItsTokens() {
        for count: Int32 in [1, 2, 15, 16, 17, 500] {
            var text = ""
            for index in 0..<count {
                FillerText.withToken(index, seed: 7) { text += String(decoding: $0, as: UTF8.self) }
            }
            #expect(Self.measure(text).tokens == count)
        }
    }

    @Test func measureDoesNotDependOnPieces() {
        let text =
            "The quick  brown fox, 12345 jumps; über the lazy dog.\n\nAnd again: "
            + String(repeating: "word ", count: 100)
        let whole = Self.measure(text)
        for pieces in [2, 3, 7, 50, 1000] { #expect(Self.measure(text, pieces: pieces) == whole) }
    }

    @Test func equalBeginningsGiveEqualBlocks() {
        let head = String(repeating: "shared words of a system prompt ", count: 20)
        let first = Self.measure(head + String(repeating: "and this is one question ", count: 9))
        let second = Self.measure(head + String(repeating: "but here stands another thing altogether ", count: 9))
        let shared = Int(Self.measure(head).tokens) / 16
        #expect(shared > 5)
        #expect(first.blockHashes.prefix(shared) == second.blockHashes.prefix(shared))
        #expect(first.blockHashes.count > shared + 1 && second.blockHashes.count > shared + 1)
        #expect(Set(first.blockHashes.dropFirst(shared)).isDisjoint(with: second.blockHashes.dropFirst(shared)))
        #expect(first.digest != second.digest)
    }

    @Test func everyFullBlockHasAHash() {
        for words in 1...70 {
            let measure = Self.measure(Array(repeating: "word", count: words).joined(separator: " "))
            #expect(Int(measure.tokens) == words)
            #expect(measure.blockHashes.count == words / 16)
        }
    }

    @Test func aBlockEndsAlikeWhateverFollows() {
        let sixteen = Array(repeating: "word", count: 16).joined(separator: " ")
        #expect(Self.measure(sixteen).blockHashes == Array(Self.measure(sixteen + " more").blockHashes.prefix(1)))
    }

    @Test func tokenIDsCountOneEach() {
        var scanner = PromptScanner(tokensPerBlock: 4)
        for id in 0..<10 { scanner.scan(tokenID: Int64(id)) }
        let measure = scanner.measure()
        #expect(measure.tokens == 10)
        #expect(measure.blockHashes.count == 2)
    }
}
