import Foundation
import Testing

/// `trainyardd` as clients and systemd see it. The tests share the machine with each other, so they run one at a time.
@Suite(.serialized) struct DaemonTests {
    static func chat(_ words: Int, tokens: Int, stream: Bool) -> String {
        let prompt = (0..<words).map { "car\($0)" }.joined(separator: " ")
        return """
            {"model":"llama-3.1-70b","messages":[{"role":"user","content":"\(prompt)"}],"max_tokens":\(tokens),"ignore_eos":true,\
            "stream":\(stream)\(stream ? #","stream_options":{"include_usage":true}"# : "")}
            """
    }

    static func events(in answer: HTTPConnection.Answer) -> [(seconds: Double, json: [String: Any])] {
        answer.pieces.flatMap { piece in
            piece.text.components(separatedBy: "\n\n").compactMap { event -> (Double, [String: Any])? in
                guard event.hasPrefix("data: {") else { return nil }
                let data = Data(event.dropFirst("data: ".count).utf8)
                return (try? JSONSerialization.jsonObject(with: data) as? [String: Any]).map { (piece.seconds, $0) }
            }
        }
    }

    /// Times at which pieces of text arrived, and the usage at the end.
    static func stream(_ answer: HTTPConnection.Answer) -> (texts: [Double], usage: [String: Any]?) {
        var texts: [Double] = []
        var usage: [String: Any]?
        for (seconds, json) in events(in: answer) {
            let choice = (json["choices"] as? [[String: Any]])?.first
            let content = (choice?["delta"] as? [String: Any])?["content"] as? String
            if let content, !content.isEmpty { texts.append(seconds) }
            usage = json["usage"] as? [String: Any] ?? usage
        }
        return (texts, usage)
    }

    /// What the simulator says of one request on the idle fleet.
    static func simulated(promptTokens: Int, outputTokens: Int) throws -> (ttft: Double, tpot: Double) {
        try Scratch.with { scratch in
            let trace = try scratch.write(
                "TIMESTAMP,ContextTokens,GeneratedTokens\n2026-01-01 00:00:00.0000000,\(promptTokens),\(outputTokens)\n",
                to: "one.csv")
            let result = try Product.trainyard.run([
                "simulate", "--fleet", CommandLineTests.fleet, "--workload", "azure:\(trace.path)", "--json", "-",
                "--quiet",
            ])
            let json = try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
            let ttft = try #require((json["ttftSeconds"] as? [String: Any])?["mean"] as? Double)
            let tpot = try #require((json["tpotSeconds"] as? [String: Any])?["mean"] as? Double)
            return (ttft, tpot)
        }
    }

    @Test func aStreamLastsAsLongAsTheSimulatorSays() throws {
        let daemon = try Daemon()
        let connection = try HTTPConnection(port: daemon.servingPort)
        _ = try connection.exchange("POST", "/v1/chat/completions", body: Self.chat(3, tokens: 2, stream: true))
        let answer = try connection.exchange(
            "POST", "/v1/chat/completions", body: Self.chat(150, tokens: 40, stream: true))
        #expect(answer.status == 200)
        #expect(answer.headers["x-trainyard-modelled"] == "true")
        #expect(answer.body.hasSuffix("data: [DONE]\n\n"))
        let (texts, usage) = Self.stream(answer)
        let prompt = try #require(usage?["prompt_tokens"] as? Int)
        #expect(usage?["completion_tokens"] as? Int == 40)
        let model = try Self.simulated(promptTokens: prompt, outputTokens: 40)
        let ttft = try #require(texts.first)
        let tpot = (try #require(texts.last) - ttft) / 39
        // A debug build on a busy machine is late by milliseconds; a token that waits for an acknowledgement is late by
        // 40.
        #expect(ttft >= model.ttft - 0.001 && ttft <= model.ttft + 0.030, "TTFT \(ttft) s, simulated \(model.ttft) s")
        #expect(abs(tpot - model.tpot) <= 0.10 * model.tpot, "TPOT \(tpot) s, simulated \(model.tpot) s")
        #expect(daemon.stop() == 0)
    }

    @Test func everyRouteOfTheInterfaceAnswers() throws {
        let daemon = try Daemon()
        #expect(try daemon.get("/health").status == 200)
        #expect(try daemon.get("/ready").status == 200)
        let models = try daemon.get("/v1/models")
        #expect(models.body.contains("llama-3.1-70b"))
        let whole = try daemon.post(
            "/v1/completions", #"{"model":"llama-3.1-70b","prompt":"Which track?","max_tokens":5}"#)
        #expect(whole.status == 200, "\(whole.body)")
        #expect(whole.headers["x-trainyard-modelled"] == "true")
        let metrics = try daemon.get("/metrics", admin: true)
        #expect(metrics.body.contains("\ntrainyard_"))
        for path in ["/v1/report", "/v1/fleet"] {
            let answer = try daemon.get(path, admin: true)
            #expect(answer.status == 200, "\(path): \(answer.body)")
            #expect((try? JSONSerialization.jsonObject(with: Data(answer.body.utf8))) != nil, "\(path) is not JSON")
        }
        #expect(daemon.stop() == 0)
    }

    @Test(arguments: [
        ("{", 400), ("[]", 400), (#"{"model":"llama-3.1-70b"}"#, 400),
        (#"{"model":"llama-3.1-70b","messages":[{"role":"user","content":"x"}],"max_tokens":-1}"#, 400),
        (#"{"model":"llama-3.1-70b","messages":[{"role":"user","content":"x"}],"max_tokens":99999999999}"#, 400),
        (#"{"model":"no-such-model","messages":[{"role":"user","content":"x"}]}"#, 404),
    ])
    func aBadBodyIsAnsweredInTheShapeOfTheAPI(body: String, status: Int) throws {
        let daemon = try Daemon()
        let answer = try daemon.post("/v1/chat/completions", body)
        #expect(answer.status == status, "\(answer.body)")
        let json = try #require(try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any])
        let error = try #require(json["error"] as? [String: Any])
        #expect((error["message"] as? String)?.isEmpty == false)
        #expect(error["type"] is String)
        #expect(try daemon.get("/health").status == 200)
        #expect(daemon.stop() == 0)
    }

    @Test func aBadConfigurationIsRefusedWithItsPlace() throws {
        try Scratch.with { scratch in
            let file = try scratch.write(
                "fleet: \(Product.repository.path)/deploy/fleets/trn2.yaml\nlisen: {}\n", to: "bad.yaml")
            let result = try Product.trainyardd.run(["--config", file.path, "--check"], seconds: 30)
            #expect(result.status == 2)
            #expect(result.errors.contains("bad.yaml:2"), "\(result.errors)")
            #expect(result.errors.contains("listen"), "\(result.errors)")
        }
    }
}
