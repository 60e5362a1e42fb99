import Foundation
import Testing

@testable import Catalog

/// Small configurations of families whose layers have rules of their own. The weights expected of each were counted with
/// the reference implementation (transformers 5.23, the model of the same configuration, without its values).
@Suite("Families of architectures")
struct ConfigurationFamilyTests {
    struct Family: CustomTestStringConvertible, Sendable {
        let type: String
        let weights: Int
        let text: String
        var testDescription: String { type }

        init(_ type: String, weights: Int, hasUsualSizes: Bool, _ text: String) {
            self.type = type
            self.weights = weights
            let usual = HuggingFaceConfigTests.small.replacing("layers\": 8", with: "layers\": 4")
            let sizes = hasUsualSizes ? usual + ", " : ""
            self.text = "{\"model_type\": \"\(type)\", \(sizes)\(text)}"
        }
    }

    static let families: [Family] = [
        Family(
            "deepseek_v3", weights: 176_096, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "kv_lora_rank": 16, "q_lora_rank": 24,
            "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "n_routed_experts": 4,
            "n_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1
            """),
        Family(
            "deepseek_v32", weights: 180_256, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "kv_lora_rank": 16, "q_lora_rank": 24,
            "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "n_routed_experts": 4,
            "n_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "index_topk": 16,
            "index_n_heads": 2, "index_head_dim": 8
            """),
        Family(
            "deepseek_v4", weights: 198_683, hasUsualSizes: false,
            """
            "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 1,
            "vocab_size": 100, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16,
            "q_lora_rank": 24, "n_routed_experts": 4, "n_shared_experts": 1, "sliding_window": 8, "o_groups": 2,
            "o_lora_rank": 12, "index_n_heads": 2, "index_head_dim": 8, "index_topk": 4, "hc_mult": 2,
            "layer_types": ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention",
            "compressed_sparse_attention"]
            """),
        Family(
            "kimi_linear", weights: 175_700, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "kv_lora_rank": 16, "q_lora_rank": null,
            "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "num_local_experts": 4,
            "n_shared_experts": 1, "layer_types": ["linear_attention", "linear_attention", "linear_attention",
            "full_attention"], "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"], "linear_head_dim": 8,
            "linear_num_heads": 4, "linear_conv_kernel_dim": 4
            """),
        Family(
            "bailing_hybrid", weights: 183_892, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "kv_lora_rank": 16, "q_lora_rank": null,
            "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "num_experts": 4,
            "num_experts_per_token": 2, "num_shared_experts": 1, "layer_types": ["linear_attention",
            "linear_attention", "linear_attention", "full_attention"], "mlp_layer_types": ["dense", "sparse",
            "sparse", "sparse"], "linear_head_dim": 8, "linear_num_heads": 4, "linear_conv_kernel_dim": 4
            """),
        Family(
            "minimax_m3_vl_text", weights: 446_896, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "num_local_experts": 4, "head_dim": 8, "dense_intermediate_size": 96,
            "shared_intermediate_size": 128, "n_shared_experts": 1, "mlp_layer_types": ["dense", "sparse",
            "sparse", "sparse"], "index_n_heads": 2, "index_head_dim": 8, "index_block_size": 4,
            "index_topk_blocks": 2, "layer_types": ["full_attention", "minimax_m3_sparse", "minimax_m3_sparse",
            "minimax_m3_sparse"]
            """),
        Family(
            "minimax", weights: 479_488, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "num_local_experts": 4, "layer_types": ["linear_attention",
            "linear_attention", "linear_attention", "full_attention"]
            """),
        Family(
            "olmo_hybrid", weights: 174_296, hasUsualSizes: true,
            """
            "layer_types": ["linear_attention", "linear_attention", "linear_attention", "full_attention"],
            "linear_num_key_heads": 4, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
            "linear_value_head_dim": 16, "linear_conv_kernel_dim": 4
            """),
        Family(
            "mimo_v2_flash", weights: 168_784, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_routed_experts": 4, "head_dim": 12,
            "v_head_dim": 8, "sliding_window": 8, "layer_types": ["full_attention", "sliding_attention",
            "sliding_attention", "full_attention"], "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"]
            """),
        Family(
            "jamba", weights: 360_194, hasUsualSizes: true,
            """
            "num_experts": 4, "num_experts_per_tok": 2, "attn_layer_period": 4, "attn_layer_offset": 2,
            "expert_layer_period": 2, "expert_layer_offset": 1, "mamba_d_state": 8, "mamba_d_conv": 4,
            "mamba_expand": 2, "mamba_dt_rank": 6
            """),
        Family(
            "bamba", weights: 206_184, hasUsualSizes: true,
            """
            "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 2,
            "mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2
            """),
        Family(
            "mamba", weights: 127_040, hasUsualSizes: false,
            """
            "hidden_size": 64, "num_hidden_layers": 4, "vocab_size": 100, "state_size": 8, "conv_kernel": 4,
            "expand": 2, "time_step_rank": 6, "tie_word_embeddings": true
            """),
        Family(
            "mamba2", weights: 125_472, hasUsualSizes: false,
            """
            "hidden_size": 64, "num_hidden_layers": 4, "vocab_size": 100, "state_size": 8, "conv_kernel": 4,
            "expand": 2, "num_heads": 8, "head_dim": 16, "n_groups": 2
            """),
        Family(
            "gemma3n_text", weights: 159_614, hasUsualSizes: false,
            """
            "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2,
            "intermediate_size": [128, 128, 96, 96], "vocab_size": 100, "head_dim": 8,
            "vocab_size_per_layer_input": 90, "hidden_size_per_layer_input": 6, "altup_num_inputs": 3,
            "laurel_rank": 4, "num_kv_shared_layers": 1, "sliding_window": 8, "layer_types": ["sliding_attention",
            "full_attention", "sliding_attention", "full_attention"], "activation_sparsity_pattern": [0.0, 0.0,
            0.0, 0.0], "tie_word_embeddings": true
            """),
        Family(
            "granitemoehybrid", weights: 538_984, hasUsualSizes: true,
            """
            "num_local_experts": 4, "num_experts_per_tok": 2, "shared_intermediate_size": 48,
            "layer_types": ["mamba", "mamba", "mamba", "attention"], "mamba_n_heads": 8, "mamba_d_head": 16,
            "mamba_n_groups": 2, "mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2
            """),
        Family(
            "lfm2_moe", weights: 166_032, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "num_experts": 4, "num_dense_layers": 1,
            "conv_L_cache": 3, "layer_types": ["conv", "conv", "full_attention", "conv"], "use_expert_bias": false,
            "tie_word_embeddings": true
            """),
        Family(
            "hy_v3", weights: 171_904, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "num_experts": 4, "num_shared_experts": 1,
            "head_dim": 8, "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"]
            """),
        Family(
            "exaone_moe", weights: 171_904, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "num_experts": 4, "num_shared_experts": 1,
            "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"], "sliding_window": 8,
            "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
            """),
        Family(
            "qwen3_next", weights: 178_816, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "num_experts": 4,
            "shared_expert_intermediate_size": 32, "head_dim": 8, "layer_types": ["linear_attention",
            "linear_attention", "linear_attention", "full_attention"], "linear_num_key_heads": 2,
            "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
            "linear_conv_kernel_dim": 4
            """),
        Family(
            "olmoe", weights: 448_896, hasUsualSizes: true,
            """
            "num_experts": 4, "num_experts_per_tok": 2
            """),
        Family(
            "solar_open", weights: 178_240, hasUsualSizes: true,
            """
            "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_routed_experts": 4, "n_shared_experts": 1,
            "head_dim": 8, "first_k_dense_replace": 0
            """),
        Family(
            "gpt_neo", weights: 207_744, hasUsualSizes: false,
            """
            "hidden_size": 64, "num_layers": 4, "num_heads": 8, "intermediate_size": null, "vocab_size": 100,
            "max_position_embeddings": 32, "attention_types": [[["global", "local"], 2]], "window_size": 8,
            "tie_word_embeddings": true
            """),
        Family(
            "codegen", weights: 211_428, hasUsualSizes: false,
            """
            "n_embd": 64, "n_layer": 4, "n_head": 8, "n_inner": null, "vocab_size": 100, "n_positions": 32,
            "rotary_dim": 4
            """),
        Family(
            "mpt", weights: 203_584, hasUsualSizes: false,
            """
            "d_model": 64, "n_layers": 4, "n_heads": 8, "vocab_size": 100, "expansion_ratio": 4, "max_seq_len": 32,
            "tie_word_embeddings": true
            """),
        Family(
            "xglm", weights: 140_416, hasUsualSizes: false,
            """
            "d_model": 64, "num_layers": 4, "attention_heads": 8, "ffn_dim": 128, "vocab_size": 100,
            "max_position_embeddings": 32, "tie_word_embeddings": true
            """),
        Family(
            "openai-gpt", weights: 208_384, hasUsualSizes: false,
            """
            "n_embd": 64, "n_layer": 4, "n_head": 8, "n_positions": 32, "vocab_size": 100,
            "tie_word_embeddings": true
            """),
    ]

    @Test("weights are those of the reference implementation", arguments: families)
    func weights(_ family: Family) throws {
        let model = try withFolder(["config.json": family.text]) { try Model(huggingFaceConfig: $0) }
        #expect(model.parameters == family.weights)
        #expect(model.activeParameters <= model.parameters)
        #expect(model.layers.count == 4)
    }

    /// What may stand where a size should.
    private static var strange: [Any] {
        [
            0, 1, -1, 7, 1 << 14, 1 << 20, 1 << 40, Double.greatestFiniteMagnitude, 0.5, NSNull(), true, "many",
            [Int](),
            [1], ["full_attention"], [String: Int](),
        ]
    }

    @Test("a strange value anywhere is read or is one error that names the file, the line and the matter")
    func strangeValues() throws {
        let seed: UInt64 = 5
        var numbers = SeededNumbers(state: seed)
        var errors = 0
        for family in Self.families {
            let parsed = try JSONSerialization.jsonObject(with: Data(family.text.utf8))
            let original = try #require(parsed as? [String: Any])
            let keys = original.keys.sorted()
            for _ in 0..<60 {
                var changed = original
                let key = try #require(keys.randomElement(using: &numbers))
                changed[key] = Self.strange.randomElement(using: &numbers)
                let text = try JSONSerialization.data(withJSONObject: changed)
                do {
                    let document = try JSONDocument(parsing: text, file: "config.json")
                    let config = try HuggingFaceConfig(document: document, root: document.root)
                    let model = try config.model(id: "m", source: "s", grade: .published, date: nil)
                    #expect(model.parameters > 0, "seed \(seed): \(family.type) with \(key) \(changed[key] ?? "")")
                } catch {
                    errors += 1
                    let text = error.description
                    #expect(text.hasPrefix("config.json:1: "), "seed \(seed): \(text)")
                    #expect(text.split(separator: "\n").count == 1 && text.utf8.count < 300, "seed \(seed): \(text)")
                }
            }
        }
        #expect(errors > 200)
    }

    private func model(_ text: String) throws -> Model {
        try withFolder(["config.json": "{\(text)}"]) { try Model(huggingFaceConfig: $0) }
    }

    @Test("null where transformers has no class to name is no architecture")
    func nullArchitectures() throws {
        let read = try model(
            "\"architectures\": [\"A\"], \"text_config\": {\"architectures\": null, \"model_type\": \"llama\", \(HuggingFaceConfigTests.small)}"
        )
        #expect(read.architecture == "A")
        #expect(read.note?.contains("vocab_size") != true)
    }

    @Test("a nested part that names some sizes has the class's others, and the model says so; the root has to name all")
    func nestedDefaults() throws {
        let gemma = """
            "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
            "sliding_window": 1024
            """
        let read = try model("\"model_type\": \"gemma3\", \"text_config\": {\(gemma)}")
        // Gemma 3 4B as it is published, without its encoder for images.
        #expect(read.parameters == 3_880_263_168)
        #expect(read.note?.contains("head_dim, num_attention_heads, num_key_value_heads, vocab_size") == true)
        let error = catalogError { _ = try model(gemma) }
        #expect(
            error?.description.contains("\"num_attention_heads\" is missing") == true, "\(error?.description ?? "")")
    }

    @Test("precision that NVIDIA's toolkit wrote into a file beside the configuration")
    func quantizationBeside() throws {
        let own = "{\"model_type\": \"llama\", \(HuggingFaceConfigTests.small)}"
        func stored(_ text: String) throws -> Precision {
            try withFolder(["config.json": own, "hf_quant_config.json": text]) {
                try Model(huggingFaceConfig: $0).nativePrecision
            }
        }
        #expect(try stored("{\"quantization\": {\"quant_algo\": \"NVFP4\"}}") == .nvfp4)
        let error = catalogError { _ = try stored("{\"quantization\":\n{\"quant_algo\": \"NVFP5\"}}") }
        #expect(error?.description.contains("hf_quant_config.json:2: ") == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("did you mean 'nvfp4'") == true)
    }

    @Test("an encoder is refused for what it is")
    func encoders() {
        let error = catalogError { _ = try model("\"model_type\": \"t5\", \"d_model\": 64") }
        #expect(error?.kind == .unsupportedArchitecture)
        #expect(error?.description.contains("not the configuration of a decoder") == true)
    }

    @Test("compressed entries are cached for every token, those of the window up to its size")
    func compressedCache() throws {
        let family = try #require(Self.families.first { $0.type == "deepseek_v4" })
        let read = try withFolder(["config.json": family.text]) { try Model(huggingFaceConfig: $0) }
        // Four windows of 8 entries of 16; two layers with an entry of 16 and a key of 8 for 4 tokens; one with an
        // entry for 128, which rounds down to nothing here.
        #expect(read.keyValueElements(contextTokens: 1000) == 4 * 8 * 16 + 2 * 6 * 1000)
    }
}
