//===----------------------------------------------------------------------===//
// A model's own tokenizer: text to token ids and back.
//===----------------------------------------------------------------------===//

import Foundation

/// Encodes as the byte-pair tokenizer of a Hugging Face `tokenizer.json` does, so that prompts count what the real server
/// would count. `TokenizerFile` reads it; what the file asks for and this does not know is an error there.
final class Tokenizer: Sendable {
    /// How the text of a word becomes the first symbols.
    enum Alphabet: Sendable, Equatable {
        /// A symbol for each of the 256 bytes (GPT-2 and everything after it).
        case bytes
        /// A symbol for each Unicode scalar; one that is unknown falls back to its bytes, `<0x41>`, or to one token.
        /// - Parameter fusesUnknown: whether neighbours that are unknown become one token.
        case scalars(fallsBackToBytes: Bool, unknown: Int32?, fusesUnknown: Bool)
    }

    struct Parts: Sendable {
        var vocabulary: [String: Int32]
        var merger: BytePairMerger
        var alphabet: Alphabet
        var normalizers: [TextNormalizer] = []
        var splitters: [TextSplitter] = []
        /// Whether a word that is in the vocabulary as a whole is taken without merging.
        var takesWholeWords = false
        /// Tokens that are found in the text before anything else.
        var added: [String: Int32] = [:]
        var addedPattern: TextSplitter.Pattern?
        /// Special tokens that open and close every prompt.
        var opening: [Int32] = []
        var closing: [Int32] = []
    }

    private let parts: Parts
    private let texts: [Int32: String]
    /// Token of each byte under the byte alphabet; -1 for none.
    private let byteTokens: [Int32]

    init(_ parts: Parts) {
        self.parts = parts
        var texts: [Int32: String] = [:]
        for (text, token) in parts.vocabulary { texts[token] = text }
        for (text, token) in parts.added { texts[token] = text }
        self.texts = texts
        byteTokens = (0..<256).map { byte in
            let name: String =
                parts.alphabet == .bytes
                ? String(ByteAlphabet.scalars[byte])
                : "<0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) + ">"
            return parts.vocabulary[name] ?? -1
        }
    }

    var vocabularySize: Int { texts.count }
    var opening: [Int32] { parts.opening }
    var closing: [Int32] { parts.closing }

    // MARK: Encoding

    /// The tokens of a text, without the special ones that open and close a prompt.
    func encode(_ text: String) -> [Int32] {
        var tokens: [Int32] = []
        guard let pattern = parts.addedPattern else {
            encodePlain(text, into: &tokens)
            return tokens
        }
        for piece in TextSplitter.pattern(pattern, .isolated, keepsMatches: true).split([text]) {
            // A match may have taken white space along; what was added is the rest.
            if let token = parts.added[piece] ?? parts.added[piece.trimmingCharacters(in: .whitespacesAndNewlines)] {
                tokens.append(token)
            } else {
                encodePlain(piece, into: &tokens)
            }
        }
        return tokens
    }

    private func encodePlain(_ text: String, into tokens: inout [Int32]) {
        guard !text.isEmpty else { return }
        let normal = parts.normalizers.reduce(text) { $1.apply(to: $0) }
        for word in parts.splitters.reduce([normal], { $1.split($0) }) { encode(word: word, into: &tokens) }
    }

    private func encode(word: String, into tokens: inout [Int32]) {
        var symbols: [Int32] = []
        switch parts.alphabet {
        case .bytes:
            if parts.takesWholeWords, let token = parts.vocabulary[ByteAlphabet.spelling(of: word)] {
                tokens.append(token)
                return
            }
            symbols = word.utf8.map { byteTokens[Int($0)] }.filter { $0 >= 0 }
        case .scalars(let fallsBackToBytes, let unknown, let fusesUnknown):
            if parts.takesWholeWords, let token = parts.vocabulary[word] {
                tokens.append(token)
                return
            }
            for scalar in word.unicodeScalars {
                if let token = parts.vocabulary[String(scalar)] {
                    symbols.append(token)
                } else if fallsBackToBytes, String(scalar).utf8.allSatisfy({ byteTokens[Int($0)] >= 0 }) {
                    symbols.append(contentsOf: String(scalar).utf8.map { byteTokens[Int($0)] })
                } else if let unknown, !(fusesUnknown && symbols.last == unknown) {
                    symbols.append(unknown)
                }
            }
        }
        parts.merger.merge(symbols, into: &tokens)
    }

    // MARK: Decoding

    /// The text of a token as the vocabulary spells it; nil for a number that is none.
    func spelling(of token: Int32) -> String? { texts[token] }

    /// The text of tokens; numbers that are none, and bytes that are not UTF-8, become U+FFFD.
    func decode(_ tokens: [Int32]) -> String {
        var bytes: [UInt8] = []
        for token in tokens {
            guard let text = texts[token] else {
                bytes.append(contentsOf: "\u{FFFD}".utf8)
                continue
            }
            if parts.added[text] == token {
                bytes.append(contentsOf: text.utf8)
            } else if parts.alphabet == .bytes {
                bytes.append(contentsOf: text.unicodeScalars.compactMap { ByteAlphabet.byte(of: $0) })
            } else if text.utf8.count == 6, text.hasPrefix("<0x"),
                let byte = UInt8(text.dropFirst(3).dropLast(), radix: 16)
            {
                bytes.append(byte)
            } else {
                bytes.append(contentsOf: text.replacingOccurrences(of: "\u{2581}", with: " ", options: .literal).utf8)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Tokenizer {
    /// Whether replies count for clients what `usage` says, in words for `--check`: how many words of the filler are one token.
    var fillerDescription: String {
        let words = FillerText.words
        let single = words.count { encode($0).count == 1 }
        return single == words.count
            ? "every word of the filler is one token" : "\(single) of the filler's \(words.count) words are one token"
    }
}

/// GPT-2's printable stand-ins for the 256 bytes: the printable Latin-1 characters stand for themselves, the others for
/// U+0100 and up in their order.
enum ByteAlphabet {
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 256
        return (0..<256).map { (byte: UInt32) in
            let isPrintable = (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
            if isPrintable { return Unicode.Scalar(UInt8(byte)) }
            defer { next += 1 }
            return Unicode.Scalar(next) ?? "?"
        }
    }()

    private static let bytes: [Unicode.Scalar: UInt8] = Dictionary(
        uniqueKeysWithValues: scalars.enumerated().map { ($1, UInt8($0)) })

    static func byte(of scalar: Unicode.Scalar) -> UInt8? { bytes[scalar] }

    static func spelling(of word: String) -> String {
        var text = String.UnicodeScalarView()
        for byte in word.utf8 { text.append(scalars[Int(byte)]) }
        return String(text)
    }
}
