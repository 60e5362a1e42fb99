import Catalog
import Engine
import Foundation
import StepModel
import Testing
import Workload

@testable import Validation

/// A TGI server of Llama 3.1 8B on one TP8 replica of an inf2.48xlarge.
private func experiment(
    slots: Int, load: Experiment.Load, generator: LoadGenerator, quantity: Experiment.Quantity = .ttft
) -> Experiment {
    var deployment = Deployment(instance: "inf2.48xlarge", model: "llama-3.1-8b", stack: .tgiNeuron)
    deployment.parallelism.tensor = 8
    deployment.maxSequences = slots
    deployment.maxModelTokens = 4096
    deployment.memoryFraction = 1
    deployment.release = "neuron-2.18"
    let row = MeasuredRow(
        table: .neuron, line: 2, source: "s", model: "m", hardware: "inf2.48xlarge", chips: 4, software: "",
        precision: "BF16", parallelism: "8", logicalCore: nil, batch: "\(slots)", inputTokens: 1500, outputTokens: 200,
        metric: "ttft", value: 1, percentile99: nil, unit: "ms", notes: "")
    var experiment = Experiment(
        row: row, quantity: quantity, measured: 1, deployment: deployment, load: load, promptTokens: 1500,
        outputTokens: 200, platform: "Inf2", group: "test", isCalibration: false)
    experiment.generator = generator
    return experiment
}

/// Seconds of a prefill and of a whole request that runs alone, as the server's own parts give them.
private func alone(_ experiment: Experiment) throws -> (first: Double, all: Double, request: Double) {
    let compiled = try experiment.deployment.compile()
    let predictor = try StepPredictor(experiment.deployment)
    let server = RoutedReplica(
        number: 0, compiled: compiled, waitingRatio: 0.3, coefficients: predictor.coefficients)
    server.submit(Request(id: 1, arrivalNanoseconds: 0, promptTokens: 1500, outputTokens: 200), at: 0)
    var sink = CompletionCollector()
    while server.nextEventNanoseconds < .max { server.collect(until: server.nextEventNanoseconds, into: &sink) }
    let completion = try #require(sink.completions.first)
    return (
        Double(completion.firstTokenNanoseconds) * 1e-9, Double(completion.lastTokenNanoseconds) * 1e-9,
        predictor.coefficients[.requestSeconds]
    )
}

private func predict(_ experiment: Experiment) throws -> Double {
    let coefficients = try StepPredictor(experiment.deployment).coefficients
    return try #require(
        try ReplicaRun.predict(experiment, compiled: try experiment.deployment.compile(), coefficients: coefficients))
}

/// One slot and waves of four: the n-th of a wave waits for those before it, less what it came later.
@Test func llmperfSendsStaggeredWaves() throws {
    var trial = experiment(slots: 1, load: .closedLoop(4), generator: .llmperf)
    let (first, all, request) = try alone(trial)
    #expect(all > LoadGenerator.promptSeconds)
    let expected = request + first + 1.5 * (all - LoadGenerator.promptSeconds)
    #expect(abs(try predict(trial) / expected - 1) < 0.01)
    // A wave ends with its last request: eight waves of four requests one after another.
    trial.quantity = .requestThroughput
    #expect(abs(try predict(trial) / (32 / (8 * (4 * all + request))) - 1) < 0.01)
}

/// Arrivals are evenly spaced, and what is open after 120 s does not count.
@Test func guidellmDropsWhatItsTimeCutsOff() throws {
    let trial = experiment(
        slots: 8, load: .rate(0.1), generator: .guidellm(timeoutSeconds: nil), quantity: .requestThroughput)
    let (_, all, request) = try alone(trial)
    // Requests leave at 0, 10, 20, … s and never meet; the last one that ends in time ends the run.
    #expect(all + request < 10)
    let finished = ((120 - all - request) / 10).rounded(.down) + 1
    let expected = finished / ((finished - 1) * 10 + all + request)
    #expect(abs(try predict(trial) / expected - 1) < 0.001)
}

/// Beyond what guidellm has in stock, its closed loop sends no faster than it makes prompts.
@Test func promptsBeyondTheStockTakeTheirTime() {
    let generator = LoadGenerator.guidellm(timeoutSeconds: nil)
    #expect(generator.promptReady(LoadGenerator.guidellmStock - 1) == 0)
    #expect(abs(generator.promptReady(LoadGenerator.guidellmStock + 9) - 10 * LoadGenerator.promptSeconds) < 1e-9)
    #expect(LoadGenerator.plain.promptReady(1000) == 0)
}

