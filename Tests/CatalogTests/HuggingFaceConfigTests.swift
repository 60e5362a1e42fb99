import Foundation
import Testing

@testable import Catalog

@Suite("Hugging Face configurations")
struct HuggingFaceConfigTests {
    private func model(_ text: String) throws -> Model {
        try withFolder(["config.json": text]) { try Model(huggingFaceConfig: $0) }
    }

    private func attention(_ model: Model, layer: Int = 0) -> Attention? {
        if case .attention(let attention) = model.layers[layer].mixers.first { attention } else { nil }
    }

    private func mixture(_ model: Model, layer: Int) -> Mixture? {
        if case .mixture(let mixture) = model.layers[layer].feedForward { mixture } else { nil }
    }

    static let small = """
        "hidden_size": 64, "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 2,
        "intermediate_size": 128, "vocab_size": 100
        """

    @Test("a file, a folder and a catalogue lookup by path read the same")
    func paths() throws {
        try withFolder(["config.json": "{\"model_type\": \"llama\", \(Self.small)}"]) { folder in
            let byFolder = try Model(huggingFaceConfig: folder)
            let byFile = try Model(huggingFaceConfig: folder + "/config.json")
            #expect(byFolder.layers == byFile.layers)
            #expect(try Catalog.builtIn.model(nameOrPath: folder + "/config.json").layers == byFile.layers)
            #expect(byFile.date == nil)
        }
        #expect(catalogError { _ = try Model(huggingFaceConfig: "/nowhere/config.json") }?.kind == .unreadable)
        #expect(try Catalog.builtIn.model(nameOrPath: "llama-3.1-8b").id == "llama-3.1-8b")
        #expect(catalogError { _ = try Catalog.builtIn.model(nameOrPath: "./nowhere") }?.kind == .unreadable)
    }

