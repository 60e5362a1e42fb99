import Catalog
import StepModel
import Testing

private func predictor(
    _ instance: String, _ model: String, _ stack: ServingStack, tensor: Int, expert: Int = 1, slots: Int = 256
) throws -> StepPredictor {
    var deployment = Deployment(instance: instance, model: model, stack: stack)
    deployment.parallelism = Parallelism(tensor: tensor, expert: expert)
    deployment.maxSequences = slots
    deployment.maxModelTokens = 4096
    return try StepPredictor(deployment)
}

/// Eight tokens that each visit one of 16 experts meet some rank of eight twice: that rank decides the step, while ranks
/// that split every expert share the work evenly.
@Test func expertParallelDecodeWaitsForItsFullestRank() throws {
    let split = try predictor("p5.48xlarge", "llama-4-scout", .vllm, tensor: 8)
    let dealt = try predictor("p5.48xlarge", "llama-4-scout", .vllm, tensor: 8, expert: 8)
    let few = (split.decodeStep(sequences: 8, context: 512), dealt.decodeStep(sequences: 8, context: 512))
    #expect(few.1.seconds > 1.3 * few.0.seconds)
    // With many tokens every rank reads all of its experts, and what remains is the uneven arithmetic.
    let many = (split.decodeStep(sequences: 256, context: 512), dealt.decodeStep(sequences: 256, context: 512))
    #expect(many.1.seconds / many.0.seconds < few.1.seconds / few.0.seconds)
    // Ranks that wait draw less.
    #expect(few.1.joules / few.1.seconds < few.0.joules / few.0.seconds)
}

/// Neuron graphs load the experts of each visit apart: more slots cost more, until all experts are loaded anyway.
@Test func compiledSlotsLoadTheirExpertsApart() throws {
    let seconds = try [1, 2, 4, 8].map {
        try predictor("trn1.32xlarge", "qwen3-30b-a3b", .nxdi, tensor: 32, slots: $0).decodeStep(
            sequences: 1, context: 512
        ).seconds
    }
    #expect(zip(seconds, seconds.dropFirst()).allSatisfy { $0 < $1 })
    // 48 layers × 8 more visits × 2 us and the bytes of the experts, at the least.
    #expect(seconds[1] - seconds[0] > 48 * 8 * 1.5e-6)
}

/// Reading a long cache draws more than streaming weights: attention multiplies whole tiles for a few queries.
@Test func longContextsDrawMore() throws {
    let model = try predictor("p5.48xlarge", "qwen3-8b", .vllm, tensor: 1)
    let short = model.decodeStep(sequences: 64, context: 300)
    let long = model.decodeStep(sequences: 64, context: 4200)
    #expect(long.joules / long.seconds > 1.1 * short.joules / short.seconds)
}
