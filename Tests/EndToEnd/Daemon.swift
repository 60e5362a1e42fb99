import Foundation

/// A running `trainyardd` on loopback, for one test.
final class Daemon {
    struct Failed: Error, CustomStringConvertible { var description: String }

    let process: Process
    let servingPort: Int
    let adminPort: Int
    private let log: URL
    private let scratch: Scratch

    /// Starts it with a fleet and a baseline, and waits until it is ready, at most 30 seconds.
    init(
        fleet: String = "deploy/fleets/trn2.yaml", baseline: String = "deploy/fleets/h200.yaml", settings: String = ""
    ) throws {
        scratch = try Scratch()
        servingPort = try Self.freePort()
        adminPort = try Self.freePort()
        let configuration = try scratch.write(
            """
            fleet: \(Product.repository.path)/\(fleet)
            baseline: \(Product.repository.path)/\(baseline)
            listen: { serving: "127.0.0.1:\(servingPort)", admin: "127.0.0.1:\(adminPort)" }
            \(settings)
            """, to: "trainyard.yaml")
        log = scratch.file("log")
        let output = try scratch.writing(log)
        process = try Product.trainyardd.start(
            ["--config", configuration.path], output: output, errors: output, withoutCapabilities: true)
        let end = Date().addingTimeInterval(30)
        while Date() < end {
            if let answer = try? get("/ready"), answer.status == 200 { return }
            if !process.isRunning { break }
            usleep(50_000)
        }
        process.terminate()
        throw Failed(description: "trainyardd was not ready within 30 seconds: \(messages)")
    }

    deinit {
        if process.isRunning { process.terminate() }
        scratch.remove()
    }

    /// What it has written so far.
    var messages: String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }

    /// Ends it as systemd would, and returns its exit status.
    func stop() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    func get(_ path: String, admin: Bool = false) throws -> HTTPConnection.Answer {
        let connection = try HTTPConnection(port: admin ? adminPort : servingPort)
        return try connection.exchange("GET", path, body: nil)
    }

    func post(_ path: String, _ body: String) throws -> HTTPConnection.Answer {
        let connection = try HTTPConnection(port: servingPort)
        return try connection.exchange("POST", path, body: body)
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = HTTPConnection.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(descriptor, raw, length) == 0 && getsockname(descriptor, raw, &length) == 0
            }
        }
        guard bound else { throw Failed(description: "no free port on loopback") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
