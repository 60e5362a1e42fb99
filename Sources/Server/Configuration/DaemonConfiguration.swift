//===----------------------------------------------------------------------===//
// The daemon's configuration file.
//===----------------------------------------------------------------------===//

public import Fleet
import Foundation
import Ledger

/// What `trainyard.yaml` says, with every name and number checked. Fleets are read, not yet looked up in the catalogue.
public struct DaemonConfiguration: Sendable {
    /// How much the daemon may take of the machine, and how long it waits.
    struct Service: Sendable, Equatable {
        var eventLoops = 1
        var shutdownSeconds = 30.0
        var retryAfterSeconds = 1
        /// How long before a token is due a cell's thread may watch the clock instead of sleeping.
        var busyWaitNanoseconds: Int64 = 100_000
    }

    /// The durable ledger.
    struct LedgerFile: Sendable, Equatable {
        var path: String
        var retentionDays: Double?
        /// Rows that may wait for the disk.
        var queueRows = 65_536
        /// Folder of the journals in which they wait; nil for one in memory.
        var journalFolder: String?
    }

    public var file: String
    public var fleet: FleetSpecification
    public var baseline: FleetSpecification?
    /// Text of the fleet's file, for the ledger; nil when the fleet stands in this file.
    var fleetFile: String?
    var modelNames: [String] = []
    public var timeScale = TimeScale.ratio(1)
    var seed: UInt64 = 1
    var catalogDirectory: String?
    /// Path of a `tokenizer.json`.
    var tokenizer: String?
    public var serving: [ListenAddress] = [.host("127.0.0.1", port: 8000)]
    public var admin: ListenAddress? = .host("127.0.0.1", port: 9180)
    var tls: TLSFiles?
    var service = Service()
    var limits = ServingLimits()
    var lengths = OutputLengthRule()
    var keys: [ConfiguredKey] = []
    /// SHA-256 of the admin key; nil leaves the admin listener's changing routes closed.
    var adminKeyDigest: [UInt8]?
    var promise = LatencyPromise.interactive
    var ledger: LedgerFile?
    var fleetView: FleetViewPorts?
    var deviceExporters: [DeviceExporter] = []
    public var logLevel = "info"

    /// A key as the file names it; its tenant is resolved against the fleet's.
    struct ConfiguredKey: Sendable, Equatable {
        var name: String
        var digest: [UInt8]
        var tenant: Located<String>?
        var place: Place
    }

    /// Ports of the compatible fleet view.
    struct FleetViewPorts: Sendable, Equatable {
        var host: String
        /// The first pool's first replica listens here, the next ones above.
        var firstPort: Int
        /// At most so many replicas get a port.
        var replicas: Int
    }

