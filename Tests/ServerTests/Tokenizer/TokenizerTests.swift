//===----------------------------------------------------------------------===//
// Tokenizers against what the Hugging Face library made of the same texts.
//===----------------------------------------------------------------------===//

import Fleet
import Foundation
import Testing

@testable import Server

@Suite struct TokenizerTests {
    static let folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/tokenizers").path

    struct Expected: Decodable {
        var text: String
        var ids: [Int32]
        var decoded: String
    }

    /// Three small tokenizers, one of each family, trained on this repository's documents; `expected.json` is what version
    /// 0.23 of the library answers for texts with white space, digits, marks, emoji, special tokens and random mixtures.
    @Test(arguments: ["byte-level", "split", "byte-fallback"])
    func encodesAndDecodesLikeTheReference(_ name: String) throws {
        let tokenizer = try TokenizerFile.read("\(Self.folder)/\(name).json")
        #expect(tokenizer.vocabularySize == 600)
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/expected.json"))
        let expected = try #require(JSONDecoder().decode([String: [Expected]].self, from: data)[name])
        #expect(expected.count == 55)
        for one in expected {
            let ids = tokenizer.encode(one.text)
            #expect(ids == one.ids, "\(one.text.debugDescription)")
            // The reference strips the space that it put before a text; the text itself has none there.
            let decoded = tokenizer.decode(ids)
            #expect(decoded == one.decoded || decoded == " " + one.decoded, "\(one.text.debugDescription)")
        }
    }

    @Test func specialTokensThatOpenAPromptAreKnown() throws {
        #expect(try TokenizerFile.read("\(Self.folder)/split.json").opening == [0])
        #expect(try TokenizerFile.read("\(Self.folder)/byte-level.json").opening == [])
    }

    /// The heap must give what the plain rule gives: merge the leftmost pair of lowest rank until none is left.
    @Test func mergingEqualsTheSlowWay() {
        var random = TestRandom(seed: 11)
        for round in 0..<300 {
            var merger = BytePairMerger(capacity: 0)
            var pairs: [[Int32]: (rank: Int, result: Int32)] = [:]
            for rank in 0..<20 {
                let left = Int32(random.below(6))
                let right = Int32(random.below(6))
                guard pairs[[left, right]] == nil else { continue }
                let result = Int32(random.below(6))
                pairs[[left, right]] = (rank, result)
                merger.add(left: left, right: right, result: result)
            }
            let word = (0..<random.below(30)).map { _ in Int32(random.below(4)) }
            var slow = word
            while let best = slow.indices.dropLast().compactMap({ index in
                pairs[[slow[index], slow[index + 1]]].map { (rank: $0.rank, index: index, result: $0.result) }
            }).min(by: { ($0.rank, $0.index) < ($1.rank, $1.index) }) {
                slow.replaceSubrange(best.index...(best.index + 1), with: [best.result])
            }
            var fast: [Int32] = []
            merger.merge(word, into: &fast)
            #expect(fast == slow, "round \(round): \(word)")
        }
    }

    @Test func unusableFilesSayWhy() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tokenizer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func problem(_ text: String) throws -> String {
            let path = folder.appendingPathComponent("t.json").path
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            return try #require(#expect(throws: FleetError.self) { try TokenizerFile.read(path) }).description
        }
        #expect(try problem("[]").contains("not a JSON object"))
        #expect(try problem(#"{"model":{"type":"WordPiece","vocab":{}}}"#).contains("WordPiece"))
        #expect(try problem(#"{"model":{"type":"BPE","vocab":{"a":0}}}"#).contains("merges"))
        #expect(
            try problem(#"{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}"#).contains("'model.merges' 0"))
        let bare = #""model":{"type":"BPE","vocab":{"a":0},"merges":[]}"#
        #expect(try problem(#"{"pre_tokenizer":{"type":"Punctuation"},\#(bare)}"#).contains("Punctuation"))
        #expect(try problem(#"{"normalizer":{"type":"StripAccents"},\#(bare)}"#).contains("StripAccents"))
        #expect(
            try problem(#"{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"},\#(bare)}"#)
                .contains("cannot be compiled"))
        #expect(throws: FleetError.self) { try TokenizerFile.read("/nonexistent/tokenizer.json") }
    }

    /// Filler is made of words that are one token in the vocabularies that people serve; in the one that comes beside the
    /// checkout each word must be one.
    @Test func fillerCountsWhatUsageSays() throws {
        let path = URL(fileURLWithPath: Self.folder).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
                "shared/tools/tinytok/tokenizer.json"
            ).path
        guard FileManager.default.fileExists(atPath: path) else {
            print("skipped: no reference data beside the checkout (../shared)")
            return
        }
        let tokenizer = try TokenizerFile.read(path)
        for seed in 0..<200 as Range<UInt64> {
            var text = ""
            for index in 0..<100 as Range<Int32> {
                FillerText.withToken(index, seed: seed) { text += String(decoding: $0, as: UTF8.self) }
            }
            #expect(tokenizer.encode(text).count == 100)
        }
    }
}
