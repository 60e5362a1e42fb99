import Catalog
import StepModel
import Testing

private func compiled(
    _ instance: String, _ model: String, _ stack: ServingStack, tensor: Int, length: Int = 8192
) throws -> CompiledDeployment {
    var deployment = Deployment(instance: instance, model: model, stack: stack)
    deployment.parallelism.tensor = tensor
    deployment.maxModelTokens = length
    deployment.maxSequences = 64
    return try deployment.compile()
}

@Test func bandsHoldTheValueAndWidenWithExtrapolation() throws {
    let known = try compiled("p5.48xlarge", "llama-3.1-70b", .vllm, tensor: 8).uncertainty
    for quantity in Uncertainty.Quantity.allCases {
        let band = known.band(quantity)
        #expect(band.lowerBound < 1 && band.upperBound > 1)
        #expect(abs(band.lowerBound * band.upperBound - 1) < 1e-12)
    }
    let long = try compiled("p5.48xlarge", "llama-3.1-70b", .vllm, tensor: 8, length: 131_072).uncertainty
    #expect(long.extrapolations.contains { $0.contains("131072 tokens") })
    #expect(long.decodeLogDeviation > known.decodeLogDeviation)
}

/// Trainium's design power is told apart by its sources, so its energy is a range.
@Test func trainiumEnergyIsARange() throws {
    let trainium = try compiled("u-trn3x64", "llama-3.1-70b", .vllmNeuron, tensor: 64)
    #expect(trainium.power.chipWattsRange.lowerBound < 1 && trainium.power.chipWattsRange.upperBound > 1)
    #expect(trainium.grade == .assumed)
    #expect(trainium.assumptions.contains { $0.contains("Trainium3") })
    let gpu = try compiled("p5.48xlarge", "llama-3.1-70b", .vllm, tensor: 8)
    #expect(trainium.uncertainty.band(.energy).upperBound > gpu.uncertainty.band(.energy).upperBound)
}

@Test func wallPowerIsBaseAndSlope() throws {
    let power = try compiled("p5.48xlarge", "llama-3.1-70b", .vllm, tensor: 4).power
    #expect(abs(power.wallWatts(chipWatts: 2000) - (power.hostBaseWatts + 2000 * power.wallWattsPerChipWatt)) < 1e-9)
    // Half of the server, half of its base.
    #expect(abs(power.hostBaseWatts - 830) < 1)
    #expect(
        abs(
            power.chipJoules(activeNanojoules: 5e9, busyPicoseconds: 1e12, windowSeconds: 3)
                - (5 + 2 * power.idleChipWatts)) < 1e-9)
}
