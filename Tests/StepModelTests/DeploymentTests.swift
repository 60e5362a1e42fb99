import Catalog
import StepModel
import Testing

private func deployment(_ instance: String, _ model: String, _ stack: ServingStack, tensor: Int) -> Deployment {
    var deployment = Deployment(instance: instance, model: model, stack: stack)
    deployment.parallelism.tensor = tensor
    return deployment
}

private func decodeCost(_ compiled: CompiledDeployment, batch: Int32, context: Int32) -> StepCost {
    var shape = StepShape()
    for _ in 0..<batch { shape.addDecode(contextTokens: context) }
    return compiled.table.cost(of: shape)
}

@Test func seventyBillionOnEightGPUs() throws {
    let compiled = try deployment("p5.48xlarge", "llama-3.1-70b", .vllm, tensor: 8).compile()
    #expect(compiled.chipsPerReplica == 8)
    #expect(compiled.replicasPerInstance == 1)
    // 70.6 billion parameters of two bytes over eight GPUs.
    #expect(abs(compiled.weightBytesPerChip / 17.6e9 - 1) < 0.05)
    let one = decodeCost(compiled, batch: 1, context: 1000)
    // 141 GB at 8 × 3.35 TB/s take 5.3 ms; collectives, launches and the host come on top.
    #expect(one.picoseconds > 5_300_000_000 && one.picoseconds < 15_000_000_000)
    #expect(decodeCost(compiled, batch: 64, context: 1000).picoseconds > one.picoseconds)
    #expect(
        decodeCost(compiled, batch: 64, context: 4000).picoseconds
            > decodeCost(compiled, batch: 64, context: 1000).picoseconds)
}

@Test func compiledSlotsSetTheDecodeStepOnTrainium() throws {
    var nxdi = deployment("trn2.48xlarge", "llama-3.1-8b", .nxdi, tensor: 8)
    nxdi.maxSequences = 32
    let compiled = try nxdi.compile()
    // One compiled batch: a single live sequence costs what 32 cost, whatever its context.
    #expect(
        decodeCost(compiled, batch: 1, context: 10).picoseconds
            == decodeCost(compiled, batch: 32, context: 7000).picoseconds)
    var buckets = nxdi
    buckets.stack = .vllmNeuron
    buckets.contextBuckets = [512, 2048]
    let bucketed = try buckets.compile()
    #expect(
        decodeCost(bucketed, batch: 1, context: 10).picoseconds
            < decodeCost(bucketed, batch: 32, context: 10).picoseconds)
    #expect(
        decodeCost(bucketed, batch: 32, context: 10).picoseconds
            == decodeCost(bucketed, batch: 32, context: 512).picoseconds)
    #expect(
        decodeCost(bucketed, batch: 32, context: 513).picoseconds
            > decodeCost(bucketed, batch: 32, context: 512).picoseconds)
    #expect(
        decodeCost(bucketed, batch: 17, context: 600).picoseconds
            == decodeCost(bucketed, batch: 32, context: 600).picoseconds)
}

@Test func whatDoesNotFitSaysByHowMuch() throws {
    let error = #expect(throws: DeploymentError.self) {
        try deployment("p5.48xlarge", "llama-3.1-70b", .vllm, tensor: 1).compile()
    }
    let text = try #require(error).description
    #expect(text.contains("GiB more than it has"))
    #expect(text.contains("tensor: 4") || text.contains("tensor: 2"))
}

@Test func wrongSettingsNameThemselves() {
    var wrong = deployment("p5.48xlarge", "llama-3.1-70b", .vllm, tensor: 8)
    wrong.parallelism.expert = 3
    #expect(throws: DeploymentError.invalid("parallelism.expert is 3; it must divide tensor × data = 8")) {
        try wrong.compile()
    }
    let stack = #expect(throws: DeploymentError.self) {
        try deployment("trn2.48xlarge", "llama-3.1-8b", .vllm, tensor: 8).compile()
    }
    #expect(stack?.description.contains("use vllm-neuron or nxdi") == true)
    let name = #expect(throws: DeploymentError.self) {
        try deployment("p5.48xlarg", "llama-3.1-70b", .vllm, tensor: 8).compile()
    }
    #expect(name?.description.contains("p5.48xlarge") == true)
}

/// Energy of a step lies between idle power × time and maximum power × time, for every kind of step.
@Test(arguments: [
    ("p5.48xlarge", ServingStack.vllm, 8), ("p6-b200.48xlarge", .trtllm, 4), ("trn2.48xlarge", .vllmNeuron, 64),
])
func energyStaysWithinThePowerEnvelope(instance: String, stack: ServingStack, tensor: Int) throws {
    var tested = deployment(instance, "llama-3.1-70b", stack, tensor: tensor)
    tested.maxSequences = 64
    let compiled = try tested.compile()
    func check(_ cost: StepCost, _ what: String) {
        let seconds = Double(cost.picoseconds) * 1e-12
        let joules = Double(cost.nanojoules) * 1e-9
        // Slopes are rounded to whole units, hence the thousandth.
        #expect(joules >= compiled.power.idleChipWatts * seconds * 0.999, "\(what)")
        #expect(joules <= compiled.power.maxChipWatts * seconds * 1.001, "\(what)")
    }
    for batch in [1, 2, 7, 64] as [Int32] {
        for context in [1, 100, 4000] as [Int32] {
            check(decodeCost(compiled, batch: batch, context: context), "decode \(batch) × \(context)")
        }
    }
    for chunk in [1, 128, 1000, 4096] as [Int32] {
        var shape = StepShape()
        shape.addPrefill(chunkTokens: chunk, contextTokens: 500, completes: true)
        check(compiled.table.cost(of: shape), "prefill \(chunk)")
    }
}
