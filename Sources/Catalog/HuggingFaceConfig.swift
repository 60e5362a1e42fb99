import Foundation

/// A Hugging Face `config.json`, read for the shape of its language model.
///
/// Keys that do not decide the shape are ignored, as configurations carry many. A key that is needed and absent is
/// an error that names file and key; an architecture that the reader does not know is an error too.
struct HuggingFaceConfig {
    let document: JSONDocument
    /// The object that describes the language model: the root, or `text_config` and the like inside it.
    let text: JSONNode
    let modelType: String
    let architecture: String
    /// What transformers takes for keys that a nested configuration leaves out; empty at the root, where it writes all.
    let defaults: [String: Int]
    /// `hf_quant_config.json`, where one lies beside the configuration.
    var quantizationBeside: JSONDocument?

    /// Objects that multimodal configurations keep the language model in, in the order they are looked for.
    private static let nestedKeys = ["text_config", "llm_config", "language_config", "thinker_config"]

    init(document: JSONDocument, root: JSONNode) throws(CatalogError) {
        self.document = document
        guard case .object = root.value else {
            throw document.problem(at: root, "a model configuration is an object; found \(root.kindName)")
        }
        var text = root
        var isNested = false
        // thinker_config holds a text_config of its own, so go down until there is nothing nested.
        while let inner = Self.nestedKeys.lazy.compactMap({ text[key: $0] }).first, case .object = inner.value {
            text = inner
            isNested = true
        }
        self.text = text
        var architecture: String?
        for node in [root, text] {
            // transformers writes null where a nested part has no class of its own.
            if let names = node[key: "architectures"], names.value != .null,
                let first = try document.array(names).first
            {
                if architecture == nil { architecture = try document.string(first) }
            }
        }
        let type = text[key: "model_type"] ?? root[key: "model_type"]
        guard let type else {
            throw document.problem(at: root, "the key \"model_type\" is missing: this is no model configuration")
        }
        modelType = try document.string(type)
        self.architecture = architecture ?? modelType
        defaults = isNested ? NestedDefaults.byModelType[modelType] ?? [:] : [:]
    }

    /// A group of settings inside this configuration, read by the same rules; nil when there is none.
    func group(_ key: String) -> HuggingFaceConfig? {
        guard let inner = node(key), case .object = inner.value else { return nil }
        return HuggingFaceConfig(part: inner, of: self)
    }

    /// A part of `whole` that is itself an object.
    init(part: JSONNode, of whole: HuggingFaceConfig) {
        document = whole.document
        text = part
        modelType = whole.modelType
        architecture = whole.architecture
        defaults = [:]
    }

    /// Names the defaults that were taken; nil when the file says everything.
    var noteOnDefaults: String? {
        let taken = defaults.keys.filter { !has($0) }.sorted()
        if taken.isEmpty { return nil }
        return "not in the file, so transformers' defaults for \(modelType): \(taken.joined(separator: ", "))"
    }

    // MARK: Keys

    func has(_ key: String) -> Bool { node(key) != nil }

    /// The node of the first of `keys` that is there and not null.
    func node(_ keys: String...) -> JSONNode? { first(of: keys) }

    private func first(of keys: [String]) -> JSONNode? {
        for key in keys {
            if let found = text[key: key], found.value != .null { return found }
        }
        return nil
    }

    /// A count, at least `least`. Several keys are spellings of the same thing.
    func count(_ keys: String..., least: Int = 1) throws(CatalogError) -> Int {
        guard let found = try optionalCount(keys, least: least) else {
            throw document.problem(
                at: text, "the key \"\(keys[0])\" is missing, which \(architecture) (model_type \"\(modelType)\") needs"
            )
        }
        return found
    }

    func optional(_ keys: String..., least: Int = 0) throws(CatalogError) -> Int? {
        try optionalCount(keys, least: least)
    }

    private func optionalCount(_ keys: [String], least: Int) throws(CatalogError) -> Int? {
        guard let found = first(of: keys) else { return defaults[keys[0]] }
        let number = try document.integer(found)
        // Counts below the smallest limit need no look at which it is.
        let most = number < 1 << 10 ? 1 << 10 : Self.largest(keys[0])
        guard number >= least, number <= most else {
            throw document.problem(at: found, "\"\(keys[0])\" is \(number); expected \(least) to \(most)")
        }
        return number
    }

    /// The largest count that is taken for each kind of key: far above any model, and small enough that no product of
    /// them overflows.
    private static func largest(_ key: String) -> Int {
        switch key {
        case "num_hidden_layers": 1 << 10
        case "hidden_size": 1 << 18
        case "vocab_size", "vocab_size_per_layer_input": 1 << 26
        case "max_position_embeddings": 1 << 40
        case "num_local_experts", "n_shared_experts", "num_experts_per_tok", "zero_expert_num": 1 << 12
        case "hc_mult", "altup_num_inputs", "mamba_expand", "expansion_ratio": 1 << 6
        case "o_groups": 1 << 12
        case let key where key.contains("head") || key.contains("_d_") || key.contains("rank"): 1 << 14
        default: 1 << 20
        }
    }

