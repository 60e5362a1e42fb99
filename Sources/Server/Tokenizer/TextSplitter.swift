//===----------------------------------------------------------------------===//
// The steps of a tokenizer file before byte-pair merging: normalisation and splitting into words.
//===----------------------------------------------------------------------===//

import Foundation

/// One change of the text before it is split.
enum TextNormalizer: Sendable, Equatable {
    case canonicalComposition
    case compatibilityComposition
    case lowercase
    case prepend(String)
    case replace(String, with: String)

    func apply(to text: String) -> String {
        switch self {
        case .canonicalComposition: text.precomposedStringWithCanonicalMapping
        case .compatibilityComposition: text.precomposedStringWithCompatibilityMapping
        case .lowercase: text.lowercased()
        case .prepend(let prefix): text.isEmpty ? text : prefix + text
        // By scalars: a mark that combines with a space must not hide the space.
        case .replace(let old, let new): text.replacingOccurrences(of: old, with: new, options: .literal)
        }
    }
}

/// One division of the text into words that merges do not cross.
enum TextSplitter: Sendable {
    /// What becomes of the text that the pattern matches.
    enum Behavior: String, Sendable { case isolated = "Isolated", removed = "Removed" }

    /// - Parameter keepsMatches: whether the pattern describes the words themselves, and what lies between is treated as
    ///   `behavior` says (the file's `invert`).
    case pattern(Pattern, Behavior, keepsMatches: Bool)
    /// Each digit by itself, or runs of digits together.
    case digits(each: Bool)
    /// Puts a space in front, unless there is one.
    case leadingSpace
    /// Spaces become `replacement`; splits before each when asked.
    case metaspace(replacement: String, prepends: Bool, splits: Bool)

    /// A regular expression of ICU. `NSRegularExpression` may be used from several threads at once.
    struct Pattern: @unchecked Sendable {
        let expression: NSRegularExpression

        /// What ByteLevel splits at when it is asked to (GPT-2).
        static let byteLevel = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

        /// - Parameter text: in the dialect of Oniguruma, whose `\s` is Unicode's white space. ICU's lacks two of it.
        init(_ text: String) throws {
            let translated = text.replacingOccurrences(of: #"\s"#, with: #"\p{White_Space}"#)
                .replacingOccurrences(of: #"\S"#, with: #"\P{White_Space}"#)
            expression = try NSRegularExpression(pattern: translated)
        }
    }

    func split(_ words: [String]) -> [String] {
        switch self {
        case .pattern(let pattern, let behavior, let keepsMatches):
            words.flatMap { Self.split($0, at: pattern, behavior, keepsMatches: keepsMatches) }
        case .digits(let each): words.flatMap { Self.splitDigits($0, each: each) }
        case .leadingSpace:
            words.enumerated().map {
                $0.offset == 0 && $0.element.first?.isWhitespace == false ? " " + $0.element : $0.element
            }
        case .metaspace(let replacement, let prepends, let splits):
            words.enumerated().flatMap { index, word in
                var text = word.replacingOccurrences(of: " ", with: replacement, options: .literal)
                if prepends, index == 0, !text.hasPrefix(replacement) { text = replacement + text }
                return splits ? Self.split(text, before: replacement) : [text]
            }
        }
    }

    private static func split(
        _ text: String, at pattern: Pattern, _ behavior: Behavior, keepsMatches: Bool
    ) -> [String] {
        let whole = text as NSString
        var words: [String] = []
        func add(_ range: NSRange, isMatch: Bool) {
            if range.length > 0, behavior == .isolated || isMatch == keepsMatches {
                words.append(whole.substring(with: range))
            }
        }
        var end = 0
        pattern.expression.enumerateMatches(in: text, range: NSRange(location: 0, length: whole.length)) {
            match, _, _ in
            guard let range = match?.range else { return }
            add(NSRange(location: end, length: range.location - end), isMatch: false)
            add(range, isMatch: true)
            end = range.location + range.length
        }
        add(NSRange(location: end, length: whole.length - end), isMatch: false)
        return words
    }

    private static func splitDigits(_ text: String, each: Bool) -> [String] {
        var words: [String] = []
        var wasDigit = false
        for scalar in text.unicodeScalars {
            let isDigit = scalar.properties.numericType != nil
            if words.isEmpty || isDigit != wasDigit || (isDigit && each) { words.append("") }
            words[words.count - 1].unicodeScalars.append(scalar)
            wasDigit = isDigit
        }
        return words
    }

    private static func split(_ text: String, before mark: String) -> [String] {
        var words: [String] = []
        for character in text.unicodeScalars {
            if words.isEmpty || String(character) == mark { words.append("") }
            words[words.count - 1].unicodeScalars.append(character)
        }
        return words
    }
}