    @Test("grouped, multi-head and multi-query attention")
    func heads() throws {
        let grouped = try model("{\"model_type\": \"llama\", \(Self.small)}")
        #expect(attention(grouped)?.keyValueHeads == 2)
        // q 64x64, k and v 64x16, o 64x64; gate, up, down 64x128; two norms of 64.
        #expect(grouped.layers[0].elements(hidden: 64) == 64 * 64 * 2 + 2 * 64 * 16 + 3 * 64 * 128 + 128)
        #expect(grouped.parameters == 8 * grouped.layers[0].elements(hidden: 64) + 2 * 6400 + 64)
        let multiHead = try model(
            "{\"model_type\": \"llama\", \(Self.small.replacing("\"num_key_value_heads\": 2,", with: ""))}")
        #expect(attention(multiHead)?.keyValueHeads == 8)
        let falcon = try model("{\"model_type\": \"falcon\", \"multi_query\": true, \(Self.small)}")
        #expect(attention(falcon)?.keyValueHeads == 1)
    }

    @Test("tied embeddings are counted once")
    func tied() throws {
        let untied = try model("{\"model_type\": \"llama\", \(Self.small)}")
        let tied = try model("{\"model_type\": \"llama\", \"tie_word_embeddings\": true, \(Self.small)}")
        #expect(untied.parameters - tied.parameters == 6400)
        #expect(try model("{\"model_type\": \"gemma\", \(Self.small)}").hasTiedEmbeddings)
    }

    @Test("windows: everywhere, alternating, by pattern, by list, unused")
    func windows() throws {
        func windows(_ type: String, _ extra: String) throws -> [Int?] {
            try model("{\"model_type\": \"\(type)\", \(extra), \(Self.small)}").layers.map { $0.mixers[0].window }
        }
        #expect(try windows("mistral", "\"sliding_window\": 16") == Array(repeating: 16, count: 8))
        #expect(try windows("mistral", "\"sliding_window\": null") == Array(repeating: nil, count: 8))
        #expect(try windows("gemma2", "\"sliding_window\": 16") == [16, nil, 16, nil, 16, nil, 16, nil])
        #expect(try windows("gemma3_text", "\"sliding_window\": 16") == [16, 16, 16, 16, 16, nil, 16, 16])
        #expect(
            try windows("cohere2", "\"sliding_window\": 16, \"sliding_window_pattern\": 2") == [
                16, nil, 16, nil, 16, nil, 16, nil,
            ])
        #expect(
            try windows("qwen2", "\"sliding_window\": 16, \"use_sliding_window\": false")
                == Array(repeating: nil, count: 8))
        #expect(
            try windows("qwen2", "\"sliding_window\": 16, \"use_sliding_window\": true, \"max_window_layers\": 6")
                == [nil, nil, nil, nil, nil, nil, 16, 16])
        let list = (0..<8).map { $0 == 3 ? "\"full_attention\"" : "\"sliding_attention\"" }.joined(separator: ",")
        #expect(
            try windows("gpt_oss", "\"sliding_window\": 16, \"layer_types\": [\(list)]") == [
                16, 16, 16, nil, 16, 16, 16, 16,
            ])
        #expect(throws: CatalogError.self) {
            try windows("gpt_oss", "\"sliding_window\": 16, \"layer_types\": [\"full_attention\"]")
        }
    }

    @Test("routed experts: all layers, after dense ones, interleaved, shared")
    func mixtures() throws {
        let mixtral = try model(
            "{\"model_type\": \"mixtral\", \"num_local_experts\": 4, \"num_experts_per_tok\": 2, \(Self.small)}")
        #expect(mixture(mixtral, layer: 0)?.experts == 4)
        #expect(mixtral.routedParameters == 8 * 4 * 3 * 64 * 128)
        #expect(mixtral.parameters - mixtral.activeParameters == 8 * 2 * 3 * 64 * 128)
        let glm = try model(
            """
            {"model_type": "glm4_moe", "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
             "n_shared_experts": 2, "first_k_dense_replace": 3, \(Self.small)}
            """)
        #expect((0..<8).map { mixture(glm, layer: $0) != nil } == [false, false, false, true, true, true, true, true])
        #expect(mixture(glm, layer: 4)?.sharedIntermediate == 64)
        let llama4 = try model(
            """
            {"model_type": "llama4_text", "num_local_experts": 4, "num_experts_per_tok": 1, "intermediate_size_mlp": 256,
             "interleave_moe_layer_step": 2, "attention_chunk_size": 32, \(Self.small)}
            """)
        #expect(
            (0..<8).map { mixture(llama4, layer: $0) != nil } == [false, true, false, true, false, true, false, true])
        #expect(mixture(llama4, layer: 1)?.sharedIntermediate == 128)
        #expect(llama4.layers.map { $0.mixers[0].window } == [32, 32, 32, nil, 32, 32, 32, nil])
        if case .dense(let dense) = llama4.layers[0].feedForward { #expect(dense.intermediate == 256) }
        let qwen = try model(
            """
            {"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
             "mlp_only_layers": [5], "decoder_sparse_step": 1, \(Self.small)}
            """)
        #expect((0..<8).map { mixture(qwen, layer: $0) != nil } == [true, true, true, true, true, false, true, true])
        #expect(
            catalogError {
                _ = try model(
                    "{\"model_type\": \"mixtral\", \"num_local_experts\": 4, \"num_experts_per_tok\": 5, \(Self.small)}"
                )
            }?.description.contains("5 experts of 4") == true)
    }

    @Test("latent attention, with and without a rank for queries, and with an indexer")
    func latent() throws {
        let text = """
            {"model_type": "deepseek_v3", "kv_lora_rank": 16, "q_lora_rank": 24, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8,
             "v_head_dim": 8, \(Self.small)}
            """
        let ranked = try model(text)
        guard case .latentAttention(let attention) = ranked.layers[0].mixers[0] else {
            Issue.record("no latent attention")
            return
        }
        #expect(ranked.keyValueElementsPerToken == 8 * (16 + 4))
        let queries = 64 * 24 + 24 + 24 * 8 * 12
        let rest = 64 * 20 + 16 + 16 * 8 * 16 + 8 * 8 * 64
        #expect(attention.elements(hidden: 64) == queries + rest)
        let direct = try model(text.replacing("\"q_lora_rank\": 24", with: "\"q_lora_rank\": null"))
        #expect(ranked.parameters - direct.parameters == 8 * (queries - 64 * 8 * 12))
        let sparse = try model(
            text.replacing("deepseek_v3", with: "deepseek_v32").replacing(
                "\"v_head_dim\"",
                with: "\"index_n_heads\": 2, \"index_head_dim\": 4, \"index_topk\": 16, \"v_head_dim\""))
        #expect(sparse.keyValueElementsPerToken == 8 * (16 + 4 + 4))
    }

    @Test("linear attention in three of four layers")
    func linear() throws {
        let text = """
            {"model_type": "qwen3_next", "full_attention_interval": 4, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
             "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_conv_kernel_dim": 4, "num_experts": 4,
             "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32, \(Self.small)}
            """
        let hybrid = try model(text)
        let isLinear = hybrid.layers.map { if case .linearAttention = $0.mixers[0] { true } else { false } }
        #expect(isLinear == [true, true, true, false, true, true, true, false])
        #expect(hybrid.keyValueElementsPerToken == 2 * 2 * 8 * 2)
        #expect(attention(hybrid, layer: 3)?.hasOutputGate == true)
        #expect(mixture(hybrid, layer: 0)?.hasSharedGate == true)
    }

    @Test("state-space layers by a pattern of letters")
    func stateSpace() throws {
        let hybrid = try model(
            """
            {"model_type": "nemotron_h", "hybrid_override_pattern": "M*-EMM*-", "mamba_num_heads": 4, "mamba_head_dim": 16,
             "ssm_state_size": 8, "n_groups": 2, "conv_kernel": 4, "n_routed_experts": 4, "num_experts_per_tok": 2,
             "moe_intermediate_size": 32, "n_shared_experts": 1, "moe_shared_expert_intermediate_size": 48, \(Self.small)}
            """)
        #expect(hybrid.layers.map(\.mixers.count) == [1, 1, 0, 0, 1, 1, 1, 0])
        #expect(hybrid.stateElements == 3 * (64 * 8 + 3 * (64 + 2 * 2 * 8)))
        #expect(mixture(hybrid, layer: 3)?.sharedIntermediate == 48)
        #expect(mixture(hybrid, layer: 3)?.isGated == false)
        let words = "\"mamba\", \"attention\", \"mlp\", \"moe\", \"mamba\", \"mamba\", \"attention\", \"mlp\""
        let inWords = try model(
            """
            {"model_type": "nemotron_h", "layers_block_type": [\(words)], "mamba_num_heads": 4, "mamba_head_dim": 16,
             "ssm_state_size": 8, "n_groups": 2, "conv_kernel": 4, "n_routed_experts": 4, "num_experts_per_tok": 2,
             "moe_intermediate_size": 32, "n_shared_experts": 1, "moe_shared_expert_intermediate_size": 48,
             \(Self.small.replacing("\"num_hidden_layers\": 8,", with: ""))}
            """)
        #expect(inWords.layers == hybrid.layers)
        let error = catalogError {
            _ = try model("{\"model_type\": \"nemotron_h\", \"hybrid_override_pattern\": \"M*\", \(Self.small)}")
        }
        #expect(error?.description.contains("2 letters for 8 layers") == true)
    }

    @Test("the language model inside a multimodal configuration")
    func nested() throws {
        let text = """
            {"architectures": ["SomeVisionModel"], "model_type": "some_vl", "tie_word_embeddings": true,
             "vision_config": {"hidden_size": 9, "model_type": "vit"},
             "text_config": {"model_type": "qwen3", "dtype": "float16", \(Self.small)}}
            """
        let inner = try model(text)
        #expect(inner.hidden == 64)
        #expect(inner.architecture == "SomeVisionModel")
        #expect(inner.hasTiedEmbeddings)
        #expect(inner.nativePrecision == .fp16)
        let twice = "{\"model_type\": \"omni\", \"thinker_config\": \(text)}"
        #expect(try model(twice).hidden == 64)
    }

    @Test("stored precision")
    func precision() throws {
        func stored(_ extra: String, experts: Bool = false) throws -> (Precision, Precision?) {
            let type = experts ? "\"mixtral\", \"num_local_experts\": 4, \"num_experts_per_tok\": 2" : "\"llama\""
            let read = try model("{\"model_type\": \(type), \(extra), \(Self.small)}")
            return (read.nativePrecision, read.nativeExpertPrecision)
        }
        #expect(try stored("\"torch_dtype\": \"float32\"") == (.fp32, nil))
        #expect(try stored("\"torch_dtype\": \"bfloat16\"") == (.bf16, nil))
        #expect(try stored("\"quantization_config\": {\"quant_method\": \"fp8\"}") == (.fp8, nil))
        let mxfp4 = "\"quantization_config\": {\"quant_method\": \"mxfp4\"}"
        #expect(try stored(mxfp4, experts: true) == (.bf16, .mxfp4))
        #expect(try stored(mxfp4) == (.mxfp4, nil))
        #expect(try stored("\"expert_dtype\": \"fp4\"", experts: true) == (.bf16, .mxfp4))
        #expect(try stored("\"quantization_config\": {\"quant_method\": \"awq\", \"bits\": 4}") == (.int4, nil))
        #expect(try stored("\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 8}") == (.int8, nil))
        #expect(
            try stored("\"quantization_config\": {\"quant_method\": \"modelopt\", \"quant_algo\": \"NVFP4\"}")
                == (.nvfp4, nil))
        let mixed = """
            "quantization_config": {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {
            "a.self_attn.q_proj": {"quant_algo": "FP8"}, "a.self_attn.k_proj": {"quant_algo": "FP8"},
            "a.mlp.gate_proj": {"quant_algo": "W4A16_NVFP4"}, "a.experts": {"quant_algo": "MXFP8"}}}
            """
        #expect(try stored(mixed) == (.mxfp8, nil))
        #expect(try stored(mixed, experts: true) == (.nvfp4, .mxfp8))
        for (method, precision) in [
            ("\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true", Precision.int4),
            ("\"quant_method\": \"bitsandbytes\", \"load_in_8bit\": true", .int8),
            ("\"quant_method\": \"auto-round\", \"bits\": 4", .int4),
            ("\"quant_method\": \"quark\", \"global_quant_config\": {\"weight\": {\"dtype\": \"fp4\"}}", .mxfp4),
        ] {
            #expect(try stored("\"quantization_config\": {\(method)}") == (precision, nil), "\(method)")
        }
        func packed(_ weights: String, ignore: String) throws -> (Precision, Precision?) {
            let groups = "\"config_groups\": {\"group_0\": {\"weights\": {\(weights)}}}"
            return try stored(
                "\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \(groups), \"ignore\": [\(ignore)]}",
                experts: true)
        }
        #expect(try packed("\"num_bits\": 8, \"type\": \"float\"", ignore: "\"lm_head\"") == (.fp8, nil))
        #expect(
            try packed("\"num_bits\": 4, \"type\": \"int\", \"group_size\": 32", ignore: "\"re:.*self_attn.*\"") == (
                .bf16, .int4
            ))
        #expect(
            try packed("\"num_bits\": 4, \"type\": \"float\", \"group_size\": 16", ignore: "\"lm_head\"") == (
                .nvfp4, nil
            ))
        let unknown = catalogError { _ = try stored("\"quantization_config\": {\"quant_method\": \"fp7\"}") }
        #expect(unknown?.description.contains("fp8") == true, "\(unknown?.description ?? "")")
    }

    @Test("biases and learned positions of older models")
    func older() throws {
        let opt = try model(
            "{\"model_type\": \"opt\", \"ffn_dim\": 128, \"max_position_embeddings\": 10, \(Self.small)}")
        #expect(opt.otherElements == 2 * 64 + 12 * 64)
        #expect(attention(opt)?.hasInputBias == true)
        let qwen = try model("{\"model_type\": \"qwen2\", \(Self.small)}")
        let llama = try model("{\"model_type\": \"llama\", \(Self.small)}")
        #expect(qwen.parameters - llama.parameters == 8 * (64 + 16 + 16))
        #expect(
            catalogError { _ = try model("{\"model_type\": \"gpt2\", \(Self.small)}") }?.description.contains(
                "max_position_embeddings") == true)
    }

    @Test("an unknown architecture is an error that names key, file and the nearest")
    func unknown() throws {
        let error = catalogError { _ = try model("{\n\"model_type\": \"lama\",\n \(Self.small)}") }
        #expect(error?.kind == .unsupportedArchitecture)
        #expect(error?.description.contains("config.json:2:") == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("model_type") == true)
        #expect(error?.description.contains("llama") == true)
    }

    @Test(
        "what cannot be is an error that names the key",
        arguments: [
            ("\"hidden_size\": 64,", "", "hidden_size"), ("\"vocab_size\": 100", "\"vocab_size\": 0", "vocab_size"),
            ("\"num_hidden_layers\": 8", "\"num_hidden_layers\": 1000000", "1 to 1024"),
            ("\"num_hidden_layers\": 8", "\"num_hidden_layers\": 8.5", "whole number"),
            ("\"num_attention_heads\": 8", "\"num_attention_heads\": 7", "multiple"),
            ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "multiple"),
            ("\"hidden_size\": 64", "\"hidden_size\": \"big\"", "number"),
            ("\"intermediate_size\": 128,", "", "intermediate_size"),
            ("\"hidden_size\": 64", "\"hidden_size\": 1e18", "whole number"),
            ("\"model_type\": \"llama\"", "\"model\": \"llama\"", "model_type"),
        ]
    )
    func impossible(old: String, new: String, expected: String) throws {
        let text = "{\"model_type\": \"llama\", \(Self.small)}".replacing(old, with: new)
        let error = catalogError { _ = try model(text) }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "no error")")
    }

    @Test("the largest sizes that are taken overflow nothing")
    func largest() throws {
        let keys: [String: Int] = [
            "hidden_size": 1 << 18, "num_hidden_layers": 1 << 10, "num_attention_heads": 1 << 14,
            "num_key_value_heads": 1 << 14,
            "head_dim": 1 << 14, "intermediate_size": 1 << 20, "moe_intermediate_size": 1 << 20, "vocab_size": 1 << 26,
            "num_local_experts": 1 << 12, "num_experts_per_tok": 1 << 12, "n_shared_experts": 1,
            "linear_num_key_heads": 1 << 14,
            "linear_num_value_heads": 1 << 14, "linear_key_head_dim": 1 << 14, "linear_value_head_dim": 1 << 14,
            "linear_conv_kernel_dim": 1 << 10, "full_attention_interval": 2, "kv_lora_rank": 1 << 14,
            "q_lora_rank": 1 << 14,
            "qk_rope_head_dim": 1 << 14, "qk_nope_head_dim": 1 << 14, "v_head_dim": 1 << 14,
            "max_position_embeddings": 1 << 40,
        ]
        for type in ["llama", "mixtral", "gpt_oss", "qwen3_next", "deepseek_v3", "glm4_moe", "opt", "phimoe"] {
            var keys = keys
            if !["deepseek_v3"].contains(type) { keys["kv_lora_rank"] = nil }
            if !["qwen3_next"].contains(type) { keys["full_attention_interval"] = nil }
            let body = keys.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
            let huge = try model("{\"model_type\": \"\(type)\", \(body)}")
            #expect(huge.parameters > 0)
            #expect(huge.keyValueElements(contextTokens: 1 << 20) > 0)
            #expect(huge.stateElements >= 0)
        }
    }

    @Test("no damage to a configuration does worse than an error")
    func damage() {
        let seed: UInt64 = 11
        var numbers = SeededNumbers(state: seed)
        let original = Array(
            "{\"model_type\": \"qwen3_moe\", \"num_experts\": 4, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 32, \(Self.small)}"
                .utf8)
        let alphabet = Array("\"{}[],:0123456789eE.-".utf8)
        for _ in 0..<3_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...3, using: &numbers) {
                bytes[Int.random(in: 0..<bytes.count, using: &numbers)] = alphabet.randomElement(using: &numbers)!
            }
            let read = catalogError {
                let document = try JSONDocument(parsing: bytes, file: "config.json")
                let config = try HuggingFaceConfig(document: document, root: document.root)
                let model = try config.model(id: "m", source: "s", grade: .published, date: nil)
                #expect(model.parameters > 0)
            }
            if let read { #expect(!read.description.isEmpty, "seed \(seed)") }
        }
    }
}
