/// What transformers takes for the keys that a language model nested in a multimodal configuration leaves out.
///
/// Saved configurations write a nested part as its difference from the class's defaults, so a published LLaVA or
/// Gemma 3 names only some of its sizes. Values are those of the configuration classes in transformers 5.23.
enum NestedDefaults {
    static let byModelType: [String: [String: Int]] = [
        "llama": [
            "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
            "num_attention_heads": 32,
        ],
        "mistral": [
            "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8,
        ],
        "qwen2": [
            "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 32,
        ],
        "gemma": [
            "vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576, "num_hidden_layers": 28,
            "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 256,
        ],
        "gemma2": [
            "vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
            "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "sliding_window": 4096,
        ],
        "gemma3_text": [
            "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
            "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "sliding_window": 4096,
        ],
    ]
}