/// A request that times out is cancelled at the server and in no figure.
@Test func requestsThatTimeOutDoNotCount() throws {
    let patient = experiment(
        slots: 1, load: .closedLoop(40), generator: .guidellm(timeoutSeconds: nil), quantity: .endToEnd)
    var hurried = patient
    hurried.generator = .guidellm(timeoutSeconds: 20)
    #expect(try predict(patient) > 40)
    #expect(try predict(hurried) < 20.1)
}

/// The router interrupts decoding for enough waiting requests, or after 20 tokens, and answers them together.
@Test func theRouterWaitsForMoreRequests() throws {
    let trial = experiment(slots: 16, load: .closedLoop(2), generator: .llmperf)
    let compiled = try trial.deployment.compile()
    let coefficients = try StepPredictor(trial.deployment).coefficients
    func firstTokenOfTheLast(ratio: Double) throws -> Double {
        let server = RoutedReplica(
            number: 0, compiled: compiled, waitingRatio: ratio, coefficients: coefficients)
        var sink = CompletionCollector()
        for id in 0..<10 {
            server.submit(
                Request(id: UInt64(id), arrivalNanoseconds: 0, promptTokens: 1500, outputTokens: 100), at: 0)
        }
        // The first one goes alone, for nothing ran; the other nine prefill together after it.
        while sink.completions.isEmpty, server.nextEventNanoseconds < 20_000_000_000 {
            server.collect(until: server.nextEventNanoseconds, into: &sink)
            if server.outstandingTokens < 10 * 95 { break }
        }
        let now = server.nextEventNanoseconds
        server.submit(Request(id: 99, arrivalNanoseconds: now, promptTokens: 1500, outputTokens: 2), at: now)
        while server.nextEventNanoseconds < .max { server.collect(until: server.nextEventNanoseconds, into: &sink) }
        #expect(sink.completions.count == 11)
        #expect(Set(sink.completions.map(\.requestID)).count == 11)
        #expect(sink.completions.allSatisfy { $0.status == .finished })
        let last = try #require(sink.completions.first { $0.requestID == 99 })
        return Double(last.firstTokenNanoseconds - now) * 1e-9
    }
    // At 0.05 one waiting request is enough for ten running ones; at 0.3 it waits for the twentieth token.
    let eager = try firstTokenOfTheLast(ratio: 0.05)
    let patient = try firstTokenOfTheLast(ratio: 0.3)
    #expect(patient > eager * 1.3, "\(eager) s, \(patient) s")
}

/// llmperf's counts by another tokenizer change what is printed, not what is served.
@Test func tokensAreCountedAsTheLoadGeneratorCountsThem() throws {
    var trial = experiment(slots: 4, load: .closedLoop(2), generator: .llmperf, quantity: .latencyPerToken)
    let model = try Catalog.builtIn.model("llama-3.1-8b")
    trial.describe(model)
    #expect(abs(trial.countedTokensPerToken - 3.94 / 3.17) < 1e-9)
    #expect(abs(trial.promptTokens * trial.countedTokensPerToken - 1500) < 1e-6)
    let counted = try predict(trial)
    trial.countedTokensPerToken = 1
    #expect(abs(try predict(trial) / counted - 3.94 / 3.17) < 1e-6)
    var other = experiment(slots: 4, load: .closedLoop(2), generator: .llmperf)
    other.describe(try Catalog.builtIn.model("llama-2-7b"))
    #expect(other.countedTokensPerToken == 1)
}

/// A server that takes less time per token for many clients than for one was counted otherwise.
@Test func contradictingSeriesAreRefused() {
    func row(_ clients: Int, _ latency: Double) -> MeasuredRow {
        MeasuredRow(
            table: .neuron, line: clients, source: "huggingface/optimum-neuron:benchmark/text-generation-inference/x",
            model: "Llama-2-7b-chat", hardware: "inf2.48xlarge", chips: 4, software: "", precision: "BF16",
            parallelism: "8", logicalCore: nil, batch: "32", inputTokens: 1500, outputTokens: 245,
            metric: "inter_token_latency_llmperf", value: latency, percentile99: nil, unit: "ms",
            notes: "kind=hf_partner; TGI; llmperf mean in 1500; conc=\(clients); dp=1; 2024-07")
    }
    let validator = Validator(catalog: .builtIn)
    #expect(validator.experiments([row(1, 33), row(8, 35)]).refusals.isEmpty)
    let refused = validator.experiments([row(1, 33), row(8, 19)]).refusals
    #expect(refused.count == 2)
    #expect(refused.allSatisfy { $0.reason.contains("counted other tokens") })
}
