import Foundation
import Testing

/// What every command of `trainyard` has in common: options, errors, exit status, and what becomes of its output.
@Suite struct CommandOptionTests {
    private static let commands = [
        "simulate", "compare", "plan", "claims", "validate", "conformance", "load", "replay", "sweep", "catalog",
    ]

    @Test(arguments: commands)
    func everyCommandTakesTheCommonOptions(command: String) throws {
        let help = try Product.trainyard.run([command, "--help"])
        #expect(help.status == 0 && help.errors.isEmpty)
        #expect(help.output.contains("USAGE: trainyard \(command) "), "\(help.output.prefix(400))")
        for option in ["--json <", "--seed <", "--threads <", "--quiet"] {
            #expect(help.output.contains(option), "\(command) \(option)")
        }
    }

    @Test(arguments: commands)
    func everyUsageErrorSaysWhereToReadOn(command: String) throws {
        let result = try Product.trainyard.run([command, "--nonsense"])
        #expect(result.status == 2 && result.output.isEmpty)
        #expect(result.errors.contains("See 'trainyard \(command) --help' for more information."), "\(result.errors)")
    }

    @Test func threadsAreCheckedBeforeAnythingRuns() throws {
        for arguments in [
            ["claims", "--threads", "0"], ["replay", "--ledger", "nowhere", "--threads", "0"],
            ["catalog", "--threads", "9999"],
        ] {
            let result = try Product.trainyard.run(arguments)
            #expect(result.status == 2 && result.errors.contains("--threads takes 1 to 1024"), "\(result.errors)")
        }
    }

    /// A full disk is an error that names the place, not a crash and not a success.
    @Test(arguments: [["catalog", "trn2.48xlarge"], ["--help"], ["catalog", "h100", "--json", "-"]])
    func aFullDiskIsAnError(arguments: [String]) throws {
        try Scratch.with { scratch in
            let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
            let errors = try scratch.writing(scratch.file("errors"))
            let process = try Product.trainyard.start(arguments, output: full, errors: errors)
            process.waitUntilExit()
            let text = try String(contentsOf: scratch.file("errors"), encoding: .utf8)
            #expect(process.terminationReason == .exit && process.terminationStatus == 2, "\(text)")
            #expect(text.contains("cannot write to standard output: No space left on device"), "\(text)")
            #expect(text.split(separator: "\n").count == 1)
        }
    }

    @Test func aFileThatCannotBeWrittenIsNamed() throws {
        let path = "/nowhere/report.json"
        let result = try Product.trainyard.run(["catalog", "h100", "--json", path])
        #expect(
            result.status == 2 && result.errors.contains("cannot write \(path): No such file"), "\(result.errors)")
    }

    /// A pipe or a device that an option names is written to, never replaced.
    @Test func aPipeStaysAPipe() throws {
        try Scratch.with { scratch in
            let pipe = scratch.file("pipe").path
            #expect(mkfifo(pipe, 0o600) == 0)
            // Open at both ends, so that the command does not wait for a reader.
            let end = open(pipe, O_RDWR)
            defer { close(end) }
            let result = try Product.trainyard.run(["catalog", "trn2.48xlarge", "--json", pipe])
            #expect(result.status == 0, "\(result.errors)")
            var status = stat()
            #expect(lstat(pipe, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let count = read(end, &bytes, bytes.count)
            #expect(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).hasPrefix("{"))
        }
    }

    /// Requests that a model drew are not taken for a recording because they lie in a file.
    @Test func aWrittenWorkloadKeepsItsGrade() throws {
        try Scratch.with { scratch in
            let trace = scratch.file("trace.csv").path
            let written = try Product.trainyard.run([
                "workload", "chat?rate=5&limit=50", "--out", trace, "--format", "vidur", "--quiet",
            ])
            #expect(written.status == 0, "\(written.errors)")
            func grade(_ workload: String) throws -> String {
                let result = try Product.trainyard.run(["workload", workload, "--json", "-"])
                let document = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
                return try #require(document?["grade"] as? String)
            }
            let (read, drawn) = (try grade("vidur:\(trace)"), try grade("chat?rate=5&limit=50"))
            #expect(read == drawn && read != "measured")
            let other = try Product.trainyard.run(["workload", "vidur:\(trace)", "--seed", "3", "--json", "-"])
            #expect(other.status == 0)
        }
    }

    @Test func optionsThatWouldBeIgnoredAreRefused() throws {
        let load = ["load", "--url", "http://127.0.0.1:1", "--model", "m"]
        for (arguments, reason) in [
            (load + ["--rate", "5", "--goodput", "0.9"], "--goodput needs promises"),
            (load + ["--rate", "5", "--search", "knee", "--csv", "rows.csv"], "--csv goes with one run"),
            (load + ["--workload", "chat", "--prompt-tokens", "5"], "go without --workload"),
            (load + ["--rate", "5", "--header", ": x"], "'Name: value' was expected"),
            (load + ["--rate", "5", "--streams-per-connection", "5"], "goes with --http2"),
            (load + ["--rate", "5", "--http2", "--streams-per-connection", "0"], "takes 1 to 1000000, not 0"),
            (
                load + ["--rate", "5", "--http2", "--metrics", "none", "--header", "Connection: close"],
                "'Connection' cannot be sent over HTTP/2"
            ),
            (["plan", "--model", "m", "--instances", "i", "--workload", "chat", "--html", "x"], "--html goes with"),
            (["replay", "--decisions", "x", "--fleet", "y", "--json", "z"], "--json goes with --ledger"),
            (["workload", "chat", "--out", "-", "--format", "vidur", "--json", "-"], "only one of --out and --json"),
        ] {
            let result = try Product.trainyard.run(arguments)
            #expect(result.status == 2 && result.errors.contains(reason), "\(arguments): \(result.errors)")
        }
    }

    @Test func theDaemonsUsageErrorsAreExitStatusTwo() throws {
        for arguments in [["--nonsense"], ["--config", "/nowhere.yaml", "--check"]] {
            let result = try Product.trainyardd.run(arguments)
            #expect(result.status == 2 && !result.errors.isEmpty && result.output.isEmpty, "\(result.errors)")
        }
        let (version, other) = (try Product.trainyardd.run(["--version"]), try Product.trainyard.run(["--version"]))
        #expect(version.status == 0 && version.output == other.output)
    }
}
