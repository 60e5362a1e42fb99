//===----------------------------------------------------------------------===//
// The fuzzed parsers, one function each.
//===----------------------------------------------------------------------===//

import Catalog
import Fleet
import Foundation
import StepModel
import Workload

/// Bodies of the generation routes, with and without block hashes. Every reply that a valid body asks for must be writable.
func fuzzBody(_ bytes: UnsafeRawBufferPointer) {
    for endpoint in [GenerationEndpoint.chat, .completion, .responses, .embeddings] {
        for tokensPerBlock in [Int32(0), 16] {
            guard
                let request = try? GenerationRequest(
                    endpoint: endpoint, body: bytes, counting: TokenCounting(tokensPerBlock: tokensPerBlock))
            else { continue }
            precondition(!request.prompts.isEmpty && request.prompts.allSatisfy { $0.tokens >= 0 })
            precondition(request.choices >= 1 && (request.maxTokens ?? 1) >= 1)
        }
    }
}

/// Fleet files. A file that reads is also planned, which looks everything up and compiles step tables.
func fuzzYAML(_ bytes: UnsafeRawBufferPointer) {
    guard let text = String(validating: bytes, as: UTF8.self),
        let fleet = try? FleetSpecification(yaml: text, file: "fuzz.yaml")
    else { return }
    _ = try? fleet.plan(catalog: .builtIn, calibration: .builtIn)
}

/// Traces of every format; the first byte chooses it. Bad rows are skipped, so that reading goes on behind them.
func fuzzWorkload(_ bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first else { return }
    let formats = TraceFormat.allCases.filter { $0 != .servegen }
    let format = formats[Int(first) % formats.count]
    for skipsBadRows in [false, true] {
        guard
            let description = try? WorkloadDescription(
                parsing: "\(format.rawValue):fuzz\(format == .lengths ? "?rate=1" : "")"),
            let workload = try? Workload(
                description, bytes: Array(bytes.dropFirst()), policy: ReadingPolicy(skipsBadRows: skipsBadRows)),
            let source = try? workload.makeSource()
        else { continue }
        var last = Int64.min
        for _ in 0..<10_000 {
            guard let request = try? source.next() else { break }
            precondition(request.promptTokens >= 1 && request.maxOutputTokens >= 1, "\(request)")
            precondition(request.arrivalNanoseconds >= last, "arrivals go back")
            last = request.arrivalNanoseconds
        }
    }
}

/// A Hugging Face config.json, through the file that users give.
func fuzzConfig(_ bytes: UnsafeRawBufferPointer) {
    withFile(bytes) { path in
        guard let model = try? Model(huggingFaceConfig: path) else { return }
        precondition(model.parameters > 0, "a model without parameters")
    }
}

/// A tokenizer.json, and a text for it.
func fuzzTokenizer(_ bytes: UnsafeRawBufferPointer) {
    withFile(bytes) { path in
        guard let tokenizer = try? TokenizerFile.read(path) else { return }
        for token in tokenizer.encode("Hello, world! 12 \u{e9}\u{1f680}\n") { precondition(token >= 0) }
    }
}

private func withFile(_ bytes: UnsafeRawBufferPointer, _ body: (String) -> Void) {
    let path = NSTemporaryDirectory() + "trainyard-fuzz-\(getpid()).json"
    guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
        fatalError("cannot write \(path)")
    }
    body(path)
}
