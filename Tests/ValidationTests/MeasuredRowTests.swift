import Catalog
import StepModel
import Testing

@testable import Validation

private let gpuHeader =
    "source,system,gpu,count,model,framework,precision,tp,batch_or_concurrency,input_len,output_len,metric,value,unit,notes"

@Test func columnsMayComeInAnyOrderAndFieldsInQuotes() throws {
    let rows = try MeasuredRow.parse(
        "unit,notes,source,system,gpu,count,model,framework,precision,tp,batch_or_concurrency,input_len,output_len,metric,value\n"
            + "ms,\"agg; a=1, \"\"two\"\"; measured=2026\",s,h100_sxm,H100,2,Qwen/Qwen3-32B,vllm,fp8,TP2,64,4000,1000,tpot,19.2\n",
        name: "t.csv")
    #expect(rows.count == 1)
    #expect(rows[0].table == .gpu)
    #expect(rows[0].value == 19.2)
    #expect(rows[0].note("measured") == "2026")
    #expect(rows[0].note("a") == "1, \"two\"")
    #expect(rows[0].note("b") == nil)
}

@Test func badTablesNameFileLineAndColumn() {
    func message(_ text: String) -> String {
        do {
            _ = try MeasuredRow.parse(text, name: "t.csv")
            return ""
        } catch { return error.description }
    }
    #expect(message("") == "t.csv is empty")
    #expect(message("gpu,model\n").contains("t.csv:1: the column 'metric' is missing"))
    #expect(message("instance,model,metric\n").contains("t.csv:1: the column 'p50' is missing"))
    #expect(message("name,model\n").contains("t.csv:1: neither a column 'gpu'"))
    #expect(message("\(gpuHeader)\n\na,b\n").contains("t.csv:3: 2 fields, where the header has 15"))
    #expect(message("\(gpuHeader)\n\"open\n").contains("t.csv:2: a quoted field is not closed"))
}

private func gpuRow(_ parallelism: String, gpus: Double) -> MeasuredRow {
    MeasuredRow(
        table: .gpu, line: 2, source: "ml-energy/leaderboard", model: "Qwen/Qwen3-30B-A3B", hardware: "H100",
        chips: gpus,
        software: "vLLM 0.11.1", precision: "bfloat16", parallelism: parallelism, logicalCore: nil, batch: "8",
        inputTokens: nil,
        outputTokens: 900, metric: "median_itl", value: 10, percentile99: nil, unit: "ms",
        notes: "task=lm-arena-chat; avg batch=8.0")
}

@Test func parallelismIsReadAsEachSourceMeansIt() {
    let expertParallel = GPUExperiments.parallelism(gpuRow("TP1EP2DP1", gpus: 2))
    #expect(expertParallel == .init(tensor: 2, expert: 2))
    #expect(GPUExperiments.parallelism(gpuRow("TP2PP1DP1moeTP2EP1", gpus: 2)) == .init(tensor: 2))
    #expect(GPUExperiments.parallelism(gpuRow("TP1PP1DP4moeTP1EP4", gpus: 4)) == .init(tensor: 1, data: 4, expert: 4))
    #expect(GPUExperiments.parallelism(gpuRow("TP3DP2", gpus: 3)) == nil)
}

private func neuronRow(
    metric: String, notes: String, batch: String = "4", source: String = "huggingface/optimum-neuron"
) -> MeasuredRow {
    MeasuredRow(
        table: .neuron, line: 2, source: source, model: "Llama-3.1-8B-Instruct", hardware: "inf2.48xlarge", chips: 4,
        software: "",
        precision: "BF16", parallelism: "8", logicalCore: nil, batch: batch, inputTokens: 1500, outputTokens: 250,
        metric: metric,
        value: 100, percentile99: nil, unit: "ms", notes: notes)
}

@Test func loadsAreReadFromNotes() {
    func load(_ notes: String) -> Experiment.Load {
        NeuronExperiments.load(neuronRow(metric: "ttft", notes: notes), source: .huggingFaceVLLM, slots: 4).0
    }
    #expect(load("profile=synchronous; dp=3") == .closedLoop(1))
    #expect(load("profile=asynchronous@2.46 req/sec") == .rate(2.46))
    #expect(load("profile=throughput; users=2") == .closedLoop(2))
    // A limit of 128 behind a balancer; the slots before a single server.
    #expect(load("profile=throughput") == .closedLoop(4))
    #expect(load("profile=throughput; dp=2") == .closedLoop(127))
    #expect(load("conc=8; dp=1") == .closedLoop(8))
    #expect(load("") == .staticBatch(4))
}

@Test func suspectRowsAreRefusedWithTheirReason() {
    let result = NeuronExperiments.experiment(
        neuronRow(metric: "ttft", notes: "suspect=batch mislabelled"), catalog: .builtIn)
    guard case .failure(let reason) = result else {
        Issue.record("a suspect row was taken")
        return
    }
    #expect(reason.text == "suspect: batch mislabelled")
}

/// READMEs print as throughput what decoding alone does, or what the whole request does; the row's other figures tell.
@Test(arguments: [(250.0, true), (252.0, true), (190.0, false)]) func throughputsOfDecodingAreKnown(
    throughput: Double, isDecoding: Bool
) {
    func row(_ metric: String, _ value: Double, _ unit: String) -> MeasuredRow {
        var row = neuronRow(
            metric: metric, notes: "kind=contrib_readme", batch: "1", source: "contrib/models/README.md")
        (row.hardware, row.inputTokens, row.outputTokens) = ("trn2.48xlarge", 256, 64)
        (row.value, row.unit) = (value, unit)
        return row
    }
    let rows = [row("ttft", 42, "ms"), row("tpot", 4, "ms"), row("output_throughput", throughput, "tok/s")]
    func marks(_ rows: [MeasuredRow]) -> [Bool] {
        Validator(catalog: .builtIn).experiments(rows).experiments.map(\.countsDecodingOnly)
    }
    #expect(marks(rows) == [false, false, isDecoding])
    // Another request shape's figures say nothing about it.
    var other = rows
    other[2].inputTokens = 512
    #expect(marks(other) == [false, false, false])
    // Where the first token takes next to no time, both mean the same and the plain reading stays.
    var quick = rows
    quick[0].value = 4
    #expect(marks(quick) == [false, false, false])
}
