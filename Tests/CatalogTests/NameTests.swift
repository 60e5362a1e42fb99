import Testing

@testable import Catalog

@Suite("Names")
struct NameTests {
    let catalog = Catalog.builtIn

    @Test("case, punctuation and organisation do not matter")
    func tolerant() throws {
        for name in [
            "llama-3.1-8b", "Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct", "LLAMA 3.1 8B", "llama_3_1_8b",
            "llama3.1-8b",
        ] {
            #expect(try catalog.model(name).id == "llama-3.1-8b", "\(name)")
        }
        #expect(try catalog.instance("TRN2.48XLARGE").id == "trn2.48xlarge")
        #expect(try catalog.instance("trn2 ultraserver").id == "u-trn2x64")
        #expect(try catalog.accelerator("NVIDIA H100 80GB HBM3").id == "h100")
    }

    @Test("a checkpoint's name gives the model's shape, stored as the name says")
    func checkpoints() throws {
        for (name, id, precision, experts) in [
            ("neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8", "llama-3.1-8b", Precision.fp8, nil),
            ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "llama-3.3-70b", .fp8, nil),
            ("nvidia/Llama-3.3-70B-Instruct-FP4", "llama-3.3-70b", .nvfp4, nil),
            ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4", "qwen2.5-72b", .int4, nil),
            ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "llama-3.1-70b", .int4, nil),
            ("Qwen/Qwen3-235B-A22B-FP8", "qwen3-235b-a22b", .fp8, nil),
            ("nvidia/Qwen3-235B-A22B-NVFP4", "qwen3-235b-a22b", .bf16, Precision.nvfp4),
            ("nvidia/DeepSeek-R1-0528-FP4", "deepseek-r1", .bf16, .nvfp4),
            ("Qwen/Qwen3-32B-Base", "qwen3-32b", .bf16, nil),
            ("amd/Llama-3.1-405B-Instruct-FP8-KV", "llama-3.1-405b", .fp8, nil),
            ("RedHatAI/Mistral-Small-24B-Instruct-2501-quantized.w8a8", "mistral-small-24b", .int8, nil),
        ] {
            let model = try catalog.model(name)
            #expect(model.id == id, "\(name)")
            #expect(model.nativePrecision == precision, "\(name)")
            #expect(model.nativeExpertPrecision == experts, "\(name)")
            #expect(model.note?.contains("the shape of \(id)") == true, "\(name)")
        }
        // Which of two is meant is not guessed, and what changes a shape is not taken off.
        for name in ["Mistral-7B-Instruct", "llama-3.1", "Qwen3-32B-Eagle3", "instruct", "fp8", "-", ""] {
            #expect(catalogError { _ = try catalog.model(name) }?.kind == .unknownName, "\(name)")
        }
    }

    @Test("names that differ only where a dot stands stay apart")
    func apart() throws {
        #expect(NameIndex.fold("qwen2.5-7b") != NameIndex.fold("qwen2-57b"))
        #expect(NameIndex.fold("llama-3.1-8b") != NameIndex.fold("llama-3-18b"))
        #expect(try catalog.model("qwen2-7b").id != catalog.model("qwen2.5-7b").id)
    }

    @Test("an unknown name is an error with the nearest one")
    func nearest() {
        for (name, expected) in [
            ("lama-3.1-8b", "llama-3.1-8b"), ("qwen3-32", "qwen3-32b"), ("deepseek-v33", "deepseek-v3"),
        ] {
            let error = #expect(throws: CatalogError.self) { try catalog.model(name) }
            #expect(error?.kind == .unknownName)
            #expect(error?.description.contains("\"\(expected)\"") == true, "\(error?.description ?? "")")
        }
        let accelerator = #expect(throws: CatalogError.self) { try catalog.accelerator("h1000") }
        #expect(accelerator?.description.contains("h100") == true)
        let fact = #expect(throws: CatalogError.self) { try catalog.fact("vllm-neuron.kv-cache.fraction-of-memry") }
        #expect(fact?.description.contains("vllm-neuron.kv-cache.fraction-of-memory") == true)
    }

    @Test("an absurd name is refused quickly and cut short in the message")
    func absurd() {
        let error = catalogError { _ = try catalog.model(String(repeating: "x", count: 1_000_000)) }
        #expect((error?.description.utf8.count ?? .max) < 1_000)
    }

    @Test("every id and alias finds its own entry")
    func all() throws {
        for entry in catalog.models {
            for name in [entry.id] + entry.aliases { #expect(try catalog.model(name).id == entry.id) }
        }
        for entry in catalog.instances {
            for name in [entry.id] + entry.aliases { #expect(try catalog.instance(name).id == entry.id) }
        }
        for entry in catalog.accelerators {
            for name in [entry.id] + entry.aliases { #expect(try catalog.accelerator(name).id == entry.id) }
        }
    }
}
