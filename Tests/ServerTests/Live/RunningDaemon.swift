//===----------------------------------------------------------------------===//
// A whole daemon in the test's process, on loopback ports of its own.
//===----------------------------------------------------------------------===//

import Fleet
import Foundation
import Logging
import ServiceLifecycle
import Synchronization

@testable import Server

/// A daemon that runs until `stop`.
final class RunningDaemon: Sendable {
    let port: Int
    let adminPort: Int
    let plan: DaemonPlan
    private let group: ServiceGroup
    private let task: Task<Void, any Error>

    /// One small trn2 fleet, and an H200 baseline.
    static let fleets = """
        fleet:
          name: small-trn2
          region: us-east-2
          pools:
            - name: llama8b
              instance: trn2.48xlarge
              instances: 1
              deployment:
                model: llama-3.1-8b
                precision: bf16
                parallelism: { tensor: 32 }
                stack: vllm-neuron
                max_num_seqs: 16
                max_model_len: 8192
          price: { basis: capacity-block, date: 2026-10-03 }
        baseline:
          name: small-h200
          region: us-east-2
          pools:
            - name: llama8b
              instance: p5en.48xlarge
              instances: 1
              deployment:
                model: llama-3.1-8b
                precision: bf16
                parallelism: { tensor: 1 }
                stack: vllm
                max_num_seqs: 64
                max_model_len: 8192
          price: { basis: capacity-block, date: 2026-10-03 }
        """

    init(_ more: String = "", fleets: String = RunningDaemon.fleets) async throws {
        let adminPort = try Self.freePort()
        self.adminPort = adminPort
        let yaml = """
            \(fleets)
            listen: { serving: "127.0.0.1:0", admin: "127.0.0.1:\(adminPort)" }
            log_level: warning
            \(more)
            """
        let plan = try DaemonPlan(DaemonConfiguration(yaml: yaml, file: "test.yaml"))
        self.plan = plan
        var logger = Logger(label: "test")
        logger.logLevel = .warning
        let port = Mutex<CheckedContinuation<Int, Never>?>(nil)
        let early = Mutex<Int?>(nil)
        let daemon = Daemon(plan: plan, logger: logger, notification: ServiceNotification(socket: nil)) { addresses in
            let bound = addresses.servingPort ?? 0
            if let waiting = port.withLock({ $0 }) {
                waiting.resume(returning: bound)
            } else {
                early.withLock { $0 = bound }
            }
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: daemon, successTerminationBehavior: .gracefullyShutdownGroup)], logger: logger
            ))
        self.group = group
        self.task = Task { try await group.run() }
        var bound: Int?
        let end = SocketClient.now() + 60_000_000_000
        while bound == nil, SocketClient.now() < end {
            bound = early.withLock { $0 }
            if bound == nil { try await Task.sleep(for: .milliseconds(10)) }
        }
        guard let bound else { throw SocketError(description: "the daemon did not come up in 60 s") }
        self.port = bound
    }

    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard code == 0 else { throw SocketError(description: "no free port") }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    func stop() async throws {
        await group.triggerGracefulShutdown()
        try await task.value
    }

    func get(
        _ path: String, admin: Bool = true, method: String = "GET", headers: [String: String] = [:]
    ) async throws
        -> RawResponse
    {
        let port = admin ? adminPort : port
        return try await onThread {
            let client = try SocketClient(port: port)
            try client.request(method, path, headers: headers)
            return try client.response(isHead: method == "HEAD")
        }
    }
}

func withDaemon(_ more: String = "", _ body: @escaping @Sendable (RunningDaemon) async throws -> Void) async throws {
    let daemon = try await RunningDaemon(more)
    do {
        try await eventually("the admin listener answers") {
            (try? await daemon.get("/health"))?.status == 200
        }
        try await body(daemon)
    } catch {
        try? await daemon.stop()
        throw error
    }
    try await daemon.stop()
}
