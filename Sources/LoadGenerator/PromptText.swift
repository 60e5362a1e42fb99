//===----------------------------------------------------------------------===//
// Prompts: text with a wanted number of tokens, equal where the workload says that prompts are equal.
//===----------------------------------------------------------------------===//

import Workload

/// The words that prompts are made of.
public struct WordList: Sendable {
    /// Each word with its leading blank, so that every one is a single token wherever it stands.
    let words: [[UInt8]]

    /// Frequent English words, which byte-pair vocabularies have as single tokens after a blank.
    public static let common = WordList(
        """
        time year people way day man thing woman life child world school state family student group country \
        problem hand part place case week company system program question work government number night point \
        home water room mother area money story fact month lot right study book eye job word business issue \
        side kind head house service friend father power hour game line end member law car city community \
        name president team minute idea body information back parent face others level office door health \
        person art war history party result change morning reason research girl guy moment air teacher force \
        education
        """
    )

    /// - Parameter text: words separated by blanks.
    init(_ text: String) { words = text.split(separator: " ").map { [32] + Array($0.utf8) } }

    init(words: [[UInt8]]) {
        precondition(words.count >= 16, "a word list has at least 16 words")
        self.words = words
    }
}

/// Writes prompts of exactly as many words as the request has prompt tokens.
///
/// A word follows from what is known about its position: with block hashes from the block's hash, in a shared head from
/// the head's number, in a session from the session's number, else from the request's. Two prompts are thus the same
/// text exactly as far as the workload says that they share a prefix, and a server's prefix cache sees it.
struct PromptText {
    private let words: [[UInt8]]
    /// Words laid end to end, so that a stretch of them is one copy; where each begins.
    private let blob: [UInt8]
    private let starts: [Int32]
    private let seed: UInt64
    /// Prompts to send as they are instead, already escaped for JSON.
    private let texts: [[UInt8]]
    private static let blobWords = 1 << 15

    /// - Parameter texts: prompts to send in turn instead of generated ones; empty for none.
    init(_ list: WordList, texts: [String] = [], seed: UInt64) {
        words = list.words
        self.texts = texts.map { Array(RequestWriter.escaped($0).utf8) }
        self.seed = seed
        var random = RandomStream(seed: seed, stream: 400)
        var blob: [UInt8] = []
        blob.reserveCapacity(PromptText.blobWords * 8)
        var starts: [Int32] = []
        starts.reserveCapacity(PromptText.blobWords + 1)
        for _ in 0..<PromptText.blobWords {
            starts.append(Int32(blob.count))
            blob += list.words[Int(random.below(UInt64(list.words.count)))]
        }
        starts.append(Int32(blob.count))
        self.blob = blob
        self.starts = starts
    }

    /// Appends the prompt of `request` to `bytes`; it needs no escaping in JSON.
    func write(_ request: Request, into bytes: inout [UInt8]) {
        if !texts.isEmpty {
            bytes += texts[Int(request.id % UInt64(texts.count))]
            return
        }
        let total = Int(request.promptTokens)
        let prefix = request.prefix
        var written = 0
        if let hashes = prefix.blockHashes, prefix.tokensPerHash > 0 {
            for block in 0..<Int(prefix.blockHashCount) where written < total {
                let count = min(Int(prefix.tokensPerHash), total - written)
                copy(count, from: hashes[block], into: &bytes)
                written += count
            }
        } else {
            let head = min(total, Int(prefix.sharedHeadTokens))
            if head > 0 {
                copy(head, from: RandomStream.mix(UInt64(prefix.sharedHead) &+ 0x5851_F42D), into: &bytes)
                written = head
            }
            if prefix.session != 0 {
                // Everything after the head belongs to the session: turn n + 1 begins with the text of turn n.
                copy(total - written, from: RandomStream.mix(prefix.session &+ 0x1405_7B7E_F767_814F), into: &bytes)
                return
            }
        }
        copy(total - written, from: RandomStream.mix(request.id ^ seed &+ 0xDA94_2042_E4DD_58B5), into: &bytes)
    }

    /// Appends `count` words that follow from `key`: the first eight spell the key, the rest is a stretch of the blob
    /// that it picks.
    private func copy(_ count: Int, from key: UInt64, into bytes: inout [UInt8]) {
        var left = count
        var bits = key
        while left > 0, left > count - 8 {
            bytes += words[Int(bits % UInt64(words.count))]
            bits /= UInt64(words.count)
            left -= 1
        }
        var position = Int(RandomStream.mix(key) % UInt64(PromptText.blobWords))
        while left > 0 {
            let stretch = min(left, PromptText.blobWords - position)
            bytes += blob[Int(starts[position])..<Int(starts[position + stretch])]
            left -= stretch
            position = 0
        }
    }
}
