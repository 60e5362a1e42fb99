import Catalog
import Foundation
import StepModel
import Testing

@testable import Validation

/// Tables of others name models, GPUs, formats and units that the given ones do not: each row is predicted or refused with
/// its reason, and none fails its file.
private let gpuHeader =
    "source,system,gpu,count,model,framework,precision,tp,batch_or_concurrency,input_len,output_len,metric,value,unit,notes"
private let gpuRow = "other,h100,H100,2,Qwen/Qwen3-32B,vllm,fp8,TP2,8,1024,128,tpot,19.2,ms,agg"
private let neuronHeader =
    "source,neuron_version,model,instance,chips,tp_degree,lnc,precision,batch_size,input_len,output_len,metric,p50,p99,unit,notes"
private let neuronRow = "other,2.29,Llama-3.1-8B-Instruct,trn2.48xlarge,1,4,2,BF16,1,1024,128,tpot,8.5,,ms,contrib"

/// What becomes of one row: nil when it is predicted, else the reason.
private func fate(_ header: String, _ row: String, setting column: String, to value: String) throws -> String? {
    var cells = row.components(separatedBy: ",")
    cells[header.components(separatedBy: ",").firstIndex(of: column)!] = value
    return try fate(of: "\(header)\n\(cells.joined(separator: ","))\n")
}

private func fate(of table: String) throws -> String? {
    let validator = Validator(catalog: .builtIn)
    let rows = try MeasuredRow.parse(table, name: "t.csv")
    let (experiments, refusals) = validator.experiments(rows)
    let (outcomes, more) = validator.predict(experiments, calibration: .builtIn)
    #expect(outcomes.count + refusals.count + more.count == rows.count)
    return (refusals + more).first?.reason
}

@Test(arguments: [
    ("gpu", "B300 SXM"), ("gpu", "GB200"), ("gpu", "A100-PCIe"), ("gpu", "L40S"), ("gpu", "MI300X"),
    ("gpu", "p5en.48xlarge"),
    ("gpu", "NVIDIA RTX PRO 6000"), ("framework", "sglang"), ("framework", "TensorRT-LLM 1.2"), ("framework", ""),
    ("precision", "fp8_block"), ("precision", "BF16"), ("precision", "AWQ"), ("precision", "w8a8"), ("precision", ""),
    ("tp", "tp=2"), ("tp", "2"), ("tp", ""), ("tp", "TP1 DP2"), ("count", ""), ("unit", "s"), ("unit", "us"),
    ("model", "meta-llama/Llama-3.3-70B-Instruct"), ("source", ""), ("system", ""), ("notes", ""),
])
func otherGPUTablesAreRead(column: String, value: String) throws {
    #expect(try fate(gpuHeader, gpuRow, setting: column, to: value) == nil)
}

@Test(arguments: [
    ("gpu", "TPU v6e", "no instance in the catalogue has the GPU 'TPU v6e'"),
    ("gpu", "trn2.48xlarge", "rows of NeuronCores have a column 'instance'"),
    ("model", "Qwen/Qwen9-Nonesuch", "Qwen9-Nonesuch"), ("model", "", "model"),
    ("framework", "lmdeploy", "the software 'lmdeploy' is not vLLM, TensorRT-LLM or SGLang"),
    ("precision", "fp6", "the precision 'fp6' is not known"), ("tp", "TP3", "cannot be read"),
    ("batch_or_concurrency", "Offline", "the batch or concurrency 'Offline'"), ("batch_or_concurrency", "1e30", "1e30"),
    ("batch_or_concurrency", "", "the batch or concurrency ''"), ("input_len", "", "the row has no lengths"),
    ("input_len", "1e11", "input_len is"), ("output_len", "many", "'many' in column output_len is not a number"),
    ("metric", "goodput", "the metric 'goodput' is not predicted"), ("value", "", "the row has no value"),
    ("value", "0", "the value is not above 0"), ("value", "-3", "'-3' in column value is not a number"),
    ("value", "inf", "'inf' in column value is not a number"), ("value", "nan", "the row has no value"),
    ("unit", "furlongs", "the unit 'furlongs' of tpot is not one of"), ("unit", "", "the unit '' of tpot"),
    ("count", "two", "'two' in column count is not a number"), ("count", "1e9", "chips"),
    ("notes", "disagg; prefill=2", "prefill and decode apart"), ("notes", "MTP on", "speculation"),
])
func unknownGPURowsAreRefused(column: String, value: String, reason: String) throws {
    #expect(try fate(gpuHeader, gpuRow, setting: column, to: value)?.contains(reason) == true)
}

@Test(arguments: [
    ("instance", "trn1n.32xlarge"), ("instance", "trn2u.48xlarge"), ("instance", "inf2.24xlarge"), ("batch_size", ""),
    ("batch_size", "4.0"), ("precision", "FP32; autocast Matmult-BF16"), ("precision", "fp8_e4m3"), ("lnc", ""),
    ("unit", "s"), ("neuron_version", ""), ("chips", ""), ("input_len", ""), ("notes", ""), ("source", ""),
])
func otherNeuronTablesAreRead(column: String, value: String) throws {
    let found = try fate(neuronHeader, neuronRow, setting: column, to: value)
    #expect(found == nil, "\(found ?? "")")
}

