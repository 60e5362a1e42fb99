import Foundation

/// One of the two executables, run as a user runs it.
struct Product {
    struct Result {
        var status: Int32
        var output: String
        var errors: String
    }

    struct TimedOut: Error, CustomStringConvertible {
        var command: String
        var description: String { "\(command) ran out of time" }
    }

    static let trainyard = Product(name: "trainyard")
    static let trainyardd = Product(name: "trainyardd")

    let name: String

    /// The folder that the build put the executables in: the one of the running test bundle.
    static let folder: URL = {
        let candidates =
            [Bundle.main.executableURL?.deletingLastPathComponent()]
            + CommandLine.arguments.map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
            + [repository.appendingPathComponent(".build/debug")]
        let found = candidates.compactMap { $0 }.first {
            FileManager.default.isExecutableFile(atPath: $0.appendingPathComponent("trainyard").path)
        }
        return found ?? repository.appendingPathComponent(".build/debug")
    }()

    static let repository: URL = {
        var folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        return folder
    }()

    /// The reference data beside the checkout, which users do not have.
    static func reference(_ path: String) -> URL? {
        let url = repository.deletingLastPathComponent().appendingPathComponent("shared").appendingPathComponent(path)
        return FileManager.default.fileExists(atPath: url.path) ? url : nil
    }

    /// Starts it; the caller ends it.
    /// - Parameter withoutCapabilities: as a service manager starts a daemon, even where the tests run as root: what only
    ///   root may do must not be needed.
    func start(
        _ arguments: [String], input: URL? = nil, output: FileHandle, errors: FileHandle,
        withoutCapabilities: Bool = false
    ) throws -> Process {
        let process = Process()
        let executable = Self.folder.appendingPathComponent(name)
        if withoutCapabilities, geteuid() == 0 {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
            process.arguments = ["--bounding-set=-all", "--inh-caps=-all", executable.path] + arguments
        } else {
            process.executableURL = executable
            process.arguments = arguments
        }
        process.currentDirectoryURL = Self.repository
        process.standardInput = try input.map { try FileHandle(forReadingFrom: $0) } ?? FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        return process
    }

    /// Runs it to its end, at most `seconds`. Output goes through files, so that no full pipe can hold it up.
    func run(_ arguments: [String], input: URL? = nil, seconds: TimeInterval = 300) throws -> Result {
        try Scratch.with { scratch in
            let outputURL = scratch.file("output")
            let errorsURL = scratch.file("errors")
            let output = try scratch.writing(outputURL)
            let errors = try scratch.writing(errorsURL)
            let process = try start(arguments, input: input, output: output, errors: errors)
            let end = Date().addingTimeInterval(seconds)
            while process.isRunning && Date() < end { usleep(10_000) }
            if process.isRunning {
                process.terminate()
                process.waitUntilExit()
                throw TimedOut(command: "\(name) \(arguments.joined(separator: " "))")
            }
            return Result(
                status: process.terminationStatus,
                output: try String(contentsOf: outputURL, encoding: .utf8),
                errors: try String(contentsOf: errorsURL, encoding: .utf8)
            )
        }
    }
}

/// A folder of its own for one test, gone afterwards.
struct Scratch {
    let folder: URL

    static func with<Value>(_ body: (Scratch) throws -> Value) throws -> Value {
        let scratch = try Scratch()
        defer { scratch.remove() }
        return try body(scratch)
    }

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("trainyard-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }

    func file(_ name: String) -> URL { folder.appendingPathComponent(name) }

    func write(_ text: String, to name: String) throws -> URL {
        let url = file(name)
        try text.write(to: url, atomically: true, encoding: .utf8)
        return url
    }

    func writing(_ url: URL) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: url.path, contents: nil) else {
            throw CocoaError(.fileWriteUnknown)
        }
        return try FileHandle(forWritingTo: url)
    }
}
