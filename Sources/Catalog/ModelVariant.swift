/// A checkpoint's name taken apart: hubs add to a model's name what was done to it and how its weights are stored,
/// which leaves its shape as it is.
struct ModelVariant: Hashable {
    /// The name without those words, folded as by `NameIndex.fold`.
    var name: String
    /// What the name says the weights are stored in; nil when it says nothing.
    var precision: Precision?

    /// Words at the end that say how weights are stored, folded.
    private static let precisions: [(words: [String], precision: Precision)] = [
        (["fp", "8", "dynamic"], .fp8), (["fp", "8", "block"], .fp8), (["fp", "8", "kv"], .fp8),
        (["fp", "8", "static", "per", "tensor"], .fp8), (["fp", "8"], .fp8), (["nvfp", "4"], .nvfp4),
        (["fp", "4"], .nvfp4), (["mxfp", "4"], .mxfp4), (["mxfp", "8"], .mxfp8), (["bf", "16"], .bf16),
        (["fp", "16"], .fp16), (["quantized", "w", "4", "a", "16"], .int4), (["w", "4", "a", "16"], .int4),
        (["quantized", "w", "8", "a", "8"], .int8), (["w", "8", "a", "8"], .int8), (["gptq", "int", "4"], .int4),
        (["gptq", "int", "8"], .int8), (["int", "4"], .int4), (["int", "8"], .int8), (["awq"], .int4),
        (["gptq"], .int4),
    ]

    /// Words at the end that say what a checkpoint was trained for or which library it is written for.
    private static let roles = ["instruct", "chat", "it", "base", "hf"]

    /// Words at the beginning that name the maker.
    private static let makers = ["meta", "nvidia"]

    init(_ name: String) {
        let withoutOwner = name.lastIndex(of: "/").map { name[name.index(after: $0)...] } ?? name[...]
        var words = NameIndex.fold(String(withoutOwner)).split(separator: "-").map(String.init)
        var changed = true
        while changed, words.count > 1 {
            changed = false
            if let found = Self.precisions.first(where: { words.count > $0.words.count && words.ends(with: $0.words) })
            {
                // The last word of two counts: it was written by whoever stored the weights last.
                if precision == nil { precision = found.precision }
                words.removeLast(found.words.count)
                changed = true
            } else if let last = words.last, Self.roles.contains(last) {
                words.removeLast()
                changed = true
            }
        }
        if words.count > 1, Self.makers.contains(words[0]) { words.removeFirst() }
        self.name = words.joined(separator: "-")
    }
}

extension [String] {
    fileprivate func ends(with words: [String]) -> Bool { suffix(words.count).elementsEqual(words) }
}

/// Models by what is left of their names. A rest that several models share means none of them.
struct ModelVariantIndex: Sendable {
    private var positions: [String: Int?] = [:]

    mutating func insert(_ name: String, at position: Int) {
        let rest = ModelVariant(name).name
        if let taken = positions[rest], taken != position {
            positions[rest] = .some(nil)
        } else {
            positions[rest] = position
        }
    }

    func position(of variant: ModelVariant) -> Int? { positions[variant.name] ?? nil }
}

extension Model {
    /// The shape under another checkpoint's name, its weights stored as that name says.
    func stored(in precision: Precision?, called name: String) -> Model {
        var model = self
        let shape = "the shape of \(id), by the name \"\(name)\""
        model.note = note.map { "\(shape); \($0)" } ?? shape
        guard let precision, precision != nativePrecision else { return model }
        // In four bits a mixture's routed experts are packed, and attention seldom is.
        if isMixture, precision.bitsPerElement < 8 {
            model.nativePrecision = .bf16
            model.nativeExpertPrecision = precision
        } else {
            model.nativePrecision = precision
            model.nativeExpertPrecision = nil
        }
        return model
    }
}