    /// Reads a configuration file. Paths in it are relative to its folder.
    /// - Throws: `FleetError` with the file, line and column of the first thing that is wrong.
    public init(contentsOf path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw FleetError(
                "no such configuration file, or it cannot be read", at: Place(file: path, line: 0, column: 0))
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw FleetError("the file is not UTF-8 text", at: Place(file: path, line: 0, column: 0))
        }
        try self.init(yaml: text, file: path)
    }

    /// Parses a configuration. `file` names it in messages and gives the folder that paths are relative to.
    public init(yaml text: String, file: String) throws {
        let map = try YAMLValue(parsing: text, file: file).mapping(keys: [
            "fleet", "baseline", "served_model_name", "time_scale", "seed", "catalog", "tokenizer", "listen",
            "service", "limits", "output", "keys", "admin_key_sha256", "promise", "ledger", "fleet_view",
            "device_exporters", "log_level",
        ])
        let folder = (file as NSString).deletingLastPathComponent
        self.file = file
        let fleetValue = try map.required("fleet")
        fleet = try Self.fleet(fleetValue, folder: folder)
        if (try? fleetValue.anyMapping()) == nil {
            fleetFile = try? String(
                contentsOfFile: Self.resolve(fleetValue, folder: folder), encoding: .utf8)
        }
        baseline = try map["baseline"].map { try Self.fleet($0, folder: folder) }
        if let value = map["served_model_name"] { modelNames = try Self.strings(value) }
        if let value = map["time_scale"] { timeScale = try Self.timeScale(value) }
        if let value = map["seed"] { seed = UInt64(try value.integer(in: 0...Int.max, unit: "")) }
        catalogDirectory = try map["catalog"].map { try Self.resolve($0, folder: folder) }
        tokenizer = try map["tokenizer"].map { try Self.resolve($0, folder: folder) }
        if let value = map["listen"] { try readListeners(value, folder: folder) }
        if let value = map["service"] { service = try Service(value) }
        if let value = map["limits"] { limits = try ServingLimits(value) }
        if let value = map["output"] { lengths = try OutputLengthRule(value) }
        if let value = map["keys"] { keys = try ConfiguredKey.list(value, folder: folder) }
        adminKeyDigest = try map["admin_key_sha256"].map { try adminDigest($0, folder: folder) }
        if let value = map["promise"] { promise = try Self.promise(value) }
        if let value = map["ledger"] { ledger = try LedgerFile(value, folder: folder) }
        if let value = map["fleet_view"] { fleetView = try FleetViewPorts(value) }
        if let value = map["device_exporters"] { deviceExporters = try DeviceExporter.list(value) }
        if let value = map["log_level"] {
            logLevel = try value.oneOf(["trace", "debug", "info", "notice", "warning", "error", "critical"])
        }
    }

    /// Listeners that anybody on the network can reach, in words, for the start's message and `--check`.
    public var surfaces: [String] {
        var lines = serving.map {
            "serving \($0)\(tls == nil ? "" : " (TLS)"): \(keys.isEmpty ? "open, no key needed" : "\(keys.count) keys")"
        }
        if let admin {
            lines.append(
                "admin \(admin): \(adminKeyDigest == nil ? "read only, no admin key is set" : "admin key set")")
        }
        if let fleetView {
            lines.append(
                "fleet view \(fleetView.host):\(fleetView.firstPort)-\(fleetView.firstPort + fleetView.replicas - 1): open, no key needed"
            )
        }
        lines += deviceExporters.map { "\($0.kind.rawValue) \($0.address): open, no key needed" }
        return lines
    }

    // MARK: Parts

    private static func fleet(_ value: YAMLValue, folder: String) throws -> FleetSpecification {
        if (try? value.anyMapping()) != nil { return try FleetSpecification(value) }
        let path = try resolve(value, folder: folder)
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw FleetError("'\(value.path)': no such fleet file, or it cannot be read: \(path)", at: value.place)
        }
        return try FleetSpecification(contentsOf: path)
    }

    /// The file that a value names: relative to the configuration's folder, or `credential:NAME` for what the service
    /// manager loaded (`LoadCredential=NAME:…`) and put into `$CREDENTIALS_DIRECTORY`.
    static func resolve(_ value: YAMLValue, folder: String) throws -> String {
        let path = try value.string()
        let prefix = "credential:"
        guard path.hasPrefix(prefix) else { return path.hasPrefix("/") || folder.isEmpty ? path : folder + "/" + path }
        let name = String(path.dropFirst(prefix.count))
        guard !name.isEmpty, !name.contains("/"), name != ".." else {
            throw FleetError("'\(value.path)' takes credential:NAME with a plain name, not '\(path)'", at: value.place)
        }
        guard let directory = ProcessInfo.processInfo.environment["CREDENTIALS_DIRECTORY"] else {
            throw FleetError(
                "'\(value.path)': there is no credential '\(name)', because the service manager passed none "
                    + "(LoadCredential= in the unit)", at: value.place)
        }
        return directory + "/" + name
    }

    /// The text of such a file, of at most a mebibyte.
    static func text(_ value: YAMLValue, folder: String) throws -> (text: String, path: String) {
        let path = try resolve(value, folder: folder)
        guard let data = FileManager.default.contents(atPath: path), data.count <= 1 << 20,
            let text = String(validating: data, as: UTF8.self)
        else {
            throw FleetError(
                "'\(value.path)': no such file, or it cannot be read as UTF-8 text of at most 1 MiB: \(path)",
                at: value.place)
        }
        return (text, path)
    }

    private static func strings(_ value: YAMLValue) throws -> [String] {
        if let elements = try? value.list(atMost: 64) { return try elements.map { try $0.string() } }
        return [try value.string()]
    }

    private static func timeScale(_ value: YAMLValue) throws -> TimeScale {
        if (try? value.string()) == "max" { return .unlimited }
        let unit = "modelled seconds per second, or max"
        if try value.number(in: 0...1000, unit: unit) == 0 { return .unlimited }
        return .ratio(try value.number(in: 0.000001...1000, unit: unit))
    }

    private static func promise(_ value: YAMLValue) throws -> LatencyPromise {
        let map = try value.mapping(keys: ["ttft_p99", "tpot_p99"])
        return LatencyPromise(
            ttftSeconds: try map.required("ttft_p99").number(in: 0.0001...3600, unit: "seconds"),
            tpotSeconds: try map.required("tpot_p99").number(in: 0.00001...3600, unit: "seconds"))
    }

    private mutating func readListeners(_ value: YAMLValue, folder: String) throws {
        let map = try value.mapping(keys: ["serving", "admin", "tls"])
        if let value = map["serving"] {
            let elements = (try? value.list(atMost: 16)) ?? [value]
            serving = try elements.map(ListenAddress.init)
            if serving.isEmpty { throw FleetError("'listen.serving' needs at least one address", at: value.place) }
        }
        if let value = map["admin"] { admin = try value.string() == "off" ? nil : ListenAddress(value) }
        if let value = map["tls"] {
            let files = try value.mapping(keys: ["certificate", "key"])
            tls = TLSFiles(
                certificate: try Self.resolve(files.required("certificate"), folder: folder),
                key: try Self.resolve(files.required("key"), folder: folder))
        }
    }
}

