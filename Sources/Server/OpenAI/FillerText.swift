//===----------------------------------------------------------------------===//
// What a modelled model says: common words, one a token.
//===----------------------------------------------------------------------===//

import NIOCore

/// Deterministic filler: token `i` of a reply is a common English word chosen by the reply's seed.
///
/// Every word is one token (with the space before it) in the vocabularies that clients use to count, so that a client
/// which tokenises the reply finds the number that `usage` reports. Because token `i` can be written without its
/// predecessors, a reply that waits for a slow reader is two integers and no text.
enum FillerText {
    /// Words in the table; a power of two.
    static let wordCount = 128
    private static let source: StaticString = """
        the of and to in is that for it as was with be by on not he but at are this have from or had an they which one \
        you were all there would their we been has when will more no if out so up its into than them can only other new \
        some could time these two may then do first any now such our over man me even most after also did before must \
        through back where your down should because each just those too how state make still own see work long get here \
        between both being under never same know while last us off since against part number call hand high line end left open \
        together next group until always small without every
        """
    /// Words that are also one token without a space before them, for the beginning of a reply.
    private static let openingSource: StaticString = """
        the of and to in is for it as with be by on not he at from or an one all we has no if out so its can only new \
        do
        """

    /// Words and their offsets, built once from the literals above.
    private struct Table: Sendable {
        let text: [UInt8]
        /// Word `i` with the space before it is `text[starts[i]..<starts[i + 1]]`.
        let starts: [Int32]

        init(_ source: StaticString) {
            var text: [UInt8] = []
            var starts: [Int32] = []
            for word in source.description.split(separator: " ") {
                starts.append(Int32(text.count))
                text.append(UInt8(ascii: " "))
                text.append(contentsOf: word.utf8)
            }
            starts.append(Int32(text.count))
            precondition(starts.count > 1 && starts.count <= wordCount + 1)
            self.text = text
            self.starts = starts
        }
    }

    /// Every word that a reply can have, with the space before those that do not open it.
    static var words: [String] {
        source.description.split(separator: " ").map { " " + $0 }
            + openingSource.description.split(separator: " ").map(String.init)
    }

    private static let table = Table(source)
    private static let openings = Table(openingSource)
    static var openingCount: Int { openings.starts.count - 1 }

    /// Hands out the bytes of token `index` of the reply with this seed: ASCII that needs no escape in JSON.
    static func withToken<Result>(
        _ index: Int32, seed: UInt64, _ body: (UnsafeBufferPointer<UInt8>) -> Result
    ) -> Result {
        let draw = mixed(seed &+ UInt64(UInt32(bitPattern: index)) &* 0x9E37_79B9_7F4A_7C15)
        let table = index == 0 ? openings : table
        let word = index == 0 ? Int(draw % UInt64(openingCount)) : Int(draw & UInt64(wordCount - 1))
        let start = Int(table.starts[word]) + (index == 0 ? 1 : 0)
        return table.text.withUnsafeBufferPointer {
            body(UnsafeBufferPointer(rebasing: $0[start..<Int(table.starts[word + 1])]))
        }
    }

    /// Appends tokens `range` of the reply.
    static func append(_ range: Range<Int32>, seed: UInt64, to buffer: inout ByteBuffer) {
        for index in range { withToken(index, seed: seed) { _ = buffer.writeBytes($0) } }
    }

    /// Where the first of `stops` ends the reply: tokens produced up to and including the one that completes the stop
    /// string, and the bytes of text that remain before it. Nil when none occurs in the first `tokens` tokens.
    static func cut(at stops: [String], tokens: Int32, seed: UInt64) -> (tokens: Int32, bytes: Int)? {
        let patterns = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
        guard !patterns.isEmpty else { return nil }
        var text: [UInt8] = []
        for index in 0..<tokens {
            let before = text.count
            withToken(index, seed: seed) { text.append(contentsOf: $0) }
            var earliest: Int?
            for pattern in patterns {
                // A match that this token completes starts at most pattern.count - 1 bytes before the token.
                let from = max(0, before - pattern.count + 1)
                if text.count < pattern.count { continue }
                for start in stride(from: from, through: text.count - pattern.count, by: 1)
                where text[start..<(start + pattern.count)].elementsEqual(pattern) {
                    earliest = min(earliest ?? start, start)
                    break
                }
            }
            if let earliest { return (index + 1, earliest) }
        }
        return nil
    }
}