    func number(_ key: String) throws(CatalogError) -> Double? {
        guard let found = node(key) else { return nil }
        return try document.double(found)
    }

    func flag(_ key: String, default value: Bool) throws(CatalogError) -> Bool {
        guard let found = node(key) else { return value }
        return try document.boolean(found)
    }

    func word(_ keys: String...) throws(CatalogError) -> String? {
        guard let found = first(of: keys) else { return nil }
        return try document.string(found)
    }

    func words(_ keys: String...) throws(CatalogError) -> [String]? {
        guard let found = first(of: keys) else { return nil }
        var words: [String] = []
        for element in try document.array(found) { words.append(try document.string(element)) }
        return words
    }

    func counts(_ key: String) throws(CatalogError) -> [Int]? {
        guard let found = node(key) else { return nil }
        var numbers: [Int] = []
        for element in try document.array(found) {
            let number = try document.integer(element)
            guard (0...1 << 20).contains(number) else {
                throw document.problem(at: element, "\(number) in \"\(key)\"; expected 0 to \(1 << 20)")
            }
            numbers.append(number)
        }
        return numbers
    }

    /// One word for each layer; entries beyond the last belong to prediction layers.
    func layerWords(_ key: String) throws(CatalogError) -> [String]? {
        guard let found = try words(key) else { return nil }
        return try oneForEachLayer(found, key)
    }

    /// One number for each layer; entries beyond the last belong to prediction layers.
    func layerCounts(_ key: String) throws(CatalogError) -> [Int]? {
        guard let found = try counts(key) else { return nil }
        return try oneForEachLayer(found, key)
    }

    private func oneForEachLayer<Entry>(_ entries: [Entry], _ key: String) throws(CatalogError) -> [Entry] {
        let count = try layerCount
        let predicted = try optional("num_nextn_predict_layers", "num_mtp_modules", "num_mtp_layers") ?? 0
        guard entries.count >= count, entries.count <= count + predicted else {
            throw document.problem(at: node(key) ?? text, "\"\(key)\" has \(entries.count) entries for \(count) layers")
        }
        return Array(entries.prefix(count))
    }

    // MARK: What every architecture has

    var hidden: Int { get throws(CatalogError) { try count("hidden_size", "n_embd", "d_model", "n_embed") } }

    var layerCount: Int {
        get throws(CatalogError) { try count("num_hidden_layers", "n_layer", "num_layers", "n_layers") }
    }

    var heads: Int {
        get throws(CatalogError) {
            try count("num_attention_heads", "n_head", "num_heads", "n_heads", "attention_heads")
        }
    }

    /// As many as there are query heads where nothing is said.
    var keyValueHeads: Int {
        get throws(CatalogError) {
            if let found = try optional("num_key_value_heads", least: 1) { return found }
            return try heads
        }
    }

    var headDimension: Int {
        get throws(CatalogError) {
            if let found = try optional("head_dim", "attention_head_dim", least: 1) { return found }
            let hidden = try hidden
            let heads = try heads
            guard hidden % heads == 0 else {
                throw document.problem(
                    at: text, "hidden_size \(hidden) is no multiple of \(heads) heads, and head_dim is missing")
            }
            return hidden / heads
        }
    }

    var maximumPositions: Int? {
        get throws(CatalogError) {
            try optional(
                "max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "model_max_length",
                least: 1)
        }
    }
}

extension Model {
    /// Reads a Hugging Face `config.json`. `path` is the file or the folder that holds it.
    public init(huggingFaceConfig path: String) throws(CatalogError) {
        // Fleet files are not read by a shell, which would have done this.
        let path = path.hasPrefix("~/") ? FileManager.default.homeDirectoryForCurrentUser.path + path.dropFirst() : path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw CatalogError(
                .unreadable, "\(path): no such file; give a Hugging Face config.json or the folder that holds it")
        }
        let file = isFolder.boolValue ? path + "/config.json" : path
        guard let data = FileManager.default.contents(atPath: file) else {
            throw CatalogError(.unreadable, "\(file): cannot be read")
        }
        let document = try JSONDocument(parsing: data, file: file)
        var config = try HuggingFaceConfig(document: document, root: document.root)
        let besidePath =
            String(file[..<(file.lastIndex(of: "/").map(file.index(after:)) ?? file.startIndex)])
            + "hf_quant_config.json"
        if let data = FileManager.default.contents(atPath: besidePath) {
            config.quantizationBeside = try JSONDocument(parsing: data, file: besidePath)
        }
        self = try config.model(
            id: file, source: "Hugging Face configuration \(file)", grade: .published, date: nil
        )
    }
}
