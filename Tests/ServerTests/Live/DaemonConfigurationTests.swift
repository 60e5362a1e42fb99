import Fleet
import Foundation
import Testing

@testable import Server

@Suite struct DaemonConfigurationTests {
    static func read(_ more: String) throws -> DaemonConfiguration {
        try DaemonConfiguration(yaml: RunningDaemon.fleets + "\n" + more, file: "dir/test.yaml")
    }

    static func problem(_ more: String) -> String? {
        do {
            _ = try read(more)
            return nil
        } catch { return "\(error)" }
    }

    @Test func readsEverything() throws {
        let configuration = try Self.read(
            """
            served_model_name: [a, b]
            time_scale: max
            listen:
              serving: ["0.0.0.0:8000", "unix:/run/t.sock", "[::1]:9"]
              admin: off
            service: { event_loops: 2, shutdown_seconds: 5 }
            limits: { body_bytes: 2048, stall_seconds: 3 }
            output: { max_tokens: drawn, median_tokens: 50 }
            keys:
              - { name: k, sha256: \(String(repeating: "ab", count: 32)) }
            promise: { ttft_p99: 0.5, tpot_p99: 0.03 }
            ledger: { path: l.sqlite, retention_days: 7 }
            log_level: debug
            """)
        #expect(configuration.modelNames == ["a", "b"])
        #expect(configuration.timeScale == .unlimited)
        #expect(
            configuration.serving == [
                .host("0.0.0.0", port: 8000), .unixSocket(path: "/run/t.sock"), .host("::1", port: 9),
            ])
        #expect(configuration.admin == nil)
        #expect(configuration.service.eventLoops == 2)
        #expect(configuration.limits.bodyBytes == 2048 && configuration.limits.stallSeconds == 3)
        #expect(configuration.lengths.limit == .drawn && configuration.lengths.medianTokens == 50)
        #expect(configuration.keys[0].digest == [UInt8](repeating: 0xAB, count: 32))
        #expect(configuration.ledger?.path == "dir/l.sqlite")
        #expect(configuration.logLevel == "debug")
    }

    @Test(arguments: [
        ("time_scal: 1", "time_scale"), ("time_scale: fast", "time_scale"), ("listen: { servin: x }", "serving"),
        ("listen: { serving: nohost }", "HOST:PORT"), ("listen: { serving: \"h:99999\" }", "HOST:PORT"),
        ("limits: { body_bytes: 4 MB }", "body_bytes"), ("service: { event_loops: 0 }", "event_loops"),
        ("output: { max_tokens: exat }", "exact"), ("keys: [{ name: k, sha256: abc }]", "64 hexadecimal"),
        ("time_scale: 1e-300", "time_scale"), ("time_scale: -1", "time_scale"),
        ("fleet: nowhere.yaml", "given twice"), ("log_level: chatty", "log_level"),
    ])
    func saysWhatIsWrong(_ more: String, _ hint: String) {
        let problem = Self.problem(more)
        #expect(problem?.contains(hint) == true, "\(problem ?? "no error")")
        #expect(problem?.hasPrefix("dir/test.yaml:") == true)
    }

    /// Whatever a file says, reading it ends in a configuration or in an error with a place.
    @Test func mutatedFilesNeverTrap() {
        let seed: UInt64 = 0xC0F
        var random = TestRandom(seed: seed)
        let whole = Array(
            (RunningDaemon.fleets + """

                time_scale: max
                listen: { serving: ["0.0.0.0:8000", "unix:/run/t.sock"], admin: off }
                service: { event_loops: 2, busy_wait_microseconds: 20 }
                limits: { body_bytes: 2048 }
                device_exporters: { dcgm: "127.0.0.1:9405" }
                keys: [{ name: k, sha256: \(String(repeating: "ab", count: 32)) }]
                """).utf8)
        var read = 0
        for _ in 0..<400 {
            let text = String(decoding: random.mutated(whole), as: UTF8.self)
            do {
                _ = try DaemonConfiguration(yaml: text, file: "t.yaml")
                read += 1
            } catch let error as FleetError {
                #expect(error.description.hasPrefix("t.yaml"), "seed \(seed): \(error)")
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
        #expect(read > 0 && read < 400)
    }

    @Test func missingFilesAreNamed() {
        #expect(throws: FleetError.self) { try DaemonConfiguration(contentsOf: "/nonexistent/trainyard.yaml") }
        let problem = #expect(throws: FleetError.self) {
            try DaemonConfiguration(yaml: "fleet: no.yaml", file: "dir/t.yaml")
        }
        #expect(problem?.message.contains("dir/no.yaml") == true)
    }

    @Test func planFindsUnknownTenantsAndModels() throws {
        let key = "keys: [{ name: k, sha256: \(String(repeating: "ab", count: 32)), tenant: nobody }]"
        let problem = #expect(throws: FleetError.self) { try DaemonPlan(Self.read(key)) }
        #expect(problem?.message.contains("nobody") == true)
    }

    @Test func oneKeyUnderTwoNamesIsRefused() throws {
        let digest = String(repeating: "ab", count: 32)
        let problem = #expect(throws: FleetError.self) {
            try DaemonPlan(Self.read("keys: [{ name: a, sha256: \(digest) }, { name: b, sha256: \(digest) }]"))
        }
        #expect(problem?.message.contains("'a' and 'b'") == true)
    }

    @Test func keysMayLieInFilesOfTheirOwn() throws {
        let folder = NSTemporaryDirectory() + "trainyard-keys-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let digest = String(repeating: "cd", count: 32)
        try "- { name: a, sha256: \(digest) }\n- { name: b, sha256: abc }\n".write(
            toFile: folder + "/keys", atomically: true, encoding: .utf8)
        let problem = Self.problem("keys: \(folder)/keys")
        #expect(problem?.hasPrefix("\(folder)/keys:2:") == true, "\(problem ?? "no error")")
        try "- { name: a, sha256: \(digest) }\n".write(toFile: folder + "/keys", atomically: true, encoding: .utf8)
        try "\(digest)  -\n".write(toFile: folder + "/admin", atomically: true, encoding: .utf8)
        let configuration = try Self.read("keys: \(folder)/keys\nadmin_key_sha256: \(folder)/admin")
        #expect(configuration.keys.map(\.name) == ["a"])
        #expect(configuration.adminKeyDigest == [UInt8](repeating: 0xCD, count: 32))
        #expect(Self.problem("keys: \(folder)/none")?.contains("no such file") == true)
    }

    @Test func credentialsComeFromTheServiceManager() async {
        #expect(Self.problem("keys: credential:../keys")?.contains("plain name") == true)
        #expect(Self.problem("keys: credential:keys")?.contains("LoadCredential=") == true)
        // The environment belongs to the whole process: only a process of its own may change it.
        await #expect(processExitsWith: .success) {
            let folder = NSTemporaryDirectory() + "trainyard-credentials-\(getpid())"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try "- { name: k, sha256: \(String(repeating: "ef", count: 32)) }".write(
                toFile: folder + "/keys", atomically: true, encoding: .utf8)
            setenv("CREDENTIALS_DIRECTORY", folder, 1)
            let configuration = try DaemonConfigurationTests.read("keys: credential:keys")
            try #require(configuration.keys.map(\.digest) == [[UInt8](repeating: 0xEF, count: 32)])
        }
    }
}
