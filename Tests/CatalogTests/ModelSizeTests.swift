import Testing

@testable import Catalog

@Suite("Sizes of models")
struct ModelSizeTests {
    let catalog = Catalog.builtIn

    @Test("parameters add up to what the maker says, within one part in a hundred")
    func publishedParameters() {
        var compared = 0
        for model in catalog.models {
            guard let published = model.publishedParameters?.value else { continue }
            compared += 1
            // Makers of multimodal models count their encoders too, which the shape leaves out.
            let tolerance = model.note?.contains("encoder") == true ? 0.02 : 0.01
            let error = Double(model.parameters) / published - 1
            #expect(abs(error) < tolerance, "\(model.id): \(model.parameters) against \(published)")
        }
        #expect(compared > 100)
    }

    @Test("parameters that one token uses add up to what the maker says")
    func publishedActiveParameters() {
        var compared = 0
        for model in catalog.models {
            guard let published = model.publishedActiveParameters?.value else { continue }
            compared += 1
            // Some count the embedding table, some the head as well, some neither; and they round to a billion.
            let counts = [0, model.embeddingElements, 2 * model.embeddingElements].map {
                Double(model.activeParameters - $0)
            }
            let nearest = counts.map { abs($0 / published - 1) }.min() ?? 1
            #expect(nearest < 0.05, "\(model.id): \(counts) against \(published)")
        }
        #expect(compared > 20)
    }

    @Test("exact counts of checkpoints that print them")
    func exactCounts() throws {
        #expect(try catalog.model("Llama-3.1-8B").parameters == 8_030_261_248)
        #expect(try catalog.model("Llama-3.1-70B").parameters == 70_553_706_496)
        #expect(try catalog.model("llama-2-7b").parameters == 6_738_415_616)
        #expect(try catalog.model("mixtral-8x7b").parameters == 46_702_792_704)
        #expect(try catalog.model("qwen2.5-7b").parameters == 7_615_616_512)
        #expect(try catalog.model("gpt2").parameters == 124_439_808)
    }

    @Test("cache bytes of a token")
    func cacheBytes() throws {
        // 80 layers x 8 heads x 128 x (key and value) x 2 bytes.
        #expect(try catalog.model("llama-3.1-70b").keyValueBytesPerToken(.bf16) == 327_680)
        // 61 layers x (512 + 64) x 2 bytes: one latent vector for all heads.
        #expect(try catalog.model("deepseek-v3").keyValueBytesPerToken(.bf16) == 70_272)
        // Only 12 of 48 layers of Qwen3-Next grow: 2 heads x 256 x 2.
        #expect(try catalog.model("qwen3-next-80b-a3b").keyValueElementsPerToken == 12 * 2 * 256 * 2)
        #expect(try catalog.model("llama-3.1-8b").keyValueBytesPerToken(.fp8) == 65_536)
    }

    @Test("a window bounds the cache of its layers")
    func windows() throws {
        let model = try catalog.model("gpt-oss-120b")
        let perLayer = 8 * 64 * 2
        #expect(model.keyValueElements(contextTokens: 100) == 36 * perLayer * 100)
        #expect(model.keyValueElements(contextTokens: 10_000) == 18 * perLayer * 10_000 + 18 * perLayer * 128)
        let plain = try catalog.model("llama-3.1-8b")
        #expect(plain.keyValueElements(contextTokens: 777) == plain.keyValueElementsPerToken * 777)
    }

    @Test("fixed states take no cache for a token, and caches no fixed state")
    func states() throws {
        let hybrid = try catalog.model("qwen3.5-27b")
        #expect(hybrid.stateElements > 0)
        #expect(try catalog.model("llama-3.1-8b").stateElements == 0)
        // 48 of 64 layers: 48 value heads x 128 x 128 and a convolution of 3 x (2 x 16 x 128 + 48 x 128).
        #expect(hybrid.stateElements == 48 * (48 * 128 * 128 + 3 * (2 * 16 * 128 + 48 * 128)))
    }

    @Test("weight bytes follow the precision, experts apart")
    func weightBytes() throws {
        let dense = try catalog.model("llama-3.1-8b")
        #expect(dense.weightBytes(.bf16) == Double(dense.parameters) * 2)
        #expect(dense.weightBytes(.fp8) == Double(dense.parameters))
        let mixture = try catalog.model("gpt-oss-120b")
        #expect(mixture.nativeExpertPrecision == .mxfp4)
        let rest = Double(mixture.parameters - mixture.routedParameters)
        #expect(mixture.nativeWeightBytes == rest * 2 + Double(mixture.routedParameters) * 4.25 / 8)
        // The published checkpoint is 65.2 GB (60.8 GiB).
        #expect(abs(mixture.nativeWeightBytes / 65.2e9 - 1) < 0.01)
        #expect(try catalog.model("deepseek-v3").nativePrecision == .fp8)
    }

    @Test("layers in groups are all the layers")
    func groups() {
        for model in catalog.models {
            #expect(model.layerGroups.reduce(0) { $0 + $1.count } == model.layers.count)
            #expect(model.activeParameters <= model.parameters)
            #expect(model.isMixture == (model.routedParameters > 0))
            #expect(model.hidden > 0)
        }
    }
}
