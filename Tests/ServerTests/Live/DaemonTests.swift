//===----------------------------------------------------------------------===//
// The whole daemon: real sockets, real cells, modelled time.
//===----------------------------------------------------------------------===//

import Engine
import Fleet
import Foundation
import HostTopology
import Ledger
import Logging
import NIOCore
import NIOPosix
import Testing
import Workload
import Yard

@testable import Server

@Suite(.serialized) struct DaemonTests {
    static func body(prompt words: Int, tokens: Int, stream: Bool = true, seed: Int = 1) -> String {
        let prompt = Array(repeating: "word", count: words).joined(separator: " ") + " \(seed % 1000)"
        let streaming = stream ? #","stream":true,"stream_options":{"include_usage":true}"# : ""
        return #"{"model":"llama-3.1-8b","prompt":"\#(prompt)","max_tokens":\#(tokens)\#(streaming)}"#
    }

    /// What the model says of one request that is alone on the fleet.
    static func modelled(_ plan: FleetPlan, promptTokens: Int32, outputTokens: Int32) throws -> Completion {
        struct Sink: OutcomeSink {
            var completion: Completion?
            mutating func completed(_ completion: Completion) { self.completion = completion }
            mutating func produced(_ token: TokenEvent) {}
            mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {}
        }
        let cell = try Cell(configuration: plan.cellConfigurations(seed: 1)[0])
        cell.submit(
            Request(id: 1, arrivalNanoseconds: 0, promptTokens: promptTokens, outputTokens: outputTokens), at: 0)
        var sink = Sink()
        cell.advance(until: 1_000_000_000_000, into: &sink)
        return try #require(sink.completion)
    }

    /// On one kept-alive connection: a token that Nagle's algorithm held back would come up to 40 ms late, in bursts.
    @Test func clientSeesTheModelledTimes() async throws {
        try await withDaemon { daemon in
            let tokens = 40
            let model = try Self.modelled(daemon.plan.fleet, promptTokens: 201, outputTokens: Int32(tokens))
            let modelTTFT = Double(model.firstTokenNanoseconds - model.arrivalNanoseconds) * 1e-6
            let modelTPOT =
                Double(model.lastTokenNanoseconds - model.firstTokenNanoseconds) * 1e-6 / Double(tokens - 1)
            let runs = try await onThread {
                let client = try SocketClient(port: daemon.port)
                return try (0..<8).map { seed -> (ttft: Double, tpot: Double, reads: Int) in
                    // A different first word each time, so that no prefix cache shortens the prefill.
                    let body =
                        #"{"model":"llama-3.1-8b","prompt":"\#(seed) "#
                        + Array(repeating: "word", count: 200).joined(separator: " ")
                        + #"","max_tokens":\#(tokens),"stream":true}"#
                    let sent = SocketClient.now()
                    try client.request("POST", "/v1/completions", body: body)
                    let times = try client.response().tokenTimes
                    try #require(times.count == tokens)
                    return (
                        Double(times[0] - sent) * 1e-6,
                        Double(times[tokens - 1] - times[0]) * 1e-6 / Double(tokens - 1),
                        Set(times).count
                    )
                }
            }
            // The best of several runs, because other work on the machine only ever adds time.
            let ttft = try #require(runs.map { abs($0.ttft - modelTTFT) }.min())
            let tpot = try #require(runs.map { abs($0.tpot / modelTPOT - 1) }.min())
            #expect(ttft < 5, "TTFT off by \(ttft) ms of \(modelTTFT) ms: \(runs)")
            #expect(tpot < 0.05, "TPOT off by \(tpot) of \(modelTPOT) ms: \(runs)")
            // Each token came in a read of its own.
            #expect(runs.contains { $0.reads >= tokens - 2 }, "\(runs)")
        }
    }