extension ListenAddress {
    /// `HOST:PORT`, `[IPv6]:PORT`, or `unix:/PATH`.
    init(_ value: YAMLValue) throws {
        let text = try value.string()
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard path.hasPrefix("/"), path.utf8.count < 104 else {
                throw FleetError(
                    "'\(value.path)' takes unix:/PATH with an absolute path of at most 103 bytes, not '\(text)'",
                    at: value.place)
            }
            self = .unixSocket(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else {
            throw FleetError("'\(value.path)' takes HOST:PORT or unix:/PATH, not '\(text)'", at: value.place)
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { throw FleetError("'\(value.path)' names no host: '\(text)'", at: value.place) }
        self = .host(host, port: port)
    }
}

extension DaemonConfiguration.Service {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: [
            "event_loops", "shutdown_seconds", "retry_after_seconds", "busy_wait_microseconds",
        ])
        if let value = map["event_loops"] { eventLoops = try value.integer(in: 1...1024, unit: "threads") }
        if let value = map["shutdown_seconds"] { shutdownSeconds = try value.number(in: 0...3600, unit: "seconds") }
        if let value = map["retry_after_seconds"] {
            retryAfterSeconds = try value.integer(in: 1...3600, unit: "seconds")
        }
        if let value = map["busy_wait_microseconds"] {
            busyWaitNanoseconds = Int64(try value.integer(in: 0...10_000, unit: "microseconds")) * 1000
        }
    }
}

extension DaemonConfiguration.LedgerFile {
    init(_ value: YAMLValue, folder: String) throws {
        let map = try value.mapping(keys: ["path", "retention_days", "queue_rows", "journal"])
        path = try DaemonConfiguration.resolve(map.required("path"), folder: folder)
        retentionDays = try map["retention_days"]?.number(in: 0.001...36_500, unit: "days")
        journalFolder = try map["journal"].map { try DaemonConfiguration.resolve($0, folder: folder) }
        if let value = map["queue_rows"] { queueRows = try value.integer(in: 64...16_777_216, unit: "rows") }
    }
}