@Test(arguments: [
    ("instance", "g6e.48xlarge", "g6e.48xlarge has no NeuronCores"), ("instance", "trn9", "no instance 'trn9'"),
    ("model", "Nonesuch-7B", "Nonesuch-7B"), ("tp_degree", "n/a", "no tensor degree"),
    ("tp_degree", "0", "no tensor degree"),
    ("batch_size", "dynamic", "the batch size 'dynamic'"),

    ("precision", "ternary", "the precision 'ternary' is not known"),
    ("metric", "p90_itl", "the metric 'p90_itl' is not predicted"),
    ("p50", "fast", "'fast' in column p50 is not a number"),
    ("unit", "min/tok", "the unit 'min/tok' of tpot"), ("notes", "contrib; conc=0", "0 clients"),
    ("notes", "contrib; conc=99999999", "99999999 clients"),
    ("notes", "contrib; profile=asynchronous@0", "0.0 requests a second"),
])
func unknownNeuronRowsAreRefused(column: String, value: String, reason: String) throws {
    let found = try fate(neuronHeader, neuronRow, setting: column, to: value)
    #expect(found?.contains(reason) == true, "\(found ?? "predicted")")
}

@Test func columnsThatNothingDependsOnMayBeAbsent() throws {
    #expect(
        try fate(
            of: """
                \u{FEFF}GPU,Model,tp,batch_or_concurrency,input_len,output_len,metric,value,unit,colour
                H200,Qwen/Qwen3-32B,TP2,8,1024,128,tpot,12,ms,"blue,
                and green"

                """) == nil)
    #expect(
        try fate(of: "model,instance,tp_degree,metric,p50,unit\nLlama-3.1-8B,trn2.48xlarge,4,tpot,8.5,ms\n") == nil)
}

@Test func ratesOfOneGPUAreThoseOfAll() throws {
    let rows = try MeasuredRow.parse(
        "\(gpuHeader)\nother,h100,H100,2,Qwen/Qwen3-32B,vllm,fp8,TP2,8,1024,128,output_throughput,200,tok/s/gpu,agg\n",
        name: "t.csv")
    let experiment = try #require(Validator(catalog: .builtIn).experiments(rows).experiments.first)
    #expect(experiment.measured == 400)
}

@Test func aBadRowLeavesTheOthers() throws {
    let rows = try MeasuredRow.parse(
        "\(gpuHeader)\n\(gpuRow)\n\(gpuRow.replacing("19.2", with: "~19"))\n\(gpuRow)\n", name: "t.csv")
    let (experiments, refusals) = Validator(catalog: .builtIn).experiments(rows)
    #expect(experiments.map(\.row.line) == [2, 4])
    #expect(refusals.map(\.row.line) == [3])
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Cells exchanged for anything at all: no row ends the program, and none is lost.
@Test(arguments: 1...4) func mutilatedRowsAreAccountedFor(seed: Int) throws {
    var generator = SplitMix(state: UInt64(seed))
    let words = [
        "", "0", "1", "-1", "3", "7", "64", "1e6", "1e18", "1e308", "nan", "inf", "TP0", "TP8PP8DP8", "DP3",
        "TP1EP7DP1",
        "H100", "B200", "A100", "Qwen/Qwen3-30B-A3B", "gpt-oss-120b", "DeepSeek-R1", "trn1.32xlarge", "inf2.xlarge",
        "ms",
        "s", "tok/s", "W", "ttft", "e2e_latency", "output_throughput", "request_throughput", "prefill_time", "itl",
        "energy_per_request_gpu", "avg_gpu_power_all_gpus", "fp4", "int8", "mxfp4", "n/a", "conc=3; dp=2",
        "dp=0; conc=1",
        "profile=throughput", "task=gpqa; avg batch=9", "ml-energy", "splitwise", "mlperf", "general/benchmarks",
        "text-generation-inference", "contrib_profile", "compiled seq_len=0", "seq_len=99999999999", "EAGLE3 k=3",
    ]
    for (header, row) in [(gpuHeader, gpuRow), (neuronHeader, neuronRow)] {
        var lines = [header]
        for _ in 0..<60 {
            var cells = row.components(separatedBy: ",")
            for _ in 0...Int.random(in: 0...3, using: &generator) {
                cells[Int.random(in: 0..<cells.count, using: &generator)] = words.randomElement(using: &generator)!
            }
            lines.append(cells.joined(separator: ","))
        }
        let table = lines.joined(separator: "\n")
        let rows = try MeasuredRow.parse(table, name: "t.csv")
        let validator = Validator(catalog: .builtIn)
        let (experiments, refusals) = validator.experiments(rows)
        let (outcomes, more) = validator.predict(experiments, calibration: .builtIn, simulates: seed == 1)
        #expect(outcomes.count + refusals.count + more.count == rows.count, "seed \(seed)")
        #expect(outcomes.allSatisfy { $0.predicted.isFinite && $0.predicted > 0 && $0.error.isFinite }, "seed \(seed)")
    }
}