    @Test func reportCountsEveryRequestOnBothSides() async throws {
        try await withDaemon("time_scale: max") { daemon in
            let count = 60
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        try await onThread {
                            let client = try SocketClient(port: daemon.port)
                            for round in 0..<(count / 4) {
                                let stream = round % 2 == 0
                                try client.request(
                                    "POST", "/v1/completions",
                                    body: Self.body(
                                        prompt: 20 + worker, tokens: 10 + round, stream: stream, seed: round))
                                let response = try client.response()
                                #expect(response.status == 200)
                                #expect(response.usage?["completion_tokens"] as? Int == 10 + round)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await eventually("both sides have ended everything") {
                let report = try await daemon.get("/v1/report").json
                return ["fleet", "baseline"].allSatisfy { Self.completed(report, $0) == count }
            }
            let report = try #require(try await daemon.get("/v1/report").json)
            let outputs = (0..<(count / 4)).reduce(0) { $0 + 10 + $1 } * 4
            for side in ["fleet", "baseline"] {
                let figures = try #require(report[side] as? [String: Any])
                #expect((figures["tokens"] as? [String: Any])?["output"] as? Int == outputs)
                #expect(figures["grade"] as? String != nil)
                let joules =
                    ((figures["energy"] as? [String: Any])?["boundary"] as? [String: Any])?["chip"] as? [String: Any]
                #expect((joules?["joules"] as? Double ?? 0) > 0)
            }
            #expect(report["ratios"] != nil)
        }
    }

    private static func completed(_ report: [String: Any]?, _ side: String) -> Int? {
        let figures = report?[side] as? [String: Any]
        return (figures?["requests"] as? [String: Any])?["completed"] as? Int
    }

    @Test func disconnectFreesTheReplica() async throws {
        try await withDaemon { daemon in
            try await onThread {
                let client = try SocketClient(port: daemon.port)
                try client.request("POST", "/v1/completions", body: Self.body(prompt: 10, tokens: 8000))
                while try client.fill() { break }
            }
            try await eventually("the fleet runs nothing") {
                let metrics = try await daemon.get("/metrics").text
                return metrics.contains(#"outcome="cancelled"} 1"#)
                    && metrics.split(separator: "\n").contains {
                        $0.hasPrefix("trainyard_requests_running") && $0.hasSuffix(" 0.0")
                    }
            }
        }
    }

    @Test func stopFinishesWhatRuns() async throws {
        let daemon = try await RunningDaemon("service: { shutdown_seconds: 60 }")
        let running = Task {
            try await onThread {
                let client = try SocketClient(port: daemon.port)
                try client.request("POST", "/v1/completions", body: Self.body(prompt: 10, tokens: 60))
                return try client.response()
            }
        }
        try await eventually("the request runs") {
            try await daemon.get("/metrics", admin: false).text.contains(#"engine="0"} 1.0"#)
        }
        try await daemon.stop()
        let response = try await running.value
        #expect(response.tokenTimes.count == 60)
        #expect(throws: SocketError.self) { try SocketClient(port: daemon.port) }
    }

    @Test func stopFailsWhatDoesNotFinishInTime() async throws {
        let daemon = try await RunningDaemon("service: { shutdown_seconds: 0.2 }")
        let running = Task {
            try await onThread {
                let client = try SocketClient(port: daemon.port)
                try client.request("POST", "/v1/completions", body: Self.body(prompt: 10, tokens: 8000))
                return try client.response()
            }
        }
        try await eventually("the request runs") {
            try await daemon.get("/metrics", admin: false).text.contains(#"engine="0"} 1.0"#)
        }
        try await daemon.stop()
        #expect(try await running.value.events.contains { $0.text.contains("draining") })
    }

    @Test func metricsAreLintClean() async throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/promtool") else { return }
        try await withDaemon("time_scale: max") { daemon in
            try await onThread {
                let client = try SocketClient(port: daemon.port)
                try client.request("POST", "/v1/completions", body: Self.body(prompt: 10, tokens: 5))
                _ = try client.response()
            }
            let page = try await daemon.get("/metrics")
            #expect(page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            let promtool = Process()
            promtool.executableURL = URL(fileURLWithPath: "/usr/bin/promtool")
            promtool.arguments = ["check", "metrics"]
            let input = Pipe()
            let output = Pipe()
            promtool.standardInput = input
            promtool.standardError = output
            try promtool.run()
            let body = Data(page.body)
            _ = try await onThread {
                input.fileHandleForWriting.write(body)
                try input.fileHandleForWriting.close()
                return 0
            }
            let complaints = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            promtool.waitUntilExit()
            #expect(promtool.terminationStatus == 0, "\(complaints)")
        }
    }

    @Test func nodesDrainFailAndRestore() async throws {
        let key = KeyTests.hexadecimal(KeyRing.digest(ofKey: "admin"))
        try await withDaemon("admin_key_sha256: \(key)") { daemon in
            let node = "/v1/fleet/nodes/llama8b-0"
            #expect(try await daemon.get("\(node)/drain", method: "POST").status == 401)
            #expect(try await daemon.get("/v1/fleet").status == 401)
            let headers = ["Authorization": "Bearer admin", "Content-Length": "0"]
            #expect(try await daemon.get("\(node)/explode", method: "POST", headers: headers).status == 404)
            #expect(
                try await daemon.get("/v1/fleet/nodes/other-0/drain", method: "POST", headers: headers).status == 404)
            for (order, state) in [("drain", "drained"), ("restore", "ready"), ("fail", "failed")] {
                #expect(try await daemon.get("\(node)/\(order)", method: "POST", headers: headers).status == 200)
                try await eventually("the node is \(state)") {
                    let fleet = try await daemon.get("/v1/fleet", headers: headers).json?["fleet"] as? [String: Any]
                    return (fleet?["nodes"] as? [[String: Any]])?.first?["state"] as? String == state
                }
            }
            #expect(try await daemon.get("/ready", admin: false).status == 503)
            #expect(try await daemon.get("\(node)/restore", method: "POST", headers: headers).status == 200)
            try await eventually("ready again") { try await daemon.get("/ready", admin: false).status == 200 }
        }
    }

    /// Two replicas of one pool, each on a port of its own: what comes in at a port runs there, and its metrics count
    /// it.
    @Test func everyReplicaHasItsOwnPort() async throws {
        let first = try RunningDaemon.freePort()
        try await withDaemon("time_scale: max\nfleet_view: { first_port: \(first) }") { daemon in
            #expect(daemon.plan.fleet.cells == daemon.plan.fleet.replicas)
            #expect(daemon.plan.fleet.replicas >= 2)
            let sent = [3, 5]
            for (cell, count) in sent.enumerated() {
                try await onThread {
                    let client = try SocketClient(port: first + cell)
                    for seed in 0..<count {
                        try client.request("POST", "/v1/completions", body: Self.body(prompt: 9, tokens: 4, seed: seed))
                        #expect(try client.response().status == 200)
                    }
                }
            }
            for (cell, count) in sent.enumerated() {
                let page = try await onThread {
                    let client = try SocketClient(port: first + cell)
                    try client.request("GET", "/metrics")
                    return try client.response().text
                }
                let expected =
                    #"vllm:request_success_total{model_name="llama-3.1-8b",engine="0",finished_reason="length"} "#
                #expect(page.contains(expected + "\(count)\n"))
                #expect(
                    page.contains(#"vllm:generation_tokens_total{model_name="llama-3.1-8b",engine="0"} \#(count * 4)"#))
            }
        }
    }

    @Test func endedRequestsAreInTheLedger() async throws {
        let path = NSTemporaryDirectory() + "trainyard-daemon-\(UUID().uuidString).sqlite"
        defer {
            for suffix in ["", "-wal", "-shm", "-journal-0"] {
                try? FileManager.default.removeItem(atPath: path + suffix)
            }
        }
        try await withDaemon("time_scale: max\nledger: { path: \(path) }") { daemon in
            try await onThread {
                let client = try SocketClient(port: daemon.port)
                for round in 1...20 {
                    try client.request(
                        "POST", "/v1/completions", body: Self.body(prompt: 10, tokens: round, seed: round))
                    #expect(try client.response().status == 200)
                }
            }
            #expect(try await daemon.get("/metrics").text.contains("trainyard_ledger_capacity_records"))
        }
        let store = try LedgerStore(path: path)
        var rows: [[String: String]] = []
        try store.export(run: nil) { rows.append(Dictionary(uniqueKeysWithValues: zip($0, $1))) }
        #expect(rows.compactMap { $0["output_tokens"].flatMap { Int($0) } }.sorted() == Array(1...20))
        #expect(rows.allSatisfy { $0["output_tokens"] == $0["baseline_output_tokens"] && $0["status"] == "0" })
        #expect(Set(rows.map { $0["answer"] }).count == 20)
        #expect(try store.runs().first?.run.fleet == "small-trn2")
    }

    @Test func reloadTakesNewLimitsAndKeepsOldOnesOfABadFile() async throws {
        let path = NSTemporaryDirectory() + "trainyard-reload-\(UUID().uuidString).yaml"
        defer { try? FileManager.default.removeItem(atPath: path) }
        func write(_ more: String) throws {
            try (RunningDaemon.fleets + "\nlisten: { serving: \"127.0.0.1:0\", admin: off }\n" + more)
                .write(toFile: path, atomically: true, encoding: .utf8)
        }
        try write("limits: { body_bytes: 4096 }")
        let plan = try DaemonPlan(DaemonConfiguration(contentsOf: path))
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let daemon = Daemon(plan: plan, logger: logger, notification: ServiceNotification(socket: nil))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let parts = try await DaemonParts(plan: plan, group: group, logger: logger)
        func limit() async throws -> [Int] { try await parts.fronts.onEach { $0.settings.limits.bodyBytes } }
        #expect(try await limit() == [4096])
        try write("limits: { body_bytes: 8192 }\npromise: { ttft_p99: 1, tpot_p99: 1 }")
        await daemon.reload(parts)
        #expect(try await limit() == [8192])
        try write("limits: { body_bytes: lots }")
        await daemon.reload(parts)
        #expect(try await limit() == [8192])
        // What cannot change while streams run is said, whichever part of the file it stands in.
        for (more, name) in [
            ("promise: { ttft_p99: 1, tpot_p99: 1 }", "promise"), ("seed: 7", "seed"), ("time_scale: 2", "time_scale"),
            ("service: { shutdown_seconds: 7 }", "shutdown_seconds"),
            ("service: { busy_wait_microseconds: 7 }", "busy_wait_microseconds"), ("log_level: debug", "log_level"),
            ("device_exporters: { dcgm: \"127.0.0.1:9400\" }", "device_exporters"),
            ("fleet_view: { first_port: 9500 }", "fleet_view"), ("served_model_name: other", "served_model_name"),
            ("ledger: { path: other.sqlite }", "ledger"), ("service: { event_loops: 2 }", "event_loops"),
        ] {
            try write(more)
            let next = try DaemonPlan(DaemonConfiguration(contentsOf: path))
            #expect(plan.changesThatNeedRestart(to: next).contains(name), "\(name)")
        }
        // What is served, and what is hashed for the caches, follows from the fleets that run.
        let before = try await parts.fronts.onEach { ($0.settings.models, $0.settings.counting.tokensPerBlock) }[0]
        #expect(before.1 == 16 && before.0.map(\.maxModelTokens) == [8192])
        try
            (RunningDaemon.fleets.components(separatedBy: "baseline:")[0]
            .replacing("max_model_len: 8192", with: "max_model_len: 4096\n        enable_prefix_caching: false")
            + "\nlisten: { serving: \"127.0.0.1:0\", admin: off }\nlimits: { body_bytes: 7000 }\n")
            .write(toFile: path, atomically: true, encoding: .utf8)
        await daemon.reload(parts)
        #expect(try await limit() == [7000])
        let after = try await parts.fronts.onEach { ($0.settings.models, $0.settings.counting.tokensPerBlock) }[0]
        #expect(after.1 == before.1 && after.0 == before.0)
        try write("limits: { body_bytes: 5000, connections: 5 }\noutput: { median_tokens: 5 }")
        let next = try DaemonPlan(DaemonConfiguration(contentsOf: path))
        #expect(plan.changesThatNeedRestart(to: next).isEmpty)
        try await group.shutdownGracefully()
    }

    /// A tenant's own limits are the yard's, which a reload does not touch: it must not look as if it had.
    @Test func reloadSaysThatTenantsKeepTheirLimits() throws {
        func plan(_ tenants: String) throws -> DaemonPlan {
            let fleets = RunningDaemon.fleets.replacing(
                "\nbaseline:", with: "\n  tenants: { \(tenants) }\nbaseline:", maxReplacements: 1)
            return try DaemonPlan(DaemonConfiguration(yaml: fleets, file: "test.yaml"))
        }
        let old = try plan("a: { requests_per_minute: 60 }, b: { weight: 1 }")
        #expect(old.changesThatNeedRestart(to: old).isEmpty)
        let limited = try plan("a: { requests_per_minute: 6 }, b: { weight: 1 }")
        #expect(old.changesThatNeedRestart(to: limited) == ["the tenants' limits"])
        let weighted = try plan("a: { requests_per_minute: 60 }, b: { weight: 5 }")
        #expect(old.changesThatNeedRestart(to: weighted) == ["the fleet"])
    }

    /// Whoever asks a cell for its state is answered, also while it stops: a report must not wait for ever.
    @Test func everySnapshotIsAnsweredWhileTheCellsStop() async throws {
        for _ in 0..<20 {
            let plan = try DaemonPlan(DaemonConfiguration(yaml: RunningDaemon.fleets, file: "test.yaml"))
            let yard = try LiveYard(
                side: .fleet, plan: plan.fleet, frontEnds: 1, scale: .ratio(1), seed: 1, promise: .interactive,
                placements: plan.placements(on: .current()).fleet)
            try yard.start { _ in }
            #expect(await yard.cells[0].snapshot() != nil)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { for _ in 0..<50 { _ = await yard.cells[0].snapshot() } } }
                group.addTask { await yard.stop() }
                try await group.waitForAll()
            }
            #expect(await yard.cells[0].snapshot() == nil)
        }
    }

    /// The operator hears of a taken admin port at once, not from a daemon that says it is ready.
    @Test func aTakenAdminPortEndsTheStart() async throws {
        try await withDaemon { daemon in
            let yaml = """
                \(RunningDaemon.fleets)
                listen: { serving: "127.0.0.1:0", admin: "127.0.0.1:\(daemon.adminPort)" }
                """
            let plan = try DaemonPlan(DaemonConfiguration(yaml: yaml, file: "test.yaml"))
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let second = Daemon(plan: plan, logger: logger, notification: ServiceNotification(socket: nil)) { _ in
                Issue.record("it said that all listeners are open")
            }
            await #expect(throws: (any Error).self) { try await second.run() }
        }
    }
}
