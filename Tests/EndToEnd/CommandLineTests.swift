import Foundation
import Testing

/// `trainyard` as a user runs it: arguments in, tables and JSON out, exit status as promised.
@Suite struct CommandLineTests {
    static let fleet = "deploy/fleets/trn2.yaml"
    static let baseline = "deploy/fleets/h200.yaml"

    /// 60 requests of two shapes, one a second, as the Azure traces write them.
    static func trace(rows: Int = 60) -> String {
        var text = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        for row in 0..<rows {
            let second = String(format: "%02d", row % 60)
            let minute = String(format: "%02d", row / 60)
            text +=
                "2023-11-16 18:\(minute):\(second).0000000,\(row.isMultiple(of: 2) ? 512 : 1400),\(row.isMultiple(of: 3) ? 24 : 90)\n"
        }
        return text
    }

    @Test func compareFeedsBothFleetsTheSameRequests() throws {
        try Scratch.with { scratch in
            let trace = try scratch.write(Self.trace(), to: "trace.csv")
            let json = scratch.file("result.json")
            let result = try Product.trainyard.run([
                "compare", "--fleet", Self.fleet, "--baseline", Self.baseline, "--workload", "azure:\(trace.path)",
                "--ttft-p99", "30", "--tpot-p99", "5", "--json", json.path, "--quiet",
            ])
            #expect(result.status == 0, "\(result.errors)")
            let document = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: json)) as? [String: Any])
            let fleet = try #require(document["fleet"] as? [String: Any])
            let baseline = try #require(document["baseline"] as? [String: Any])
            for side in [fleet, baseline] {
                let requests = try #require(side["requests"] as? [String: Any])
                #expect(requests["offered"] as? Int == 60)
                #expect(requests["completed"] as? Int == 60)
                let tokens = try #require(side["tokens"] as? [String: Any])
                #expect(tokens["prompt"] as? Int == 30 * 512 + 30 * 1400)
                #expect(tokens["output"] as? Int == 20 * 24 + 40 * 90)
                let grade = try #require(side["grade"] as? String)
                #expect(["measured", "published", "derived", "assumed"].contains(grade))
            }
            #expect((fleet["digest"] as? String) != (baseline["digest"] as? String))
        }
    }

    @Test func simulateSaysEveryFieldOfTheInterface() throws {
        try Scratch.with { scratch in
            let trace = try scratch.write(Self.trace(), to: "trace.csv")
            let result = try Product.trainyard.run([
                "simulate", "--fleet", Self.fleet, "--workload", "azure:\(trace.path)", "--json", "-", "--quiet",
            ])
            #expect(result.status == 0, "\(result.errors)")
            let document = try #require(
                try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
            let keys = [
                "fleet", "workload", "seed", "requests", "tokens", "simulatedSeconds", "wallSeconds", "cpuSeconds",
                "requestsPerCPUSecond", "peakMemoryBytes", "ttftSeconds", "tpotSeconds", "itlSeconds", "e2eSeconds",
                "queueSeconds", "goodput", "cost", "energy", "carbon", "grade", "assumptions", "digest",
            ]
            for key in keys { #expect(document[key] != nil, "the JSON has no \(key)") }
        }
    }

    @Test func theSameSeedPrintsTheSameBytesForAnyNumberOfThreads() throws {
        var outputs: [String] = []
        for threads in ["1", "2", "4", "2"] {
            let result = try Product.trainyard.run([
                "simulate", "--fleet", Self.fleet, "--workload", "chat?rate=4&duration=20&seed=5", "--seed", "9",
                "--threads", threads, "--json", "-", "--quiet",
            ])
            #expect(result.status == 0, "\(result.errors)")
            var document = try #require(
                try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
            for measured in ["wallSeconds", "cpuSeconds", "requestsPerCPUSecond", "peakMemoryBytes"] {
                document[measured] = nil
            }
            let bytes = try JSONSerialization.data(withJSONObject: document, options: [.sortedKeys])
            outputs.append(String(decoding: bytes, as: UTF8.self))
        }
        #expect(Set(outputs).count == 1)
    }

    @Test func aBrokenPromiseIsExitStatusOne() throws {
        try Scratch.with { scratch in
            let trace = try scratch.write(Self.trace(), to: "trace.csv")
            let result = try Product.trainyard.run([
                "compare", "--fleet", Self.fleet, "--baseline", Self.baseline, "--workload", "azure:\(trace.path)",
                "--ttft-p99", "0.000001", "--tpot-p99", "0.000001", "--quiet",
            ])
            #expect(result.status == 1, "\(result.errors)")
        }
    }

    @Test func aMisspeltKeyNamesFileLineAndTheNearestKey() throws {
        try Scratch.with { scratch in
            let text = try String(contentsOf: Product.repository.appendingPathComponent(Self.fleet), encoding: .utf8)
            let broken = text.replacingOccurrences(of: "max_num_seqs:", with: "max_num_seq:")
            #expect(broken != text)
            let line = 1 + broken.components(separatedBy: "max_num_seq:")[0].filter { $0 == "\n" }.count
            let fleet = try scratch.write(broken, to: "broken.yaml")
            let result = try Product.trainyard.run([
                "simulate", "--fleet", fleet.path, "--workload", "chat?rate=1&duration=5",
            ])
            #expect(result.status == 2)
            #expect(result.errors.contains("broken.yaml:\(line)"), "\(result.errors)")
            #expect(
                result.errors.contains("'max_num_seq'") && result.errors.contains("max_num_seqs"), "\(result.errors)")
            #expect(result.output.isEmpty)
        }
    }

    @Test(arguments: [("trn2.48xlarge", "trn2.48xlrge"), ("llama-3.1-70b", "llama-3.1-7ob")])
    func anUnknownNameIsAnsweredWithTheNearest(right: String, wrong: String) throws {
        try Scratch.with { scratch in
            let text = try String(contentsOf: Product.repository.appendingPathComponent(Self.fleet), encoding: .utf8)
            let broken = text.replacingOccurrences(of: ": \(right)", with: ": \(wrong)")
            #expect(broken != text)
            let fleet = try scratch.write(broken, to: "broken.yaml")
            let result = try Product.trainyard.run([
                "simulate", "--fleet", fleet.path, "--workload", "chat?rate=1&duration=5",
            ])
            #expect(result.status == 2)
            #expect(result.errors.contains("broken.yaml:"), "\(result.errors)")
            #expect(result.errors.contains(wrong) && result.errors.contains(right), "\(result.errors)")
        }
    }

    @Test func aMalformedRowNamesFileAndLineOrIsCounted() throws {
        try Scratch.with { scratch in
            var rows = Self.trace().split(separator: "\n").map(String.init)
            rows[7] = "2023-11-16 18:00:06.0000000,many,24"
            let trace = try scratch.write(rows.joined(separator: "\n") + "\n", to: "trace.csv")
            let arguments = [
                "simulate", "--fleet", Self.fleet, "--workload", "azure:\(trace.path)", "--json", "-", "--quiet",
            ]
            let refused = try Product.trainyard.run(arguments)
            #expect(refused.status == 2)
            #expect(refused.errors.contains("trace.csv:8"), "\(refused.errors)")
            #expect(refused.errors.contains("many"), "\(refused.errors)")

            let counted = try Product.trainyard.run(arguments + ["--skip-bad-rows"])
            #expect(counted.status == 0, "\(counted.errors)")
            #expect(counted.errors.contains("1"), "the skipped row is not mentioned: \(counted.errors)")
            let document = try #require(
                try JSONSerialization.jsonObject(with: Data(counted.output.utf8)) as? [String: Any])
            #expect((document["requests"] as? [String: Any])?["offered"] as? Int == 59)
        }
    }

    @Test func aModelThatDoesNotFitSaysByHowMuch() throws {
        try Scratch.with { scratch in
            let text = try String(contentsOf: Product.repository.appendingPathComponent(Self.baseline), encoding: .utf8)
            let broken = text.replacingOccurrences(of: "llama-3.1-70b", with: "deepseek-v3")
                .replacingOccurrences(of: "{ tensor: 4 }", with: "{ tensor: 1 }")
                .replacingOccurrences(of: "{ tensor: 8 }", with: "{ tensor: 1 }")
            let fleet = try scratch.write(broken, to: "large.yaml")
            let result = try Product.trainyard.run([
                "simulate", "--fleet", fleet.path, "--workload", "chat?rate=1&duration=5",
            ])
            #expect(result.status == 2)
            #expect(result.errors.contains("GiB"), "\(result.errors)")
        }
    }

    @Test func theAzureTraceIsReadWhole() throws {
        guard let trace = Product.reference("traces/azure-llm-2023/AzureLLMInferenceTrace_conv.csv.gz") else {
            print("skipped: the Azure trace is not beside the checkout")
            return
        }
        let result = try Product.trainyard.run(
            [
                "simulate", "--fleet", Self.fleet, "--workload", "azure:-", "--json", "-", "--quiet",
            ], input: trace)
        #expect(result.status == 0, "\(result.errors)")
        let document = try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
        #expect((document["requests"] as? [String: Any])?["offered"] as? Int == 19_366)
    }
}
