//===----------------------------------------------------------------------===//
// Words that a given tokenizer has as single tokens.
//===----------------------------------------------------------------------===//

import Workload

extension WordList {
    /// The words of a Hugging Face `tokenizer.json` that, after a blank, are one token each.
    ///
    /// Byte-pair vocabularies write the blank before a word as `Ġ` (GPT-2's byte table) or `▁` (SentencePiece). Words
    /// of 2 to 9 lower-case letters with that mark are taken, at most 4,096, in order of their numbers, that is, the
    /// most frequent first. A text of n such words is n tokens, plus what the server's chat template adds.
    ///
    /// - Parameter json: the file's bytes; `path` names it in errors.
    public static func tokenizer(_ json: [UInt8], path: String) throws(LoadError) -> WordList {
        var found: [(id: Int64, word: String)] = []
        do throws(JSONFault) {
            try json.withUnsafeBufferPointer { (bytes) throws(JSONFault) in
                var scanner = JSONScanner(bytes)
                try scanner.object { (key, value) throws(JSONFault) in
                    guard key.spells("model"), value.isObject() else { return try value.skip() }
                    try value.object { (part, content) throws(JSONFault) in
                        guard part.spells("vocab"), content.isObject() else { return try content.skip() }
                        try content.object { (token, number) throws(JSONFault) in
                            let id = try number.integer(upTo: 1 << 32, "a token's number")
                            if let word = word(String(decoding: token, as: UTF8.self)) { found.append((id, word)) }
                        }
                    }
                }
            }
        } catch {
            throw LoadError(
                "\(path): expected \(error.expected) at byte \(error.offset), where a tokenizer.json was expected")
        }
        guard found.count >= 16 else {
            throw LoadError(
                "\(path): its model.vocab has \(found.count) words after a blank, where a byte-pair vocabulary was expected"
            )
        }
        found.sort { $0.id < $1.id }
        return WordList(words: found.prefix(4_096).map { [32] + Array($0.word.utf8) })
    }

    /// The word of a vocabulary entry; nil unless it is a blank and 2 to 9 lower-case letters.
    private static func word(_ token: String) -> String? {
        var rest = token[...]
        for mark in ["\u{0120}", "\u{2581}", "\\u0120", "\\u2581"] where rest.hasPrefix(mark) {
            rest = rest.dropFirst(mark.count)
            guard (2...9).contains(rest.utf8.count), rest.utf8.allSatisfy({ $0 >= 97 && $0 <= 122 }) else { return nil }
            return String(rest)
        }
        return nil
    }
}
