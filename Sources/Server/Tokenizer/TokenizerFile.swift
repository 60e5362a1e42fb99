//===----------------------------------------------------------------------===//
// Reading a Hugging Face tokenizer.json.
//===----------------------------------------------------------------------===//

import Fleet
import Foundation

/// Reads the byte-pair tokenizers of language models: Llama 2 and 3, Mistral, Qwen, DeepSeek, GPT-2 and their relatives.
///
/// A member of the file that changes how text is cut and that is not known here is an error that names it: a tokenizer that
/// is read by halves would count wrongly in silence.
struct TokenizerFile {
    private let path: String

    /// - Throws: `FleetError` that names the file and the part of it that cannot be used.
    static func read(_ path: String) throws -> Tokenizer {
        let file = TokenizerFile(path: path)
        guard let data = FileManager.default.contents(atPath: path) else {
            throw file.problem("no such tokenizer file, or it cannot be read")
        }
        guard let root = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw file.problem("the tokenizer file is not a JSON object")
        }
        return Tokenizer(try file.parts(root))
    }

    private func problem(_ message: String) -> FleetError {
        FleetError(message, at: Place(file: path, line: 0, column: 0))
    }

    private func parts(_ root: [String: Any]) throws -> Tokenizer.Parts {
        guard let model = root["model"] as? [String: Any], let vocabulary = model["vocab"] as? [String: Any] else {
            throw problem("'model.vocab' is missing, or is not a mapping from text to number")
        }
        let type = model["type"] as? String ?? (model["merges"] == nil ? "none" : "BPE")
        guard type == "BPE" else {
            throw problem("'model.type' is \(type); only BPE tokenizers can be read")
        }
        for member in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let text = model[member] as? String, !text.isEmpty {
                throw problem("'model.\(member)' is not supported")
            }
        }
        var tokens: [String: Int32] = Dictionary(minimumCapacity: vocabulary.count)
        for (text, number) in vocabulary {
            guard let number = number as? Int, let token = Int32(exactly: number), token >= 0 else {
                throw problem("'model.vocab' gives \(text) no number")
            }
            tokens[text] = token
        }
        let splitters = try list(root["pre_tokenizer"], "pretokenizers").map { try splitter($0) }
        let isByteLevel = try list(root["pre_tokenizer"], "pretokenizers").contains {
            $0["type"] as? String == "ByteLevel"
        }
        var parts = Tokenizer.Parts(
            vocabulary: tokens, merger: try merger(model["merges"], tokens),
            alphabet: isByteLevel
                ? .bytes
                : .scalars(
                    fallsBackToBytes: model["byte_fallback"] as? Bool ?? false,
                    unknown: (model["unk_token"] as? String).flatMap { tokens[$0] },
                    fusesUnknown: model["fuse_unk"] as? Bool ?? false))
        parts.splitters = splitters.flatMap { $0 }
        parts.normalizers = try list(root["normalizer"], "normalizers").map { try normalizer($0) }
        parts.takesWholeWords = model["ignore_merges"] as? Bool ?? false
        try readAdded(root["added_tokens"], into: &parts)
        try readPostProcessor(root["post_processor"], into: &parts)
        return parts
    }

    /// A part of the file that is null, one step, or a sequence of steps.
    private func list(_ value: Any?, _ member: String) throws -> [[String: Any]] {
        guard let step = value as? [String: Any] else { return [] }
        guard step["type"] as? String == "Sequence" else { return [step] }
        return try (step[member] as? [Any] ?? []).flatMap { try list($0, member) }
    }

    // MARK: Steps

    private func merger(_ value: Any?, _ tokens: [String: Int32]) throws -> BytePairMerger {
        guard let merges = value as? [Any] else { throw problem("'model.merges' is missing") }
        var merger = BytePairMerger(capacity: merges.count)
        for (rank, merge) in merges.enumerated() {
            let pair = (merge as? String)?.split(separator: " ").map(String.init) ?? merge as? [String] ?? []
            guard pair.count == 2, let left = tokens[pair[0]], let right = tokens[pair[1]],
                let result = tokens[pair[0] + pair[1]]
            else { throw problem("'model.merges' \(rank) is not two tokens whose union is a token: \(merge)") }
            merger.add(left: left, right: right, result: result)
        }
        return merger
    }

    private func normalizer(_ step: [String: Any]) throws -> TextNormalizer {
        switch step["type"] as? String {
        case "NFC": return .canonicalComposition
        case "NFKC": return .compatibilityComposition
        case "Lowercase": return .lowercase
        case "Prepend": return .prepend(step["prepend"] as? String ?? "")
        case "Replace":
            guard let pattern = (step["pattern"] as? [String: Any])?["String"] as? String else {
                throw problem("a 'Replace' in 'normalizer' has a pattern that is not a plain string")
            }
            return .replace(pattern, with: step["content"] as? String ?? "")
        case let other:
            throw problem(
                "'normalizer' has a step \(other ?? "without a type"); known are NFC, NFKC, Lowercase, Prepend, Replace"
            )
        }
    }

    private func splitter(_ step: [String: Any]) throws -> [TextSplitter] {
        switch step["type"] as? String {
        case "ByteLevel":
            let leading: [TextSplitter] = step["add_prefix_space"] as? Bool ?? false ? [.leadingSpace] : []
            guard step["use_regex"] as? Bool ?? true else { return leading }
            return leading + [.pattern(try pattern(TextSplitter.Pattern.byteLevel), .isolated, keepsMatches: true)]
        case "Split": return [try split(step)]
        case "Digits": return [.digits(each: step["individual_digits"] as? Bool ?? false)]
        case "Metaspace":
            let scheme =
                step["prepend_scheme"] as? String ?? (step["add_prefix_space"] as? Bool ?? true ? "always" : "never")
            return [
                .metaspace(
                    replacement: step["replacement"] as? String ?? "\u{2581}", prepends: scheme != "never",
                    splits: step["split"] as? Bool ?? true)
            ]
        case let other:
            throw problem(
                "'pre_tokenizer' has a step \(other ?? "without a type"); known are ByteLevel, Split, Digits, Metaspace"
            )
        }
    }

    private func split(_ step: [String: Any]) throws -> TextSplitter {
        let given = step["pattern"] as? [String: Any]
        guard
            let text = given?["Regex"] as? String
                ?? (given?["String"] as? String).map({ NSRegularExpression.escapedPattern(for: $0) })
        else { throw problem("a 'Split' in 'pre_tokenizer' has no pattern") }
        let name = step["behavior"] as? String ?? "none"
        guard let behavior = TextSplitter.Behavior(rawValue: name) else {
            throw problem("a 'Split' in 'pre_tokenizer' has behavior \(name); known are Isolated and Removed")
        }
        return .pattern(try pattern(text), behavior, keepsMatches: step["invert"] as? Bool ?? false)
    }

    private func pattern(_ text: String) throws -> TextSplitter.Pattern {
        do { return try TextSplitter.Pattern(text) } catch {
            throw problem("'pre_tokenizer' has a pattern that cannot be compiled: \(text)")
        }
    }

    // MARK: Special tokens

    private func readAdded(_ value: Any?, into parts: inout Tokenizer.Parts) throws {
        var patterns: [(text: String, pattern: String)] = []
        for entry in value as? [[String: Any]] ?? [] {
            guard let text = entry["content"] as? String, !text.isEmpty, let number = entry["id"] as? Int,
                let token = Int32(exactly: number)
            else { throw problem("a member of 'added_tokens' has no content or no id") }
            parts.added[text] = token
            var pattern = NSRegularExpression.escapedPattern(for: text)
            if entry["lstrip"] as? Bool == true { pattern = #"\s*"# + pattern }
            if entry["rstrip"] as? Bool == true { pattern += #"\s*"# }
            if entry["single_word"] as? Bool == true { pattern = #"\b"# + pattern + #"\b"# }
            patterns.append((text, pattern))
        }
        guard !patterns.isEmpty else { return }
        // Of two that begin at one place the longer is meant.
        patterns.sort { ($0.text.utf8.count, $1.text) > ($1.text.utf8.count, $0.text) }
        parts.addedPattern = try pattern(patterns.map(\.pattern).joined(separator: "|"))
    }

    private func readPostProcessor(_ value: Any?, into parts: inout Tokenizer.Parts) throws {
        for step in try list(value, "processors") where step["type"] as? String == "TemplateProcessing" {
            var isBefore = true
            for item in step["single"] as? [[String: Any]] ?? [] {
                if item["Sequence"] != nil {
                    isBefore = false
                } else if let name = (item["SpecialToken"] as? [String: Any])?["id"] as? String {
                    guard let token = parts.added[name] ?? parts.vocabulary[name] else {
                        throw problem("'post_processor' names \(name), which is no token")
                    }
                    if isBefore { parts.opening.append(token) } else { parts.closing.append(token) }
                }
            }
        }
    }
}
