//===----------------------------------------------------------------------===//
// The reference pack of another simulator, request by request.
//===----------------------------------------------------------------------===//

import Engine
import Foundation
import Testing

@testable import Conformance

@Suite struct VidurPackTests {
    /// Beside the checkout; nil when it is not there.
    static var pack: String? {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let folder = root.deletingLastPathComponent().appendingPathComponent("shared/conformance/vidur").path
        return FileManager.default.fileExists(atPath: folder + "/table/meta.json") ? folder : nil
    }

    @Test(.enabled(if: pack != nil, "the reference data beside the checkout (../shared) is not there"))
    func everyRequestOfEveryRunAgrees() throws {
        let results = try Conformance.check(folder: try #require(Self.pack))
        #expect(!results.isEmpty)
        for result in results { #expect(result.agrees, "\(result)") }
        #expect(results.contains { $0.referenceRestarts > 0 }, "no run restarts anything, so restarts are not tested")
    }

    @Test(.enabled(if: pack != nil, "the reference data beside the checkout (../shared) is not there"))
    func anotherRuleDoesNotAgree() throws {
        let folder = try #require(Self.pack)
        let table = try VidurTable(folder: folder + "/table")
        var run = try ReferenceRun(path: folder + "/runs/a6-sarathi-kvpressure", table: table)
        run.configuration.watermarkBlocks += 1
        #expect(try !Conformance.replay(run, table: table).agrees)
    }

    @Test func aMissingFolderIsNamed() {
        #expect(
            throws: ConformanceError(place: "/nowhere/runs", message: "cannot be listed; a pack has table/ and runs/")
        ) {
            try Conformance.check(folder: "/nowhere")
        }
    }

    @Test func aBadNumberIsNamedWithItsLine() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).csv").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "a,b\n1,2\n3,x\n".write(toFile: path, atomically: true, encoding: .utf8)
        let table = try PackTable(path: path)
        #expect(try table.integers("a") == [1, 3])
        #expect(throws: ConformanceError(place: "\(path):3", message: "column 'b' needs a number, found 'x'")) {
            try table.numbers("b")
        }
        #expect(throws: ConformanceError(place: path, message: "has no column 'c'; it has a, b")) {
            try table.numbers("c")
        }
    }
}
