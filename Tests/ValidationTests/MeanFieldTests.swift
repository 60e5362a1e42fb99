import Catalog
import StepModel
import Testing

@testable import Validation

private func experiment(
    _ deployment: Deployment, load: Experiment.Load, quantity: Experiment.Quantity, prompt: Double, output: Double
) -> Experiment {
    Experiment(
        row: MeasuredRow(
            table: .gpu, line: 1, source: "", model: deployment.model, hardware: "", chips: nil, software: "",
            precision: "",
            parallelism: "", logicalCore: nil, batch: "1", inputTokens: prompt, outputTokens: output, metric: "",
            value: 1,
            percentile99: nil, unit: "", notes: ""),
        quantity: quantity, measured: 1, deployment: deployment, load: load, promptTokens: prompt, outputTokens: output,
        platform: "", group: "", isCalibration: false)
}

private func llama() -> Deployment {
    var deployment = Deployment(instance: "p5.48xlarge", model: "llama-3.1-70b", stack: .vllm)
    deployment.parallelism.tensor = 8
    deployment.maxModelTokens = 4096
    return deployment
}

/// The closed form and the simulation agree where the closed form's assumptions hold: long outputs, steady clients.
@Test(arguments: [1, 8, 32]) func closedFormAndSimulationAgree(clients: Int) throws {
    let compiled = try llama().compile()
    let predictor = try StepPredictor(llama())
    for quantity in [Experiment.Quantity.tpot, .endToEnd] {
        let run = experiment(llama(), load: .closedLoop(clients), quantity: quantity, prompt: 500, output: 600)
        let field = try #require(MeanField(predictor: predictor, prompt: 500, output: 600).predict(run))
        let simulated = try #require(
            try ReplicaRun.predict(run, compiled: compiled, coefficients: predictor.coefficients))
        #expect(abs(field / simulated - 1) < 0.08, "\(quantity.rawValue) at \(clients): \(field) against \(simulated)")
    }
}

/// A table's decode step is the predictor's, to the rounding of its integers.
@Test(arguments: [1, 7, 64]) func tablesHoldWhatThePredictorSays(batch: Int32) throws {
    let compiled = try llama().compile()
    let predictor = try StepPredictor(llama())
    var shape = StepShape()
    for _ in 0..<batch { shape.addDecode(contextTokens: 1000) }
    let table = Double(compiled.table.cost(of: shape).picoseconds) * 1e-12
    let single = predictor.decodeStep(sequences: Double(batch), context: 1000).seconds
    #expect(abs(table / single - 1) < 1e-3)
}

@Test func aRunRepeatsToTheBit() throws {
    let compiled = try llama().compile()
    var loose = experiment(llama(), load: .rate(4), quantity: .ttft, prompt: 500, output: 100)
    loose.leastLengthFraction = 0.5
    let coefficients = try StepPredictor(llama()).coefficients
    let first = try ReplicaRun.predict(loose, compiled: compiled, coefficients: coefficients)
    let second = try ReplicaRun.predict(loose, compiled: compiled, coefficients: coefficients)
    #expect(first != nil && first == second)
}

/// The median gap between tokens has no prompt in it until most steps carry one, and then fewer than the mean has.
@Test func theMedianGapHasFewerPromptsThanTheMean() throws {
    var deployment = Deployment(instance: "p5.48xlarge", model: "llama-3.1-8b", stack: .vllm)
    deployment.maxSequences = 1024
    let predictor = try StepPredictor(deployment)
    func gap(running: Double) throws -> (median: Double, state: MeanField.State) {
        let field = MeanField(predictor: predictor, prompt: 150, output: 400)
        let measured = experiment(
            deployment, load: .decodeOnly(running), quantity: .interTokenLatency, prompt: 150, output: 400)
        return (try #require(field.predict(measured)), field.state(running: running))
    }
    // 0.5 and 2 prompts a step.
    let few = try gap(running: 200)
    #expect(few.median == few.state.decodeSeconds)
    let many = try gap(running: 800)
    #expect(many.median > many.state.decodeSeconds && many.median < many.state.meanStepSeconds)
}
