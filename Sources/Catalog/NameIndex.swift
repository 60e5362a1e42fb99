import Spelling

/// Finds entries by name or alias, whatever the case and punctuation, and offers the nearest name when there is none.
struct NameIndex: Sendable {
    /// Folded name to the entry's position.
    private var positions: [String: Int] = [:]
    /// Every name as it is written, in file order; what suggestions are chosen from.
    private var names: [String] = []

    /// Registers `name` for the entry at `position`. Returns the position of the entry that already bears it, if
    /// another does.
    mutating func insert(_ name: String, at position: Int) -> Int? {
        let key = Self.fold(name)
        if let taken = positions[key] { return taken == position ? nil : taken }
        positions[key] = position
        names.append(name)
        return nil
    }

    func position(of name: String) -> Int? {
        if let found = positions[Self.fold(name)] { return found }
        // "Qwen/Qwen3-32B" is how a model hub writes "Qwen3-32B".
        guard let slash = name.lastIndex(of: "/") else { return nil }
        return positions[Self.fold(String(name[name.index(after: slash)...]))]
    }

    func nearest(to name: String) -> String? { nearestName(to: name, among: names) }

    /// Lower case, split at punctuation and between letters and digits: `Llama-3.1-8B`, `llama3.1 8b` and
    /// `LLAMA_3_1_8b` fold to `llama-3-1-8-b`, while `qwen2.5-7b` and `qwen2-57b` stay apart.
    static func fold(_ name: String) -> String {
        var folded: [UInt8] = []
        var last = Kind.separator
        for byte in name.utf8 {
            let kind = Kind(byte)
            if kind == .separator { last = kind; continue }
            if kind != last, !folded.isEmpty { folded.append(UInt8(ascii: "-")) }
            folded.append((UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte + 32 : byte)
            last = kind
        }
        return String(decoding: folded, as: UTF8.self)
    }

    private enum Kind {
        case letter, digit, separator

        init(_ byte: UInt8) {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): self = .digit
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), 0x80...: self = .letter
            default: self = .separator
            }
        }
    }
}