extension DaemonConfiguration.FleetViewPorts {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: ["host", "first_port", "replicas"])
        host = try map["host"]?.string() ?? "127.0.0.1"
        firstPort = try map.required("first_port").integer(in: 1...65_535, unit: "")
        replicas = try map["replicas"]?.integer(in: 1...4096, unit: "replicas") ?? 64
        guard firstPort + replicas - 1 <= 65_535 else {
            throw FleetError("'\(value.path)' reaches beyond port 65535", at: value.place)
        }
    }
}

extension DaemonConfiguration.ConfiguredKey {
    /// A list of keys, or the name of a YAML file that holds one.
    static func list(_ value: YAMLValue, folder: String) throws -> [Self] {
        if (try? value.list()) != nil { return try value.list().map(Self.init) }
        let (text, path) = try DaemonConfiguration.text(value, folder: folder)
        return try YAMLValue(parsing: text, file: path).list().map(Self.init)
    }

    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: ["name", "sha256", "tenant"])
        name = try map.required("name").string()
        digest = try keyDigest(map.required("sha256"))
        tenant = try map["tenant"]?.located()
        place = value.place
    }
}

extension ServingLimits {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: [
            "body_bytes", "connections", "requests_per_loop", "streams_per_key", "receive_seconds", "idle_seconds",
            "stall_seconds",
        ])
        if let value = map["body_bytes"] { bodyBytes = try value.integer(in: 1024...1_073_741_824, unit: "bytes") }
        if let value = map["connections"] { connections = try value.integer(in: 1...1_000_000, unit: "connections") }
        if let value = map["requests_per_loop"] {
            requestsPerLoop = try value.integer(in: 1...1_000_000, unit: "requests")
        }
        if let value = map["streams_per_key"] { streamsPerKey = try value.integer(in: 1...1_000_000, unit: "requests") }
        if let value = map["receive_seconds"] { receiveSeconds = try value.number(in: 0.1...3600, unit: "seconds") }
        if let value = map["idle_seconds"] { idleSeconds = try value.number(in: 0.1...86_400, unit: "seconds") }
        if let value = map["stall_seconds"] { stallSeconds = try value.number(in: 0.1...3600, unit: "seconds") }
    }
}

extension OutputLengthRule {
    init(_ value: YAMLValue) throws {
        let map = try value.mapping(keys: ["max_tokens", "median_tokens", "sigma"])
        if let value = map["max_tokens"] {
            limit = Limit(rawValue: try value.oneOf(Limit.allCases.map(\.rawValue))) ?? .exact
        }
        if let value = map["median_tokens"] { medianTokens = try value.number(in: 1...1_000_000, unit: "tokens") }
        if let value = map["sigma"] { sigma = try value.number(in: 0...5, unit: "natural logarithm") }
    }
}

/// The digest itself, or the name of a file that begins with it (as `sha256sum` prints).
private func adminDigest(_ value: YAMLValue, folder: String) throws -> [UInt8] {
    let text = try value.string()
    guard text.hasPrefix("/") || text.hasPrefix("credential:") else { return try keyDigest(value) }
    let (content, path) = try DaemonConfiguration.text(value, folder: folder)
    let digest = content.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
    return try keyDigest(digest, named: path, at: Place(file: path, line: 1, column: 1))
}

/// 64 hexadecimal digits: the SHA-256 of a key.
private func keyDigest(_ value: YAMLValue) throws -> [UInt8] {
    try keyDigest(value.string(), named: value.path, at: value.place)
}

private func keyDigest(_ text: String, named name: String, at place: Place) throws -> [UInt8] {
    let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    guard text.utf8.count == 64, digits.count == 64 else {
        throw FleetError(
            "'\(name)' takes the SHA-256 of a key as 64 hexadecimal digits (printf %s KEY | sha256sum)", at: place)
    }
    return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
